"""What logs of other evaluation tools hold, whatever their form; and how their JSON is read: in bounded pieces,
strictly, each fault with its place and without a word of content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from whence.records import Json, Unmet, encode

MAX_BYTES = 64 << 20
"""Of one line or one member of an archive; a longer one is a fault, and never held whole."""
SHOWN = 100
"""Faults written out in one message; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer to one item, as a tool logged it."""

    id: str
    """the tool's, of the item: answers of one id are answers to one item"""
    input: Json
    """text, or a list of turns; None: the log names the item and does not quote it"""
    target: Json
    """what the tool compared with; None: the log does not say"""
    answer: str | None
    values: Mapping[str, Any]
    """metric → value as the tool gave it"""
    fields: Mapping[str, Json] = field(default_factory=dict)
    """what the tool knows of the item besides"""
    at: datetime | None = None
    """when it was asked; None: the log says it of the whole alone"""
    fault: str | None = None
    """why the tool itself has no score"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a log says of the whole evaluation; None: it does not say."""

    tool: str
    version: str | None = None
    """of the tool"""
    task: str | None = None
    task_version: str | None = None
    model: str | None = None
    """what the tool called it"""
    started: datetime | None = None
    sampling: Mapping[str, Json] = field(default_factory=dict)
    """how answers were drawn: temperature, seed, lengths"""
    shots: int | None = None
    """worked examples before each item"""
    beside: str | None = None
    """``sha256:`` of a second file that this was read from"""
    notes: tuple[str, ...] = ()
    """what a person should know"""


class Faults:
    """What is wrong with a file, collected to be said at once."""

    def __init__(self, path: Path) -> None:
        self._path, self._found = path, list[str]()

    def add(self, where: object, why: str | Exception) -> None:
        """where: a line or a member."""
        self._found.append(f"{self._path}:{where}: {why if isinstance(why, str) else reason(why)}")

    def refuse(self) -> None:
        """Raise Unmet where there are any."""
        if self._found:
            more = [f"… and {len(self._found) - SHOWN} more"] if len(self._found) > SHOWN else []
            listed = [f"{len(self._found)} faults in the log:", *self._found[:SHOWN], *more]
            raise Unmet("\n".join(listed), "a log as the tool wrote it, whole", "write it again, or leave it out")


def value_of(raw: bytes) -> Any:
    """One JSON value. NaN is let through: what a score of it means is for the reader to say. Raises ValueError,
    RecursionError."""
    return json.loads(raw.decode("utf-8"), object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object names the same key twice")
    return made


def reason(error: Exception) -> str:
    """Why something cannot be read, without a word of it."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "holds half of a surrogate pair, which is no text"
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} at column {error.colno}"
    return "is nested too deep" if isinstance(error, RecursionError) else str(error)


def lines(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines with their numbers, blank lines passed over; what is none is a fault."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_BYTES):
            number += 1
            if len(raw) == MAX_BYTES and not raw.endswith(b"\n"):
                faults.add(number, f"is longer than {MAX_BYTES >> 20} MiB")
                while raw and not raw.endswith(b"\n"):
                    raw = file.readline(1 << 20)
                continue
            if not raw.strip():
                continue
            try:
                value = value_of(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw)
            except (ValueError, RecursionError) as error:
                faults.add(number, error)
                continue
            if isinstance(value, dict):
                yield number, value
            else:
                faults.add(number, f"is {type(value).__name__}, expected an object")


def kept(sample: Sample) -> Sample:
    """The sample, if its item can be kept. Raises ValueError, TypeError, RecursionError."""
    if not sample.id:
        raise ValueError("its name is empty")
    encode([sample.id, sample.input, sample.target])
    return sample


def turns(messages: Any) -> Json:
    """A conversation as role and text of each turn, or the text of its only turn where a user speaks. Raises TypeError
    for what is none."""
    if isinstance(messages, str):
        return messages
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise TypeError("the input is neither text nor a list of turns")
    made = [{"role": one.get("role"), "content": text_of(one.get("content"))} for one in messages]
    return made[0]["content"] if len(made) == 1 and made[0]["role"] == "user" else made


def text_of(content: Any) -> str:
    """What a turn says. Raises TypeError where that is not text alone."""
    if isinstance(content, list) and all(isinstance(one, dict) and "text" in one for one in content):
        content = "".join(str(one["text"]) for one in content if one.get("type") != "reasoning")
    if not isinstance(content, str):
        raise TypeError("a turn of the input is not text")
    return content


def whole(text: Any) -> str | None:
    """An answer that can be kept: half of a surrogate pair becomes ``?``."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else None


def said(value: Any) -> str | None:
    """A name or version as text; None where there is none."""
    return None if value is None or value == "" else str(value)


def part(value: Any, *names: str) -> dict[str, Any]:
    """The object at these names; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
