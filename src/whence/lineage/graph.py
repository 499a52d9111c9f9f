"""What was made of what, in memory: adapters with what they were fed, what was merged or distilled from them, what they
wrote, and the releases and deployments that stand on them. Read in bulk, and again when the record has grown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from whence.lineage.registry import Made, registry, releases_of, superseded
from whence.records import Closure, Deployment, Json, Ref, Run, RunReport, Snapshot, parse_time
from whence.store import RowSet, Store, row_set

HELD_BYTES = 2 << 30
"""As much of row sets stays in memory between questions, as they are on disk."""


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
    unfinished: dict[Ref, list[Ref]]
    """snapshot → training runs on it that made no adapter"""
    releases: dict[Ref, list[tuple[Ref, str]]]
    """adapter → (release, name)"""
    deployments: dict[Ref, list[tuple[Ref, datetime]]]
    """release → (deployment, since when)"""
    superseded: set[str]
    """adapters of which a later adoption told more"""

    def adapters_of(self, releases: Iterable[Ref]) -> set[Ref]:
        """The adapters of these releases."""
        wanted = set(releases)
        return {adapter for adapter, mine in self.releases.items() if any(ref in wanted for ref, _ in mine)}


def graph_of(store: Store) -> Graph:
    """The graph as of now; made once as long as nothing is added to the record."""
    return store.memo("lineage.graph", lambda: _read(store))


def held_rows(store: Store, blob: str) -> RowSet:
    """A row set from its blob, which nobody may change; kept in memory while there is room."""
    kept: dict[str, tuple[RowSet, int]] = store.kept("lineage.sets", dict)
    if blob not in kept:
        data = store.blobs.get(blob)
        if sum(size for _, size in kept.values()) + len(data) > HELD_BYTES:
            kept.clear()
        kept[blob] = RowSet.deserialize(data), len(data)
    return kept[blob][0]


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
    for ref, release, since in store.fields(Deployment, "release", "started_at"):
        deployments.setdefault(release, []).append((ref, parse_time(since)))
    snapshots = dict(store.fields(Snapshot, "set"))
    return Graph(
        made=made,
        fed={adapter: sets.get(one.run) for adapter, one in made.items()},
        models=models,
        wrote=_wrote(store, made, releases),
        snapshots=snapshots,
        unfinished=_unfinished(store, made, snapshots),
        releases=releases,
        deployments=deployments,
        superseded=superseded(store),
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
        if (event.data or {}).get("release") in owner:
            called.setdefault(event.about.removeprefix("alias:"), set()).add(owner[event.data["release"]])
    found: dict[Ref, RowSet] = {}
    for name, rows in written.items():
        for adapter in called.get(name, ()):
            found[adapter] = found.get(adapter, row_set([])) | rows
    return {adapter: rows | index.descendants(rows) for adapter, rows in found.items()}


def _refs(value: Json) -> tuple[Ref, ...]:
    """A list of digests, which SQLite gives as text."""
    listed = json.loads(value) if isinstance(value, str) else value
    return tuple(Ref(one) for one in listed or ())
