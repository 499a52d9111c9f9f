"""One JSON value from its bytes, read strictly: what is no value, or no record, is a `Fault` with its reason."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from whence.records import Json

MAX_BYTES = 64 << 20
"""A longer line, record or value is quarantined by its beginning, whatever the format: it is never held whole."""
KEEP_BYTES = 1 << 20
"""As much of a bad line is kept."""
MAX_DEPTH = 100
"""Objects and lists inside each other; deeper ones are quarantined, so that no later reader runs out of stack."""

BOM = b"\xef\xbb\xbf"
TOO_LONG = f"longer than {MAX_BYTES >> 20} MiB"
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
surrogate = re.compile("[\ud800-\udfff]").search
"""What bytes that are not UTF-8 are decoded to."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line is no record: a one-word code, a sentence without content, the line's own bytes."""

    code: str
    reason: str
    raw: bytes


Record = tuple[int, "dict[str, Json] | Fault"]


def _no_constant(name: str) -> Any:
    raise _NotANumber(name)


class _NotANumber(ValueError):
    pass


class _Repeated(ValueError):
    pass


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Repeated
    return made


parse = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant).raw_decode
"""(value, where it ends) of the JSON value at a place in a text; `why_not` tells what it raises."""


def value_of(data: bytes) -> Json | Fault:
    """The one JSON value of these bytes, or why not."""
    try:
        text = data.decode("utf-8").strip()
        value, end = parse(text)
    except (ValueError, RecursionError) as error:
        return Fault(*why_not(error), data[:KEEP_BYTES])
    if end != len(text):
        return Fault("syntax", f"extra text after the value at character {end}", data[:KEEP_BYTES])
    return value


def why_not(error: ValueError | RecursionError, start: int = 0) -> tuple[str, str]:
    """(code, reason) of what decoding and `parse` raise; characters are counted from `start`."""
    if isinstance(error, UnicodeDecodeError):
        return "encoding", f"not UTF-8 at byte {error.start}"
    if isinstance(error, _NotANumber):
        return "number", f"{error} is not a JSON number"
    if isinstance(error, _Repeated):
        return "repeated_key", "an object names the same key twice"
    if isinstance(error, RecursionError):
        return "depth", TOO_DEEP
    if isinstance(error, json.JSONDecodeError):
        return "syntax", f"{error.msg} at character {error.pos - start}"
    return "syntax", "a number out of range"


def record_of(value: Json | Fault, raw: bytes) -> dict[str, Json] | Fault:
    """A value that is to be a record, or why it is none; `raw` are its bytes."""
    if isinstance(value, Fault):
        return value
    if type(value) is not dict:
        return Fault("syntax", f"the record is {type(value).__name__}, expected an object", raw[:KEEP_BYTES])
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and is_deep(value):
        return Fault("depth", TOO_DEEP, raw[:KEEP_BYTES])
    return value


def is_deep(value: Json) -> bool:
    """Whether lists and objects lie deeper than `MAX_DEPTH` inside each other."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [v for v in level if isinstance(v, dict | list)]
        level = [v for held in level for v in (held.values() if isinstance(held, dict) else held)]
    return bool(level)
