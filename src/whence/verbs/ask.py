"""``ask``: what a thing was made from, what was made of it, and what of that is live."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence import lineage
from whence.lifecycle.blast import BlastRadius, blast_radius
from whence.lifecycle.blast_lines import page
from whence.lineage import Node
from whence.project import read_calendar
from whence.records import (
    Adapter,
    BackendFailed,
    Json,
    NotFound,
    Run,
    RunReport,
    Unmet,
    writing,
)
from whence.register import Due, retired
from whence.store import Store
from whence.verbs.check import declare_use
from whence.verbs.scopes import Names, known, moment, scopes

if TYPE_CHECKING:
    from whence.lifecycle.live import Live
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
    barred: str | None = None
    """of a row: why it may not be used, as the rights events about it or a row it was made from say; None: it may"""


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
            label = f"{row.source}:{row.record} ({row.licence or 'no licence'})" + (
                ", its content was erased" if row.content is None else ""
            )
            return replace(_why(row.id, row, label, None, up, down), barred=_barred(store, found))
        record: Any = store.get(found)
        label = lineage.describe(store, record)
        if isinstance(record, Adapter) and (case := retired(store, found)):
            label += f", retired ({case})"
        return _why(found, record, label, report_of(store, found, record), up, down)

    def blast_radius(
        self,
        *,
        subject: Names = None,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
        as_of: datetime | str | None = None,
        known_by: datetime | str | None = None,
        history: bool = False,
        what_if: bool = False,
        html: str | Path | None = None,
    ) -> BlastRadius:
        """Which models that answer users were made from what may not be used: rows, snapshots, runs, adapters,
        releases, deployments. Name people, sources, licences or rows, or nothing for everything.

        subject: a person's identifier as in your data, or a pseudonym. source: a name. licence: an SPDX expression.
        row: `SOURCE:RECORD`, or its id; each of these may be a list. rows: a file with a row a line. as_of: what held
        then. known_by: leaving out what was recorded later; None: as_of. history: everything ever made of them, not
        only what stands behind deployments that may still answer. what_if: as if the right to them had been withdrawn.
        html: write the answer as a page of its own. What `[use]` in whence.toml says now is recorded first. Raises
        NotFound for a source or row that is not there, and for people of whom nothing is known.
        """
        named = scopes(self._store, subject=subject, source=source, licence=licence, row=row, rows=rows)
        if what_if and not named:
            raise Unmet("nothing is named", "a person, source, licence or row", "say what would be withdrawn")
        declare_use(self._session.folder, self._store)
        when, told = (None if at is None else moment(at) for at in (as_of, known_by))
        progress = partial(self._session.told.progress, "blast radius", "models")
        found = blast_radius(
            self._store, named, as_of=when, known_by=told, history=history, what_if=what_if, progress=progress
        )
        people = [name for kind, name in named if kind == "subject"]
        empty = bool(people) and not found.rows and not any(found.standings.values())
        if empty and not any(known(self._store, name) for name in people):
            do = "look at the spelling: an identifier as in your data, or a pseudonym"
            raise NotFound(f"nothing is known of {subject}: no row, no identifier, no right\n  do: {do}")
        if html is not None:
            page(self._store, found, html)
        return found

    def live(self) -> tuple[Live, ...]:
        """What answers users now: every deployment that is not known to have ended, from which rows, under which
        rights, until when; the worst rights first."""
        from whence.lifecycle.live import live

        declare_use(self._session.folder, self._store)
        return tuple(live(self._store))

    def subject(self, id: str, *, as_of: datetime | str | None = None) -> Person:
        """Rows that are about a person: tagged with them, naming them, waiting for a look, made from them; what holds
        them.

        id: as in your data, or a pseudonym. as_of: rows and mentions as they were known then; snapshots and suites are
        those of now. Raises NotFound where nothing is known of them.
        """
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


def _barred(store: Store, ordinal: int) -> str | None:
    """What bars a row: events about it, or about a row that it was made from."""
    from whence.govern import blocked

    bars, above, frontier = blocked(store), {ordinal}, [ordinal]
    while frontier:
        frontier = [o for n in frontier for o in store.row(n).parents if o not in above]
        above.update(frontier)
    if above.isdisjoint(bars.breach) and above.isdisjoint(bars.review):
        return None
    rows = [store.row(o) for o in sorted(above)]
    names = {f"{kind}:{name}" for r in rows for kind, name in
             (("row", r.id), ("source", r.source), ("subject", r.subject), ("licence", r.licence))}  # fmt: skip
    said = [f"{about} {one.state} since {one.since:%Y-%m-%d}" for about, one in bars.why.items() if about in names]
    return "; ".join(said) or "it is in a list of rows that was withdrawn, or under a licence that does not allow it"


def report_of(store: Store, found: str, record: Any) -> RunReport | None:
    """What the run did, for a run or for an adapter's run."""
    run = found if isinstance(record, Run) else record.run if isinstance(record, Adapter) else None
    made: list[Any] = [store.get(src) for src, field, _ in store.downstream([run]) if field == "run"] if run else []
    return next((report for report in made if isinstance(report, RunReport)), None)
