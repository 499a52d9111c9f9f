"""A store: the record of one or more projects, in a folder.

``catalogue.db`` records, references, events · ``rows.lance`` rows · ``index/`` derived from rows · ``blobs/`` bytes
under their digest · ``journal/`` words that can be erased · ``head`` the chain's head once more · ``lock`` the writer's
lock. Keys lie outside. The catalogue may lie in PostgreSQL instead, lock included; then every writer needs to reach the
folder, which is checked.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap64

from whence.records import (
    Conflict,
    Json,
    NotFound,
    Row,
    Snapshot,
    Trace,
    Unmet,
    WhenceError,
    encode,
    ids_root,
    merkle_root,
)
from whence.store import rows as rowfile
from whence.store.actor import UNIDENTIFIED
from whence.store.blobs import Blobs
from whence.store.catalogue import Catalogue
from whence.store.columns import ids_array, sorted_ids
from whence.store.database import SessionLock, connect, host_of, migrate
from whence.store.head import HeadFile
from whence.store.index import Index
from whence.store.journal import Entry, Journal
from whence.store.keys import IDENTIFIERS, PSEUDONYMS, KeyFile
from whence.store.lock import FileLock, WriterLock
from whence.store.marker import Marker
from whence.store.nouns import digests_root, trace_from
from whence.store.shelf import SetShelf, Shelf

T = TypeVar("T")


def wall_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Store(Catalogue):
    """The record. Open one with `Store.open`."""

    def __init__(
        self, root: Path, keys: Path, catalogue: str | None, clock: Callable[[], datetime], actor: str
    ) -> None:
        engine = connect(catalogue or f"sqlite:///{root / 'catalogue.db'}")
        migrate(engine)
        self.second_head = HeadFile(root / "head")
        super().__init__(engine, clock, actor, self.second_head)
        self.root, self.clock, self.actor = root, clock, actor
        self.keys = KeyFile(keys, self._relies_on)
        self._at_start: Index | None = None  # of the write under way; keys that it makes are in memory
        self.blobs = Blobs(str(root / "blobs"))
        self.rows = rowfile.RowFile(str(root / "rows.lance"), root / "index")
        self.host = host_of(engine)
        self._exclusive = SessionLock(engine) if catalogue else FileLock(root / "lock")
        self._lock = WriterLock(self._exclusive, str(root))
        self._journals: dict[str, Journal] = {}
        self._memos: dict[str, tuple[tuple[int, int], tuple[int, int], Any]] = {}
        self._mine = threading.local()
        self._kept: dict[str, Any] = {}

    @classmethod
    def open(
        cls,
        root: Path,
        keys: Path | None = None,
        *,
        create: bool = False,
        catalogue: str | None = None,
        clock: Callable[[], datetime] = wall_clock,
        actor: str = UNIDENTIFIED,
    ) -> Store:
        """Open the store in `root`; `keys` defaults to ``whence.key`` beside it. `catalogue` is the address of a
        PostgreSQL database; the store remembers it. Raises NotFound, Conflict, Unmet, Damaged, BackendFailed."""
        root = root.resolve()
        keys = (keys or root.parent / "whence.key").resolve()
        if root in keys.parents:
            raise Unmet(
                f"the key file {keys} lies inside the store", "a place outside it", "move it beside whence.toml"
            )
        marker = Marker(root / "store.json")
        fresh = False
        if not marker.path.exists():
            if not create:
                raise NotFound(f"there is no store at {root}\n  do: run `whence run`, or `whence init FILE` first")
            fresh = marker.write(catalogue, clock())
        found = marker.read(catalogue)
        try:
            store = cls(root, keys, found, clock, actor)
            if found:
                store.reach(marker.id())
        except WhenceError:
            if fresh:
                marker.path.unlink()
            raise
        return store

    def reach(self, name: str) -> None:
        """That this folder is where the catalogue's rows lie. Raises Conflict."""
        made = self.events("store.made", last=True) or [self.append("store.made", name)]
        last = self.events("rows.appended", last=True)
        first, rows = (last[0].data["first"], last[0].data["rows"]) if last else (0, 0)
        held = self.rows.count(first, first + rows)
        if made[0].about != name or held != rows:
            why = f"rows {first} to {first + rows - 1} are not all in it" if held != rows else f"it is {name}"
            raise Conflict(
                f"the catalogue belongs to {made[0].about} of {made[0].actor}, and {self.root} is not its folder: {why}"
                f"\n  do: give every writer the same folder (a shared mount), or name another catalogue"
            )

    def close(self) -> None:
        """Give back every file and connection. A second call does nothing."""
        super().close()
        for journal in self._journals.values():
            journal.close()
        self.rows.close()

    def person(self) -> str:
        """The actor of a decision. Raises Unmet where nobody is named."""
        if self.actor == UNIDENTIFIED:
            raise Unmet(
                "nobody is named as the actor of this decision",
                "WHENCE_ACTOR, or git's user.email",
                "export WHENCE_ACTOR=you@example.org",
            )
        return self.actor

    @contextmanager
    def writer(self, purpose: str, wait_s: float = 600, say: Callable[[str], None] = _say) -> Iterator[None]:
        """Hold the writer's lock; on the way in, clear what a killed writer left, and finish what a killed erasure
        began. Raises Conflict."""
        from whence.store.erasure import finish  # noqa: PLC0415  it is made of a store

        with self._lock.hold(purpose, wait_s, say), self.writing_on(self._exclusive.connection):
            self.keys.reload()
            self._at_start = None
            self.rows.drop_uncommitted(self.committed())
            finish(self)
            yield

    def _relies_on(self, key: str) -> bool:
        """Whether a row or a decision from before this write was made under the key of this name."""
        if key == IDENTIFIERS:
            return bool(self.events("subject.identified", last=True))
        index = self._at_start = self._at_start or self.index()
        if key == PSEUDONYMS:
            decided = any(event.about.startswith("subject:") for event in self.events("rights.*"))
            return decided or self._relies_on(IDENTIFIERS) or bool(len(index.sets["subject"]))
        kind, _, who = key.partition(":")
        if kind not in index.sets:  # one that takes another's place: nothing was made under it yet
            return False
        rows = index.sets[kind].get(who)
        for batch in () if not rows else self.scan(["subject", "content_digest"], rows):
            under = pc.is_valid(batch["content_digest"])
            if kind == "source":
                under = pc.and_(under, pc.is_null(batch["subject"]))
            if pc.any(under).as_py():
                return True
        return False

    # -- rows --------------------------------------------------------------------------------------------------------

    def committed(self, as_of: datetime | None = None) -> int:
        """Ordinals that the chain covers, or covered at a time: rows are 0 … committed − 1."""
        if as_of is None and getattr(self._mine, "mark", None):
            return self.memo("committed", self._committed, "rows.*")
        return self._committed(as_of)

    def _committed(self, as_of: datetime | None = None) -> int:
        last = self.events("rows.appended", as_of=as_of, last=True)
        return int(last[0].data["first"] + last[0].data["rows"]) if last else 0

    def add_rows(self, table: pa.Table, source: str) -> int:
        """Write one batch (`store.rows.batch`), at least one row. Needs the writer's lock. Returns the first ordinal;
        see docs/decisions/0001 for why the event comes last."""
        first = self.committed()
        self.keys.save()
        full = self.rows.append(table, first)
        facts = {"first": first, "rows": table.num_rows, "facts": rowfile.facts_digest(full)}
        self.append("rows.appended", f"source:{source}", facts)
        self.rows.name(full)
        return first

    def index(self) -> Index:
        """The index over all rows."""
        return self.rows.index(self.committed())

    def settle(self) -> None:
        """Save the index after writing. Needs the writer's lock."""
        self.rows.settle(self.committed())

    def scan(self, columns: list[str], rows: BitMap64 | None = None) -> Iterator[pa.RecordBatch]:
        """Rows in batches; see `RowFile.scan`."""
        return self.rows.scan(columns, rows, self.committed())

    def row(self, ordinal: int) -> Row:
        """One row, whole."""
        found = self.rows.at(rowfile.SCHEMA.names, np.array([ordinal], np.uint64)).to_pylist()
        if not found or ordinal >= self.committed():
            raise NotFound(f"there is no row {ordinal}")
        return rowfile.read(found[0])

    def find_rows(self, text: str) -> list[int]:
        """Ordinals of the rows that `text` may mean: an id or its first digits, or SOURCE:RECORD."""
        hexes = text.removeprefix("b2k1:")
        if len(hexes) >= 6 and set(hexes) <= set("0123456789abcdef"):
            return self.index().find_prefix(hexes)
        source, _, record = text.partition(":")
        return self.records_at(source, [record]).get(record, []) if record else []

    def records_at(self, source: str, names: Sequence[str]) -> dict[str, list[int]]:
        """Source record id → ordinals, newest last, for one source."""
        return self.rows.records_at(source, names, self.committed())

    def shelf(self, name: str, columns: Sequence[str]) -> Shelf:
        """A table that is derived from the catalogue and kept."""
        return Shelf(self.root / "index" / f"{name}.arrow", columns)

    def set_shelf(self, name: str) -> SetShelf:
        """Row sets that are derived from the catalogue and kept."""
        return SetShelf(self.root / "index" / f"{name}.sets")

    # -- what questions keep in memory ---------------------------------------------------------------------------------

    @contextmanager
    def still(self) -> Iterator[None]:
        """Within, the record is taken as it was on entry: a question looks once whether it has grown."""
        outer, self._mine.mark = getattr(self._mine, "mark", None), None
        self._mine.mark = outer or self.mark()
        try:
            yield
        finally:
            self._mine.mark = outer

    def memo(self, name: str, make: Callable[[], T], *kinds: str) -> T:
        """What `make` gave, until a record is added, or an event, of these kinds (``.*``) where any are named."""
        now = getattr(self._mine, "mark", None) or self.mark()
        looked, mark, made = self._memos.get(name, (None, None, None))
        if looked == now:
            return made  # type: ignore[return-value]
        fresh = self.mark(*kinds) if kinds else now
        if mark != fresh:
            made = make()
        self._memos[name] = now, fresh, made
        return made  # type: ignore[return-value]

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gave, as long as this store is open."""
        made: T = self._kept.setdefault(name, make())
        return made

    # -- row sets and snapshots --------------------------------------------------------------------------------------

    def put_set(self, rows: BitMap64) -> str:
        """Store a row set as a blob."""
        return self.blobs.put(rows.serialize())

    def get_set(self, blob: str) -> BitMap64:
        """A row set from its blob."""
        return BitMap64.deserialize(self.blobs.get(blob))

    def snapshot_rows(self, snapshot: Snapshot) -> BitMap64:
        """The ordinals of a snapshot."""
        return self.get_set(snapshot.set)

    def root_of(self, rows: BitMap64, like: str = "") -> str:
        """Merkle root over the ids of these rows; of the older kind where `like` is one."""
        parts = [ids_array(batch["id"]) for batch in self.scan(["id"], rows)]
        ids = sorted_ids(np.concatenate(parts) if parts else np.zeros((0, 32), np.uint8))
        return merkle_root(map(bytes, ids)) if like.startswith("sha256:") else ids_root(ids.tobytes())

    # -- tables and lines as blobs -----------------------------------------------------------------------------------

    def put_table(self, table: pa.Table) -> str:
        """Store an Arrow table as a blob."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return self.blobs.put(sink.getvalue().to_pybytes())

    def get_table(self, blob: str) -> pa.Table:
        """An Arrow table from its blob."""
        return pa.ipc.open_file(pa.py_buffer(self.blobs.get(blob))).read_all()

    def get_weights(self, blob: str | None) -> dict[int, float]:
        """Ordinal → weight of a table of rows that do not weigh 1. None: all do."""
        if blob is None:
            return {}
        table = self.get_table(blob)
        return dict(zip(table["ordinal"].to_pylist(), table["weight"].to_pylist(), strict=True))

    def put_lines(self, values: Iterable[Json]) -> str:
        """Store values as canonical JSON lines in one blob."""
        return self.blobs.put_parts(encode(v) + b"\n" for v in values)

    def get_lines(self, blob: str) -> list[Json]:
        """Values from a blob of JSON lines."""
        return [json.loads(line) for line in self.blobs.get(blob).splitlines()]

    # -- words -------------------------------------------------------------------------------------------------------

    def journal(self, kind: str) -> Journal:
        """The journal of one kind of words: payload, trace, feedback, quarantine, identifiers, example,
        answers."""
        self._usable()
        if kind not in self._journals:
            self._journals.setdefault(kind, Journal(self.root / "journal" / kind))
        return self._journals[kind]

    def journals(self) -> list[str]:
        """Kinds of words that the store keeps."""
        return sorted(path.name for path in (self.root / "journal").glob("*"))

    def stray_words(self) -> Iterator[tuple[str, Entry]]:
        """(kind, place) of whole lines that nobody noted: a killed process left them. Traces: `recover_traces`."""
        noted = {entry.digest for _, entry in self.all_words()}
        for kind in self.journals():
            journal = self.journal(kind)
            for segment in journal.segments():
                with suppress(FileNotFoundError):  # of an ingest that did not end, cleared by the next one meanwhile
                    for entry, _ in journal.scan(segment):
                        if entry.digest and entry.digest not in noted:
                            yield kind, entry

    def write_words(self, kind: str, body: Json) -> str:
        """Keep words apart; returns their salted digest."""
        journal = self.journal(kind)
        entry = journal.append(body)
        journal.sync()
        self.note_words(kind, [entry])
        return entry.digest

    def words(self, digest: str) -> Json:
        """Words by their salted digest. Raises NotFound, Damaged."""
        kind, entry = self.words_at(digest)
        return self.journal(kind).read(entry)

    def many_words(self, digests: Iterable[str]) -> dict[str, Json]:
        """Digest → words, for those of these that are kept. Raises Damaged."""
        by_kind: dict[str, list[Entry]] = {}
        for kind, entry in self.places_of(digests).values():
            by_kind.setdefault(kind, []).append(entry)
        return {d: body for kind, entries in by_kind.items() for d, body in self.journal(kind).read_many(entries)}

    def add_traces(self, entries: Sequence[tuple[Entry, Trace]]) -> None:
        """Record served requests whose words are in the journal already; those that are recorded already stay, and what
        was erased meanwhile does too."""
        from whence.store.erasure import erased  # noqa: PLC0415  it is made of a store

        with self.transaction():
            known = self.noted(entry.digest for entry, _ in entries) | erased(self).words
            fresh = [(entry, trace) for entry, trace in entries if entry.digest not in known]
            if fresh:
                self.note_words("trace", (entry for entry, _ in fresh))
                names = self.put_many(trace for _, trace in fresh)
                facts = {"traces": len(names), "root": digests_root(names)}
                self.append("traces.recorded", fresh[0][1].deployment, facts)

    def recover_traces(self) -> int:
        """Record the served requests that a killed server had journalled and not yet recorded; returns how many."""
        journal, noted = self.journal("trace"), {entry.digest for _, entry in self.all_words()}
        lost = []
        for segment in journal.segments():
            for entry, head in journal.scan(segment):
                if head and entry.digest not in noted:
                    lost.append((entry, trace_from(head, entry.digest)))
        self.add_traces(lost)
        return len(lost)
