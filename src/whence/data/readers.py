"""Files → records with their line numbers. A bad line becomes a `Fault` and stops nothing else."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from whence.records import SHAPES, Json, Unmet

MAX_LINE_BYTES = 64 << 20
"""A longer line is quarantined by its beginning."""
KEEP_BYTES = 1 << 20
"""As much of a bad line is kept."""
MAX_DEPTH = 100
"""Objects and lists inside each other; deeper ones are quarantined, so that no later reader runs out of stack."""

BOM = b"\xef\xbb\xbf"
MEMBERS = frozenset(name for members in SHAPES.values() for name in members)

FORMATS = ("jsonl", "json", "csv", "parquet")
_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line is no record: a one-word code, a sentence without content, the line's own bytes."""

    code: str
    reason: str
    raw: bytes


Record = tuple[int, "dict[str, Json] | Fault"]
Told = Callable[[int], None]
"""Called now and then with the number of bytes of the file read so far."""


def detect_format(path: Path) -> str:
    """The format by the file's name. Raises Unmet."""
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix not in _ENDINGS:
        raise Unmet(f"{path.name} has no known ending", f"one of {', '.join(_ENDINGS)} (and .gz)", "set format = …")
    return _ENDINGS[suffix]


def read(path: Path, format: str, told: Told = lambda _: None) -> Iterator[Record]:
    """(line, record or Fault) of each record; lines count from 1. Raises Unmet where nothing can be read at all."""
    if format == "parquet":
        yield from _parquet(path, told)
        return
    with path.open("rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b" if isinstance(raw, io.BufferedReader) else False
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        reader = {"jsonl": _jsonl, "json": _json, "csv": _csv}[format]
        yield from reader(stream, lambda: told(raw.tell()))


def _lines(stream: IO[bytes], told: Callable[[], None]) -> Iterator[tuple[int, bytes | Fault]]:
    """Lines with their ends. A gzip stream that breaks off yields a last Fault."""
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(MAX_LINE_BYTES)
        except (EOFError, OSError, zlib.error) as error:
            yield number, Fault("truncated", f"the compressed file breaks off here: {error}", b"")
            return
        if not line:
            return
        if number % 4096 == 0:
            told()
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            start = line[:KEEP_BYTES]
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield number, Fault("too_long", f"the line is longer than {MAX_LINE_BYTES >> 20} MiB", start)
            continue
        yield number, line


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


_parse = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant).raw_decode


def _value(data: bytes) -> Json | Fault:
    """The one JSON value of these bytes, or why not."""
    try:
        text = data.decode("utf-8").strip()
        value, end = _parse(text)
    except UnicodeDecodeError as error:
        return Fault("encoding", f"not UTF-8 at byte {error.start}", data[:KEEP_BYTES])
    except _NotANumber as error:
        return Fault("number", f"{error} is not a JSON number", data[:KEEP_BYTES])
    except _Repeated:
        return Fault("repeated_key", "an object names the same key twice", data[:KEEP_BYTES])
    except RecursionError:
        return _too_deep(data)
    except ValueError as error:
        where = getattr(error, "pos", None)
        what = getattr(error, "msg", "a number out of range")
        return Fault("syntax", f"{what} at character {where}" if where is not None else what, data[:KEEP_BYTES])
    if end != len(text):
        return Fault("syntax", f"extra text after the value at character {end}", data[:KEEP_BYTES])
    return value


def _record(value: Json | Fault, raw: bytes) -> dict[str, Json] | Fault:
    """A value that is to be a record, or why it is none."""
    if isinstance(value, Fault):
        return value
    if type(value) is not dict:
        return Fault("syntax", f"the record is {type(value).__name__}, expected an object", raw[:KEEP_BYTES])
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deep(value):
        return _too_deep(raw)
    return value


def _too_deep(raw: bytes) -> Fault:
    return Fault("depth", f"nested deeper than {MAX_DEPTH} levels", raw[:KEEP_BYTES])


