"""Every adapter with what its closure names, read in bulk: a registry may hold 100,000 of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from whence.records import Adapter, Base, Closure, Json, Ref, Release, Run, Snapshot, Source
from whence.store import Store


class Made(NamedTuple):
    """An adapter and what it was made from, as far as anybody said. A tuple: there are many."""

    adapter: Ref
    """digest"""
    name: str
    """what training called it"""
    weights: str
    """digest of its tensors; two of the same were made twice"""
    run: Ref
    """that made it, or brought it in"""
    base: Ref | None
    """digest"""
    snapshot: Ref | None
    """digest"""
    environment: str | None
    """blob: installed versions"""
    commit: str | None
    """git commit of the code"""
    clean: bool | None
    """nothing was uncommitted"""


def registry(store: Store) -> list[Made]:
    """All adapters, oldest first."""
    closures = {row[0]: row[1:] for row in store.fields(Closure, *_OF_CLOSURE)}
    nothing = (None,) * len(_OF_CLOSURE)
    return [
        Made(adapter, name, weights, run, *closures.get(closure, nothing))
        for adapter, name, weights, run, closure in store.fields(Adapter, "name", "weights", "run", "closure")
    ]


_OF_CLOSURE = ("base", "snapshot", "environment", "code_commit", "code_clean")


def releases_of(store: Store) -> dict[Ref, list[tuple[Ref, str]]]:
    """Adapter → (release, name) of each of its releases, oldest first."""
    found: dict[Ref, list[tuple[Ref, str]]] = {}
    for release, name, adapter in store.fields(Release, "name", "adapter"):
        found.setdefault(adapter, []).append((release, name))
    return found


def base_names(store: Store) -> dict[Ref, str]:
    """Base → its name."""
    return dict(store.fields(Base, "name"))


def sources_of(store: Store) -> dict[Ref, tuple[str, ...]]:
    """Snapshot → names of the sources that its rows were read from."""
    parents = {ref: _list(listed) for ref, listed in store.fields(Snapshot, "parents")}
    named = dict(store.fields(Source, "name"))
    runs = {run for above in parents.values() for run in above if run not in parents}
    used: dict[str, set[str]] = {}
    for run, field, source in store.upstream(runs):
        if field == "used" and source in named:
            used.setdefault(run, set()).add(named[source])
    found: dict[Ref, tuple[str, ...]] = {}
    for snapshot in parents:
        found[snapshot] = tuple(sorted(_above([snapshot], parents, used)))
    return found


def _list(value: Json) -> list[str]:
    """A list, which SQLite gives as text."""
    return json.loads(value) if isinstance(value, str) else list(value or ())


def _above(frontier: list[str], parents: dict[Ref, list[str]], used: dict[str, set[str]]) -> Iterable[str]:
    """Sources of the runs that these snapshots, and the snapshots that they were made from, name."""
    names: set[str] = set()
    seen = set(frontier)
    while frontier:
        one = frontier.pop()
        names |= used.get(one, set())
        more = [up for up in parents.get(Ref(one), ()) if up not in seen]
        seen.update(more)
        frontier += more
    return names


def ingests_of(store: Store) -> dict[str, Run]:
    """Source → the newest run that read it."""
    sources = dict(store.fields(Source, "name"))
    makers = {src for src, field, _ in store.downstream(sources) if field == "used"}
    order = {ref: number for number, (ref,) in enumerate(store.fields(Run))}
    found: dict[str, Run] = {}
    for ref in sorted(makers, key=lambda ref: order[ref]):
        run = store.get(ref, Run)
        for used in run.used if run.activity == "ingest" else ():
            found[sources[used]] = run
    return found
