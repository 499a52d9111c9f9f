"""``ask``: what a thing was made from, what was made of it, and what of that is live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whence import lineage
from whence.lineage import Node, Scope
from whence.records import Adapter, Deployment, NotFound, Ref, Release, Run, RunReport, Unmet
from whence.store import RowSet, Store
from whence.store.keys import PSEUDONYMS

if TYPE_CHECKING:
    from whence.verbs.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What a thing was made from, and what was made of it."""

    id: str
    """digest of the record, or id of the row"""
    kind: str
    """noun"""
    label: str
    """a line for a person; no content"""
    record: Any = field(repr=False)
    """the noun itself; a Row carries its content"""
    report: RunReport | None
    """what the run did, for a run or an adapter"""
    made_from: tuple[Node, ...]
    """nearest first"""
    went_into: tuple[Node, ...]
    """nearest first"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A deployment and what is known of it now."""

    deployment: Ref
    """digest"""
    endpoint: str
    """address"""
    state: str
    """live, unknown, declared (somebody else runs it) or ended"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """What stands downstream of a person, a source, a licence or a row."""

    direct: RowSet = field(repr=False)
    """ordinals of their rows"""
    derived: RowSet = field(repr=False)
    """ordinals of rows made from those, at any depth"""
    snapshots: Mapping[Ref, int]
    """snapshot → how many of these rows it holds"""
    adapters: Mapping[Ref, int]
    """adapter → how many of these rows were fed to it"""
    releases: Mapping[Ref, str]
    """release → its name"""
    deployments: tuple[Served, ...]
    """all that ever served one of the releases"""

    @property
    def live(self) -> tuple[Served, ...]:
        """Deployments that must come down: all that are not known to have ended."""
        return tuple(one for one in self.deployments if one.state != "ended")


class Ask:
    """Questions to the record. Each verb is that of `whence ask`."""

    def __init__(self, session: Session) -> None:
        self._store = session.store

    def why(self, id: str) -> Why:
        """What this was made from, and what was made of it.

        id: a row (`SOURCE:RECORD` or id), snapshot, run, adapter, release, alias or trace; the first 6 digits do.
        Raises NotFound, Conflict where several things are called so.
        """
        store, found = self._store, lineage.find(self._store, id)
        up, down = lineage.walk(store, found, "up"), lineage.walk(store, found, "down")
        if isinstance(found, int):
            row = store.row(found)
            label = f"{row.source}:{row.record} ({row.licence or 'no licence'})"
            return _why(row.id, row, label, None, up, down)
        record: Any = store.get(found)
        return _why(found, record, lineage.describe(store, record), report_of(store, found, record), up, down)

    def blast_radius(
        self,
        *,
        subject: str | None = None,
        source: str | None = None,
        licence: str | None = None,
        row: str | None = None,
    ) -> BlastRadius:
        """From rows to live deployments: what stands downstream of a person, a source, a licence or a row; name one.

        subject: a person's identifier as in your data, or a pseudonym. source: a name. licence: an SPDX expression.
        row: `SOURCE:RECORD`, or its id. Raises NotFound where no row belongs to it.
        """
        kind, name = one_scope(subject, source, licence, row)
        if kind == "row":
            name = row_named(self._store, name)
        if kind == "subject" and not name.startswith("subject-"):
            self._store.keys.reload()
            if PSEUDONYMS not in self._store.keys and not len(self._store.index().sets["subject"]):
                raise NotFound("no row belongs to anybody: this store has no pseudonyms yet")
            name = self._store.keys.pseudonym(name)
        return blast_radius(self._store, Scope(kind, name))


def _why(id: str, record: Any, label: str, report: RunReport | None, up: list[Node], down: list[Node]) -> Why:
    return Why(
        id=id,
        kind=type(record).__name__,
        label=label,
        record=record,
        report=report,
        made_from=tuple(up),
        went_into=tuple(down),
    )


def report_of(store: Store, found: str, record: Any) -> RunReport | None:
    """What the run did, for a run or for an adapter's run."""
    run = found if isinstance(record, Run) else record.run if isinstance(record, Adapter) else None
    made: list[Any] = [store.get(src) for src, field, _ in store.downstream([run]) if field == "run"] if run else []
    return next((report for report in made if isinstance(report, RunReport)), None)


def one_scope(subject: str | None, source: str | None, licence: str | None, row: str | None = None) -> tuple[Any, str]:
    """(kind, name) of the one that is given. Raises Unmet."""
    named = (("subject", subject), ("source", source), ("licence", licence), ("row", row))
    given = [(k, v) for k, v in named if v]
    if len(given) != 1:
        raise Unmet(f"{len(given)} scopes are given", "one of subject, source, licence and row", "name one")
    return given[0]


def row_named(store: Store, text: str) -> str:
    """The id of the row that this text names. Raises NotFound, Conflict where it names several."""
    found = lineage.find(store, text)
    if not isinstance(found, int):
        raise NotFound(f"{text} names no row\n  expected: SOURCE:RECORD, or a row's id")
    return store.row(found).id


def blast_radius(store: Store, scope: Scope) -> BlastRadius:
    """`lineage.blast_radius` with names, endpoints and what is known of the leases now."""
    from whence.serve.leases import state

    blast = lineage.blast_radius(store, scope)
    return BlastRadius(
        direct=blast.direct,
        derived=blast.derived,
        snapshots=blast.snapshots,
        adapters=blast.adapters,
        releases={ref: store.get(ref, Release).name for ref in blast.releases},
        deployments=tuple(
            Served(deployment=ref, endpoint=store.get(ref, Deployment).endpoint, state=state(store, ref))
            for ref in blast.deployments
        ),
    )
