"""Blast radius: from rows to everything that was made of them, by rows, by models that wrote rows, by merging models.

Three ways lead from rows that may not be used to a model, and they are told apart: it was fed such rows or rows made
from them; it was merged from such a model; it was fed rows that such a model wrote, or was distilled from it, which is
*model-mediated*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from whence.lineage.graph import Graph, fed_rows, graph_of, held_rows, view
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

    @property
    def only_mediated(self) -> bool:
        """Whether it is reached by way of models alone."""
        return not self.rows and "composed" not in self.through.values()


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
) -> Blast:
    """Everything that was made of `rows`, and of the rows in `review`, of which a person still has to decide.

    behind: deployments; only what these stand on is looked at. None: the whole record.
    as_of: nothing that was made later counts.
    """
    known, index = graph_of(store), store.index()
    review = row_set([]) if review is None else review
    if as_of is not None:
        there = row_set(range(store.committed(as_of)))
        rows, review = rows & there, review & there
    certain = rows | index.descendants(rows)
    asked = rows | review
    every = certain | review | index.descendants(review)
    if as_of is not None:
        every &= there
        certain &= there
    unclear = every - certain
    looked = view(store, known, None if behind is None else frozenset(behind))
    considered, held, served = looked.adapters, looked.snapshots, looked.served
    if as_of is not None:
        considered = [a for a in considered if _made_by(known, a, as_of)]
        mine = {known.made[a].snapshot for a in considered}
        held, served = [s for s in held if s in mine], {r: s for r, s in served.items() if s[1] <= as_of}
    adapters, mediated = _reached(store, known, considered, every, unclear)
    snapshots = _snapshots(store, known, held, every, unclear, mediated)
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
        mediated=mediated,
        snapshots=snapshots,
        runs=runs,
        adapters=adapters,
        releases=releases,
        deployments={ref: release for ref, (release, _) in served.items() if release in releases},
        whole=behind is None,
    )


def _reached(
    store: Store, known: Graph, considered: list[Ref], every: RowSet, unclear: RowSet
) -> tuple[dict[Ref, Touched], RowSet]:
    """(adapter → how it is reached, rows that reached adapters wrote), until nothing more is reached. Models that
    taught each other are walked once."""
    mediated, writers = row_set([]), set[Ref]()
    while True:
        found: dict[Ref, Touched] = {}
        grown = True
        while grown:
            grown = False
            for adapter in considered:
                if adapter not in found and (
                    touched := _touched(store, known, adapter, found, every, unclear, mediated)
                ):
                    found[adapter] = touched
                    grown = bool(known.models)
        new = [adapter for adapter in found if adapter in known.wrote and adapter not in writers]
        if not new:
            return found, mediated
        writers.update(new)
        mediated = row_set([]).union(mediated, *(known.wrote[adapter] for adapter in new)) - every


def _touched(
    store: Store,
    known: Graph,
    adapter: Ref,
    found: Mapping[Ref, Touched],
    every: RowSet,
    unclear: RowSet,
    mediated: RowSet,
) -> Touched | None:
    fed, through = fed_rows(store, known, adapter), dict[Ref, str]()
    rows = fed.intersection_cardinality(every) if fed is not None else 0
    written = fed.intersection_cardinality(mediated) if fed is not None and mediated else 0
    snapshot = known.made[adapter].snapshot
    if rows and snapshot:
        through[snapshot] = "fed"
    if written and fed is not None:
        through |= {model: "wrote" for model in found if model in known.wrote and fed.intersect(known.wrote[model])}
    through |= {model: how for model, how in known.models.get(adapter, {}).items() if model in found}
    if not rows and not written and not through:
        return None
    review = fed.intersection_cardinality(unclear) if rows and unclear and fed is not None else 0
    return Touched(rows=rows, review=review, mediated=written, through=through)


def _snapshots(
    store: Store, known: Graph, looked: list[Ref], every: RowSet, unclear: RowSet, mediated: RowSet
) -> dict[Ref, Touched]:
    """Those of these snapshots that hold any of these rows."""
    found = {}
    for ref in looked:
        held = held_rows(store, known.snapshots[ref])
        rows = held.intersection_cardinality(every)
        written = held.intersection_cardinality(mediated) if mediated else 0
        if rows or written:
            review = held.intersection_cardinality(unclear) if unclear else 0
            found[ref] = Touched(rows=rows, review=review, mediated=written)
    return found


def _made_by(known: Graph, adapter: Ref, as_of: datetime) -> bool:
    """Whether an adapter was there by then; one of which nobody says when it was made counts."""
    at = known.made[adapter].made_at
    return at is None or parse_time(at) <= as_of
