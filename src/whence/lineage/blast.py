"""Blast radius: from rows to everything that was made of them, by rows, by models that wrote rows, by merging models.

Three ways lead from rows that may not be used to a model, and they are told apart: it was fed such rows or rows made
from them; it was merged from such a model; it was fed rows that such a model wrote, or was distilled from it, which is
*model-mediated*.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from whence.lineage.graph import Graph, count_written, graph_of, held_rows, view
from whence.records import Ref, parse_time
from whence.store import RowSet, Store, row_set


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """How a snapshot, a run or an adapter is reached."""

    rows: int
    """rows in it that may not be used, or were made from such rows"""
    review: int
    """of these, rows of which a person still has to decide"""
    mediated: int
    """further rows in it that a reached model wrote, or that were made from those"""
    through: Mapping[Ref, str] = field(default_factory=dict)
    """what leads here: snapshot → ``fed``, adapter → ``composed``, ``distilled`` or ``wrote``"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blast:
    """What stands downstream of some rows."""

    direct: RowSet
    """the rows that were asked about"""
    derived: RowSet
    """rows made from them, at any depth"""
    review: RowSet
    """of both, those of which a person still has to decide"""
    mediated: RowSet
    """rows that a reached model wrote, and rows made from those"""
    snapshots: Mapping[Ref, Touched]
    runs: Mapping[Ref, Touched]
    """training runs, those that made no adapter included"""
    adapters: Mapping[Ref, Touched]
    releases: Mapping[Ref, Ref]
    """release → its adapter"""
    deployments: Mapping[Ref, Ref]
    """deployment → its release"""
    whole: bool
    """whether everything was looked at, or only what stands behind the deployments that were named"""


