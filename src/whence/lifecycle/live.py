"""What answers users now, from which rows, under which rights, until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from whence import govern, lineage
from whence.lifecycle.blast import blast_radius
from whence.lifecycle.due import ends_of
from whence.records import Deployment, Ref
from whence.serve import leases
from whence.store import RowSet, Store, row_set


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A deployment that may answer."""

    deployment: Ref
    """digest"""
    endpoint: str
    """address"""
    state: str
    """live, unknown, or declared (somebody else runs it)"""
    since: datetime
    """from when"""
    release: str
    """its name"""
    adapter: Ref
    """digest"""
    rows: int | None
    """rows that were fed to the adapter; None: nobody knows"""
    licences: Mapping[str, int]
    """licence → how many of these came under it; those without are under ``none``"""
    rights: Literal["pass", "breach", "review", "mediated", "unknown"]
    """whether all of its rows may be used: pass; else see `Reached`; unknown: nobody knows its rows"""
    barred: int
    """rows that may not be used, or were made from such rows; where nothing is in breach, those to be decided"""
    until: datetime | None
    """when the next right or exception that it stands on ends, as far as is known"""
    ends: str | None
    """what ends then"""


def live(store: Store) -> list[Live]:
    """Every deployment that is not known to have ended, the worst rights first."""
    with store.still():
        known, states, now = lineage.graph_of(store), leases.states(store), store.clock()
        reached = {one.id: one for one in blast_radius(store).adapters}
        ends, found, granted = ends_of(store, known.releases, now), [], _granted(store)
        adapters = {ref: (adapter, name) for adapter, mine in known.releases.items() for ref, name in mine}
        for ref in leases.running(store):
            made = store.get(ref, Deployment)
            adapter, name = adapters[made.release]
            blob = known.rows_of(adapter) if adapter in known.made else None
            bad = reached.get(adapter)
            coming = sorted(end for end in ends.get(adapter, ()) if end[0] > now)
            found.append(
                Live(
                    deployment=ref,
                    endpoint=made.endpoint,
                    state=states[ref],
                    since=made.started_at,
                    release=name,
                    adapter=adapter,
                    rows=None if blob is None else len(lineage.held_rows(store, blob)),
                    licences=_licences(store, blob, granted) if blob else {},
                    rights=bad.level if bad else "unknown" if known.dark(adapter) else "pass",
                    barred=0 if bad is None else bad.rows - bad.review if bad.level == "breach" else bad.rows,
                    until=coming[0][0] if coming else None,
                    ends=coming[0][1] if coming else None,
                )
            )
    order = ("breach", "review", "mediated", "unknown", "pass")
    return sorted(found, key=lambda one: (order.index(one.rights), one.since))


def _granted(store: Store) -> dict[str, RowSet]:
    """Licence → rows for which a person said that it alone counts, whatever they came under."""
    held, found = govern.blocked(store).held, dict[str, RowSet]()
    for about, terms, rows, _ in govern.amended(store, {a: one for a, one in held.items() if one.decided}):
        if terms.licence is not None and terms == held[about].terms[-1]:
            found[terms.licence] = found.get(terms.licence, row_set([])) | rows
    return found


def _licences(store: Store, blob: str, granted: Mapping[str, RowSet]) -> dict[str, int]:
    """Licence → rows of this set that are under it: by a person's decision, else as they came."""
    rows = left = lineage.held_rows(store, blob)
    counts: dict[str, int] = {}
    for name, held in (*granted.items(), *store.index().sets["licence"].items()):
        if mine := len(left & held):
            counts[name] = counts.get(name, 0) + mine
            left = left - held if name in granted else left
    bare = len(rows) - sum(counts.values())
    return {**dict(sorted(counts.items(), key=lambda pair: -pair[1])), **({"none": bare} if bare else {})}
