"""``whence-calendar.toml``: the dates that a project knows and the shipped calendar does not."""

from __future__ import annotations

import tomllib
from pathlib import Path

from whence.project.locate import line_of, lines_of
from whence.records import Unmet
from whence.register.calendar import Entry, entries_of

CALENDAR = "whence-calendar.toml"


def read_calendar(folder: Path) -> tuple[Entry, ...]:
    """The entries of the project's calendar, none where it has none. Raises Unmet with every fault and its line."""
    file = folder / CALENDAR
    if not file.exists():
        return ()
    try:
        text = file.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except OSError as error:
        raise Unmet(f"{file} cannot be read: {error.strerror}", "a calendar", "look at its rights") from error
    except RecursionError as error:
        raise Unmet(f"{file.name}: brackets lie too deep inside each other", "TOML", "close them") from error
    except ValueError as error:
        raise Unmet(f"{file.name}: {error}", "TOML in UTF-8", "mend that line") from error
    entries, faults = entries_of(raw)
    if faults:
        lines = lines_of(text)
        listed = sorted((line_of(lines, where) or 1, ".".join(map(str, where)), what) for where, what in faults)
        body = "\n".join(f"  {file.name}:{line}: {where}: {what}" for line, where, what in listed)
        plural = "fault" if len(listed) == 1 else "faults"
        raise Unmet(f"{len(listed)} {plural} in {file}\n{body}", "", "mend them; docs/due.md shows an entry")
    return entries
