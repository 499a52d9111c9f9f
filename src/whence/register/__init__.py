"""Bases, adapters, releases: versions, aliases with history, waivers."""

from whence.register.bases import base_path, register_base
from whence.register.releases import (
    adapters,
    aliases,
    current,
    find_release,
    history,
    move_alias,
    release,
    rollback,
    standing_waiver,
    waive,
)

__all__ = [
    "adapters",
    "aliases",
    "base_path",
    "current",
    "find_release",
    "history",
    "move_alias",
    "register_base",
    "release",
    "rollback",
    "standing_waiver",
    "waive",
]
