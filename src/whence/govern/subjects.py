"""Whom rows are about: by their tag, and by what they are called in texts. See docs/subjects.md.

A match of a strong identifier counts at once. It waits for a person where the identifier is weak, where several people
have it, or where it stands in rows about so many others that it cannot mean one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whence.govern.identifiers import kept
from whence.records import Event, Unmet
from whence.store import PackedSets, RowSet, Store, row_set, to_array

OTHERS = 3
"""people; a strong identifier in rows tagged with as many others waits for a person. In a row about somebody else, one
other is a relative or a colleague; three who share it are a shop, a switchboard, a form."""
EVENTS = ("subject.identified", "mentions.found", "mentions.reviewed")
WAITING = "/waiting"
Why = Literal["weak", "shared", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row that may name somebody, and waits for a person to say so."""

    subject: str
    """pseudonym"""
    row: int
    """ordinal"""
    kinds: tuple[str, ...]
    """of the identifiers that it holds"""
    why: tuple[Why, ...]
    """weak: it may mean others; shared: several people have it; spread: it stands in rows about many others"""


class Mentions:
    """Which rows name whom, as it was known at a time; now, from what is kept beside the index."""

    def __init__(self, store: Store, as_of: datetime | None = None) -> None:
        self._store, self._as_of = store, as_of
        self._committed = store.committed() if as_of is None else _committed(store, as_of)
        self._tags = store.index().sets["subject"]
        self._sets = _kept_sets(store) if as_of is None else _sets(store, as_of)

    def tagged(self, subject: str) -> RowSet:
        """Rows that are tagged with this pseudonym."""
        return self.until(self._tags.get(subject))

    def until(self, rows: RowSet) -> RowSet:
        """Those of these rows that were there at that time."""
        return rows if self._as_of is None or not rows else rows - RowSet(range(self._committed, rows.max() + 1))

    def named(self, subject: str) -> RowSet:
        """Rows that name them and are not tagged: strong matches that nobody refused, and accepted ones."""
        return self._sets.get(subject)

    def waiting(self, subject: str) -> RowSet:
        """Rows that may name them, and wait for a person."""
        return self._sets.get(subject + WAITING)

    def people(self) -> set[str]:
        """Pseudonyms of all whom a row names, or may name."""
        return {name.removesuffix(WAITING) for name in self._sets.names()}

    def rows(self, subject: str) -> RowSet:
        """Rows that are about them, by tag or by what they are called."""
        return self.tagged(subject) | self.named(subject)

    def rows_of(self, subjects: Iterable[str]) -> RowSet:
        """Rows that are about any of them."""
        names = list(subjects)
        return self.until(self._tags.union(names)) | self._sets.union(names)


def _committed(store: Store, as_of: datetime) -> int:
    last = store.events("rows.appended", as_of=as_of)
    return int(last[-1].data["first"] + last[-1].data["rows"]) if last else 0


def _kept_sets(store: Store) -> PackedSets:
    """The sets of now, from their shelf where nothing happened since."""
    mark = [event[0].seq if event else 0 for event in (store.events(kind, last=True) for kind in EVENTS)]
    if not any(mark[1:]):
        return PackedSets.empty()
    shelf = store.set_shelf("mentions")
    known, sets = shelf.read()
    if known != mark:
        sets = _sets(store, None)
        shelf.write(mark, sets)
    return sets


def _sets(store: Store, as_of: datetime | None) -> PackedSets:
    """Pseudonym → rows that name them, and with ``/waiting`` those that wait."""
    found = _Found(store, as_of)
    sure = found.by_subject(found.why == 0)
    all_, decided = found.by_subject(found.why >= 0), _decisions(store, as_of)
    sets: dict[str, RowSet] = {}
    for subject, rows in all_.items():
        accepted, refused = decided.get(subject, (row_set([]), row_set([])))
        sets[subject] = (sure.get(subject, row_set([])) | accepted) - refused
        sets[subject + WAITING] = rows - sets[subject] - refused
    return PackedSets.of({name: rows for name, rows in sets.items() if rows})


