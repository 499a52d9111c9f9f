"""What ends when, over every adapter of a store: facts from all capabilities, rules from `register.due`.

Read in bulk, and each rule is applied once to each thing that adapters share.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from whence.govern import Book, Owner, blocked, names_of, owners, rows_of, states
from whence.lifecycle import blast
from whence.lineage import Made, aliases, blast_radius, registry, releases_of, sources_of
from whence.records import Base, BindingWaiver, Deployment, NotFound, Ref, Release, Source, Waiver, parse_time
from whence.register import Calendar, Due, Entry, Mark
from whence.register import due as rules
from whence.serve import leases
from whence.store import Store, in_bulk

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
    with in_bulk():
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
    """one of each that was made several times, the first; those that were retired left out"""
    again: dict[tuple[str, str], str]
    """(weights, name) → when that was last made again, as text"""
    bases: dict[Ref, Base]
    sources: dict[Ref, tuple[str, ...]]
    """snapshot → names"""
    source: dict[str, Source]
    """name → what is claimed of it last"""
    releases: dict[Ref, list[tuple[Ref, str]]]
    """adapter → (release, name)"""
    aliases: dict[Ref, list[str]]
    """release → aliases that point to it"""
    serving: dict[Ref, list[tuple[Ref, Deployment]]]
    """release → deployments that are not known to have ended"""
    owners: dict[str, Owner]
    ends: dict[Ref, list[tuple[datetime, str, str]]]
    """adapter → rights that end"""
    ended: Collection[Ref]
    """adapters that stand on rows which may not be used now"""
    clashes: dict[str, str]
    """source → withdrawals that cover rows of it"""
    _known: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, calendar: Calendar, within: int) -> Facts:
        """Read them."""
        now, every = store.clock(), registry(store)
        first: dict[tuple[str, str], Made] = {}
        again: dict[tuple[str, str], str] = {}
        for one in every:
            key = (one.weights, one.name)
            if first.setdefault(key, one) is not one and one.made_at:
                again[key] = max(again.get(key, ""), one.made_at)
        gone = {event.about for event in store.events("adapter.retired")}
        releases, live = releases_of(store), leases.states(store)
        serving: dict[Ref, list[tuple[Ref, Deployment]]] = {}
        for ref, deployment in store.all(Deployment):
            if live[ref] != "ended":
                serving.setdefault(deployment.release, []).append((ref, deployment))
        pointed: dict[Ref, list[str]] = {}
        for alias, release in aliases(store).items():
            pointed.setdefault(release, []).append(alias)
        source = {one.name: one for _, one in store.all(Source)}
        return cls(
            store=store,
            now=now,
            within=within,
            calendar=calendar,
            made=[one for one in first.values() if one.adapter not in gone],
            again=again,
            bases=dict(store.all(Base)),
            sources=sources_of(store),
            source=source,
            releases=releases,
            aliases=pointed,
            serving=serving,
            owners=owners(store, now),
            ends=ends_of(store, releases, now),
            ended=_ended(store),
            clashes=_clashes(store, source, now),
        )

    # -- one adapter ---------------------------------------------------------------------------------------------------

    def due(self, probed: Mapping[tuple[str, str], Mark]) -> list[Due]:
        """Every adapter for which something fails or is not known."""
        found: list[Due] = []
        shared: dict[Any, tuple[Mark, ...]] = {}
        known: dict[Any, tuple[tuple[Mark, ...], float, int | None]] = {}
        answering: dict[str | None, str | None] = {None: None}
        for one in self.made:
            releases = self.releases.get(one.adapter, ())
            serving = [d for ref, _ in releases for d in self.serving.get(ref, ())] if releases else ()
            owner = self._owner(one, releases)
            about = owner.about if owner else None
            made_at = max(one.made_at or "", self.again.get((one.weights, one.name), "")) if self.again else one.made_at
            like = (one.base, one.snapshot, one.environment, one.python, one.clean, one.commit is None, about,
                    not serving, made_at and made_at[:10])  # fmt: skip
            weighed = known.get(like)
            if weighed is None:
                if like[:-1] not in shared:
                    shared[like[:-1]] = self._shared(one, owner, bool(serving))
                known[like] = weighed = _weighed(rules.merged([*shared[like[:-1]], self._rebuild(made_at)]))
            shown, score, days = weighed
            if probed or one.adapter in self.ends or one.adapter in self.ended:
                shown, score, days = _weighed(rules.merged([*shown, *self._own(one, serving, probed)]))
            if shown:
                if about not in answering:
                    answering[about] = owner.answers(self.now) if owner else None
                names = tuple(name for _, name in releases) if releases else ()
                found.append(Due(one.adapter, one.name, names, bool(serving), answering[about], score, days, shown))
        return found

    def _own(
        self, one: Made, serving: Sequence[tuple[Ref, Deployment]], probed: Mapping[tuple[str, str], Mark]
    ) -> list[Mark]:
        """Marks that this adapter shares with no other that is like it."""
        marks = [probed[of] for of in self.probed(one) if of in probed]
        marks += [probed["due.deployment", ref] for ref, _ in serving if ("due.deployment", ref) in probed]
        ends, ended = self.ends.get(one.adapter, ()), one.adapter in self.ended
        if ends or ended:
            marks.append(rules.rights(ends, self.now, self.within, bool(serving), ended))
        return marks

    def probed(self, one: Made) -> list[tuple[str, str]]:
        """(check, thing) of each probe that concerns an adapter."""
        things: list[tuple[str, str | None]] = [("due.base", one.base), ("due.code", one.commit)]
        things += [("due.import", one.environment)]
        things += [("due.data", name) for name in (self.sources.get(one.snapshot, ()) if one.snapshot else ())]
        return [(check, thing) for check, thing in things if thing is not None]

    def _shared(self, one: Made, owner: Owner | None, live: bool) -> tuple[Mark, ...]:
        """What fails or is not known of all adapters that agree in base, data, environment, owner, and whether they
        live. Each rule is applied once to what it looks at."""
        now, within, once = self.now, self.within, self._once
        base = self.bases.get(one.base) if one.base else None
        entries = once(("entries", one.base), lambda: self.entries(base)) if base else ()
        marks = [
            once(("base", one.base, live), lambda: rules.base(
                base.name if base else None, bool(base and base.fingerprint), entries, now, within, live)),
            once(("data", one.base, one.snapshot, live), lambda: rules.data(
                self._purges(one), rules.base_end(entries), self.clashes, now, within, live)),
            once(("environment", one.environment, one.python), lambda: rules.environment(
                one.environment is not None, one.python, self._ending(one), now, within)),
            once(("owner", owner and owner.about, live), lambda: rules.owner(
                *((owner and (owner.accountable, owner.gone, owner.backup, owner.backup_gone)) or (None,) * 4),
                now, within, live)),
            once(("code", bool(one.commit), one.clean), lambda: rules.code(
                one.commit, None if one.clean is None else one.clean == "1")),
        ]  # fmt: skip
        return rules.merged(marks)

    def _rebuild(self, made_at: str | None) -> Mark:
        day = made_at and made_at[:10]
        return self._once(("rebuild", day), lambda: rules.rebuild(parse_time(made_at) if made_at else None, self.now))

    def entries(self, base: Base) -> tuple[Entry, ...]:
        """What the calendar says of a base, under its name, its location, and its location at a revision."""
        names = dict.fromkeys((base.name, base.location, f"{base.location}@{base.revision}"))
        return self.calendar.about(*names, held=base.fingerprint is not None)

    def _purges(self, one: Made) -> Sequence[tuple[str, datetime | None]] | None:
        names = self.sources.get(one.snapshot, ()) if one.snapshot else ()
        return [(name, self.source[name].purge_at) for name in names] or None

    def _ending(self, one: Made) -> list[tuple[str, Entry]]:
        names = [f"python=={one.python}"] if one.python else []
        if one.environment:
            names += self.installed(one.environment)
        return [(name, entry) for name in names for entry in self.calendar.about(name)]

    def installed(self, environment: str) -> list[str]:
        """``name==version`` of everything that an environment held; nothing where its list is not kept."""
        return self._once(("installed", environment), lambda: _listed(self.store, environment))

    def _owner(self, one: Made, releases: Sequence[tuple[Ref, str]]) -> Owner | None:
        if not releases:
            return self.owners.get(one.adapter) or self.owners.get(one.name)
        called = [(ref, alias) for ref, _ in releases for alias in self.aliases.get(ref, ())]
        named = (self.owners.get(name) for name in names_of(one.adapter, one.name, [*called, *releases]))
        return next((owner for owner in named if owner), None)

    def _once(self, key: Any, make: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def _weighed(shown: tuple[Mark, ...]) -> tuple[tuple[Mark, ...], float, int | None]:
    """The marks with what they weigh and the nearest end."""
    return shown, rules.score(shown), rules.nearest(shown)


def _listed(store: Store, environment: str) -> list[str]:
    try:
        return [line for line in store.get_lines(environment) if isinstance(line, str) and "==" in line]
    except NotFound:
        return []


def ends_of(
    store: Store, releases: Mapping[Ref, list[tuple[Ref, str]]], now: datetime
) -> dict[Ref, list[tuple[datetime, str, str]]]:
    """Adapter → (when, what, digest) of withdrawals that are known to come, and of waivers of its releases."""
    found: dict[Ref, list[tuple[datetime, str, str]]] = {}
    for about, at in Book.of(store).to_end().items():
        kind, _, name = about.partition(":")
        for adapter in blast_radius(store, rows_of(store, kind, [name])).adapters:
            found.setdefault(adapter, []).append((at, f"the right to train on rows of {about} ends", ""))
    waivers = {ref: waiver.expires_at for ref, waiver in store.all(Waiver)}
    waived = {ref: waiver for ref, waiver in store.fields(Release, "waiver") if waiver} if waivers else {}
    for adapter, mine in releases.items() if waived else ():
        for ref, name in mine:
            if ref in waived:
                found.setdefault(adapter, []).append(
                    (waivers[waived[ref]], f"the waiver that {name} stands on expires", waived[ref])
                )
    newest = {waiver.release: (ref, waiver) for ref, waiver in store.all(BindingWaiver)}
    for adapter, mine in releases.items() if newest else ():
        for release, name in mine:
            if release in newest:
                ref, waiver = newest[release]
                said = f"the waiver by which {name} is served on another base expires"
                found.setdefault(adapter, []).append((waiver.expires_at, said, ref))
    return found


def _ended(store: Store) -> set[Ref]:
    """Adapters that were made from rows which may not be used now."""
    bars = blocked(store)
    if not (bars.breach or bars.barred):
        return set()
    return {one.id for one in blast.blast_radius(store, history=True).adapters if one.level == "breach"}


def _clashes(store: Store, sources: Mapping[str, Source], now: datetime) -> dict[str, str]:
    """Source that is deleted one day → the withdrawals, in force or to come, that cover rows of it."""
    gone = [about for about, said in states(store).items() if said == "withdrawn"]
    withdrawn = dict.fromkeys([*gone, *Book.of(store).to_end()])
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
