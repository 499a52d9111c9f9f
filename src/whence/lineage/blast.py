"""Blast radius: from rows to everything live that was made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from whence.lineage.walk import snapshots_with
from whence.records import Adapter, Deployment, NotFound, Ref, Release, Run, RunReport
from whence.store import RowSet, Store, row_set

Kind = Literal["source", "subject", "licence", "row"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows are asked about."""

    kind: Kind
    name: str
    """source name, pseudonym, SPDX expression, or the row's id"""

    @property
    def about(self) -> str:
        """How rights events name it."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Blast:
    """What stands downstream of some rows."""

    direct: RowSet
    """rows in the scope"""
    derived: RowSet
    """rows made from them, at any depth"""
    snapshots: Mapping[Ref, int]
    """snapshot → rows of the scope in it"""
    adapters: Mapping[Ref, int]
    """adapter → rows of the scope that were really fed to it"""
    releases: tuple[Ref, ...]
    deployments: tuple[Ref, ...]
    """all that ever served one of the releases; which of them live is asked of their leases"""


def scope_rows(store: Store, scope: Scope) -> RowSet:
    """The rows of a scope. Raises NotFound for a name that no row carries."""
    if scope.kind == "row":
        return row_set(store.find_rows(scope.name))
    sets = store.index().sets[scope.kind]
    rows = sets.get(scope.name)
    if not rows:
        known = ", ".join(sets.names()[:8]) if scope.kind != "subject" else f"{len(sets.names())} people"
        raise NotFound(f"no row belongs to {scope.kind} {scope.name!r}\n  expected: one of {known or 'none yet'}")
    return rows


def blast_radius(store: Store, scope: Scope) -> Blast:
    """Rows of a scope and of what was made of them → snapshots → adapters → releases → deployments."""
    direct = scope_rows(store, scope)
    derived = store.index().descendants(direct) - direct
    rows = direct | derived
    snapshots = dict(snapshots_with(store, rows))
    adapters = _adapters(store, snapshots, rows)
    releases = _made_of(store, adapters, Release)
    return Blast(direct, derived, snapshots, adapters, releases, _made_of(store, releases, Deployment))


def _adapters(store: Store, snapshots: Mapping[Ref, int], rows: RowSet) -> dict[Ref, int]:
    """Adapters of runs on these snapshots, with the number of `rows` that were fed, as far as that is known."""
    found: dict[Ref, int] = {}
    for run, _, _ in store.downstream(snapshots):
        record: Any = store.get(run)
        if not isinstance(record, Run) or record.activity not in ("train", "adopt"):
            continue
        fed, listed = None, max(snapshots[used] for used in record.used if used in snapshots)
        for maker, _, _ in store.downstream([run]):
            report: Any = store.get(maker)
            if isinstance(report, RunReport) and report.set:
                fed = store.get_set(report.set)
        for maker, _, _ in store.downstream([run]):
            if isinstance(store.get(maker), Adapter):
                count = len(fed & rows) if fed is not None else listed
                if count:
                    found[maker] = count
    return found


def _made_of(store: Store, digests: Mapping[Ref, int] | tuple[Ref, ...], kind: type[Any]) -> tuple[Ref, ...]:
    reached = dict.fromkeys(src for src, _, _ in store.downstream(digests))
    return tuple(src for src in reached if isinstance(store.get(src), kind))
