"""What differs between two snapshots, or between one and all rows that it was made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from whence.data.near import said
from whence.data.removal import given
from whence.data.survival import rules_of, slices
from whence.records import Ref, Snapshot, Step
from whence.store import RowSet, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A slice in both."""

    slice: str
    """``field=value``; ``answer=…`` of rows whose answer is a label; ``*`` all rows"""
    before: float
    """rows, each by its weight"""
    after: float
    """rows, each by its weight"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row that went or was lowered, and the one that stands for it."""

    row: str
    """`SOURCE:RECORD`"""
    because: str
    """`SOURCE:RECORD`"""
    step: str
    """that decided it"""
    jaccard: float | None
    """how alike their word 3-grams are, where that was the reason"""
    weight: float
    """0 for a row that went"""
    words: str | None = field(default=None, repr=False)
    """both texts in one, what only the row has as ``[-…-]``, what only the other has as ``{+…+}``: content"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Of two sets of rows."""

    before: Ref | None
    """a snapshot; None: all rows that `after` was made from"""
    after: Ref
    """a snapshot"""
    gone: int
    """rows of the first that the second lacks"""
    came: int
    """rows of the second that the first lacks"""
    lowered: int
    """rows of both that weigh less in the second"""
    slices: tuple[Change, ...]
    """all rows first, then the slices that changed, the greatest loss first"""
    examples: tuple[Example, ...]
    """of each step that decided by likeness, its least alike first"""


def difference(store: Store, before: Ref | None, after: Ref, examples: int = 3, words: bool = False) -> Difference:
    """before: None for all rows that `after` was made from. examples: of each step. words: with their texts."""
    new = store.get(after, Snapshot)
    old = store.get(before, Snapshot) if before else None
    rows, was = store.snapshot_rows(new), store.snapshot_rows(old) if old else _given(store, new)
    light, before_light = store.get_weights(new.lowered), store.get_weights(old.lowered if old else None)
    counts: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for ordinal, names in slices(store, rows | was, rules_of(store, new)):
        sides = (was, before_light), (rows, light)
        both = [lighter.get(ordinal, 1.0) if ordinal in of else 0.0 for of, lighter in sides]
        for name in ("*", *names):
            counts[name] = [a + b for a, b in zip(counts[name], both, strict=True)]
    changes = [Change(slice=name, before=a, after=b) for name, (a, b) in counts.items() if a != b or name == "*"]
    changes.sort(key=lambda one: (one.slice != "*", one.after / one.before if one.before else 2.0, one.slice))
    return Difference(
        before=before,
        after=after,
        gone=len(was - rows),
        came=len(rows - was),
        lowered=sum(light.get(o, 1.0) < before_light.get(o, 1.0) for o in (*light, *before_light) if o in rows & was),
        slices=tuple(changes),
        examples=tuple(_examples(store, new, was, examples, words)),
    )


def _given(store: Store, snapshot: Snapshot) -> RowSet:
    """All rows that a snapshot's steps were given."""
    return next((rows for step, rows in reversed([*given(store, snapshot)])), store.snapshot_rows(snapshot))


def _examples(store: Store, snapshot: Snapshot, was: RowSet, most: int, words: bool) -> Iterator[Example]:
    for ref in snapshot.steps:
        step = store.get(ref, Step)
        for blob in (step.removed, step.lowered):
            table = store.get_table(blob) if blob else None
            if table is None or "jaccard" not in table.column_names:
                continue
            found = sorted((one for one in table.to_pylist() if one["ordinal"] in was), key=lambda one: one["jaccard"])
            for one in found[:most]:
                row, other = store.row(one["ordinal"]), store.row(one["because"])
                yield Example(
                    row=f"{row.source}:{row.record}",
                    because=f"{other.source}:{other.record}",
                    step=step.name,
                    jaccard=one["jaccard"],
                    weight=one.get("weight", 0.0),
                    words=marked(said(row.content).split(), said(other.content).split()) if words else None,
                )


def marked(row: Sequence[str], other: Sequence[str]) -> str:
    """Two lists of words in one line: ``[-only the row's-] {+only the other's+}``."""
    out = []
    for kind, a, b, c, d in SequenceMatcher(a=row, b=other, autojunk=False).get_opcodes():
        if kind == "equal":
            out.append(" ".join(row[a:b]))
            continue
        out += [f"[-{' '.join(row[a:b])}-]"] * (a < b) + [f"{{+{' '.join(other[c:d])}+}}"] * (c < d)
    return " ".join(out)
