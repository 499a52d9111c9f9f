"""Bases, adapters, releases: versions, aliases with history, waivers; how whole a closure is."""

from whence.register.adapters import Folder, keep, known, plain_settings, read_folder
from whence.register.bases import register_base
from whence.register.canaries import Look, Questions, Subject, keep, kept, look, look_inside, read_questions
from whence.register.completeness import Fact, completeness
from whence.register.releases import (
    history,
    in_service,
    move_alias,
    release,
    rollback,
    standing_waiver,
    waive,
    waive_binding,
)

__all__ = [
    "Fact",
    "Folder",
    "completeness",
    "history",
    "in_service",
    "keep",
    "known",
    "move_alias",
    "plain_settings",
    "read_folder",
    "register_base",
    "release",
    "rollback",
    "standing_waiver",
    "waive",
    "waive_binding",
]
