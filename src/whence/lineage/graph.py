"""What was made of what, in memory: adapters with what they were fed, what was merged or distilled from them, what they
wrote, and the releases and deployments that stand on them. Read in bulk, and again when the record has grown."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime

from whence.lineage.registry import Made, registry, releases_of, superseded
from whence.records import Closure, Deployment, Json, Ref, Run, RunReport, Snapshot, parse_time
from whence.store import RowSet, Store, row_set

GROWS_BY = ("alias.*", "adapter.*", "rows.*")
"""Events that change the graph; signs of life of deployments do not."""

HELD_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
"""As much of row sets stays in memory between questions, as they are on disk: half of what the machine has. What comes
later is read each time: a question goes through all of them, and whatever made room for the next would be missed
first."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Named things and what leads from one to the next, each oldest first."""

    made: dict[Ref, Made]
    """adapter → what it was made from"""
    fed: dict[Ref, str | None]
    """adapter → blob of the rows that it was really fed; None: nobody counted, those of its snapshot"""
    models: dict[Ref, dict[Ref, str]]
    """adapter → the adapters it was ``composed`` of or ``distilled`` from"""
    wrote: dict[Ref, RowSet]
    """adapter → rows that name it as their generator, and rows made from those"""
    snapshots: dict[Ref, str]
    """snapshot → blob of its rows"""
    called: dict[Ref, str]
    """snapshot → its name, run → its activity, deployment → its endpoint"""
    unfinished: dict[Ref, list[Ref]]
    """snapshot → training runs on it that made no adapter"""
    releases: dict[Ref, list[tuple[Ref, str]]]
    """adapter → (release, name)"""
    deployments: dict[Ref, list[tuple[Ref, datetime]]]
    """release → (deployment, since when)"""
    superseded: set[str]
    """adapters of which a later adoption told more"""
    views: dict[frozenset[Ref] | None, View]
    """deployments → what they stand on, once it was asked for"""
    taught: dict[tuple[str, frozenset[Ref]], int]
    """(blob of rows, adapters) → how many of the rows these wrote, once it was asked for"""

    def dark(self, adapter: Ref) -> bool:
        """Whether nobody knows what rows an adapter was made from: neither its own nor those of its parents."""
        if adapter not in self.made:
            return True
        parents = self.models.get(adapter, {})
        return not self.rows_of(adapter) and (not parents or any(map(self.dark, parents)))

    def written_by(self, adapters: frozenset[Ref]) -> RowSet:
        """Rows that any of these wrote, and rows made from those."""
        return row_set([]).union(*(self.wrote[adapter] for adapter in adapters))

    def rows_of(self, adapter: Ref) -> str | None:
        """Blob of the rows that an adapter was fed; its snapshot's where nobody counted, None where nobody knows."""
        return self.fed[adapter] or self.snapshots.get(self.made[adapter].snapshot or Ref(""))


@dataclass(frozen=True, slots=True)
class View:
    """What some deployments stand on, or everything."""

    adapters: list[Ref]
    """oldest first"""
    snapshots: list[Ref]
    """that these were trained on; of everything, all"""
    served: dict[Ref, tuple[Ref, datetime]]
    """deployment → (release, since when)"""
    dark: tuple[str, ...]
    """names of the releases that these deploy and of which nobody knows from which rows they were made"""


def view(store: Store, known: Graph, behind: frozenset[Ref] | None) -> View:
    """What these deployments stand on; everything for None."""
    if behind not in known.views:
        served = {
            ref: (release, since)
            for release, mine in known.deployments.items()
            for ref, since in mine
            if behind is None or ref in behind
        }
        if behind is None:
            adapters, snapshots = list(known.made), list(known.snapshots)
        else:
            adapters = _standing_on(store, known, {release for release, _ in served.values()})
            mine = {known.made[adapter].snapshot for adapter in adapters}
            snapshots = [ref for ref in known.snapshots if ref in mine]
        deployed = {release for release, _ in served.values()}
        named = (name for a, mine in known.releases.items() for ref, name in mine if ref in deployed and known.dark(a))
        known.views[behind] = View(adapters, snapshots, served, tuple(sorted(named)))
    return known.views[behind]


def _standing_on(store: Store, known: Graph, releases: set[Ref]) -> list[Ref]:
    """The adapters of these releases, and the models that these were merged or distilled from or whose rows they were
    fed, oldest first."""
    frontier = {a for a, mine in known.releases.items() if a in known.made and any(r in releases for r, _ in mine)}
    found = set(frontier)
    while frontier:
        above: set[Ref] = set()
        for adapter in frontier:
            above |= known.models.get(adapter, {}).keys()
            if blob := known.rows_of(adapter):
                above |= {one for one in known.wrote if count_written(store, known, blob, frozenset((one,)))}
        frontier = above - found
        found |= frontier
    return [adapter for adapter in known.made if adapter in found]


