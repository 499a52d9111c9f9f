"""Files → records with their line numbers. A bad line becomes a `Fault` and stops nothing else."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from whence.records import Json, Unmet

MAX_LINE_BYTES = 64 << 20
"""A longer line is quarantined by its beginning."""
KEEP_BYTES = 1 << 20
"""As much of a bad line is kept."""

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
    """Lines without their end. A gzip stream that breaks off yields a last Fault."""
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
        yield number, line.rstrip(b"\r\n")


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


def _decoded(line: bytes) -> dict[str, Json] | Fault:
    """One JSON object, or why not."""
    try:
        text = line.decode("utf-8").strip()
        value, end = _parse(text)
    except UnicodeDecodeError as error:
        return Fault("encoding", f"not UTF-8 at byte {error.start}", line[:KEEP_BYTES])
    except _NotANumber as error:
        return Fault("number", f"{error} is not a JSON number", line[:KEEP_BYTES])
    except _Repeated:
        return Fault("repeated_key", "an object names the same key twice", line[:KEEP_BYTES])
    except RecursionError:
        return Fault("syntax", "nested too deeply", line[:KEEP_BYTES])
    except ValueError as error:
        where = getattr(error, "pos", None)
        what = getattr(error, "msg", "a number out of range")
        return Fault("syntax", f"{what} at character {where}" if where is not None else what, line[:KEEP_BYTES])
    if end != len(text):
        return Fault("syntax", f"extra text after the object at character {end}", line[:KEEP_BYTES])
    if type(value) is not dict:
        return Fault("syntax", f"the line is {type(value).__name__}, expected an object", line[:KEEP_BYTES])
    return value


def _jsonl(stream: IO[bytes], told: Callable[[], None]) -> Iterator[Record]:
    for number, line in _lines(stream, told):
        if isinstance(line, Fault):
            yield number, line
        elif line and not line.isspace():
            yield number, _decoded(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)


def _json(stream: IO[bytes], told: Callable[[], None]) -> Iterator[Record]:
    """A JSON array of objects, or an object with one array in it; `line` counts records."""
    try:
        data = stream.read()
    except (EOFError, OSError, zlib.error) as error:
        yield 1, Fault("truncated", f"the compressed file breaks off: {error}", b"")
        return
    told()
    whole = _decoded(b'{"records":' + data.removeprefix(b"\xef\xbb\xbf") + b"}")
    if isinstance(whole, Fault):
        yield 1, Fault(whole.code, f"{whole.reason} (the whole file is one value)", data[:KEEP_BYTES])
        return
    value = whole["records"]
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list)]
        value = lists[0] if len(lists) == 1 else [value]
    for number, record in enumerate(value if isinstance(value, list) else [value], 1):
        if isinstance(record, dict):
            yield number, record
        else:
            text = json.dumps(record).encode()[:KEEP_BYTES]
            yield number, Fault("syntax", f"record is {type(record).__name__}, expected an object", text)


def _csv(stream: IO[bytes], told: Callable[[], None]) -> Iterator[Record]:
    """CSV with a header. Bytes that are not UTF-8 fault their own record only."""
    broken: list[Fault] = []

    def texts() -> Iterator[str]:
        for _, line in _lines(stream, told):
            if isinstance(line, Fault):
                broken.append(line)
                return
            yield line.decode("utf-8", "surrogateescape") + "\n"

    csv.field_size_limit(MAX_LINE_BYTES)
    rows = csv.reader(texts(), strict=True)
    header: list[str] | None = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield rows.line_num, Fault("syntax", f"{error}", b"")
            continue
        if row is None:
            break
        number = rows.line_num
        raw = ",".join(row).encode("utf-8", "surrogateescape")[:KEEP_BYTES]
        if header is None:
            header = [name.removeprefix("\ufeff").strip() for name in row]
            if len(set(header)) != len(header):
                yield number, Fault("repeated_key", "the header names a column twice", raw)
                return
        elif len(row) != len(header):
            yield number, Fault("columns", f"{len(row)} fields, the header has {len(header)}", raw)
        elif any(_surrogate(value) for value in row):
            yield number, Fault("encoding", "not UTF-8", raw)
        else:
            yield number, {name: value for name, value in zip(header, row, strict=True) if value != ""}
    for fault in broken:
        yield rows.line_num + 1, fault


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
