"""``ask``: what a thing was made from, what was made of it, and what of that is live."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence import lineage
from whence.lineage import Node, Scope
from whence.project import read_calendar
from whence.records import (
    Adapter,
    BackendFailed,
    Deployment,
    Json,
    NotFound,
    Ref,
    Release,
    Run,
    RunReport,
    Unmet,
    writing,
)
from whence.register import Due
from whence.store import RowSet, Store
from whence.store.keys import PSEUDONYMS

if TYPE_CHECKING:
    from datetime import datetime

    from whence.verbs.session import Session
    from whence.verbs.subjects import Person


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatEnds:
    """What is due, in the order in which to look at it."""

    things: tuple[Due, ...]
    """adapters for which something fails or is not known"""
    adapters: int
    """how many were looked at"""
    within: int
    """days"""
    as_of: date
    """when the shipped calendar was last read"""

    @property
    def outcome(self) -> str:
        """fail where something ends or is missing, abstain where something is only not known, else pass."""
        verdicts = {mark.verdict for thing in self.things for mark in thing.marks}
        return "fail" if "fail" in verdicts else "abstain" if verdicts else "pass"


class Ask:
    """Questions to the record. Each verb is that of `whence ask`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

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

    def subject(self, id: str, *, as_of: datetime | str | None = None) -> Person:
        """Rows that are about a person: tagged with them, naming them, waiting for a look, made from them; what holds
        them.

        id: as in your data, or a pseudonym. as_of: rows and mentions as they were known then; snapshots and suites are
        those of now. Raises NotFound where nothing is known of them.
        """
        from whence.verbs.rights import moment
        from whence.verbs.subjects import person

        return person(self._store, id, None if as_of is None else moment(as_of))

    def due(
        self,
        *,
        within: int = 180,
        probe: bool = False,
        models: str | Path | None = None,
        ics: str | Path | None = None,
    ) -> WhatEnds:
        """What ends when, over every adapter: base, data, rights, environment, owner, code, rebuild.

        within: days ahead. probe: look now whether data, base, code, packages and endpoints are there; of addresses,
        only those that the record names are asked. models: a provider's `/v1/models` answer, a file or a URL, which is
        asked. ics: write what ends as a calendar file. Raises Unmet with every fault of `whence-calendar.toml`.
        """
        from whence.lifecycle.due import due
        from whence.lifecycle.probes import probe as look
        from whence.register import calendar, entries_in, shipped
        from whence.register import ics as written

        if within < 0:
            raise Unmet(f"within is {within} days", "0 or more", "name how far ahead to look")
        folder, now = self._session.folder, self._store.clock()
        answers = entries_in(_models(models), str(models), now.date()) if models else ()
        dates = calendar(read_calendar(folder), answers)
        told = self._session.told
        found = due(self._store, dates, within, (lambda facts: look(facts, folder, told)) if probe else None)
        if ics:
            with writing(ics):
                Path(ics).write_text(written(found.things, now), encoding="utf-8", newline="")
        return WhatEnds(things=tuple(found.things), adapters=found.adapters, within=within, as_of=shipped()[0])


def _models(place: str | Path) -> Json:
    """The JSON of a file or, where a URL is named, of what it answers. Raises Unmet, BackendFailed."""
    from whence.lifecycle.probes import fetch_models

    if str(place).startswith(("http://", "https://")):
        try:
            return fetch_models(str(place))
        except (OSError, ValueError) as error:
            raise BackendFailed(
                f"{place} gives no list of models: {error}\n  do: save its answer and name the file"
            ) from error
    try:
        return json.loads(Path(place).read_text(encoding="utf-8"))
    except OSError as error:
        raise Unmet(f"{place} cannot be read: {error.strerror}", "a file or a URL of models", "name one") from error
    except (ValueError, RecursionError) as error:
        raise Unmet(f"{place} is no JSON: {error}", "the answer of /v1/models", "save it again") from error


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