def dark(store: Store, deployments: frozenset[Ref]) -> tuple[str, ...]:
    """Names of the releases that these deploy and of which nobody knows from which rows they were made."""
    return view(store, graph_of(store), deployments).dark if deployments else ()


def count_written(store: Store, known: Graph, blob: str, adapters: frozenset[Ref]) -> int:
    """How many rows of a set these adapters wrote, rows made from those included; counted once."""
    key = (blob, adapters)
    if key not in known.taught:
        known.taught[key] = held_rows(store, blob).intersection_cardinality(known.written_by(adapters))
    return known.taught[key]


def graph_of(store: Store) -> Graph:
    """The graph as of now; made once as long as nothing is added to the record."""
    return store.memo("lineage.graph", lambda: _read(store), *GROWS_BY)


def held_rows(store: Store, blob: str) -> RowSet:
    """A row set from its blob, which nobody may change; kept in memory while there is room."""
    kept: dict[str, tuple[RowSet, int]] = store.kept("lineage.sets", dict)
    held = kept.get(blob)
    if held is None:
        data = store.blobs.get(blob)
        held = RowSet.deserialize(data), len(data)
        if sum(size for _, size in kept.values()) + len(data) <= HELD_BYTES:
            kept[blob] = held
    return held[0]


def _read(store: Store) -> Graph:
    made = {one.adapter: one for one in registry(store, whole=True)}
    sets = {run: blob for _, run, blob in store.fields(RunReport, "run", "set")}
    parents = {row[0]: (_refs(row[1]), _refs(row[2])) for row in store.fields(Closure, "composed_of", "teachers")}
    closures = store.upstream(made) if any(any(both) for both in parents.values()) else []
    models: dict[Ref, dict[Ref, str]] = {}
    for adapter, field, closure in closures:
        if field == "closure" and adapter in made:
            merged, taught = parents.get(closure, ((), ()))
            models[adapter] = {**dict.fromkeys(taught, "distilled"), **dict.fromkeys(merged, "composed")}
    releases = releases_of(store)
    deployments: dict[Ref, list[tuple[Ref, datetime]]] = {}
    called: dict[Ref, str] = dict(store.fields(Run, "activity"))
    for ref, release, since, endpoint in store.fields(Deployment, "release", "started_at", "endpoint"):
        called[ref] = endpoint
        deployments.setdefault(release, []).append((ref, parse_time(since)))
    snapshots: dict[Ref, str] = {}
    for ref, name, blob in store.fields(Snapshot, "name", "set"):
        snapshots[ref], called[ref] = blob, name
    return Graph(
        made=made,
        fed={adapter: sets.get(one.run) for adapter, one in made.items()},
        models=models,
        wrote=_wrote(store, made, releases),
        snapshots=snapshots,
        called=called,
        unfinished=_unfinished(store, made, snapshots),
        releases=releases,
        deployments=deployments,
        superseded=superseded(store),
        views={},
        taught={},
    )


def _unfinished(store: Store, made: dict[Ref, Made], snapshots: dict[Ref, str]) -> dict[Ref, list[Ref]]:
    finished = {one.run for one in made.values()}
    lost = {ref for ref, what in store.fields(Run, "activity") if what == "train" and ref not in finished}
    found: dict[Ref, list[Ref]] = {}
    for run, field, used in store.upstream(lost) if lost else ():
        if field == "used" and used in snapshots:
            found.setdefault(used, []).append(run)
    return found


def _wrote(store: Store, made: dict[Ref, Made], releases: dict[Ref, list[tuple[Ref, str]]]) -> dict[Ref, RowSet]:
    """A generator is an adapter where it is named by its digest, or by the digest, name or alias of a release. An alias
    means every release that it ever pointed to."""
    index = store.index()
    written = index.sets["generator"]
    if not len(written) or not made:
        return {}
    called: dict[str, set[Ref]] = {adapter: {adapter} for adapter in made}
    owner: dict[str, Ref] = {}
    for adapter, mine in releases.items():
        for ref, name in mine:
            owner[ref] = adapter
            called.setdefault(ref, set()).add(adapter)
            called.setdefault(name, set()).add(adapter)
    for event in store.events("alias.moved"):
        for release in (event.data["release"], *event.data.get("beside", ())):
            if release in owner:
                called.setdefault(event.about.removeprefix("alias:"), set()).add(owner[release])
    found: dict[Ref, RowSet] = {}
    for name, rows in written.items():
        for adapter in called.get(name, ()):
            found[adapter] = found.get(adapter, row_set([])) | rows
    return {adapter: rows | index.descendants(rows) for adapter, rows in found.items()}


def _refs(value: Json) -> tuple[Ref, ...]:
    """A list of digests, which SQLite gives as text."""
    listed = json.loads(value) if isinstance(value, str) else value
    return tuple(Ref(one) for one in listed or ())