def blast_radius(
    store: Store,
    rows: RowSet,
    review: RowSet | None = None,
    *,
    behind: Collection[Ref] | None = None,
    as_of: datetime | None = None,
    known_by: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Blast:
    """Everything that was made of `rows`, and of the rows in `review`, of which a person still has to decide.

    behind: deployments; only what these stand on is looked at. None: the whole record.
    as_of: nothing that was made later counts. known_by: no row that was recorded later; None: as_of.
    progress: called with (adapters looked at, all).
    """
    known, index = graph_of(store), store.index()
    review = row_set([]) if review is None else review
    told = known_by or as_of
    if told is not None:
        there = row_set(range(store.committed(told)))
        rows, review = rows & there, review & there
    certain = rows | index.descendants(rows)
    asked = rows | review
    every = certain | review | index.descendants(review)
    if told is not None:
        every &= there
        certain &= there
    unclear = every - certain
    looked = view(store, known, None if behind is None else frozenset(behind))
    considered, held, served = looked.adapters, looked.snapshots, looked.served
    if as_of is not None:
        considered = [a for a in considered if _made_by(known, a, as_of)]
        mine = {known.made[a].snapshot for a in considered}
        held, served = [s for s in held if s in mine], {r: s for r, s in served.items() if s[1] <= as_of}
    if not every:
        considered, held = [], []
    walk = _Walk(store, known, every, unclear, progress or (lambda done, total: None))
    adapters = walk.reached(considered)
    snapshots = walk.snapshots(held)
    adapters = {a: one for a, one in adapters.items() if a not in known.superseded or a in known.releases}
    runs = {known.made[adapter].run: touched for adapter, touched in adapters.items()}
    for snapshot in snapshots if behind is None and as_of is None else ():
        runs |= dict.fromkeys(known.unfinished.get(snapshot, ()), snapshots[snapshot])
    releases = {ref: adapter for adapter in adapters for ref, _ in known.releases.get(adapter, ())}
    if behind is not None:
        standing = {release for release, _ in served.values()}
        releases = {ref: adapter for ref, adapter in releases.items() if ref in standing}
    return Blast(
        direct=asked,
        derived=every - asked,
        review=unclear,
        mediated=walk.mediated,
        snapshots=snapshots,
        runs=runs,
        adapters=adapters,
        releases=releases,
        deployments={ref: release for ref, (release, _) in served.items() if release in releases},
        whole=behind is None,
    )


class _Walk:
    """Counting rows in sets, each set once: snapshot and adapter are often the same set of rows."""

    def __init__(
        self, store: Store, known: Graph, every: RowSet, unclear: RowSet, progress: Callable[[int, int], None]
    ) -> None:
        self.store, self.known, self.every, self.unclear, self.progress = store, known, every, unclear, progress
        self.writers, self.written, self.overlap = frozenset[Ref](), row_set([]), row_set([])
        """reached models that wrote rows; these, and rows made from them; those of them that are in `every` too"""
        self._rows: dict[str, int] = {}
        self._written: dict[str, int] = {}

    @property
    def mediated(self) -> RowSet:
        """Rows that a reached model wrote, and rows made from those, that are not in `every`."""
        return self.written - self.overlap

    def reached(self, considered: list[Ref]) -> dict[Ref, Touched]:
        """Adapter → how it is reached, until nothing more is. Models that taught each other are walked once."""
        while True:
            found: dict[Ref, Touched] = {}
            grown = True
            while grown:
                grown = False
                for done, adapter in enumerate(considered):
                    self.progress(done, len(considered))
                    if adapter not in found and (touched := self._adapter(adapter, found)):
                        found[adapter] = touched
                        grown = bool(self.known.models)
            writers = self.writers.union(adapter for adapter in self.known.wrote if adapter in found)
            if writers == self.writers:
                return found
            self.writers, self.written = writers, self.known.written_by(writers)
            self.overlap = self.written & self.every
            self._written.clear()

    def snapshots(self, looked: list[Ref]) -> dict[Ref, Touched]:
        """Those of these snapshots that hold any of the rows."""
        found = {}
        for ref in looked:
            blob = self.known.snapshots[ref]
            rows, written = self._count(blob)
            if rows or written:
                found[ref] = Touched(rows=rows, review=self._unclear(blob, rows), mediated=written)
        return found

    def _adapter(self, adapter: Ref, found: Mapping[Ref, Touched]) -> Touched | None:
        known = self.known
        blob, above = known.rows_of(adapter), known.models.get(adapter)
        rows, written = self._count(blob) if blob else (0, 0)
        if not rows and not written and not above:
            return None
        through: dict[Ref, str] = {}
        snapshot = known.made[adapter].snapshot
        if rows and snapshot:
            through[snapshot] = "fed"
        if written and blob:
            wrote = [m for m in known.wrote if m in self.writers and m in found]
            through |= {m: "wrote" for m in wrote if count_written(self.store, known, blob, frozenset((m,)))}
        through |= {model: how for model, how in (above or {}).items() if model in found}
        if not rows and not written and not through:
            return None
        review = self._unclear(blob, rows) if blob else 0
        return Touched(rows=rows, review=review, mediated=written, through=through)

    def _count(self, blob: str) -> tuple[int, int]:
        """(rows of this set that may not be used, rows that a reached model wrote)."""
        rows = self._rows.get(blob)
        if rows is None:
            rows = self._rows[blob] = held_rows(self.store, blob).intersection_cardinality(self.every)
        if not self.writers:
            return rows, 0
        if blob not in self._written:
            both = held_rows(self.store, blob).intersection_cardinality(self.overlap) if self.overlap else 0
            self._written[blob] = count_written(self.store, self.known, blob, self.writers) - both
        return rows, self._written[blob]

    def _unclear(self, blob: str, rows: int) -> int:
        """Rows of this set of which a person has to decide."""
        return held_rows(self.store, blob).intersection_cardinality(self.unclear) if rows and self.unclear else 0


def _made_by(known: Graph, adapter: Ref, as_of: datetime) -> bool:
    """Whether an adapter was there by then; one of which nobody says when it was made counts."""
    at = known.made[adapter].made_at
    return at is None or parse_time(at) <= as_of
