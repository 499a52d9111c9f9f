"""CSV with a header. A record that cannot be read costs its first line; the lines after it are read again."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator

from whence.data.lines import lines
from whence.data.values import BOM, KEEP_BYTES, MAX_BYTES, Fault, Record, surrogate

MAX_RECORD_LINES = 10_000
"""A record of more lines has a quote without its end."""

Line = tuple[int, bytes | Fault]


def read_csv(stream: io.BufferedReader, told: Callable[[], None]) -> Iterator[Record]:
    """One record a row, empty fields left out; `line` is the record's first line. Bytes that are not UTF-8 fault their
    own record only; a header at fault faults all."""
    csv.field_size_limit(MAX_BYTES)
    header: list[str] | None = None
    wrong: tuple[str, str] | None = None
    rows = _Rows(lines(stream, told))
    for number, row, raw in rows:
        if isinstance(row, Fault):
            yield number, row
            if header is None:
                header, wrong = [], (row.code, "the header cannot be read")
            continue
        fault = ("encoding", "not UTF-8") if any(surrogate(value) for value in row) else None
        if header is None:
            header = [name.strip() for name in row]
            wrong = _header_fault(header, fault)
            if wrong:
                yield number, Fault(*wrong, raw[:KEEP_BYTES])
            continue
        if len(row) != len(header):
            fault = "columns", f"{len(row)} fields, the header has {len(header)}"
            if rows.again_from_second():
                raw, fault = rows.first, ("columns", f"{fault[1]}: a quote without its end?")
        fault = wrong or fault
        if fault:
            yield number, Fault(*fault, raw[:KEEP_BYTES])
        else:
            yield number, {name: value for name, value in zip(header, row, strict=True) if value != ""}


def _header_fault(header: list[str], fault: tuple[str, str] | None) -> tuple[str, str] | None:
    if len(set(header)) != len(header):
        return "repeated_key", "the header names a column twice"
    return ("encoding", "the header is not UTF-8") if fault else None


class _Rows:
    """(first line, fields or Fault, bytes) of each record."""

    def __init__(self, source: Iterator[Line]) -> None:
        self._source = source
        self._again: deque[Line] = deque()
        self._used: list[Line] = []

    @property
    def first(self) -> bytes:
        """The first line of the record read last."""
        line = self._used[0][1]
        return line.raw if isinstance(line, Fault) else line

    def again_from_second(self) -> bool:
        """Read the lines after the first of the record read last once more, if it has any."""
        rest, self._used = self._used[1:], self._used[:1]
        self._again.extendleft(reversed(rest))
        return bool(rest)

    def _texts(self) -> Iterator[str]:
        """The lines of one record; ends where it is too long to be one."""
        size = 0
        while size <= MAX_BYTES and len(self._used) < MAX_RECORD_LINES:
            self._used.append(self._again.popleft() if self._again else next(self._source, (0, b"")))
            number, line = self._used[-1]
            if isinstance(line, Fault) or not line:
                return
            size += len(line)
            yield (line.removeprefix(BOM) if number == 1 else line).decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[tuple[int, list[str] | Fault, bytes]]:
        while True:
            self._used.clear()
            row, error = [], None
            try:
                row = next(csv.reader(self._texts(), strict=True), [])
            except csv.Error as failure:
                error = str(failure)
            number, first = self._used[0]
            if isinstance(first, Fault):
                yield number, first, b""
            elif not first:
                return
            elif error:
                self.again_from_second()
                yield number, Fault("syntax", error, first[:KEEP_BYTES]), first
            elif row:
                yield number, row, b"".join(line for _, line in self._used if isinstance(line, bytes))
