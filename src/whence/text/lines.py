"""Lines of JSON → ids and texts. Arrow in, Arrow out."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

NAMED = pa.struct([("id", pa.large_string()), ("text", pa.large_string()), ("fault", pa.large_string())])
"""A text and its id, or what is wrong instead of both."""


def named(lines: pa.Array, column: str, id: str) -> pa.StructArray:
    """The text and the id of each line, as `NAMED`. lines: strings, a JSON object each. An id is text or a whole
    number, and becomes text; a text may be null. A fault names the columns and nothing of what the line says."""
    parts = [_named(line, column, id) for line in lines.to_pylist()]
    return pa.StructArray.from_arrays(
        [pa.array([part[i] for part in parts], field.type) for i, field in enumerate(NAMED)], fields=[*NAMED]
    )


def _named(line: str, column: str, id: str) -> tuple[str | None, str | None, str | None]:
    try:
        record: Any = json.loads(line.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None, None, "a line is no JSON"
    if not isinstance(record, dict):
        return None, None, "a line is no JSON object"
    if missing := [name for name in (id, column) if name not in record]:
        return None, None, f"a line has no column {missing[0]!r}"
    own, text = record[id], record[column]
    if isinstance(own, bool) or not isinstance(own, int | str) or not _writable(str(own)):
        return None, None, f"an id ({id!r}) is neither text nor a whole number"
    if text is not None and not (isinstance(text, str) and _writable(text)):
        return None, None, f"a text ({column!r}) is no text"
    return str(own), text, None


def _writable(text: str) -> bool:
    """Whether it is Unicode: JSON can spell halves of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
