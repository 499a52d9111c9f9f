"""Re-derive the whole record and name what is damaged.

Nothing here trusts an index: digests are computed again from records, rows, words and blobs, and what is derived is
derived again and compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyroaring import BitMap64

from whence.records import (
    Adapter,
    Conflict,
    Damaged,
    Feedback,
    Finding,
    NotFound,
    RunReport,
    Snapshot,
    Trace,
    Unmet,
    Waiver,
    canonical,
    keyed,
    references,
    row_id,
    sha256,
)
from whence.store import index as indexes
from whence.store.catalogue import NOTHING, filing, known
from whence.store.keys import PSEUDONYMS
from whence.store.rows import SCHEMA, facts_digest
from whence.store.store import Store, digests_root, row_name

Progress = Callable[[str, int, int], None]
DIGEST = re.compile("sha256:[0-9a-f]{64}").fullmatch


def _bad(part: str, about: str, message: str) -> Finding:
    return Finding(check=f"store.{part}", about=about, verdict="fail", severity="high", message=message)


def verify(
    store: Store,
    head: tuple[int, str] | None = None,
    progress: Progress = lambda *_: None,
    adapter_digests: Callable[[Path], tuple[str, str]] | None = None,
) -> list[Finding]:
    """All damage found, an empty list when there is none. Raises Conflict for a record from a newer whence.

    head: (seq, digest) of the chain that whence.lock keeps. adapter_digests: folder → (weights, config), to hold the
    store's adapters against their records.
    """
    found: list[Finding] = []
    kept = {"whence.lock": head}
    try:
        kept[str(store.second_head.path)] = store.second_head.read()  # before the chain, which may grow meanwhile
    except Damaged as error:
        found.append(_bad("chain", str(store.second_head.path), str(error)))
    parts: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("catalogue", lambda: _catalogue(store)),
        ("chain", lambda: _chain(store, kept)),
        ("records", lambda: _records(store)),
        ("records", lambda: _events_about(store)),
        ("traces", lambda: _traces(store)),
        ("rows", lambda: _rows(store, progress)),
        ("index", lambda: _index(store)),
        ("blobs", lambda: _blobs(store)),
        ("snapshots", lambda: _snapshots(store)),
        ("words", lambda: _words(store)),
        ("keys", lambda: _keys(store)),
        ("adapters", lambda: _adapters(store, adapter_digests)),
    ]
    try:
        with store.reading():
            for number, (part, check) in enumerate(parts):
                progress(part, number, len(parts))
                found += _tried(part, check)
    except Damaged as error:
        found.append(_bad("catalogue", "catalogue.db", str(error)))
    return found


def _tried(part: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; that it cannot be done is a finding too."""
    try:
        yield from check()
    except Conflict:
        raise
    except Damaged as error:
        yield _bad(part, part, str(error))
    except Exception as error:  # noqa: BLE001  a damaged file may raise anything; it is recorded
        yield _bad(part, part, f"{part} cannot be read: {type(error).__name__}: {str(error)[:300]}")


def _catalogue(store: Store) -> Iterator[Finding]:
    said = store.integrity()
    if said:
        yield _bad("catalogue", "catalogue.db", f"the database's pages are damaged: {said}")


def _chain(store: Store, kept: Mapping[str, tuple[int, str] | None]) -> Iterator[Finding]:
    """The chain itself, and the heads of it that others keep."""
    previous, seq = NOTHING, 0
    known: dict[int, str] = dict.fromkeys((head[0] for head in kept.values() if head), "")
    for event, stored in store.chain():
        seq += 1
        if event.seq != seq or event.previous != previous:
            yield _bad("chain", f"event {event.seq}", f"event {event.seq} does not follow event {seq - 1}")
        if sha256(canonical(event)) != stored:
            yield _bad(
                "chain", f"event {event.seq}", f"event {event.seq} ({event.kind}) was changed after it was written"
            )
        previous, seq = stored, event.seq
        if seq in known:
            known[seq] = stored
    if (seq, previous) != store.head():
        yield _bad("chain", "head", f"the chain ends at event {seq}, the head says {store.head()[0]}")
    known[0] = NOTHING
    for keeper, head in kept.items():
        if head and known[head[0]] != head[1]:
            message = f"{keeper} knows event {head[0]} as {head[1][:19]}…; it is gone or changed"
            yield _bad("chain", f"event {head[0]}", message)