def _deep(value: Json) -> bool:
    """Whether lists and objects lie deeper than `MAX_DEPTH` inside each other."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [v for v in level if isinstance(v, dict | list)]
        level = [v for held in level for v in (held.values() if isinstance(held, dict) else held)]
    return bool(level)


def _jsonl(stream: IO[bytes], told: Callable[[], None]) -> Iterator[Record]:
    for number, line in _lines(stream, told):
        if isinstance(line, Fault):
            yield number, line
        elif not line.isspace():
            line = line.rstrip(b"\r\n")
            line = line.removeprefix(BOM) if number == 1 else line
            yield number, _record(_value(line), line)


def _json(stream: IO[bytes], told: Callable[[], None]) -> Iterator[Record]:
    """A JSON array of objects, one object, or an object with one array in it that is no member of a training item;
    `line` counts records."""
    try:
        data = stream.read().removeprefix(BOM)
    except (EOFError, OSError, zlib.error) as error:
        yield 1, Fault("truncated", f"the compressed file breaks off: {error}", b"")
        return
    told()
    value = _value(data)
    if isinstance(value, Fault):
        yield 1, Fault(value.code, f"{value.reason} (the whole file is one value)", data[:KEEP_BYTES])
        return
    if isinstance(value, dict):
        lists = [v for k, v in value.items() if isinstance(v, list) and k not in {*MEMBERS, "tools"}]
        value = lists[0] if len(lists) == 1 else [value]
    for number, record in enumerate(value if isinstance(value, list) else [value], 1):
        raw = b"" if _deep(record) else json.dumps(record).encode()
        yield number, _record(record, raw) if raw else _too_deep(raw)


def _csv(stream: IO[bytes], told: Callable[[], None]) -> Iterator[Record]:
    """CSV with a header. Bytes that are not UTF-8 fault their own record only; a header at fault faults all."""
    csv.field_size_limit(MAX_LINE_BYTES)
    header: list[str] | None = None
    wrong: tuple[str, str] | None = None
    for number, row, raw in _csv_rows(_lines(stream, told)):
        if isinstance(row, Fault):
            yield number, row
            continue
        fault = ("encoding", "not UTF-8") if any(_surrogate(value) for value in row) else None
        if header is None:
            header = [name.strip() for name in row]
            if len(set(header)) != len(header):
                wrong = "repeated_key", "the header names a column twice"
            if not fault and not wrong:
                continue
            wrong = wrong or ("encoding", "the header is not UTF-8")
        elif len(row) != len(header):
            fault = "columns", f"{len(row)} fields, the header has {len(header)}"
        fault = wrong or fault
        if fault:
            yield number, Fault(*fault, raw[:KEEP_BYTES])
        else:
            yield number, {name: value for name, value in zip(header, row, strict=True) if value != ""}


def _csv_rows(lines: Iterator[tuple[int, bytes | Fault]]) -> Iterator[tuple[int, list[str] | Fault, bytes]]:
    """(first line, fields, bytes) of each record. Where a record cannot be read, a quote without its end say, its first
    line is at fault and the lines after it are read again."""
    again: deque[tuple[int, bytes | Fault]] = deque()
    used: list[tuple[int, bytes | Fault]] = []

    def texts() -> Iterator[str]:
        while True:
            used.append(again.popleft() if again else next(lines, (0, b"")))
            number, line = used[-1]
            if isinstance(line, Fault) or not line:
                return
            yield (line.removeprefix(BOM) if number == 1 else line).decode("utf-8", "surrogateescape")

    while True:
        used.clear()
        fault: Fault | None = None
        try:
            row = next(csv.reader(texts(), strict=True), [])
        except csv.Error as error:
            fault = Fault("syntax", str(error), b"")
        number, first = used[0]
        if isinstance(first, Fault):
            yield number, first, b""
        elif not first:
            return
        elif fault:
            again.extendleft(reversed(used[1:]))
            yield number, Fault(fault.code, fault.reason, first[:KEEP_BYTES]), first
        elif row:
            yield number, row, b"".join(line for _, line in used if isinstance(line, bytes))


_surrogate = re.compile("[\ud800-\udfff]").search


def _parquet(path: Path, told: Told) -> Iterator[Record]:
    """Parquet rows; `line` counts rows. A damaged row group faults the rows that it would have held."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise Unmet(
            f"{path} is no Parquet file: {str(error)[:200]}", "a whole Parquet file", "write it again"
        ) from error
    size, number = path.stat().st_size, 0
    for group in range(file.num_row_groups):
        expected = number + file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(8192, row_groups=[group]):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = f"rows {number + 1} to {expected} cannot be read: {str(error)[:200]}"
            yield number + 1, Fault("truncated", reason, b"")
            number = expected
        told(size * (group + 1) // file.num_row_groups)
