"""Texts in Parquet files and JSON lines, each with an id."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whence.data.doors import is_url
from whence.records import Unmet, writing
from whence.text.lines import NAMED, named

ENGINES = ("local", "daft", "ray")
PARQUET, LINES = (".parquet",), (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
"""Endings of what is read."""
AT_ONCE = 1 << 14
"""lines"""


@dataclass(frozen=True, slots=True)
class Files:
    """Texts in files, and by what they are read."""

    paths: Sequence[str]
    """files, folders of them; with the engines ``daft`` and ``ray`` also URLs and patterns of object storage"""
    column: str = "text"
    """of texts"""
    id: str = "id"
    """column of ids: text or whole numbers, each once in all files"""
    engine: str = "local"
    """one of `ENGINES`"""
    address: str | None = None
    """of the Ray cluster; None: two or more processes of Ray on this machine"""


def possible(files: Files, out: str | None) -> None:
    """Raises Unmet for what cannot be, before anything is read."""
    if files.engine not in ENGINES:
        raise Unmet(f"{files.engine!r} is no engine", f"one of {', '.join(ENGINES)}")
    if files.address and files.engine != "ray":
        raise Unmet(f"an address is given, and the engine is {files.engine!r}", "the engine ray", "--engine ray")
    if files.id == files.column:
        raise Unmet(f"{files.id!r} is named as texts and as ids", "two columns")
    if not files.paths:
        raise Unmet("no file is named", "Parquet files or JSON lines")
    if files.engine == "local" and (urls := [path for path in files.paths if is_url(path)]):
        raise Unmet(f"{urls[0]} is not on this machine", "a file or folder here", "--engine daft reads URLs")
    if out:
        with _beside(out, try_only=True) as part, open(part, "wb"):
            pass


def write(table: pa.Table, out: str) -> None:
    """A Parquet file, whole or not at all. Raises Unmet, BackendFailed."""
    with _beside(out) as part:
        pq.write_table(table, part)


@contextmanager
def _beside(out: str, try_only: bool = False) -> Iterator[str]:
    """A file to write, which then takes the place of `out`, or is gone. Raises Unmet, BackendFailed."""
    part = f"{out}.part"
    with writing(out):
        try:
            if os.path.isdir(out):
                raise IsADirectoryError(out)
            yield part
            if not try_only:
                os.replace(part, out)
        finally:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.remove(part)


def found(path: str) -> list[str]:
    """The files of a path on this machine: itself, or those in the folder, by name. Raises Unmet."""
    place = Path(path)
    if not place.is_dir():
        return [path]
    names = sorted(str(file) for file in place.iterdir() if file.name.endswith(PARQUET + LINES))
    if not names:
        raise Unmet(f"in the folder {path} nothing ends with {', '.join(PARQUET + LINES)}", "files that do")
    return names


def kinds(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """(Parquet files, JSON lines). Raises Unmet for a file of another kind."""
    parquet, lines = list[str](), list[str]()
    for path in paths:
        if not path.endswith(PARQUET + LINES):
            raise Unmet(
                f"{path} is neither Parquet nor JSON lines", f"a file that ends with {', '.join(PARQUET + LINES)}"
            )
        (parquet if path.endswith(PARQUET) else lines).append(path)
    return parquet, lines


def typed(path: str, schema: pa.Schema, files: Files) -> str:
    """The type of a Parquet file's ids. Raises Unmet where a column is missing or of a type that cannot be."""
    for name in (files.id, files.column):
        if schema.names.count(name) != 1:
            had = ", ".join(schema.names) or "none"
            raise Unmet(f"{path} has no column {name!r}", f"one of its columns: {had}", "--column, --id")
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        if not text and not (name == files.id and pa.types.is_integer(kind)):
            wanted = "text or whole numbers" if name == files.id else "text"
            raise Unmet(f"column {name!r} of {path} is {kind}", wanted, "name another column")
    return str(schema.field(files.id).type)


def refuse(faults: int, fault: str | None, twice: int, example: str | None, files: Files) -> None:
    """Raises Unmet where a row cannot be used: the first of the faults, or an id that stands there twice."""
    if faults:
        raise Unmet(f"{fault}; {faults:,} such rows in all", "an id and a text in each", "correct them, or name others")
    if twice:
        said = f"{twice:,} ids stand in column {files.id!r} more than once, such as {example!r}"
        raise Unmet(said, "each id once in all files", "name another column: --id")


def read(files: Files) -> pa.Table:
    """(id, text) of all files, by id."""
    parquet, lines = kinds(file for path in files.paths for file in found(path))
    parts = [pa.table({field.name: pa.array([], field.type) for field in NAMED})]
    parts += [_parquet(path, files) for path in parquet] + [_lines(path, files) for path in lines]
    table = pa.concat_tables(parts)
    wrong = pc.drop_null(table["fault"])
    counts = table["id"].value_counts()
    again = counts.filter(pc.and_(pc.greater(counts.field("counts"), 1), counts.field("values").is_valid()))
    refuse(len(wrong), pc.min(wrong).as_py(), len(again), pc.min(again.field("values")).as_py(), files)
    return table.drop_columns("fault").sort_by("id")


def _parquet(path: str, files: Files) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            typed(path, file.schema_arrow, files)
            table = file.read(columns=[files.id, files.column])
    except (pa.ArrowException, OSError) as error:
        raise unread(path, error) from error
    ids, texts = (table[name].cast(pa.large_string()) for name in (files.id, files.column))
    fault = pc.if_else(ids.is_null(), f"an id is missing in {path}", pa.scalar(None)).cast(pa.large_string())
    return pa.table({"id": ids, "text": texts, "fault": fault})


def _lines(path: str, files: Files) -> pa.Table:
    parts = []
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", newline="\n") as file:
            said = (line for line in file if not line.isspace())
            while some := [*islice(said, AT_ONCE)]:
                parts.append(pa.RecordBatch.from_struct_array(named(pa.array(some), files.column, files.id)))
    except (EOFError, OSError, UnicodeDecodeError, zlib.error) as error:
        raise unread(path, error) from error
    table = pa.Table.from_batches(parts, pa.schema([*NAMED]))
    where, between = pa.scalar(path, pa.large_string()), pa.scalar(" in ", pa.large_string())
    fault = pc.binary_join_element_wise(table["fault"], where, between)
    return table.set_column(2, "fault", fault)


def unread(path: str, error: BaseException) -> Unmet:
    """A file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return Unmet(f"there is no file {path}", "Parquet files or JSON lines")
    why = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
    return Unmet(f"{path} cannot be read: {why[:300]}", "a whole file, JSON lines in UTF-8", "write it again")
