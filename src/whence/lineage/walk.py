"""From one thing to what it was made from, and to what was made of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from whence.records import (
    Adapter,
    Base,
    BindingWaiver,
    Canaries,
    Closure,
    Conflict,
    Deployment,
    Evaluation,
    ForeignRecipe,
    NotFound,
    Prompt,
    Recipe,
    Ref,
    Release,
    Run,
    RunReport,
    Snapshot,
    Source,
    Step,
    Suite,
    Trace,
    Verdict,
    Waiver,
)
from whence.store import RowSet, Store, row_set

QUIET = (RunReport, Step)
"""Kinds that are walked through but not shown as stations of their own."""

ON_THE_WAY = ("Release", "Adapter", "Snapshot", "Base", "Suite", "Source")
"""Kinds that may share a name, what was made last first."""


@dataclass(frozen=True, slots=True)
class Node:
    """One station of a path."""

    digest: str
    """of a record, ``b2k1:…`` of a row"""
    kind: str
    """noun"""
    label: str
    """a line for a person; no content"""
    depth: int
    """steps from where the walk began"""


def find(store: Store, text: str) -> str | int:
    """What `text` names: the digest of a record, or the ordinal of a row. Raises NotFound, Conflict when ambiguous."""
    alias = store.events("alias.moved", about=f"alias:{text}", last=True)
    if alias:
        return Ref(alias[0].data["release"])
    records = store.search(text)
    called = [(digest, kind) for digest, kind in records if getattr(store.get(digest), "name", None) == text]
    if len(called) > 1:  # a name: of what is furthest on its way, the newest
        furthest = next((kind for kind in ON_THE_WAY if any(kind == k for _, k in called)), called[-1][1])
        records = [next((digest, kind) for digest, kind in reversed(called) if kind == furthest)]
    found: list[str | int] = [digest for digest, _ in records] or list(store.find_rows(text))
    if not found:
        raise NotFound(
            f"nothing in the record is called {text!r}\n"
            "  expected: a digest or its first 6 digits, a name, an alias, a trace id, or SOURCE:RECORD of a row"
        )
    if len(found) > 1:
        listed = ", ".join((f if isinstance(f, str) else store.row(f).id)[:19] + "…" for f in found[:5])
        raise Conflict(f"{text!r} names {len(found)} things: {listed}\n  do: give more digits of one")
    return found[0]


def walk(store: Store, start: str | int, way: Literal["up", "down"]) -> list[Node]:
    """Every station upstream or downstream of `start`, nearest first, itself left out."""
    nodes: dict[str, Node] = {}
    if isinstance(start, int):
        frontier = _rows_up(store, start, nodes) if way == "up" else _rows_down(store, start, nodes)
    else:
        frontier = [start]
    seen, depth = set(frontier) | set(nodes), 0 if isinstance(start, str) else 1
    if isinstance(start, int):
        _add(store, frontier, depth, nodes)
    while frontier:
        depth += 1
        if way == "up":
            reached = [dst for _, _, dst in store.upstream(frontier)]
        else:
            reached = [src for src, _, _ in store.downstream(frontier)]
        frontier = [d for d in dict.fromkeys(reached) if d not in seen]
        seen |= set(frontier)
        _add(store, frontier, depth, nodes)
    return sorted(nodes.values(), key=lambda n: n.depth)


def _add(store: Store, digests: Iterable[str], depth: int, nodes: dict[str, Node]) -> None:
    for digest in digests:
        record: Any = store.get(digest)
        if not isinstance(record, QUIET):
            nodes[digest] = Node(digest, type(record).__name__, describe(store, record), depth)


def _rows_up(store: Store, ordinal: int, nodes: dict[str, Node]) -> list[str]:
    """Sources of the row and of every row that it was made from."""
    row = store.row(ordinal)
    sources = {row.source}
    frontier, depth, seen = list(row.parents), 0, {ordinal}
    while frontier:
        depth += 1
        rows = [store.row(o) for o in dict.fromkeys(frontier) if o not in seen]
        seen |= set(frontier)
        for parent in rows:
            nodes[parent.id] = Node(parent.id, "Row", f"{parent.source}:{parent.record}", depth)
            sources.add(parent.source)
        frontier = [o for parent in rows for o in parent.parents]
    return [store.latest(Source, name)[0] for name in sorted(sources)]


def _rows_down(store: Store, ordinal: int, nodes: dict[str, Node]) -> list[str]:
    """Snapshots that hold the row or a row made from it."""
    derived = store.index().descendants(row_set([ordinal]))
    for child in derived:
        row = store.row(child)
        nodes[row.id] = Node(row.id, "Row", f"{row.source}:{row.record}", 1)
    return [digest for digest, _ in snapshots_with(store, derived | row_set([ordinal]))]


def snapshots_with(store: Store, rows: RowSet) -> list[tuple[Ref, int]]:
    """(snapshot, how many of these rows it holds) for every snapshot that holds any."""
    counted = ((digest, len(store.snapshot_rows(s) & rows)) for digest, s in store.all(Snapshot))
    return [(digest, count) for digest, count in counted if count]


def describe(store: Store, record: Any) -> str:
    """One line about a record, without content."""
    match record:
        case Source():
            return f"{record.name} ({record.kind}, {record.licence or 'no licence claimed'})"
        case Snapshot():
            return f"{record.name}: {record.rows:,} rows, root {record.root[7:19]}"
        case Run():
            return record.activity + (f", attempt {record.attempt}" if record.attempt else "")
        case Adapter():
            return f"{record.name}: weights {record.weights[:15]}, {record.bytes:,} bytes"
        case Base():
            weights = record.fingerprint.weights[:15] if record.fingerprint else "never seen"
            return f"{record.name}: weights {weights}"
        case Closure():
            clean = {True: "clean", False: "not clean", None: "unknown"}[record.code_clean]
            return f"code {(record.code_commit or 'not in git')[:12]} ({clean})"
        case Evaluation():
            best = record.results[0]
            who = "adapter" if record.adapter else "base"
            return f"{who}: {best.value:.1%} [{best.low:.1%}, {best.high:.1%}] of {best.n}"
        case Prompt():
            return f"{record.template}, {len(record.shots)} shots"
        case ForeignRecipe():
            return f"{record.trainer}, rank {record.lora.get('r')}"
        case Recipe():
            planned = f", {record.schedule.steps:,} steps" if record.schedule else ""
            return f"{record.method}, rank {record.rank}, {record.epochs} epochs{planned}"
        case Verdict():
            return record.outcome
        case Waiver() | BindingWaiver():
            return f"until {record.expires_at:%Y-%m-%d}"
        case Release() | Suite():
            return record.name
        case Canaries():
            return f"kept {record.at:%Y-%m-%d %H:%M}"
        case Deployment():
            return f"{record.endpoint} since {record.started_at:%Y-%m-%d %H:%M}"
        case Trace():
            return f"{record.id} at {record.at:%Y-%m-%d %H:%M:%S}, consent {record.consent}"
        case _:
            return getattr(record, "name", None) or type(record).__name__.lower()
