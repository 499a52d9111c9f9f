"""Dates as an iCalendar file (RFC 5545), for whatever calendar a team looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from whence.records import sha256
from whence.register.due import ALERTS, Due, Mark

LINE_OCTETS = 75
"""RFC 5545, 3.1: a longer line is folded"""


def ics(found: Iterable[Due], now: datetime) -> str:
    """One all-day event a dated finding, with an alarm on each of `ALERTS`. A UID depends on adapter and check alone: a
    date that moves moves the event."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//whence//ask due//EN", "CALSCALE:GREGORIAN"]
    for one in found:
        for mark in one.marks:
            if mark.at is not None and mark.verdict == "fail":
                lines += _event(one, mark, mark.at.astimezone(UTC), now)
    return "".join(f"{folded}\r\n" for line in (*lines, "END:VCALENDAR") for folded in _folded(line))


def _event(one: Due, mark: Mark, at: datetime, now: datetime) -> Iterator[str]:
    uid = sha256(f"{one.adapter} {mark.check}".encode()).removeprefix("sha256:")[:32]
    named = " ".join(one.releases) or f"{one.name} {one.adapter.rpartition(':')[2][:12]}"
    summary = f"{named}: {mark.message}"
    answers = f"Answers for it: {one.accountable or 'nobody'}"
    yield from (
        "BEGIN:VEVENT",
        f"UID:{uid}@whence",
        f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{at:%Y%m%d}",
        f"DTEND;VALUE=DATE:{at + timedelta(days=1):%Y%m%d}",
        f"SUMMARY:{_escaped(summary)}",
        f"DESCRIPTION:{_escaped(f'{mark.check}: {mark.do or mark.message}' + chr(10) + answers)}",
        f"CATEGORIES:{_escaped(mark.check)}",
        "TRANSP:TRANSPARENT",
    )
    for days in ALERTS:
        yield from (
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            f"DESCRIPTION:{_escaped(summary)}",
            f"TRIGGER:-P{days}D",
            "END:VALARM",
        )
    yield "END:VEVENT"


def _escaped(text: str) -> str:
    """TEXT of RFC 5545, 3.3.11; controls other than a line's end are left out."""
    for plain, written in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\r\n", "\\n"), ("\n", "\\n")):
        text = text.replace(plain, written)
    return "".join(c for c in text if c.isprintable())


def _folded(line: str) -> Iterator[str]:
    """Pieces of at most 75 octets, each after the first begun by a space; no letter is cut."""
    piece, size = "", 0
    for letter in line:
        octets = len(letter.encode())
        if size + octets > LINE_OCTETS:
            yield piece
            piece, size = " ", 1
        piece, size = piece + letter, size + octets
    yield piece
