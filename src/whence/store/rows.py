"""The row file: a Lance dataset whose ordinals are a stored column. The only file that opens it.

Rows become part of the record when the event ``rows.appended`` that covers them is in the chain; what a killed writer
left behind that event is passed over by readers and removed by the next writer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3
from pyroaring import BitMap64

from whence.records import Damaged, Row, writing
from whence.store.columns import U64, fixed
from whence.store.index import Index
from whence.store.marks import Runs, marks
from whence.store.sets import row_set, to_array

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
        pa.field("collected_at", pa.timestamp("us", tz="UTC")),
        pa.field("inspired_by", pa.list_(pa.string())),
    ]
)
FACTS = tuple(name for name in SCHEMA.names if name not in ("content", "content_digest"))
"""Columns that a batch's digest covers; content has a keyed digest of its own, which an erasure blanks."""

LATER = frozenset({"collected_at", "inspired_by"})
"""Columns that version 0.1 did not have: a batch without any value in one has the digest that it had then."""

SMALL_FRAGMENTS = 32
"""More fragments than this are compacted when a writer closes."""

PART_ROWS = 1 << 19
"""As many rows are in memory at once while an index is made."""


def batch(rows: Sequence[Sequence[Any]]) -> pa.Table:
    """A table of `SCHEMA` without ``ord`` from rows given as columns, in schema order; `LATER` ones may be left out."""
    fields, count = list(SCHEMA)[1:], len(rows[0])
    given = [pa.array(column, field.type) for column, field in zip(rows, fields, strict=False)]
    given += [pa.nulls(count, field.type) for field in fields[len(rows) :] if field.name in LATER]
    return pa.table(given, schema=pa.schema(fields))


def facts_digest(table: pa.Table) -> str:
    """``b3:`` over the fact columns of rows in order of ordinal, whatever chunks and buffers they came in."""
    hasher = blake3()
    ordinals = table["ord"].to_numpy()
    if (ordinals[1:] < ordinals[:-1]).any():
        table = table.sort_by("ord")
    for name in FACTS:
        column = table[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        if name in LATER and column.null_count == len(column):
            continue
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
            hasher.update(fixed(column, column.type.byte_width).tobytes())
        elif pa.types.is_timestamp(column.type):
            hasher.update(column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).astype("<i8").tobytes())
        else:
            hasher.update(column.to_numpy(zero_copy_only=False).astype("<u8").tobytes())
    return "b3:" + hasher.hexdigest()


def _text_bytes(column: pa.StringArray) -> bytes:
    if not len(column):
        return b""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    return bytes(data[int(offsets[0]) : int(offsets[-1])]) if data is not None else b""


def row_name(raw: bytes) -> str:
    """``b2k1:`` and hex."""
    return "b2k1:" + raw.hex()


def read(stored: dict[str, Any]) -> Row:
    """The row of one line of the row file."""
    content, name = stored["content"], stored["content_digest"]
    return Row(
        id=row_name(stored["id"]),
        ordinal=stored["ord"],
        source=stored["source"],
        record=stored["record"],
        content=json.loads(content) if content is not None else None,
        content_digest=row_name(name) if name else None,
        subject=stored["subject"],
        licence=stored["licence"],
        slices=json.loads(stored["slices"]) if stored["slices"] else {},
        group=stored["group"],
        parents=tuple(stored["parents"] or ()),
        generator=stored["generator"],
        collected_at=stored["collected_at"],
        inspired_by=tuple(stored["inspired_by"] or ()),
    )


def _held(dataset: Any, wanted: list[str]) -> list[str]:
    """Those of these columns that the row file has: version 0.1 wrote it without the `LATER` ones."""
    return [name for name in wanted if name not in LATER or name in dataset.schema.names]


def _padded(found: Any, wanted: list[str]) -> Any:
    """A table or batch with the columns that were asked for; null in those that the row file does not have."""
    if found.num_columns == len(wanted):
        return found
    for name in wanted:
        if name not in found.schema.names:
            found = found.append_column(SCHEMA.field(name), pa.nulls(found.num_rows, SCHEMA.field(name).type))
    return found.select(wanted)


def _lance() -> Any:
    """Lance, once rows are looked at: a third of a second that most questions do without."""
    import lance  # noqa: PLC0415

    return lance


