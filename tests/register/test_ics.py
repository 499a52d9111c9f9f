"""The calendar file, read back by a parser that is as strict as RFC 5545."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from whence.register import Due, Mark, ics

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
AT = datetime(2027, 1, 14, tzinfo=UTC)
SINGLE = ("UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION")


def parse(text: str) -> list[dict[str, list[str]]]:
    """Events with their members; ``TRIGGER`` lists those of their alarms. Fails where a rule of the RFC is broken."""
    raw = text.encode()
    assert raw.endswith(b"\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    physical = raw[:-2].split(b"\r\n")
    assert all(0 < len(line) <= 75 for line in physical)
    for line in physical:
        line.decode()  # no letter is cut
    logical: list[str] = []
    for line in (one.decode() for one in physical):
        if line.startswith(" "):
            logical[-1] += line[1:]
        else:
            logical.append(line)
    stack: list[str] = []
    events: list[dict[str, list[str]]] = []
    heads: dict[str, str] = {}
    for line in logical:
        match = re.fullmatch(r"([A-Z-]+)((?:;[A-Z-]+=[^;:]+)*):(.*)", line)
        assert match, line
        name, parameters, value = match.groups()
        if name == "BEGIN":
            stack.append(value)
            if value == "VEVENT":
                events.append({})
        elif name == "END":
            assert stack.pop() == value
        elif stack == ["VCALENDAR"]:
            heads[name] = value
        else:
            if name in ("SUMMARY", "DESCRIPTION", "CATEGORIES"):
                value = unescape(value)
            key = name if stack[-1] == "VEVENT" else f"alarm {name}"
            events[-1].setdefault(key + parameters, []).append(value)
    assert not stack
    assert heads["VERSION"] == "2.0"
    assert heads["PRODID"]
    for event in events:
        names = [key.partition(";")[0] for key in event]
        assert all(names.count(one) == 1 for one in SINGLE), names
        assert all(len(v) == 1 for key, v in event.items() if key.partition(";")[0] in SINGLE)
        assert event["alarm ACTION"] == ["DISPLAY"] * len(event["alarm TRIGGER"])
        assert len(event["alarm DESCRIPTION"]) == len(event["alarm TRIGGER"])
    assert len({event["UID"][0] for event in events}) == len(events)
    return events


def unescape(text: str) -> str:
    """TEXT; fails on a bare comma or semicolon and on an unknown escape."""
    assert not re.search(r"(?<!\\)(?:\\\\)*[,;]", re.sub(r"\\[,;]", "", text)), text
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "N": "\n"}.get(m[1], m[1]), text)


def due(message: str, *, adapter: str = "sha256:a", at: datetime | None = AT, verdict: str = "fail") -> Due:
    mark = Mark(check="due.base", verdict=verdict, message=message, do="train, on another; base", at=at, days=54)  # type: ignore[arg-type]
    return Due(
        adapter=adapter,
        name="mine",
        releases=("mine@1",),
        live=True,
        accountable=None,
        score=1.0,
        days=54,
        marks=(mark,),
    )


def test_an_event_a_dated_finding_with_four_alarms() -> None:
    (event,) = parse(ics([due("gpt-4 is retired")], NOW))
    assert event["DTSTART;VALUE=DATE"] == ["20270114"]
    assert event["DTEND;VALUE=DATE"] == ["20270115"]
    assert event["DTSTAMP"] == ["20261121T093000Z"]
    assert event["alarm TRIGGER"] == ["-P180D", "-P90D", "-P60D", "-P30D"]
    assert event["SUMMARY"] == ["mine@1: gpt-4 is retired"]
    assert event["DESCRIPTION"] == ["due.base: train, on another; base\nAnswers for it: nobody"]


def test_what_has_no_date_or_is_not_known_is_no_event() -> None:
    assert parse(ics([due("x", at=None), due("x", verdict="abstain")], NOW)) == []


def test_an_identity_stays_when_the_date_and_the_words_change() -> None:
    (a,) = parse(ics([due("soon")], NOW))
    (b,) = parse(ics([due("later", at=AT + timedelta(days=30))], NOW + timedelta(days=1)))
    (c,) = parse(ics([due("soon", adapter="sha256:b")], NOW))
    assert a["UID"] == b["UID"] != c["UID"]


@pytest.mark.parametrize(
    "message",
    ["a" * 400, "é" * 200, "漢" * 120, "🙂" * 90, "a,b;c\\d\\,e\\;f\\n", "line\none\r\ntwo", "tab\tbell\x07nul\x00"],
)
def test_any_text_comes_back(message: str) -> None:
    (event,) = parse(ics([due(message)], NOW))
    said = message.replace("\r\n", "\n")
    assert event["SUMMARY"] == ["mine@1: " + "".join(c for c in said if c == "\n" or c.isprintable())]
