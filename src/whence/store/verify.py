"""Re-derive the whole record and name what is damaged.

Nothing here trusts an index: digests are computed again from records, rows, words and blobs, and what is derived is
derived again and compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyroaring import BitMap64

from whence.records import Damaged, Finding, RunReport, Snapshot, canonical, keyed, references, row_id, sha256
from whence.store import index as indexes
from whence.store.catalogue import NOTHING, decode
from whence.store.rows import SCHEMA, facts_digest
from whence.store.store import Store, row_name

Progress = Callable[[str, int, int], None]
KINDS_OF_WORDS = ("payload", "trace", "feedback", "quarantine")


def _bad(part: str, about: str, message: str) -> Finding:
    return Finding(check=f"store.{part}", about=about, verdict="fail", severity="high", message=message)


def verify(store: Store, head: tuple[int, str] | None = None, progress: Progress = lambda *_: None) -> list[Finding]:
    """All damage found, an empty list when there is none; `head` is a (seq, digest) that somebody else kept."""
    found: list[Finding] = []
    parts: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("catalogue", lambda: _catalogue(store)),
        ("chain", lambda: _chain(store, head)),
        ("records", lambda: _records(store)),
        ("rows", lambda: _rows(store, progress)),
        ("index", lambda: _index(store)),
        ("blobs", lambda: _blobs(store)),
        ("snapshots", lambda: _snapshots(store)),
        ("words", lambda: _words(store)),
    ]
    for number, (part, check) in enumerate(parts):
        progress(part, number, len(parts))
        try:
            found += check()
        except Damaged as error:
            found.append(_bad(part, part, str(error)))
        except Exception as error:  # noqa: BLE001  a damaged file may raise anything; it is recorded
            found.append(_bad(part, part, f"{part} cannot be read: {type(error).__name__}: {str(error)[:300]}"))
    return found


def _catalogue(store: Store) -> Iterator[Finding]:
    said = store.integrity()
    if said:
        yield _bad("catalogue", "catalogue.db", f"the database's pages are damaged: {said}")


def _chain(store: Store, head: tuple[int, str] | None) -> Iterator[Finding]:
    previous, seq, at_head = NOTHING, 0, None
    for event, stored in store.chain():
        seq += 1
        if event.seq != seq or event.previous != previous:
            yield _bad("chain", f"event {event.seq}", f"event {event.seq} does not follow event {seq - 1}")
        if sha256(canonical(event)) != stored:
            yield _bad(
                "chain", f"event {event.seq}", f"event {event.seq} ({event.kind}) was changed after it was written"
            )
        previous, seq = stored, event.seq
        if head is not None and seq == head[0]:
            at_head = stored
    if (seq, previous) != store.head():
        yield _bad("chain", "head", f"the chain ends at event {seq}, the head says {store.head()[0]}")
    if head is not None and head[0] and at_head != head[1]:
        yield _bad(
            "chain", f"event {head[0]}", f"whence.lock knows event {head[0]} as {head[1][:19]}…; it is gone or changed"
        )


def _records(store: Store) -> Iterator[Finding]:
    edges = set()
    for name, body in store.bodies():
        if sha256(body.encode()) != name:
            yield _bad("records", name, f"record {name[:19]}… was changed after it was written")
            continue
        noun = decode(body)
        if canonical(noun).decode() != body:
            yield _bad("records", name, f"record {name[:19]}… does not read back to its own digest")
        edges |= {(name, field, dst) for field, dst in references(noun)}
    for src, field, dst in sorted(edges ^ store.all_edges()):
        yield _bad("records", src, f"the reference {field} from {src[:19]}… to {dst[:19]}… is missing or made up")


def _rows(store: Store, progress: Progress) -> Iterator[Finding]:
    """Each batch's facts, each row's content digest and id."""
    committed = store.committed()
    for event in store.events("rows.appended"):
        first, count = event.data["first"], event.data["rows"]
        progress("rows", first, committed)
        table = store.rows.table(SCHEMA.names, f"ord >= {first} AND ord < {first + count}")
        if table.num_rows != count:
            yield _bad(
                "rows", event.about, f"rows {first} to {first + count - 1}: {table.num_rows} of {count} are there"
            )
            continue
        if facts_digest(table) != event.data["facts"]:
            yield _bad(
                "rows", event.about, f"facts of rows {first} to {first + count - 1} ({event.about}) were changed"
            )
        for chunk in table.to_batches():
            yield from _contents(store, chunk)


def _contents(store: Store, chunk: pa.RecordBatch) -> Iterator[Finding]:
    names = ("ord", "id", "source", "record", "subject", "content", "content_digest")
    for ordinal, name, source, record, subject, content, stored in zip(
        *(chunk[n].to_pylist() for n in names), strict=True
    ):
        key = store.keys.find(f"subject:{subject}" if subject else f"source:{source}")
        if stored is None:
            continue
        if key is None:
            owner = subject or source
            yield _bad("rows", row_name(name), f"row {ordinal} has a content digest but the key of {owner} is gone")
        elif content is None or keyed(key, content.encode()) != stored:
            yield _bad("rows", row_name(name), f"the content of row {ordinal} ({source}:{record}) was changed")
        elif row_id(key, source, record, stored) != name:
            yield _bad(
                "rows", row_name(name), f"the id of row {ordinal} ({source}:{record}) does not follow from the row"
            )


def _index(store: Store) -> Iterator[Finding]:
    folder = store.root / "index"
    for path in indexes.damaged_files(folder):
        yield _bad("index", str(path), f"{path} is damaged; delete the folder {path.parent}: it is derived again")
        return
    saved = indexes.Index.load(folder)
    if not saved.covers:
        return
    tail = store.rows.table(list(indexes.COLUMNS), f"ord < {saved.covers}").sort_by("ord")
    again = indexes.Index.empty().extended(tail, saved.covers)
    same = (
        np.array_equal(saved.prefixes, again.prefixes)
        and np.array_equal(saved.offsets, again.offsets)
        and np.array_equal(saved.children, again.children)
        and all(dict(saved.sets[k].items()) == dict(again.sets[k].items()) for k in indexes.KINDS)
    )
    if not same:
        yield _bad(
            "index", str(folder), f"the index in {folder} does not follow from the rows; delete it: it is derived again"
        )


def _blobs(store: Store) -> Iterator[Finding]:
    for name in store.blobs.names():
        try:
            store.blobs.get(name)
        except Damaged as error:
            yield _bad("blobs", name, str(error))
    for record, body in store.bodies():
        for field, value in json.loads(body).items():
            if field in BLOB_FIELDS and not _has_blob(store, value):
                yield _bad(
                    "blobs", record, f"record {record[:19]}… needs blob {value[:19]}… ({field}), which is missing"
                )


BLOB_FIELDS = frozenset({"set", "removed", "items", "scores", "example", "rows_set"})
"""Fields of records that name a blob."""


def _has_blob(store: Store, name: str) -> bool:
    try:
        store.blobs.get(name)
    except Damaged:
        return True
    except Exception:  # noqa: BLE001  whatever the filesystem says, the blob cannot be had
        return False
    return True


def _snapshots(store: Store) -> Iterator[Finding]:
    everything = BitMap64(range(store.committed()))
    for name, snapshot in store.all(Snapshot):
        rows = store.snapshot_rows(snapshot)
        if len(rows) != snapshot.rows or rows - everything or store.root_of(rows) != snapshot.root:
            yield _bad("snapshots", name, f"snapshot {snapshot.name} ({name[:19]}…) no longer has its Merkle root")
    for name, report in store.all(RunReport):
        if report.set and store.get_set(report.set) - everything:
            yield _bad("snapshots", name, f"run report {name[:19]}… names rows that are not there")


def _words(store: Store) -> Iterator[Finding]:
    for kind in KINDS_OF_WORDS:
        journal = store.journal(kind)
        for entry in store.all_words(kind):
            try:
                journal.read(entry)
            except Damaged as error:
                yield _bad("words", entry.digest, str(error))
