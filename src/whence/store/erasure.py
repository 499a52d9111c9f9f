"""Erasing: content is taken out of a store for good. Ids, lineage and counts stay.

What goes is fixed by an event, ``erasure.begun``; then rows are rewritten without it, keys are destroyed, words
overwritten, blobs removed; ``erasure.done`` comes last. What a process that is killed in between leaves, the next
writer goes on with, whatever it came for: each part does nothing the second time.

The key under which a row's digests were made goes with its last row. One that serves rows that stay is replaced: they
get digests under a new key and keep their ids, which then follow from nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap64

from whence.records import Event, Json, keyed
from whence.store.columns import U64
from whence.store.marks import Runs, marks
from whence.store.sets import row_set, to_array
from whence.store.store import Store

Progress = Callable[[str, int, int], None]
STAGED = "next:"
"""Before the name of a key: the one that takes its place while an erasure is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What the erasures of a store took away, as its chain has it."""

    rows: BitMap64
    """their content"""
    under_way: BitMap64
    """of these, rows of an erasure that is not done yet"""
    renewed: BitMap64
    """rows whose digests were made again under another key; their ids do not follow from it"""
    words: frozenset[str]
    """digests of words"""
    blobs: frozenset[str]
    """names"""
    unfinished: tuple[Event, ...]
    """``erasure.begun`` without its end"""


def erased(store: Store) -> Erased:
    """All that was ever to be erased."""
    return store.memo("erasures", lambda: _erased(store), "erasure.*")


def _erased(store: Store) -> Erased:
    rows, under_way, renewed, words, blobs = BitMap64(), BitMap64(), BitMap64(), set[str](), set[str]()
    done = {event.data["begun"] for event in store.events("erasure.done")}
    unfinished = []
    for event in store.events("erasure.begun"):
        mine = store.get_set(event.data["set"])
        rows |= mine
        renewed |= store.get_set(event.data["renewed"])
        for kind, name, _ in store.get_lines(event.data["table"]):
            (words if kind == "words" else blobs if kind == "blob" else set[str]()).add(name)
        if event.seq not in done:
            unfinished.append(event)
            under_way |= mine
    return Erased(
        rows=rows,
        under_way=under_way,
        renewed=renewed,
        words=frozenset(words),
        blobs=frozenset(blobs),
        unfinished=tuple(unfinished),
    )


def erase(
    store: Store,
    about: str,
    rows: BitMap64,
    words: Collection[str] = (),
    blobs: Mapping[str, str] | None = None,
    progress: Progress = lambda *_: None,
) -> Event:
    """Erase the content of these rows, words by their digests, and blobs; blob → the one that takes its place, or "".

    about: what it is done for, in the chain. Returns the event ``erasure.done``. Raises BackendFailed where the disk
    is full; the next writer goes on.
    """
    with store.writer("erase"):
        rows = rows - erased(store).rows
        keys, renewed = _keys(store, rows)
        store.keys.need(keys)
        table: list[Json] = [["key", name, stays] for name, stays in sorted(keys.items())]
        table += [["words", name, ""] for name in sorted(store.noted(words))]
        table += [["blob", name, now] for name, now in sorted((blobs or {}).items())]
        plan = {"set": store.put_set(rows), "renewed": store.put_set(renewed), "table": store.put_lines(table)}
        begun = store.append("erasure.begun", about, plan | {"rows": len(rows)})
        return _carry_out(store, begun, progress)


def finish(store: Store, progress: Progress = lambda *_: None) -> list[Event]:
    """Go on with every erasure that a killed process left; the events ``erasure.done``. Needs the writer's lock."""
    if not store.events("erasure.begun", last=True):
        return []
    return [_carry_out(store, begun, progress) for begun in erased(store).unfinished]


def _keys(store: Store, rows: BitMap64) -> tuple[dict[str, bool], BitMap64]:
    """(name of each key that these rows' digests were made under → whether other rows need it, those other rows)."""
    under: dict[str, BitMap64] = {}
    sets = store.index().sets
    for name in _names(store, rows):
        kind, _, who = name.partition(":")
        held = [
            row_set(batch["ord"].filter(_under(kind, batch)).to_numpy(zero_copy_only=False))
            for batch in store.scan(["ord", "subject", "content_digest"], sets[kind].get(who))
        ]
        under[name] = BitMap64().union(*held) - rows
    return {name: bool(stay) for name, stay in under.items()}, BitMap64().union(*under.values())


def _names(store: Store, rows: BitMap64) -> set[str]:
    names = set[str]()
    for batch in store.scan(["source", "subject"], rows):
        for source, subject in zip(batch["source"].to_pylist(), batch["subject"].to_pylist(), strict=True):
            names.add(key_name(source, subject))
    return names