def _records(store: Store) -> Iterator[Finding]:
    edges, filed = set(), store.filed()
    for name, body in store.bodies():
        if sha256(body.encode()) != name:
            yield _bad("records", name, f"record {name[:19]}… was changed after it was written")
            continue
        noun = known(name, body)
        if canonical(noun).decode() != body:
            yield _bad("records", name, f"record {name[:19]}… does not read back to its own digest")
        if filed[name] != filing(noun):
            yield _bad("records", name, f"record {name[:19]}… is filed under another kind or name than it has")
        edges |= {(name, field, dst) for field, dst in references(noun)}
    for src, field, dst in sorted(edges ^ store.all_edges()):
        yield _bad("records", src, f"the reference {field} from {src[:19]}… to {dst[:19]}… is missing or made up")
    for src, field, dst in sorted(edges):
        if dst not in filed:
            yield _bad("records", dst, f"record {dst[:19]}… is gone; {src[:19]}… was made from it ({field})")


def _events_about(store: Store) -> Iterator[Finding]:
    """Every record that an event names is there, and every finished run has its report."""
    names = store.filed()
    reported = {report.run for _, report in store.all(RunReport)}
    for event in store.events():
        named = [event.about, *(v for key, v in (event.data or {}).items() if key != "root")]
        for name in named:
            if isinstance(name, str) and DIGEST(name) and name not in names:
                yield _bad("records", name, f"record {name[:19]}… is gone; event {event.seq} ({event.kind}) names it")
        if event.kind == "run.finished" and event.about not in reported:
            yield _bad("records", event.about, f"the report of run {event.about[:19]}… is gone")


def _traces(store: Store) -> Iterator[Finding]:
    """Traces come in batches; each batch has its Merkle root in the chain."""
    names, at = [name for name, _ in store.all(Trace)], 0
    for event in store.events("traces.recorded"):
        batch = names[at : at + event.data["traces"]]
        at += len(batch)
        if digests_root(batch) != event.data["root"]:
            yield _bad("traces", event.about, f"the traces of event {event.seq} are no longer those that it covers")
            return
    if at < len(names):
        yield _bad("traces", names[at], f"{len(names) - at} traces are in no event of the chain")


