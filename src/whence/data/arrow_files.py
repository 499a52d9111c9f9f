"""Parquet files, and data sets that Hugging Face `datasets` saved to a folder; `line` counts rows."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whence.data.values import MAX_BYTES, TOO_LONG, Fault, Record
from whence.records import Json, Unmet

BATCH_ROWS = 8192
"""Turned into records at once; fewer where rows are long."""
END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The last bytes of a whole Arrow stream."""
UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError)
"""What Arrow raises for damaged data, and Python for values that it has no type for (a date after the year 9999)."""


def read_parquet(stream: io.BufferedIOBase, size: int, told: Callable[[int], None]) -> Iterator[Record]:
    """The rows of a Parquet file of `size` bytes. A damaged row group faults the rows that it would have held. Raises
    Unmet."""
    try:
        file = pq.ParquetFile(stream)
    except UNREADABLE as error:
        raise Unmet(f"this is no Parquet file: {_said(error)}", "a whole Parquet file", "write it again") from error
    _refuse(file.schema_arrow)
    number = 0
    for group in range(file.num_row_groups):
        facts = file.metadata.row_group(group)
        expected = number + facts.num_rows
        try:
            for batch in file.iter_batches(_at_once(facts.num_rows, facts.total_byte_size), row_groups=[group]):
                for record in _records(batch):
                    number += 1
                    yield number, record
            why = f"the file says that there are {facts.num_rows}"
        except UNREADABLE as error:
            why = _said(error)
        if number < expected:
            yield number + 1, Fault("truncated", f"rows {number + 1} to {expected} cannot be read: {why}", b"")
            number = expected
        told(size * (group + 1) // file.num_row_groups)


def saved_files(folder: Path) -> list[Path]:
    """The Arrow files of a data set that `Dataset.save_to_disk` wrote, in order. Raises Unmet where it is not one."""
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(p.parent.name for p in folder.glob("*/state.json"))
        raise Unmet(
            f"{folder} holds several splits: {', '.join(splits) or 'none of them whole'}",
            "the folder of one split",
            f"path = {str(folder / (splits[0] if splits else 'SPLIT'))!r}",
        )
    try:
        state = json.loads((folder / "state.json").read_bytes())
        names = [str(entry["filename"]) for entry in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unmet(
            f"{folder} is no saved data set: its state.json {_lacks(error)}",
            "a folder that Dataset.save_to_disk wrote, or a file",
            "save the data set again, or name a file",
        ) from error
    if any(value for key, value in state.items() if key.startswith("_indices")):
        raise Unmet(
            f"{folder} was saved with an indices file that chooses and orders its rows",
            "the rows themselves",
            "datasets.load_from_disk(FOLDER).flatten_indices().save_to_disk(OTHER)",
        )
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise Unmet(f"{folder} names the file {name!r}, which does not lie in it", "all its files", "save it again")
    return [folder / name for name in names]


def _lacks(error: Exception) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({type(error).__name__})"


def read_saved(folder: Path, told: Callable[[int], None]) -> Iterator[Record]:
    """The rows of a saved data set. Values are kept as they are stored; beside a class label ``x``, which is stored as
    a number, stands its name as ``x_name``."""
    number = done = 0
    for path in saved_files(folder):
        size = path.stat().st_size
        with path.open("rb") as file:
            for record in _stream(file, lambda here, done=done: told(done + here)):  # type: ignore[misc]
                number += 1
                yield number, record
        done += size


def _stream(file: io.BufferedReader, told: Callable[[int], None]) -> Iterator[dict[str, Json] | Fault]:
    """The rows of one Arrow stream file; one that is not whole ends in a Fault."""
    try:
        reader = pa.ipc.open_stream(file)
        _refuse(reader.schema)
        names = _label_names(reader.schema)
        for batch in reader:
            for record in _records(batch):
                if isinstance(record, dict):
                    record.update(_named(record, names))
                yield record
            told(file.tell())
    except UNREADABLE as error:
        yield Fault("truncated", f"the file {Path(file.name).name} breaks off here: {_said(error)}", b"")
        return
    file.seek(-min(len(END), file.seek(0, io.SEEK_END)), io.SEEK_END)
    if file.read() != END:
        yield Fault("truncated", f"the file {Path(file.name).name} breaks off here: it has no end mark", b"")


def _label_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Column → names of its classes, for columns that are class labels."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"].items()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    held = {c: f.get("names") for c, f in features if isinstance(f, dict) and f.get("_type") == "ClassLabel"}
    return {
        column: names
        for column, names in held.items()
        if isinstance(names, list) and all(isinstance(n, str) for n in names) and f"{column}_name" not in schema.names
    }


def _named(record: dict[str, Json], names: dict[str, list[str]]) -> dict[str, Json]:
    values = ((column, known, record.get(column)) for column, known in names.items())
    return {f"{c}_name": known[v] for c, known, v in values if isinstance(v, int) and 0 <= v < len(known)}


# -- batches -----------------------------------------------------------------------------------------------------------


def _refuse(schema: pa.Schema) -> None:
    if len(set(schema.names)) != len(schema.names):
        raise Unmet("the file names a column twice", "a name for each column", "rename one and write it again")


def _at_once(rows: int, size: int) -> int:
    """How many of so many rows, which take so many bytes, are turned into records together."""
    return max(1, min(BATCH_ROWS, MAX_BYTES * rows // max(size, 1)))


def _records(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | Fault]:
    """The rows of a batch; a row that is too long or cannot be read is a Fault."""
    batch.validate()
    step = _at_once(batch.num_rows, batch.nbytes)
    for start in range(0, batch.num_rows, step):
        part = batch.slice(start, step)
        records = None if part.nbytes > MAX_BYTES else _whole(part)
        yield from records or (_row(part.slice(i, 1)) for i in range(part.num_rows))


def _whole(part: pa.RecordBatch) -> list[dict[str, Any]] | None:
    """The rows of a part, or None where one of them cannot be read."""
    try:
        part.validate(full=True)
        return part.to_pylist()  # type: ignore[no-any-return]
    except UNREADABLE:
        return None


def _row(row: pa.RecordBatch) -> dict[str, Any] | Fault:
    if row.nbytes > MAX_BYTES:
        return Fault("too_long", f"the record is {TOO_LONG}", b"")
    records = _whole(row)
    return records[0] if records else Fault("value", "a value of the row cannot be read", b"")


def _said(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
