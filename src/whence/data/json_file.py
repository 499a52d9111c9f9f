"""A JSON file of records, read element by element: memory is bounded, and a bad element costs itself only."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Callable, Iterator

from whence.data.lines import breaks_off
from whence.data.values import (
    BOM,
    KEEP_BYTES,
    MAX_BYTES,
    TOO_DEEP,
    TOO_LONG,
    Fault,
    Record,
    is_deep,
    parse,
    record_of,
    surrogate,
    value_of,
    why_not,
)
from whence.records import SHAPES, Json, Unmet

MEMBERS = frozenset(name for members in SHAPES.values() for name in members)
"""Members of a training item; in a JSON file, a list under another name is a list of records."""
NO_LISTS = MEMBERS | {"tools"}
CHUNK = 1 << 20
"""bytes read at a time"""
NEAR = 16
"""An error or an end that is this near to the end of the window, in characters, may be the window's own doing."""

_blank = re.compile(r"[ \t\n\r]*").match
_outside = re.compile(r'"|[\[{]+|[\]},]').search
_inside = re.compile(r'["\\\n]').search


def read_json(stream: io.BufferedReader, told: Callable[[], None]) -> Iterator[Record]:
    """Records of a JSON array of objects, of one object, or of an object with one array in it that is no member of a
    training item; `line` counts records. Raises Unmet for one object of more than `MAX_BYTES`."""
    window = _Window(stream, told)
    if window.peek() == "[":
        yield from _elements(window)
        return
    data = window.rest()
    value = breaks_off(stream, data) or value_of(data)
    if isinstance(value, Fault):
        yield 1, Fault(value.code, f"{value.reason} (the whole file is one value)", value.raw)
        return
    lists = [v for k, v in value.items() if isinstance(v, list) and k not in NO_LISTS] if type(value) is dict else []
    for number, record in enumerate(lists[0] if len(lists) == 1 else [value], 1):
        yield number, _spelled(record)


def _spelled(value: Json) -> dict[str, Json] | Fault:
    """A parsed value as a record; its bytes, where it is at fault, are its JSON."""
    return Fault("depth", TOO_DEEP, b"") if is_deep(value) else record_of(value, json.dumps(value).encode())


def _elements(window: _Window) -> Iterator[Record]:
    """The elements of the array that the window stands before, then what is wrong with its end."""
    window.pos += 1
    number, more = 0, not window.at_end()
    while more:
        number += 1
        yield number, window.element()
        more = window.peek() == ","
        window.pos += more
        if window.peek() == "" and not window.spent:
            yield number + 1, breaks_off(window.stream) or Fault("syntax", "the file ends inside the array", b"")
            return
    fault = breaks_off(window.stream)
    if fault and not window.spent:
        yield number + 1, fault


class _Window:
    """The part of the file that is in memory: text from `pos` on; bytes that are not UTF-8 are lone surrogates."""

    def __init__(self, stream: io.BufferedReader, told: Callable[[], None]) -> None:
        self.stream, self._told = stream, told
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._ended = self.spent = False
        self.text, self.pos = "", 0
        if stream.peek(3).startswith(BOM):
            stream.read(3)

    def _fill(self) -> bool:
        """Read on: as much again as is held, so that reading a long element anew costs no more than reading it once.
        Returns whether the file went on."""
        if self._ended:
            return False
        data = self.stream.read(max(CHUNK, len(self.text) - self.pos))
        self._told()
        self._ended = not data
        self.text, self.pos = self.text[self.pos :] + self._decode(data, self._ended), 0
        return True

    def peek(self) -> str:
        """The next character that is not blank; nothing at the end of the file."""
        while True:
            self.pos = _blank(self.text, self.pos).end()  # type: ignore[union-attr]
            if self.pos < len(self.text) or not self._fill():
                return self.text[self.pos : self.pos + 1]

    def at_end(self) -> bool:
        """Whether the next character ends the array: a ']' with nothing but blanks after it."""
        if self.peek() != "]":
            return False
        while True:
            here = _blank(self.text, self.pos + 1).end()  # type: ignore[union-attr]
            if here < len(self.text) or here - self.pos > KEEP_BYTES or not self._fill():
                return here == len(self.text) and self._ended

    def _bytes(self, start: int, end: int) -> bytes:
        """The bytes of a part of the text, as many as are kept of a bad line."""
        return self.text[start : min(end, start + KEEP_BYTES)].encode("utf-8", "surrogateescape")[:KEEP_BYTES]

    def rest(self) -> bytes:
        """All that is left. Raises Unmet where that is more than `MAX_BYTES`."""
        while self._fill():
            if len(self.text) > MAX_BYTES:
                raise Unmet(
                    f"the file is one JSON value {TOO_LONG}", "an array of records, or a record a line",
                    "write the records as JSON lines: jq -c '.NAME[]' FILE > FILE.jsonl",
                )  # fmt: skip
        return self.text.encode("utf-8", "surrogateescape")

    def element(self) -> dict[str, Json] | Fault:
        """The element that begins here; where it is none, what stands there up to the next ',' is passed over."""
        self.peek()
        while True:
            try:
                value, end = parse(self.text, self.pos)
            except (ValueError, RecursionError) as error:
                if self._may_go_on(error):
                    if len(self.text) - self.pos > MAX_BYTES:
                        return self.pass_over("too_long", f"the record is {TOO_LONG}")
                    if self._fill():
                        continue
                return self.pass_over(*why_not(error, self.pos))
            if end + NEAR < len(self.text) or not self._fill():
                break
        raw = self.text[self.pos : end].encode("utf-8", "surrogateescape")
        bad = not raw.isascii() and surrogate(self.text, self.pos, end)
        self.pos = end
        if self.peek() not in (",", "") and not self.at_end():
            fault = self.pass_over("syntax", "text stands where ',' or the end of the array was expected")
            return Fault(fault.code, fault.reason, (raw + fault.raw)[:KEEP_BYTES])
        return Fault("encoding", "not UTF-8", raw[:KEEP_BYTES]) if bad else record_of(value, raw)

    def _may_go_on(self, error: ValueError | RecursionError) -> bool:
        """Whether more text may mend this error."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - NEAR

    def pass_over(self, code: str, reason: str) -> Fault:
        """Go to the ',' after the element here, or to the array's end; strings and brackets are observed, and no string
        is longer than its line. Returns the element's fault."""
        raw, start, depth, inside = b"", self.pos, 0, False
        while True:
            found = (_inside if inside else _outside)(self.text, self.pos)
            at = found.end() if found else len(self.text)
            mark = found.group() if found else ""
            if not mark or (mark == "\\" and at == len(self.text)):
                self.pos = at - len(mark)
                raw = (raw + self._bytes(start, self.pos))[:KEEP_BYTES]
                if self._fill():
                    start = 0
                    continue
                self.spent = True
                why = f"{reason}; what follows up to the end of the file cannot be told apart"
                return breaks_off(self.stream, raw) or Fault(code, why, raw)
            if mark in ('"', "\n"):
                inside = mark == '"' and not inside
            elif mark == "\\":
                at += self.text[at] != "\n"
            elif mark[0] in "[{":
                depth += len(mark)
            elif depth and mark != ",":
                depth -= 1
            elif not depth and mark in (",", "]"):
                raw = (raw + self._bytes(start, at - 1))[:KEEP_BYTES]
                self.pos = at - 1
                if mark == "," or self.at_end():
                    return Fault(code, reason, raw)
                start, at = self.pos, self.pos + 1
            self.pos = at