class _Found:
    """All mentions that were found, and for each why it waits: 0 it does not, else a place in `REASONS`."""

    REASONS: tuple[Why, ...] = ("weak", "shared", "spread")

    def __init__(self, store: Store, as_of: datetime | None) -> None:
        events = [e for e in store.events("mentions.found", as_of=as_of) if "table" in e.data]
        tables = [store.get_table(event.data["table"]) for event in events]
        self.table = pa.concat_tables(tables).unify_dictionaries().combine_chunks() if tables else None
        self.why: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        if self.table is not None:
            self.ordinals = self.table["ordinal"].to_numpy()
            self.which = self.table["said"].to_numpy() << np.uint64(32) | self.table["at"].to_numpy()
            self.people = self._column("subject")
            self.why = self._whys(store, as_of)

    def _column(self, name: str) -> pa.DictionaryArray:
        assert self.table is not None
        return self.table[name].chunk(0)

    def _whys(self, store: Store, as_of: datetime | None) -> npt.NDArray[np.int64]:
        strength = self._column("strength")
        weak = np.array([text != "strong" for text in strength.dictionary.to_pylist()])[strength.indices.to_numpy()]
        shared = np.isin(self.which, _shared(store, as_of))
        spread = np.zeros(len(weak), bool)
        spread[~weak] = np.isin(self.which[~weak], self._spread(store, ~weak))
        return np.where(weak, 1, np.where(shared, 2, np.where(spread, 3, 0)))

    def _spread(self, store: Store, strong: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
        """Identifiers that stand in rows tagged with many others; rows about whom they name are not among these."""
        rows = np.unique(self.ordinals[strong])
        tags = np.full(len(rows), -1, np.int64)
        known: dict[str, int] = {}
        for chunk in store.scan(["subject"], row_set(rows)):
            codes = [-1 if tag is None else known.setdefault(tag, len(known)) for tag in chunk["subject"].to_pylist()]
            tags[np.searchsorted(rows, chunk["ord"].to_numpy())] = codes
        tag = tags[np.searchsorted(rows, self.ordinals[strong])]
        which = self.which[strong][tag >= 0]
        pairs = np.unique(np.stack([which, tag[tag >= 0].astype(np.uint64)], axis=1), axis=0)
        names, others = np.unique(pairs[:, 0], return_counts=True)
        return names[others >= OTHERS]

    def by_subject(self, where: npt.NDArray[np.bool_]) -> dict[str, RowSet]:
        """Pseudonym → rows, of these mentions."""
        if self.table is None or not where.any():
            return {}
        codes, ordinals = self.people.indices.to_numpy()[where], self.ordinals[where]
        order = np.argsort(codes, kind="stable")
        found, starts = np.unique(codes[order], return_index=True)
        parts = np.split(ordinals[order], starts[1:])
        return {self.people.dictionary[int(c)].as_py(): row_set(part) for c, part in zip(found, parts, strict=True)}

    def entries(self) -> Iterator[tuple[str, int, str, Why | None]]:
        """(pseudonym, row, kind, why it waits) of each mention."""
        if self.table is not None:
            columns = (
                self.people.to_pylist(),
                self.ordinals.tolist(),
                self.table["kind"].to_pylist(),
                self.why.tolist(),
            )
            for subject, row, kind, why in zip(*columns, strict=True):
                yield subject, row, kind, self.REASONS[why - 1] if why else None


def _shared(store: Store, as_of: datetime | None) -> npt.NDArray[np.uint64]:
    """Identifiers that several people have."""
    holders: dict[bytes, list[Any]] = {}
    for one in kept(store, as_of):
        holders.setdefault(one.mark.whole, []).append(one)
    several = [held for held in holders.values() if len({one.subject for one in held}) > 1]
    return np.array([one.said << 32 | one.at for held in several for one in held], np.uint64)


# -- what waits for a person -----------------------------------------------------------------------------------------


def waiting(store: Store, subject: str | None = None) -> list[Waiting]:
    """Rows that wait for a person, by pseudonym and row."""
    known = Mentions(store)
    found: dict[tuple[str, int], tuple[set[str], set[Why]]] = {}
    for name, row, kind, why in _Found(store, None).entries():
        if why and subject in (None, name):
            kinds, whys = found.setdefault((name, row), (set(), set()))
            kinds.add(kind)
            whys.add(why)
    open_ = {name: known.waiting(name) for name in {name for name, _ in found}}
    return [
        Waiting(subject=name, row=row, kinds=tuple(sorted(kinds)), why=tuple(sorted(whys)))
        for (name, row), (kinds, whys) in sorted(found.items())
        if row in open_[name]
    ]


def decide(
    store: Store, subject: str, what: Literal["accept", "refuse"], rows: Iterable[int] | None = None
) -> tuple[Event, RowSet]:
    """Accept or refuse that rows name somebody; a person decides it. rows: None: all that wait. What was decided before
    can be decided again, and a strong match can be refused. Returns (the event, the rows). Raises Unmet."""
    store.person()
    known = Mentions(store)
    chosen = known.waiting(subject) if rows is None else row_set(rows)
    if not chosen:
        raise Unmet(f"no row waits for {subject}", "rows that may name them", "look: whence rights review")
    found = _Found(store, None)
    strangers = chosen - found.by_subject(found.why >= 0).get(subject, row_set([]))
    if tagged := strangers & known.tagged(subject):
        which = f"{_listed(store, tagged)}: tagged with {subject}, whatever the text says"
        do = "leave out what is tagged; whence rights withdraw ends the right to a row"
        raise Unmet(which, "rows that name them without a tag", do)
    if strangers:
        which = f"{_listed(store, strangers)}: nothing that {subject} is known to be called stands there"
        raise Unmet(which, "rows that may name them", "name others: whence rights review")
    facts = {"said": what, "rows": len(chosen), "set": store.put_set(chosen)}
    return store.append("mentions.reviewed", f"subject:{subject}", facts), chosen


def _listed(store: Store, rows: RowSet) -> str:
    """The first of these rows, as SOURCE:RECORD; by id where records are only counted."""
    first = [store.row(ordinal) for ordinal in to_array(rows)[:3].tolist()]
    more = [f"{len(rows) - len(first):,} more"] if len(rows) > len(first) else []
    return ", ".join([row.id if row.record.startswith("#") else f"{row.source}:{row.record}" for row in first] + more)


def _decisions(store: Store, as_of: datetime | None) -> dict[str, tuple[RowSet, RowSet]]:
    """Pseudonym → (accepted, refused) rows; the last decision about a row counts."""
    found: dict[str, tuple[RowSet, RowSet]] = {}
    for event in store.events("mentions.reviewed", as_of=as_of):
        rows, subject = store.get_set(event.data["set"]), event.about.removeprefix("subject:")
        accepted, refused = found.get(subject, (row_set([]), row_set([])))
        yes = event.data["said"] == "accept"
        found[subject] = (accepted | rows, refused - rows) if yes else (accepted - rows, refused | rows)
    return found
