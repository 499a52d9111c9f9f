"""Bases, releases: versions, aliases with history, waivers. What ends when: the base calendar and its rules."""

from whence.register.bases import register_base
from whence.register.calendar import Calendar, Entry, calendar, entries_in, shipped
from whence.register.due import Due, Mark
from whence.register.ics import ics
from whence.register.releases import history, move_alias, release, rollback, standing_waiver, waive

__all__ = [
    "Calendar",
    "Due",
    "Entry",
    "Mark",
    "calendar",
    "entries_in",
    "history",
    "ics",
    "move_alias",
    "register_base",
    "release",
    "rollback",
    "shipped",
    "standing_waiver",
    "waive",
]
