"""What a log of somebody else's says of one answer: read by `openai_log`, `langfuse_log` and `otel_log`, taken in by
`importing`. A part that cannot be read is `Left` with a code; nothing is guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from whence.records import Json, parse_time

Finish = Literal["stop", "length", "cancelled", "error"]
Record = Mapping[str, Json]
Unpack = Callable[[str], Json]
"""The JSON list or object that a text spells, else the text itself."""

LONGEST = 512
"""characters of an id or a model's name"""
YEARS = (datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
"""A time outside is no time of an answer: mostly another unit."""
FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "tool_call": "stop",
    "tool_calls": "stop",
    "tool_use": "stop",
    "function_call": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "cancelled": "cancelled",
    "abort": "cancelled",
    "content_filter": "cancelled",
    "refusal": "stop",
    "error": "error",
}
"""What others call the end of an answer → what a Trace calls it."""

_printable = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff](?:[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*\S)?").fullmatch


class Misfit(Exception):
    """A part of a log that cannot be taken in; its text is a one-word code, never content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One answer."""

    id: str | None
    """what the log calls it; None: it has no name there"""
    group: str | None = None
    """the larger thing that it is a part of there, which a score may name"""
    asked: str | None = None
    """name of the request, where its words stand on a line of their own"""
    at: datetime
    """when it came in"""
    duration_s: float | None
    """until the last token"""
    model: str | None
    """as the log calls it"""
    messages: list[Json]
    """the conversation up to the answer"""
    answer: dict[str, Json]
    """`answer`: its text; `tool_calls`, `others`: further answers to the same request"""
    options: dict[str, Json] = field(default_factory=dict)
    """what steered it"""
    prompt_tokens: int | None
    """tokens in"""
    completion_tokens: int | None
    """tokens out"""
    finish: Finish | None
    """why it ended"""
    user: str | None = None
    """the person, as the log calls them"""
    consent: Json = None
    """what the request itself says of its use"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request whose answer stands on another line."""

    name: str
    request: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A reaction to an answer."""

    id: str
    """what the log calls it"""
    about: tuple[str, ...]
    """ids of the answer, the first that is known counts; or of what it is a part of"""
    actor: str
    """who gave it, as `Feedback.actor`"""
    value: float | None = None
    """−1 to 1, where the log's own scale is known"""
    raw: float | None = None
    """the number where its scale is not known"""
    text: str | None = None
    """comment"""
    at: datetime | None = None
    """when it was given"""


@dataclass(frozen=True, slots=True)
class Left:
    """A part that is not taken in."""

    reason: str
    """a one-word code"""


Piece = Exchange | Asked | Score | Left


def each(parts: Iterable[Any], read: Callable[[Any], Iterable[Piece]]) -> Iterator[Piece]:
    """What `read` makes of each part; one that misfits costs itself only."""
    for part in parts:
        try:
            yield from read(part)
        except Misfit as error:
            yield Left(str(error))


def object_at(record: Record, *names: str) -> dict[str, Json]:
    """The first of these members that is there, an object; an empty one where none is."""
    value = member(record, *names)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Misfit("type")
    return value


def list_at(record: Record, *names: str) -> list[Json]:
    """The first of these members that is there, a list; an empty one where none is."""
    value = member(record, *names)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Misfit("type")
    return value


def member(record: Record, *names: str) -> Json:
    """The first of these members that is there and not null."""
    for name in names:
        value = record.get(name)
        if value is not None:
            return value
    return None


def name_at(record: Record, *names: str) -> str | None:
    """An id or a name: one short line of whole characters."""
    value = member(record, *names)
    if value is None or value == "":
        return None
    if type(value) is int:
        value = str(value) if abs(value) < 1 << 63 else ""
    if not isinstance(value, str):
        raise Misfit("type")
    if len(value) > LONGEST or not _printable(value):
        raise Misfit("name")
    return value


def count_at(record: Record, *names: str) -> int | None:
    """A number of tokens."""
    value = member(record, *names)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and len(value) < 16 and value.isdecimal() and value.isascii():
        value = int(value)  # OTLP spells 64-bit numbers as text
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise Misfit("number")
    return value


def number_at(record: Record, *names: str) -> float | None:
    """A finite number."""
    value = member(record, *names)
    if value is None:
        return None
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 1e15:
        raise Misfit("number")
    return float(value)


def time_at(record: Record, *names: str, unit_s: float = 1.0, zone: bool = True) -> datetime | None:
    """A time: ISO 8601, or a number of `unit_s` since 1970. zone: whether one must be named; else it is UTC."""
    value = member(record, *names)
    if value is None:
        return None
    try:
        if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 24:
            value = int(value)
        if isinstance(value, str) and len(value) < 64:
            named = zone or re.search(r"(Z|[+-]\d\d:?\d\d)$", value)
            moment = parse_time(value if named else value + "Z")
        elif type(value) in (int, float):
            micro = round(value * (unit_s * 1e6)) if unit_s > 1e-6 else value // round(1e-6 / unit_s)
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro)
        else:
            raise Misfit("time")
    except (ValueError, OverflowError):
        raise Misfit("time") from None
    if not YEARS[0] <= moment <= YEARS[1]:
        raise Misfit("time")
    return moment


def needed(at: datetime | None) -> datetime:
    """A time that must be there."""
    if at is None:
        raise Misfit("no_time")
    return at


def span_s(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds between."""
    if start is None or end is None:
        return None
    if end < start:
        raise Misfit("time")
    return (end - start).total_seconds()


def finish_of(value: Json) -> Finish | None:
    """Why an answer ended; None where the log does not say, or says what nobody else does."""
    return FINISHES.get(value.lower()) if isinstance(value, str) else None


def turn(value: Json, role: str | None = None) -> dict[str, Json]:
    """One turn as the gateway keeps it: text content, no ``developer``; parts that are no text stay as they are."""
    if not isinstance(value, dict):
        raise Misfit("messages")
    said = value.get("role") or role
    if not isinstance(said, str) or len(said) > 32:
        raise Misfit("messages")
    content = value.get("content")
    if isinstance(content, list) and all(_is_text(part) for part in content):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str | list | None):
        raise Misfit("messages")
    out = {"role": "system" if said == "developer" else said, "content": "" if content is None else content}
    return out | {name: value[name] for name in ("tool_calls", "tool_call_id", "name") if value.get(name) is not None}


def _is_text(part: Json) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


def turns(values: Json) -> list[Json]:
    """A conversation of at least one turn."""
    if not isinstance(values, list) or not values:
        raise Misfit("messages")
    return [turn(value) for value in values]


def answer_of(turns: list[dict[str, Json]]) -> dict[str, Json]:
    """What the journal keeps of the answers to one request, the first of which counts."""
    first, *others = turns
    out: dict[str, Json] = {"answer": first["content"]}
    if first.get("tool_calls"):
        out["tool_calls"] = first["tool_calls"]
    return out | ({"others": others} if others else {})


def thumb(value: Json) -> float | None:
    """−1 or 1 for what is plainly one of two; None for anything else."""
    if isinstance(value, bool):
        return 1.0 if value else -1.0
    word = (
        value.lower().replace("-", "_").removeprefix("thumbs_").removeprefix("thumb_") if isinstance(value, str) else ""
    )
    return cast("dict[str, float]", {"up": 1.0, "down": -1.0, "👍": 1.0, "👎": -1.0}).get(word)