class Renewed:
    """Rows of one source whose ids were made under a key that is gone: found by their record and content digest."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        rows = store.index().sets["source"].get(source) & erased(store).renewed
        self._runs = Runs(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
        for batch in store.scan(["ord", "record", "content_digest"], rows) if rows else ():
            there = batch.filter(pc.is_valid(batch["content_digest"]))
            found = _marks(there["record"].to_pylist(), there["content_digest"].to_pylist())
            self._runs.add(found, there["ord"].to_numpy(zero_copy_only=False))

    def find(self, records: Sequence[str], digests: Sequence[bytes]) -> dict[tuple[str, bytes], int]:
        """(record, content digest) → ordinal of those that are there."""
        at = self._runs.find(_marks(records, digests)) if records else np.zeros(0, np.uint64)
        table = self._store.rows.at(["ord", "record", "content_digest"], at)
        columns = (table[name].to_pylist() for name in ("record", "content_digest", "ord"))
        return {(record, digest): ordinal for record, digest, ordinal in zip(*columns, strict=True)}


def _marks(records: Sequence[str], digests: Sequence[bytes]) -> U64:
    return marks(pa.array(records, pa.string()), pa.array([digest.hex() for digest in digests], pa.string()))


def key_name(source: str, subject: str | None) -> str:
    """The name of the key under which such a row's digests are made."""
    return f"subject:{subject}" if subject else f"source:{source}"


def _under(kind: str, batch: pa.RecordBatch) -> pa.Array:
    there = pc.is_valid(batch["content_digest"])
    return there if kind == "subject" else pc.and_(there, pc.is_null(batch["subject"]))


def _carry_out(store: Store, begun: Event, progress: Progress) -> Event:
    rows, renewed = store.get_set(begun.data["set"]), store.get_set(begun.data["renewed"])
    table = store.get_lines(begun.data["table"])
    staged = {name: STAGED + name for kind, name, stays in table if kind == "key" and stays}
    if any(kind == "key" for kind, _, _ in table):
        store.keys.need_file()
    if _left(store, rows):
        for name in staged.values():
            store.keys.get(name)
        store.keys.save()
        change = partial(_blanked, store=store, rows=rows, renewed=renewed)
        store.rows.rewrite(rows | renewed, change, partial(progress, "rows"))
    store.rows.forget_versions()
    store.keys.renew(staged)
    store.keys.destroy([name for kind, name, stays in table if kind == "key" and not stays])
    words = [name for kind, name, _ in table if kind == "words"]
    places = store.places_of(words)
    for kind in sorted({kind for kind, _ in places.values()}):
        store.journal(kind).blank(entry for k, entry in places.values() if k == kind)
    store.forget_words(words)
    blobs = [(name, now) for kind, name, now in table if kind == "blob"]
    for done, (name, now) in enumerate(blobs):
        progress("blobs", done, len(blobs))
        store.blobs.erase(name, now)
    store.blobs.sweep()
    for kind in store.journals():
        store.journal(kind).blank_torn()
    facts = {"begun": begun.seq, "rows": len(rows), "words": len(words), "blobs": len(blobs), "others": len(renewed)}
    return store.append("erasure.done", begun.about, facts)


def _left(store: Store, rows: BitMap64) -> bool:
    """Whether any of these rows still has content: they are rewritten all at once."""
    first = row_set(to_array(rows)[:1])
    return any(pc.any(pc.is_valid(batch["content_digest"])).as_py() for batch in store.scan(["content_digest"], first))


def _blanked(batch: pa.RecordBatch, store: Store, rows: BitMap64, renewed: BitMap64) -> pa.RecordBatch:
    """The batch without the content of `rows`, and with digests of `renewed` under the keys to come, in new buffers."""
    ordinals = batch["ord"].to_numpy(zero_copy_only=False)
    gone = np.fromiter((o in rows for o in ordinals.tolist()), bool, len(ordinals))
    contents = pa.array([None if out else text.as_py() for text, out in zip(batch["content"], gone, strict=True)],
                        pa.large_string())  # fmt: skip
    digests = [None if out else value for value, out in zip(batch["content_digest"].to_pylist(), gone, strict=True)]
    for at in np.flatnonzero([o in renewed for o in ordinals.tolist()]):
        key = store.keys.get(STAGED + key_name(batch["source"][at].as_py(), batch["subject"][at].as_py()))
        digests[at] = keyed(key, contents[at].as_py().encode())
    fresh = {"content": contents, "content_digest": pa.array(digests, pa.binary(32))}
    return pa.RecordBatch.from_arrays(
        [fresh.get(name, batch[name]) for name in batch.schema.names], schema=batch.schema
    )