def _rows(store: Store, progress: Progress) -> Iterator[Finding]:
    """Each batch's facts, each row's content digest and id."""
    committed = store.committed()
    store.keys.reload()
    twice = store.rows.count(0, committed) > committed
    for event in store.events("rows.appended"):
        first, count = event.data["first"], event.data["rows"]
        progress("rows", first, committed)
        if twice:
            table = store.rows.table(SCHEMA.names, f"ord >= {first} AND ord < {first + count}")
        else:
            table = store.rows.at(SCHEMA.names, np.arange(first, first + count, dtype=np.uint64))
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
            yield _bad("rows", row_name(name), f"row {ordinal} ({source}:{record}) has no content digest any more")
        elif key is None:
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
    again = store.rows.derived(saved.covers)
    same = (
        np.array_equal(saved.prefixes, again.prefixes)
        and np.array_equal(saved.rest, again.rest)
        and np.array_equal(saved.ordinals, again.ordinals)
        and np.array_equal(saved.marks, again.marks)
        and np.array_equal(saved.marked, again.marked)
        and np.array_equal(saved.offsets, again.offsets)
        and np.array_equal(saved.children, again.children)
        and all(saved.sets[k] == again.sets[k] for k in indexes.KINDS)
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
        for field, value in _members(json.loads(body)):
            named = field in BLOB_FIELDS and DIGEST(str(value))
            if named and not _has_blob(store, value):
                yield _bad(
                    "blobs", record, f"record {record[:19]}… needs blob {value[:19]}… ({field}), which is missing"
                )


BLOB_FIELDS = frozenset({"set", "removed", "items", "scores", "example", "rows", "environment"})
"""Fields of records that name a blob where they hold a digest."""


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (field, value) inside a record's body, at any depth."""
    for field, held in value.items():
        yield field, held
        for inner in held if isinstance(held, list) else [held]:
            if isinstance(inner, dict):
                yield from _members(inner)


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
        if len(rows) != snapshot.rows or rows - everything or store.root_of(rows, snapshot.root) != snapshot.root:
            yield _bad("snapshots", name, f"snapshot {snapshot.name} ({name[:19]}…) no longer has its Merkle root")
    for name, report in store.all(RunReport):
        if report.set and store.get_set(report.set) - everything:
            yield _bad("snapshots", name, f"run report {name[:19]}… names rows that are not there")


def _words(store: Store) -> Iterator[Finding]:
    """Every noted entry can be read, every digest of words that the record names is noted, no line is unreadable."""
    read = set()
    for kind, entry in store.all_words():
        read.add((kind, entry.segment, entry.offset))
        try:
            store.journal(kind).read(entry)
        except Damaged as error:
            yield _bad("words", entry.digest, str(error))
    named = dict(_words_named(store))
    for digest in sorted(named.keys() - store.noted(named)):
        yield _bad("words", digest, f"the words {digest[:19]}… of {named[digest]} are nowhere noted")
    for folder in sorted((store.root / "journal").glob("*")):
        journal = store.journal(folder.name)
        for segment in journal.segments():
            for entry, _ in journal.scan(segment):
                if not entry.digest and (folder.name, segment, entry.offset) not in read:
                    where = f"journal {folder.name}/{segment} at byte {entry.offset}"
                    yield _bad("words", where, f"{where} cannot be read")


def _words_named(store: Store) -> Iterator[tuple[str, str]]:
    """(digest of words, what names it)."""
    for event in store.events():
        if event.payload:
            yield event.payload, f"event {event.seq} ({event.kind})"
    for kind, member in ((Trace, "content"), (Feedback, "content"), (Waiver, "reason")):
        for name, record in store.all(kind):
            yield getattr(record, member), f"{kind.__name__.lower()} {name[:19]}…"
    for name, report in store.all(RunReport):
        for line in _quarantined(store, report):
            yield line["words"], f"line {line['line']} in quarantine (run report {name[:19]}…)"


def _keys(store: Store) -> Iterator[Finding]:
    """The key that ties people to their pseudonyms is there where rows are about people."""
    if PSEUDONYMS not in store.keys and store.index().sets["subject"].names():
        message = f"the key of pseudonyms is gone from {store.keys.path}: nobody in the rows can be found by name"
        yield _bad("keys", PSEUDONYMS, f"{message}\n  do: restore the file from its copy")


def _adapters(store: Store, digests: Callable[[Path], tuple[str, str]] | None) -> Iterator[Finding]:
    if digests is None:
        return
    for name, adapter in store.all(Adapter):
        folder = store.root / adapter.location
        if not folder.is_relative_to(store.root):
            continue
        try:
            same = digests(folder) == (adapter.weights, adapter.config)
            what = "is not the one on record"
        except Unmet as error:
            same, what = False, f"cannot be read: {error.found}"
        if not same:
            yield _bad("adapters", name, f"adapter {name[:19]}… in {folder} {what}")


def _quarantined(store: Store, report: RunReport) -> list[dict[str, Any]]:
    try:
        table = store.get_table(report.removed) if report.removed else None
    except (NotFound, Damaged, pa.ArrowException):
        return []  # named among the blobs
    return table.to_pylist() if table is not None and "words" in table.column_names else []
