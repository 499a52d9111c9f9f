"""Bases, adapters, releases: versions, aliases with history, waivers; how whole a closure is; what ends when."""

from whence.register.adapters import Folder, keep, known, leave_sidecar, plain_settings, read_folder
from whence.register.bases import register_base
from whence.register.calendar import Calendar, Entry, calendar, entries_in, shipped
from whence.register.completeness import Fact, completeness
from whence.register.due import Due, Mark
from whence.register.ics import ics
from whence.register.releases import (
    history,
    in_service,
    move_alias,
    only_beside,
    release,
    rollback,
    standing_waiver,
    waive,
    waive_binding,
)
from whence.register.retired import remains, retire, retired

__all__ = [
    "Calendar",
    "Due",
    "Entry",
    "Fact",
    "Folder",
    "Mark",
    "calendar",
    "completeness",
    "entries_in",
    "history",
    "ics",
    "in_service",
    "keep",
    "known",
    "leave_sidecar",
    "move_alias",
    "only_beside",
    "plain_settings",
    "read_folder",
    "register_base",
    "release",
    "remains",
    "retire",
    "retired",
    "rollback",
    "shipped",
    "standing_waiver",
    "waive",
    "waive_binding",
]
