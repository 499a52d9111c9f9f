"""Re-derive the whole record and name what is damaged.

Nothing here trusts an index: digests are computed again from records, rows, words and blobs, and what is derived is
derived again and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pyroaring import BitMap64

from whence.records import (
    Adapter,
    Conflict,
    Damaged,
    Finding,
    RunReport,
    Snapshot,
    Trace,
    Unmet,
    canonical,
    references,
    sha256,
)
from whence.store import contents
from whence.store.catalogue import NOTHING
from whence.store.contents import DIGEST, Progress, bad
from whence.store.nouns import digests_root, filing, known
from whence.store.store import Store


def verify(
    store: Store,
    head: tuple[int, str] | None = None,
    progress: Progress = lambda *_: None,
    altered: Callable[[Path, str, str, str | None], list[str]] | None = None,
) -> list[Finding]:
    """All damage found, an empty list when there is none. Raises Conflict for a record from a newer whence.

    head: (seq, digest) of the chain that whence.lock keeps. altered: (folder, weights, config, profile) → parts of an
    adapter that are not as recorded.
    """
    found: list[Finding] = []
    kept = {"whence.lock": head}
    try:
        kept[str(store.second_head.path)] = store.second_head.read()  # before the chain, which may grow meanwhile
    except Damaged as error:
        found.append(bad("chain", str(store.second_head.path), str(error)))
    parts: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("catalogue", lambda: _catalogue(store)),
        ("chain", lambda: _chain(store, kept)),
        ("records", lambda: _records(store)),
        ("records", lambda: _events_about(store)),
        ("traces", lambda: _traces(store)),
        ("rows", lambda: contents.rows(store, progress)),
        ("index", lambda: contents.index(store)),
        ("blobs", lambda: contents.blobs(store)),
        ("snapshots", lambda: _snapshots(store)),
        ("words", lambda: contents.words(store)),
        ("keys", lambda: contents.keys(store)),
        ("adapters", lambda: _adapters(store, altered)),
    ]
    try:
        with store.reading():
            for number, (part, check) in enumerate(parts):
                progress(part, number, len(parts))
                found += _tried(part, check)
    except Damaged as error:
        found.append(bad("catalogue", "catalogue.db", str(error)))
    return found


def _tried(part: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; that it cannot be done is a finding too."""
    try:
        yield from check()
    except Conflict:
        raise
    except Damaged as error:
        yield bad(part, part, str(error))
    except Exception as error:  # noqa: BLE001  a damaged file may raise anything; it is recorded
        yield bad(part, part, f"{part} cannot be read: {type(error).__name__}: {str(error)[:300]}")


def _catalogue(store: Store) -> Iterator[Finding]:
    said = store.integrity()
    if said:
        yield bad("catalogue", "catalogue.db", f"the database's pages are damaged: {said}")


def _chain(store: Store, kept: Mapping[str, tuple[int, str] | None]) -> Iterator[Finding]:
    """The chain itself, and the heads of it that others keep."""
    previous, seq = NOTHING, 0
    known: dict[int, str] = dict.fromkeys((head[0] for head in kept.values() if head), "")
    for event, stored in store.chain():
        seq += 1
        if event.seq != seq or event.previous != previous:
            yield bad("chain", f"event {event.seq}", f"event {event.seq} does not follow event {seq - 1}")
        if sha256(canonical(event)) != stored:
            yield bad(
                "chain", f"event {event.seq}", f"event {event.seq} ({event.kind}) was changed after it was written"
            )
        previous, seq = stored, event.seq
        if seq in known:
            known[seq] = stored
    if (seq, previous) != store.head():
        yield bad("chain", "head", f"the chain ends at event {seq}, the head says {store.head()[0]}")
    known[0] = NOTHING
    for keeper, head in kept.items():
        if head and known[head[0]] != head[1]:
            message = f"{keeper} knows event {head[0]} as {head[1][:19]}…; it is gone or changed"
            yield bad("chain", f"event {head[0]}", message)


def _records(store: Store) -> Iterator[Finding]:
    edges, filed = set(), store.filed()
    for name, body in store.bodies():
        if sha256(body.encode()) != name:
            yield bad("records", name, f"record {name[:19]}… was changed after it was written")
            continue
        noun = known(name, body)
        if canonical(noun).decode() != body:
            yield bad("records", name, f"record {name[:19]}… does not read back to its own digest")
        if filed[name] != filing(noun):
            yield bad("records", name, f"record {name[:19]}… is filed under another kind or name than it has")
        edges |= {(name, field, dst) for field, dst in references(noun)}
    for src, field, dst in sorted(edges ^ store.all_edges()):
        yield bad("records", src, f"the reference {field} from {src[:19]}… to {dst[:19]}… is missing or made up")
    for src, field, dst in sorted(edges):
        if dst not in filed:
            yield bad("records", dst, f"record {dst[:19]}… is gone; {src[:19]}… was made from it ({field})")


def _events_about(store: Store) -> Iterator[Finding]:
    """Every record that an event names is there, and every finished run has its report."""
    names = store.filed()
    reported = {report.run for _, report in store.all(RunReport)}
    for event in store.events():
        named = [event.about, *(v for key, v in (event.data or {}).items() if key not in NO_RECORD)]
        for name in named:
            if isinstance(name, str) and DIGEST(name) and name not in names:
                yield bad("records", name, f"record {name[:19]}… is gone; event {event.seq} ({event.kind}) names it")
        if event.kind == "run.finished" and event.about not in reported:
            yield bad("records", event.about, f"the report of run {event.about[:19]}… is gone")


NO_RECORD = frozenset({"root", "inputs", "evidence", "dossier", *contents.EVENT_BLOBS})
"""Members of an event's data that hold a digest of something else."""


def _traces(store: Store) -> Iterator[Finding]:
    """Traces come in batches; each batch has its Merkle root in the chain."""
    names, at = [name for name, _ in store.all(Trace)], 0
    for event in store.events("traces.recorded"):
        batch = names[at : at + event.data["traces"]]
        at += len(batch)
        if digests_root(batch) != event.data["root"]:
            yield bad("traces", event.about, f"the traces of event {event.seq} are no longer those that it covers")
            return
    if at < len(names):
        yield bad("traces", names[at], f"{len(names) - at} traces are in no event of the chain")


def _snapshots(store: Store) -> Iterator[Finding]:
    everything = BitMap64(range(store.committed()))
    for name, snapshot in store.all(Snapshot):
        rows = store.snapshot_rows(snapshot)
        if len(rows) != snapshot.rows or rows - everything or store.root_of(rows, snapshot.root) != snapshot.root:
            yield bad("snapshots", name, f"snapshot {snapshot.name} ({name[:19]}…) no longer has its Merkle root")
    for name, report in store.all(RunReport):
        if report.set and store.get_set(report.set) - everything:
            yield bad("snapshots", name, f"run report {name[:19]}… names rows that are not there")


def _adapters(store: Store, altered: Callable[[Path, str, str, str | None], list[str]] | None) -> Iterator[Finding]:
    if altered is None:
        return
    retired = {event.about for event in store.events("adapter.retired")}
    for name, adapter in store.all(Adapter):
        folder = store.root / adapter.location
        if name in retired or not folder.is_relative_to(store.root):
            continue
        try:
            parts = altered(folder, adapter.weights, adapter.config, adapter.profile)
            what = f"is not the one on record: its {' and '.join(parts)} changed" if parts else None
        except Unmet as error:
            what = f"cannot be read: {error.found}"
        if what:
            yield bad("adapters", name, f"adapter {name[:19]}… in {folder} {what}")
