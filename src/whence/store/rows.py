"""The row file: a Lance dataset whose ordinals are a stored column. The only file that opens it.

Rows become part of the record when the event ``rows.appended`` that covers them is in the chain; what a killed writer
left behind that event is passed over by readers and removed by the next writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3
from pyroaring import BitMap64

from whence.records import Damaged
from whence.store import index
from whence.store.sets import to_array

SCHEMA = pa.schema(
    [
        pa.field("ord", pa.uint64(), nullable=False),
        pa.field("id", pa.binary(32), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("record", pa.string(), nullable=False),
        pa.field("shape", pa.string(), nullable=False),
        pa.field("content", pa.large_string()),
        pa.field("content_digest", pa.binary(32)),
        pa.field("subject", pa.string()),
        pa.field("group", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("slices", pa.string()),
        pa.field("parents", pa.list_(pa.uint64())),
        pa.field("generator", pa.string()),
    ]
)
FACTS = tuple(name for name in SCHEMA.names if name not in ("content", "content_digest"))
"""Columns that a batch's digest covers; content has a keyed digest of its own, which an erasure blanks."""

SMALL_FRAGMENTS = 32
"""More fragments than this are compacted when a writer closes."""


def batch(rows: Sequence[Sequence[Any]]) -> pa.Table:
    """A table of `SCHEMA` without ``ord`` from rows given as columns, in schema order."""
    fields = list(SCHEMA)[1:]
    return pa.table([pa.array(c, f.type) for c, f in zip(rows, fields, strict=True)], schema=pa.schema(fields))


def facts_digest(table: pa.Table) -> str:
    """``b3:`` over the fact columns of rows in order of ordinal, whatever chunks and buffers they came in."""
    hasher = blake3()
    table = table.sort_by("ord")
    for name in FACTS:
        column = table[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        hasher.update(name.encode())
        hasher.update(column.is_null().to_numpy(zero_copy_only=False).tobytes())
        if pa.types.is_list(column.type):
            hasher.update(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).tobytes())
            column = column.flatten()
        if pa.types.is_string(column.type):
            column = column.fill_null("")
            hasher.update(pc.binary_length(column).to_numpy(zero_copy_only=False).tobytes())
            hasher.update(_text_bytes(column))
        elif pa.types.is_fixed_size_binary(column.type):
            hasher.update(index.fixed(column, column.type.byte_width).tobytes())
        else:
            hasher.update(column.to_numpy(zero_copy_only=False).astype("<u8").tobytes())
    return "b3:" + hasher.hexdigest()


def _text_bytes(column: pa.StringArray) -> bytes:
    if not len(column):
        return b""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    return bytes(data[int(offsets[0]) : int(offsets[-1])]) if data is not None else b""


class RowFile:
    """Rows of one store. `committed` is the number of ordinals that the chain covers; it is handed in."""

    def __init__(self, url: str, index_folder: Path) -> None:
        self._url, self._folder = url, index_folder
        self._index: index.Index | None = None

    # -- writing (under the writer's lock) ---------------------------------------------------------------------------

    def append(self, table: pa.Table, first: int) -> pa.Table:
        """Give `table` (a `batch`) ordinals from `first` on and write it. Returns it with its ordinals."""
        numbers = pa.array(np.arange(first, first + table.num_rows, dtype=np.uint64))
        full = table.add_column(0, SCHEMA.field("ord"), numbers)
        lance.write_dataset(full, self._url, mode="append" if self._exists() else "create", schema=SCHEMA)
        return full

    def drop_uncommitted(self, committed: int) -> int:
        """Remove what a killed writer left at or above `committed`; returns how many rows."""
        if not self._exists():
            return 0
        dataset = self._open()
        extra = int(dataset.count_rows()) - committed
        if extra > 0:
            dataset.delete(f"ord >= {committed}")
        return max(extra, 0)

    def settle(self, committed: int) -> None:
        """Save the index and compact small files."""
        self.index(committed).save(self._folder)
        if self._exists():
            dataset = self._open()
            if len(dataset.get_fragments()) > SMALL_FRAGMENTS:
                dataset.optimize.compact_files()
                dataset.cleanup_old_versions()

    # -- reading -----------------------------------------------------------------------------------------------------

    def index(self, committed: int) -> index.Index:
        """The index over all committed rows; what the saved one lacks is read from the row file."""
        current = self._index
        if current is None or current.covers > committed:
            current = index.Index.load(self._folder)
            if current.covers > committed:
                current = index.Index.empty()
        if current.covers < committed:
            tail = self.table(list(index.COLUMNS), f"ord >= {current.covers} AND ord < {committed}").sort_by("ord")
            if tail.num_rows != committed - current.covers:
                raise Damaged(
                    f"the row file holds {tail.num_rows} rows from ordinal {current.covers} on, "
                    f"the chain covers {committed - current.covers}"
                )
            current = current.extended(tail, committed)
        self._index = current
        return current

    def table(self, columns: list[str], where: str) -> pa.Table:
        """Rows for which a Lance filter holds, whole."""
        if not self._exists():
            return SCHEMA.empty_table().select(columns)
        return self._guard(lambda: self._open().to_table(columns=columns, filter=where))

    def scan(self, columns: list[str], rows: BitMap64 | None = None, committed: int = 0) -> Iterator[pa.RecordBatch]:
        """Committed rows in batches, in storage order; only those in `rows` where given. ``ord`` always comes along."""
        wanted = columns if "ord" in columns else ["ord", *columns]
        if not self._exists() or (rows is not None and not rows):
            return
        if rows is not None and len(rows) <= 2000:
            numbers = ", ".join(str(o) for o in rows)
            yield from self.table(wanted, f"ord IN ({numbers})").to_batches()
            return
        mask = to_array(rows) if rows is not None else None
        batches = self._open().to_batches(columns=wanted)
        while True:
            chunk = self._guard(lambda: next(batches, None))
            if chunk is None:
                return
            ordinals = chunk["ord"].to_numpy(zero_copy_only=False)
            keep = ordinals < committed if mask is None else np.isin(ordinals, mask)
            if keep.any():
                yield chunk if keep.all() else chunk.filter(pa.array(keep))

    def versions(self) -> int:
        """How many versions of the row file exist."""
        return len(self._open().versions()) if self._exists() else 0

    def _exists(self) -> bool:
        return Path(self._url).exists() if "://" not in self._url else bool(lance.dataset(self._url))

    def _open(self) -> Any:
        return self._guard(lambda: lance.dataset(self._url))

    def _guard(self, read: Any) -> Any:
        try:
            return read()
        except BaseException as error:
            foreign = type(error).__name__ == "PanicException"  # Lance's Rust gave up; it is no Exception
            if not foreign and not isinstance(error, (OSError, ValueError, RuntimeError, pa.ArrowException)):
                raise
            raise Damaged(f"the row file {self._url} cannot be read: {str(error)[:300]}") from error
