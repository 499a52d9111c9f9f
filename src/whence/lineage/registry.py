"""Every adapter with what its closure names, read in bulk: a registry may hold 100,000 of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from whence.records import Adapter, Base, Closure, Json, Ref, Release, Run, RunReport, Snapshot, Source
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
    clean: str | None
    """``1``: nothing was uncommitted; ``0``: something was"""
    made_at: str | None
    """when, as text; absent: nobody said"""
    python: str | None
    """version that made it"""


def superseded(store: Store) -> set[str]:
    """Adapters of which a later adoption told more."""
    return {event.about for event in store.events("adapter.superseded")}


def registry(store: Store, whole: bool = False) -> list[Made]:
    """All adapters, oldest first, without the `superseded` ones unless the whole is asked for. Nothing of an adapter
    changes, so what was read once is kept on a shelf."""
    shelf = store.shelf("adapters", Made._fields)
    mark, rows = shelf.read()
    now = store.arrived(*_KINDS)
    if mark != now:
        known = bool(mark) and mark[0] <= now[0] and store.arrived(*_KINDS, until=mark[0]) == mark
        after = mark[0] if known else 0
        if now[1:] != (mark[1:] if known else [0] * len(_KINDS)):
            rows = _extended(store, rows if known else [], after)
            shelf.write(now, rows)
    made = list(map(Made._make, rows))
    told_again = set() if whole else superseded(store)
    return [one for one in made if one.adapter not in told_again] if told_again else made


_KINDS = (Adapter, Closure, RunReport)
_OF_CLOSURE = ("base", "snapshot", "environment", "code_commit", "code_clean")


def _extended(store: Store, rows: list[Any], after: int) -> list[Any]:
    """These rows with what came since: adapters, and reports of runs, which may come after their adapter."""
    closures, reports = _read(store, after)
    new = store.fields(Adapter, "name", "weights", "run", "closure", after=after)
    if after and any(closure not in closures or run not in reports for *_, run, closure in new):
        closures, reports = _read(store, 0)  # one that was made from what was there before
    rows = [(*row[:-2], *reports[row[3]]) if row[3] in reports else row for row in rows]
    return rows + [
        (adapter, name, weights, run, *closures[closure], *reports.get(run, (None, None)))
        for adapter, name, weights, run, closure in new
    ]


def _read(store: Store, after: int) -> tuple[dict[str, tuple[str | None, ...]], dict[str, tuple[str | None, ...]]]:
    """(closure → what it names, run → when and with which Python it was done), of what came after so many records."""
    closures = {row[0]: _plain(row[1:]) for row in store.fields(Closure, *_OF_CLOSURE, after=after)}
    reports = store.fields(RunReport, "run", "started_at", "conditions.python", after=after)
    return closures, {row[1]: tuple(row[2:]) for row in reports}


def _plain(values: Iterable[Any]) -> tuple[str | None, ...]:
    """As text; a truth value as 1 or 0, which is what SQLite gives."""
    return tuple(value if value is None or isinstance(value, str) else str(int(value)) for value in values)


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