class RowFile:
    """Rows of one store. `committed` is the number of ordinals that the chain covers; it is handed in."""

    def __init__(self, url: str, index_folder: Path) -> None:
        self._url, self._folder = url, index_folder
        self._index: Index | None = None
        none = np.zeros(0, np.uint64)
        self._named = 0, Runs(none, none)  # rows covered, their marks

    def close(self) -> None:
        """Let go of the index and its memory maps."""
        self._index = None

    # -- writing (under the writer's lock) ---------------------------------------------------------------------------

    def append(self, table: pa.Table, first: int) -> pa.Table:
        """Give `table` (a `batch`) ordinals from `first` on and write it. Returns it with its ordinals."""
        numbers = pa.array(np.arange(first, first + table.num_rows, dtype=np.uint64))
        full = table.add_column(0, SCHEMA.field("ord"), numbers)
        with writing(self._url):
            if self._exists() and (lacks := set(LATER).difference(self._open().schema.names)):
                self._open().add_columns(pa.schema([SCHEMA.field(name) for name in sorted(lacks)]))
            _lance().write_dataset(full, self._url, mode="append" if self._exists() else "create", schema=SCHEMA)
        return full

    def name(self, full: pa.Table) -> None:
        """Let `records_at` find rows that were appended and are committed now."""
        covers, runs = self._named
        ordinals = full["ord"].to_numpy()
        if covers == ordinals[0]:
            runs.add(marks(full["source"], full["record"]), ordinals)
            self._named = covers + len(ordinals), runs

    def drop_uncommitted(self, committed: int) -> int:
        """Remove what a killed writer left at or above `committed`; returns how many rows."""
        if not self._exists():
            return 0
        dataset = self._open()
        extra = int(dataset.count_rows()) - committed
        if extra > 0:
            with writing(self._url):
                dataset.delete(f"ord >= {committed}")
        return max(extra, 0)

    def settle(self, committed: int) -> None:
        """Save the index and compact small files."""
        index = self.index(committed)
        with writing(self._folder):
            index.save(self._folder)
        if self._exists():
            dataset = self._open()
            if len(dataset.get_fragments()) > SMALL_FRAGMENTS:
                with writing(self._url):
                    dataset.optimize.compact_files()
                    dataset.cleanup_old_versions()

    def rewrite(
        self, rows: BitMap64, change: Callable[[pa.RecordBatch], pa.RecordBatch], progress: Callable[[int, int], None]
    ) -> None:
        """Put the batches of every fragment that holds any of `rows` through `change`, all in one version, and remove
        the older ones. Fragments keep their order, and so rows their positions. What a change took away must be in no
        buffer of the batch it returns: Lance writes whole buffers, whatever is null in them."""
        if not self._exists():
            return
        from lance.fragment import write_fragments  # noqa: PLC0415

        dataset, fragments, changed = self._open(), [], False
        held = dataset.get_fragments()
        for done, fragment in enumerate(held):
            progress(done, len(held))
            ordinals = self._guard(lambda one=fragment: one.to_table(columns=["ord"]))["ord"].to_numpy()
            if rows.isdisjoint(row_set(ordinals)):
                fragments.append(fragment.metadata)
                continue
            batches = (change(batch) for batch in fragment.to_batches())
            with writing(self._url):
                fragments += write_fragments(pa.RecordBatchReader.from_batches(fragment.schema, batches), dataset)
            changed = True
        if changed:
            lance = _lance()
            with writing(self._url):
                done = lance.LanceOperation.Overwrite(dataset.schema, fragments)
                lance.LanceDataset.commit(dataset, done, read_version=dataset.version)
        self.forget_versions()
        progress(len(held), len(held))

    def forget_versions(self) -> None:
        """Remove every version but the newest, and files that belong to none."""
        if self._exists():
            with writing(self._url):
                self._open().cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)

    # -- reading -----------------------------------------------------------------------------------------------------

    def index(self, committed: int) -> Index:
        """The index over all committed rows; what the saved one lacks is read from the row file."""
        current = self._index
        if current is None or current.covers > committed:
            current = Index.load(self._folder)
            if current.covers > committed:
                current = Index.empty()
        if current.covers < committed:
            first = current.covers
            current = current.extended(lambda columns: self._parts(columns, first, committed), committed)
        self._index, self._named = current, (committed, Runs(current.marks, current.marked))
        return current

    def derived(self, covers: int) -> Index:
        """The index over the ordinals below `covers`, from the row file alone."""
        return Index.empty().extended(lambda columns: self._parts(columns, 0, covers), covers)

    def _parts(self, columns: list[str], first: int, end: int) -> Iterator[pa.Table]:
        """Those rows in order, `PART_ROWS` at a time. Raises Damaged where one is missing."""
        for start in range(first, end, PART_ROWS):
            wanted = np.arange(start, min(start + PART_ROWS, end), dtype=np.uint64)
            part = self.at(columns, wanted)
            if part.num_rows != len(wanted):
                raise Damaged(f"the row file holds {part.num_rows} of the {len(wanted)} rows from ordinal {start} on")
            yield part

    def at(self, columns: list[str], ordinals: U64) -> pa.Table:
        """The rows of these sorted ordinals that are there, in order; ``ord`` always comes along.

        They usually lie at the position that their ordinal says. Where they do not, since rows before them were
        deleted or moved, they are searched for.
        """
        return self._twice(lambda: self._at(columns, ordinals))

    def _at(self, columns: list[str], ordinals: U64) -> pa.Table:
        wanted = columns if "ord" in columns else ["ord", *columns]
        if not self._exists() or not len(ordinals):
            return SCHEMA.empty_table().select(wanted)
        dataset, first, last = self._open(), int(ordinals[0]), int(ordinals[-1])
        there = _held(dataset, wanted)
        whole = last - first + 1 == len(ordinals)
        if last < self._guard(dataset.count_rows):
            if whole:
                found = self._guard(lambda: dataset.to_table(columns=there, offset=first, limit=len(ordinals)))
            else:
                found = self._guard(lambda: dataset.take(ordinals.tolist(), columns=there))
            found = _padded(found, wanted)
            if np.array_equal(found["ord"].to_numpy(), ordinals):
                return found
        found = self.table(wanted, f"ord >= {first} AND ord <= {last}").sort_by("ord")
        return found if whole else found.filter(pc.is_in(found["ord"], pa.array(ordinals)))

    def records_at(self, source: str, names: Sequence[str], committed: int) -> dict[str, list[int]]:
        """Source record id → ordinals, newest last, for one source."""
        covers, runs = self._named
        if covers != committed:
            held = self.index(committed)
            runs = Runs(held.marks, held.marked)
        asked = pa.array(names, pa.string())
        found = runs.find(marks(pa.array([source] * len(names), pa.string()), asked))
        table = self.at(["ord", "source", "record"], found[found < committed])
        table = table.filter(pc.and_(pc.equal(table["source"], source), pc.is_in(table["record"], asked)))
        out: dict[str, list[int]] = {}
        for ordinal, record in zip(table["ord"].to_pylist(), table["record"].to_pylist(), strict=True):
            out.setdefault(record, []).append(ordinal)
        return out

    def table(self, columns: list[str], where: str) -> pa.Table:
        """Rows for which a Lance filter holds, whole."""
        if not self._exists():
            return SCHEMA.empty_table().select(columns)

        def read() -> pa.Table:
            dataset = self._open()
            return self._guard(lambda: dataset.to_table(columns=_held(dataset, columns), filter=where))

        return _padded(self._twice(read), columns)

    def scan(self, columns: list[str], rows: BitMap64 | None = None, committed: int = 0) -> Iterator[pa.RecordBatch]:
        """Committed rows in batches, in storage order; only those in `rows` where given. ``ord`` always comes along."""
        wanted = columns if "ord" in columns else ["ord", *columns]
        if not self._exists() or (rows is not None and not rows):
            return
        if rows is not None and len(rows) <= 2000:
            yield from self.at(wanted, to_array(rows)).to_batches()
            return
        asked = np.zeros(rows.max() + 2 if rows is not None else 0, bool)
        if rows is not None:
            asked[to_array(rows)] = True
        dataset = self._open()
        batches, seen, again = dataset.to_batches(columns=_held(dataset, wanted)), 0, False
        while True:
            try:
                chunk = self._guard(lambda it=batches: next(it, None))
            except Damaged:
                if again:
                    raise
                dataset, again = self._open(), True  # another process wrote it anew: rows keep their positions
                batches = dataset.to_batches(columns=_held(dataset, wanted), offset=seen)
                continue
            if chunk is None:
                return
            seen += chunk.num_rows
            chunk = _padded(chunk, wanted)
            ordinals = chunk["ord"].to_numpy(zero_copy_only=False)
            keep = ordinals < committed if rows is None else asked[np.minimum(ordinals, len(asked) - 1)]
            if keep.any():
                yield chunk if keep.all() else chunk.filter(pa.array(keep))

    def count(self, first: int, end: int) -> int:
        """How many rows there are with ordinals from `first` up to `end`."""
        return self.table(["ord"], f"ord >= {first} AND ord < {end}").num_rows if end > first else 0

    def versions(self) -> int:
        """How many versions of the row file exist."""
        return len(self._open().versions()) if self._exists() else 0

    def _exists(self) -> bool:
        """Whether anything was ever committed: a writer killed in its first write leaves a folder without a version."""
        if "://" in self._url:
            return bool(_lance().dataset(self._url))
        return any(Path(self._url, "_versions").glob("*.manifest"))

    def _open(self) -> Any:
        return self._guard(lambda: _lance().dataset(self._url))

    def _twice(self, read: Callable[[], pa.Table]) -> pa.Table:
        """A read; once more where it fails, as another process may have written the file anew since it was opened."""
        try:
            return read()
        except Damaged:
            return read()

    def _guard(self, read: Any) -> Any:
        try:
            return read()
        except BaseException as error:
            foreign = type(error).__name__ == "PanicException"  # Lance's Rust gave up; it is no Exception
            if not foreign and not isinstance(error, (OSError, ValueError, RuntimeError, pa.ArrowException)):
                raise
            raise Damaged(f"the row file {self._url} cannot be read: {str(error)[:300]}") from error
