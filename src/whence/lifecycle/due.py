"""What ends when, over every adapter of a store: facts from all capabilities, rules from `register.due`.

Read in bulk, and each rule is applied once to each thing that adapters share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from whence.govern import Owner, names_of, owners, states
from whence.lineage import Made, Scope, blast_radius, registry, releases_of, sources_of
from whence.records import Base, Deployment, NotFound, Ref, Release, RunReport, Source, Waiver, parse_time
from whence.register import Calendar, Due, Entry, Mark
from whence.register import due as rules
from whence.serve import leases
from whence.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was found due, and over how many adapters."""

    things: list[Due]
    """adapters for which something fails or is not known, in the order in which to look at them"""
    adapters: int
    """all that were looked at; one that was made again is one"""


def due(
    store: Store,
    calendar: Calendar,
    within: int,
    probes: Callable[[Facts], Mapping[tuple[str, str], Mark]] | None = None,
) -> Asked:
    """What ends within so many days, or is not known. `probes` looks at the world: (check, thing) → what it found."""
    facts = Facts.of(store, calendar, within)
    return Asked(rules.rank(facts.due(probes(facts) if probes else {})), len(facts.made))


@dataclass(slots=True)
class Facts:
    """All that the rules need, by digest or name."""

    store: Store
    now: datetime
    within: int
    """days"""
    calendar: Calendar
    made: list[Made]
    """one of each that was made several times: the first"""
    made_at: dict[tuple[str, str], str]
    """(weights, name) → when that was last made, as text"""
    python: dict[str, str]
    """run → version"""
    bases: dict[Ref, Base]
    sources: dict[Ref, tuple[str, ...]]
    """snapshot → names"""
    source: dict[str, Source]
    """name → what is claimed of it last"""
    releases: dict[Ref, list[tuple[Ref, str]]]
    """adapter → (release, name)"""
    serving: dict[Ref, list[tuple[Ref, Deployment]]]
    """release → deployments that are not known to have ended"""
    owners: dict[str, Owner]
    ends: dict[Ref, list[tuple[datetime, str, str]]]
    """adapter → rights that end"""
    clashes: dict[str, str]
    """source → withdrawals that cover rows of it"""
    _known: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, calendar: Calendar, within: int) -> Facts:
        """Read them."""
        now, every = store.clock(), registry(store)
        reports = {run: (at, python) for _, run, at, python in store.fields(RunReport, *_OF_REPORT)}
        made_at: dict[tuple[str, str], str] = {}
        first: dict[tuple[str, str], Made] = {}
        for one in every:
            key = (one.weights, one.name)
            first.setdefault(key, one)
            at = reports.get(one.run)
            if at and at[0] > made_at.get(key, ""):
                made_at[key] = at[0]
        releases, live = releases_of(store), leases.states(store)
        serving: dict[Ref, list[tuple[Ref, Deployment]]] = {}
        for ref, deployment in store.all(Deployment):
            if live[ref] != "ended":
                serving.setdefault(deployment.release, []).append((ref, deployment))
        source = {one.name: one for _, one in store.all(Source)}
        return cls(
            store=store,
            now=now,
            within=within,
            calendar=calendar,
            made=list(first.values()),
            made_at=made_at,
            python={run: python for run, (_, python) in reports.items() if python},
            bases=dict(store.all(Base)),
            sources=sources_of(store),
            source=source,
            releases=releases,
            serving=serving,
            owners=owners(store, now),
            ends=_ends(store, releases, now),
            clashes=_clashes(store, source, now),
        )

    # -- one adapter ---------------------------------------------------------------------------------------------------

    def due(self, probed: Mapping[tuple[str, str], Mark]) -> list[Due]:
        """Every adapter for which something fails or is not known."""
        found = []
        for one in self.made:
            releases = self.releases.get(one.adapter, [])
            serving = [d for ref, _ in releases for d in self.serving.get(ref, ())] if self.serving else []
            owner = self._owner(one, releases)
            key = (one.base, one.snapshot, one.environment, self.python.get(one.run), one.clean, bool(one.commit))
            key += (owner.about if owner else None, bool(serving))
            marks = [*self._once(("shared", *key), lambda: self._shared(one, owner, bool(serving)))]  # noqa: B023
            marks.append(self._rebuild(one))
            if one.adapter in self.ends:
                marks.append(rules.rights(self.ends[one.adapter], self.now, self.within, bool(serving)))
            if probed:
                marks += [probed[of] for of in self.probed(one) if of in probed]
                marks += [probed["due.deployment", ref] for ref, _ in serving if ("due.deployment", ref) in probed]
            shown = rules.merged(marks)
            if shown:
                found.append(
                    Due(
                        adapter=one.adapter,
                        name=one.name,
                        releases=tuple(name for _, name in releases),
                        live=bool(serving),
                        accountable=owner.answers(self.now) if owner else None,
                        score=rules.score(shown),
                        marks=shown,
                    )
                )
        return found

    def probed(self, one: Made) -> list[tuple[str, str]]:
        """(check, thing) of each probe that concerns an adapter."""
        things: list[tuple[str, str | None]] = [("due.base", one.base), ("due.code", one.commit)]
        things += [("due.import", one.environment)]
        things += [("due.data", name) for name in (self.sources.get(one.snapshot, ()) if one.snapshot else ())]
        return [(check, thing) for check, thing in things if thing is not None]

    def _shared(self, one: Made, owner: Owner | None, live: bool) -> list[Mark]:
        """Marks of all adapters that agree in base, data, environment, owner and whether they live."""
        base, now, within = self.bases.get(one.base) if one.base else None, self.now, self.within
        entries = self.entries(base) if base else ()
        python = self.python.get(one.run)
        return [
            rules.base(base.name if base else None, bool(base and base.fingerprint), entries, now, within, live),
            rules.data(self._purges(one), rules.base_end(entries), self.clashes, now, within, live),
            rules.environment(one.environment is not None, python, self._ending(one, python), now, within),
            rules.owner(
                owner.accountable if owner else None,
                owner.gone if owner else None,
                owner.backup if owner else None,
                owner.backup_gone if owner else None,
                now,
                within,
                live,
            ),
            rules.code(one.commit, None if one.clean is None else bool(one.clean)),
        ]

    def _rebuild(self, one: Made) -> Mark:
        at = self.made_at.get((one.weights, one.name))
        day = at[:10] if at else None
        return self._once(("rebuild", day), lambda: rules.rebuild(parse_time(at) if at else None, self.now))

    def entries(self, base: Base) -> tuple[Entry, ...]:
        """What the calendar says of a base, under its name, its location, and its location at a revision."""
        names = dict.fromkeys((base.name, base.location, f"{base.location}@{base.revision}"))
        return self.calendar.about(*names, held=base.fingerprint is not None)

    def _purges(self, one: Made) -> Sequence[tuple[str, datetime | None]] | None:
        names = self.sources.get(one.snapshot, ()) if one.snapshot else ()
        return [(name, self.source[name].purge_at) for name in names] or None

    def _ending(self, one: Made, python: str | None) -> list[tuple[str, Entry]]:
        names = [f"python=={python}"] if python else []
        if one.environment:
            names += self.installed(one.environment)
        return [(name, entry) for name in names for entry in self.calendar.about(name)]

    def installed(self, environment: str) -> list[str]:
        """``name==version`` of everything that an environment held; nothing where its list is not kept."""
        return self._once(("installed", environment), lambda: _listed(self.store, environment))

    def _owner(self, one: Made, releases: Sequence[tuple[Ref, str]]) -> Owner | None:
        if not releases:
            return self.owners.get(one.adapter) or self.owners.get(one.name)
        named = (self.owners.get(name) for name in names_of(one.adapter, one.name, releases))
        return next((owner for owner in named if owner), None)

    def _once(self, key: Any, make: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


_OF_REPORT = ("run", "started_at", "conditions.python")


def _listed(store: Store, environment: str) -> list[str]:
    try:
        return [line for line in store.get_lines(environment) if isinstance(line, str) and "==" in line]
    except NotFound:
        return []


def _ends(
    store: Store, releases: Mapping[Ref, list[tuple[Ref, str]]], now: datetime
) -> dict[Ref, list[tuple[datetime, str, str]]]:
    """Adapter → (when, what, digest) of withdrawals that are known to come, and of waivers of its releases."""
    found: dict[Ref, list[tuple[datetime, str, str]]] = {}
    for about, at in _to_come(store, now).items():
        kind, _, name = about.partition(":")
        try:
            adapters = blast_radius(store, Scope(kind, name)).adapters  # type: ignore[arg-type]
        except NotFound:
            continue
        for adapter in adapters:
            found.setdefault(adapter, []).append((at, f"the right to train on rows of {about} ends", ""))
    waivers = {ref: waiver.expires_at for ref, waiver in store.all(Waiver)}
    waived = {ref: waiver for ref, waiver in store.fields(Release, "waiver") if waiver} if waivers else {}
    for adapter, mine in releases.items() if waived else ():
        for ref, name in mine:
            if ref in waived:
                found.setdefault(adapter, []).append(
                    (waivers[waived[ref]], f"the waiver that {name} stands on expires", waived[ref])
                )
    return found


def _to_come(store: Store, now: datetime) -> dict[str, datetime]:
    """What is withdrawn later → when, unless something was said of it since."""
    last = {event.about: event for event in store.events("rights.*")}
    return {
        about: event.valid_at
        for about, event in last.items()
        if event.kind == "rights.withdraw" and event.valid_at is not None and event.valid_at > now
    }


def _clashes(store: Store, sources: Mapping[str, Source], now: datetime) -> dict[str, str]:
    """Source that is deleted one day → the withdrawals, in force or to come, that cover rows of it."""
    gone = [about for about, said in states(store).items() if said == "withdraw"]
    withdrawn = dict.fromkeys([*gone, *_to_come(store, now)])
    purged = [name for name, source in sources.items() if source.purge_at is not None]
    if not withdrawn or not purged:
        return {}
    sets, found = store.index().sets, {}
    for name in purged:
        rows = sets["source"].get(name)
        over = [about for about in withdrawn if about == f"source:{name}" or _covers(sets, about, rows)]
        if over:
            more = f" and {len(over) - 3} more" if len(over) > 3 else ""
            found[name] = f"{', '.join(over[:3])}{more} was withdrawn and covers rows of {name}"
    return found


def _covers(sets: Mapping[str, Any], about: str, rows: Any) -> bool:
    kind, _, name = about.partition(":")
    return kind in sets and bool(sets[kind].get(name) & rows)
