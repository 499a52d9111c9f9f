"""Which models that answer users were made from what may no longer be used: rights (govern) name the rows, lineage what
was made of them, leases (serve) what of that is live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from whence import govern, lineage, register
from whence.govern import Standing
from whence.lineage import Touched
from whence.records import Evaluation, Ref, Suite
from whence.serve import leases
from whence.store import RowSet, Store, row_set
from whence.store.keys import PSEUDONYMS

Level = Literal["breach", "review", "mediated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A snapshot, training run, adapter or release that such rows reached."""

    id: Ref
    """digest"""
    name: str
    """what people call it"""
    level: Level
    """breach: it was made from rows that may not be used; review: a person has to decide; mediated: it is reached only
    through rows that another model wrote, or by distillation"""
    rows: int
    """rows in it that may not be used, or were made from such rows"""
    review: int
    """of these, rows of which a person has to decide"""
    mediated: int
    """further rows in it that a reached model wrote"""
    through: Mapping[Ref, str]
    """what leads here → how: fed, composed, distilled, wrote, made, released"""
    retired: bool = False
    """whether the adapter was taken out of use for good"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A deployment and what is known of it."""

    deployment: Ref
    """digest"""
    release: Ref
    """what it serves"""
    name: str
    """of the release"""
    endpoint: str
    """address"""
    state: str
    """live, unknown, declared (somebody else runs it) or ended"""
    level: Level
    """of the adapter that answers"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """A suite that asks about people who do not allow it."""

    id: Ref
    """digest"""
    name: str
    """the project's name for it"""
    role: str
    """dev or gate"""
    items: int
    """about them"""
    evaluations: int
    """made on it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """What stands downstream of rows that may not be used."""

    asked: tuple[str, ...]
    """``subject:PSEUDONYM``, ``source:NAME`` …; empty: everything"""
    what_if: bool
    """whether it was asked what a withdrawal would reach"""
    standings: Mapping[str, Standing | None]
    """about → what holds for it; of everything asked, or of all that blocks"""
    because: Mapping[str, str]
    """``licence:…`` or ``generator:…`` → what it says of the declared use, where that is no permission"""
    direct: RowSet = field(repr=False)
    """ordinals of rows that may not be used"""
    derived: RowSet = field(repr=False)
    """ordinals of rows made from those, at any depth"""
    review: RowSet = field(repr=False)
    """of both, those of which a person has to decide"""
    mediated: RowSet = field(repr=False)
    """ordinals of rows that a reached model wrote, and of rows made from those"""
    snapshots: tuple[Reached, ...]
    runs: tuple[Reached, ...]
    adapters: tuple[Reached, ...]
    releases: tuple[Reached, ...]
    deployments: tuple[Served, ...]
    suites: tuple[Questions, ...]
    dark: tuple[str, ...]
    """releases that may answer and of which nobody knows from which rows they were made"""
    whole: bool
    """whether the whole record was looked at, or only what stands behind deployments that may still answer"""
    of: int
    """rows in the store"""

    @property
    def live(self) -> tuple[Served, ...]:
        """Deployments that are not known to have ended."""
        return tuple(one for one in self.deployments if one.state != "ended")

    @property
    def rows(self) -> int:
        """Rows that may not be used, and those made from them."""
        return len(self.direct) + len(self.derived)

    @property
    def outcome(self) -> str:
        """fail: something live stands on what may not be used; abstain: on what a person has to decide, or by way of
        other models, or nobody knows what it stands on, or there are no rows; else pass."""
        levels = {one.level for one in self.live}
        return "fail" if "breach" in levels else "abstain" if levels or self.dark or not self.of else "pass"


def blast_radius(
    store: Store,
    asked: Sequence[tuple[str, str]] = (),
    *,
    as_of: datetime | None = None,
    known_by: datetime | None = None,
    history: bool = False,
    what_if: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> BlastRadius:
    """What of these things may not be used as of a time, and what was made of it.

    asked: (kind, name) of people (by pseudonym), sources, licences, rows; none: everything. known_by: what was recorded
    later is left out; as_of, where it is not named. history: everything ever made of it; otherwise what stands behind
    deployments that may still answer, where there are any. what_if: as if all of it had been withdrawn. progress:
    called with (adapters looked at, all).
    """
    with store.still():
        return _blast_radius(store, asked, as_of, known_by, history, what_if, progress)


def _blast_radius(
    store: Store,
    asked: Sequence[tuple[str, str]],
    as_of: datetime | None,
    known_by: datetime | None,
    history: bool,
    what_if: bool,
    progress: Callable[[int, int], None] | None,
) -> BlastRadius:
    rows, review, standings, because = _rows(store, asked, as_of, known_by, what_if)
    running = leases.running(store, as_of, known_by)
    behind = None if history or not running else running
    blast = lineage.blast_radius(store, rows, review, behind=behind, as_of=as_of, known_by=known_by, progress=progress)
    known = lineage.graph_of(store)
    levels: dict[Ref, Level] = {}
    for ref, touched in blast.adapters.items():  # a merged model, which is younger, stands as the worst of its parts
        parts = [levels[model] for model, how in touched.through.items() if how == "composed" and model in levels]
        levels[ref] = min([_level(touched), *parts], key=WORST.index)
    gone = _retired(store, levels, known_by or as_of)
    names = {ref: name for adapter in levels for ref, name in known.releases.get(adapter, ())}
    states = leases.states(store, blast.deployments) if as_of is None else {}
    return BlastRadius(
        asked=tuple(f"{kind}:{name}" for kind, name in asked),
        what_if=what_if,
        standings=standings,
        because=because,
        direct=blast.direct,
        derived=blast.derived,
        review=blast.review,
        mediated=blast.mediated,
        snapshots=tuple(_reached(ref, known.called[ref], one, _level(one)) for ref, one in blast.snapshots.items()),
        runs=tuple(_reached(ref, known.called[ref], one, _level(one)) for ref, one in blast.runs.items()),
        adapters=tuple(
            _reached(ref, known.made[ref].name, one, levels[ref], gone=ref in gone)
            for ref, one in blast.adapters.items()
        ),
        releases=tuple(
            _reached(ref, names[ref], blast.adapters[adapter], levels[adapter], {adapter: "released"}, adapter in gone)
            for ref, adapter in blast.releases.items()
        ),
        deployments=tuple(
            Served(
                deployment=ref,
                release=release,
                name=names[release],
                endpoint=known.called[ref],
                state=states[ref] if as_of is None else leases.state(store, ref, as_of, known_by),
                level=levels[blast.releases[release]],
            )
            for ref, release in blast.deployments.items()
        ),
        suites=_suites(store, asked, standings, as_of, known_by, what_if),
        dark=lineage.dark(store, running),
        whole=blast.whole,
        of=store.committed(known_by or as_of),
    )


def _rows(
    store: Store,
    asked: Sequence[tuple[str, str]],
    as_of: datetime | None,
    known_by: datetime | None,
    what_if: bool,
) -> tuple[RowSet, RowSet, dict[str, Standing | None], dict[str, str]]:
    """(rows in breach, rows to be reviewed, what holds for what was asked or for all that blocks, what licences and
    generators' terms say)."""
    kinds: dict[str, list[str]] = {}
    for kind, name in asked:
        kinds.setdefault(kind, []).append(name)
    mine = row_set([])
    for kind, names in kinds.items():
        mine |= govern.rows_of(store, kind, names, known_by or as_of)
    if what_if:
        return mine, row_set([]), {f"{kind}:{name}": None for kind, name in asked}, {}
    bars = govern.blocked(store, as_of, known_by)
    breach, review = bars.breach | bars.barred, bars.review | bars.unclear
    if not asked:
        because = {about: said for about, (said, _) in bars.because.items()}
        return breach, review - breach, _causes(store, bars.why, breach | review, known_by or as_of), because
    held: dict[str, Standing | None] = {f"{k}:{n}": bars.held.get(f"{k}:{n}") for k, n in asked}
    if any(one is None for one in held.values()):
        other = govern.blocked(store, as_of, known_by, use="evaluate").held
        held = {about: one or other.get(about) for about, one in held.items()}
    stopped = mine & (breach | review)
    because = {about: said for about, (said, rows) in bars.because.items() if not stopped.isdisjoint(rows)}
    if stopped:
        held = {**held, **_causes(store, bars.why, stopped, known_by or as_of)}
    return mine & breach, stopped - breach, held, because


def _causes(
    store: Store, why: Mapping[str, Standing], rows: RowSet, known_by: datetime | None
) -> dict[str, Standing | None]:
    """Those of these things that mean any of the rows; all where they are too many to look at one by one."""
    if len(why) > LOOKED_AT:
        return dict(why)
    return {
        about: one
        for about, one in why.items()
        if not rows.isdisjoint(govern.rows_of(store, about.partition(":")[0], [about.partition(":")[2]], known_by))
    }


LOOKED_AT = 1000
"""As many causes are looked at one by one, to leave out those that mean no row."""


WORST: tuple[Level, ...] = ("breach", "review", "mediated")


def _level(touched: Touched) -> Level:
    """By its own rows."""
    if not touched.rows:
        return "mediated"
    return "review" if touched.rows == touched.review else "breach"


def _retired(store: Store, adapters: Iterable[Ref], as_of: datetime | None) -> set[Ref]:
    """Those of these adapters that were retired by then."""
    if as_of is None:
        return {ref for ref in adapters if register.retired(store, ref)}
    return {Ref(event.about) for event in store.events("adapter.retired", as_of=as_of)}.intersection(adapters)


def _reached(
    ref: Ref,
    name: str,
    touched: Touched,
    level: Level,
    through: Mapping[Ref, str] | None = None,
    gone: bool = False,
) -> Reached:
    return Reached(
        id=ref,
        name=name,
        level=level,
        rows=touched.rows,
        review=touched.review,
        mediated=touched.mediated,
        through=touched.through if through is None else through,
        retired=gone,
    )


def _suites(
    store: Store,
    asked: Sequence[tuple[str, str]],
    standings: Mapping[str, Standing | None],
    as_of: datetime | None,
    known_by: datetime | None,
    what_if: bool,
) -> tuple[Questions, ...]:
    """Suites with items about the people asked for who do not allow it; about anybody who does not, for everything."""
    people = {name for kind, name in asked if kind == "subject"}
    if (asked and not people) or not store.memo("suites.any", lambda: store.count(Suite)):
        return ()
    if not what_if:
        held = govern.blocked(store, as_of, known_by, use="evaluate").why
        gone = {about.partition(":")[2] for about in held if about.startswith("subject:")}
        people = people & gone if asked else gone
    if not people:
        return ()
    counts = store.memo("suites.people", lambda: _people(store))
    found = {suite: sum(mine[person] for person in people if person in mine) for suite, mine in counts.items()}
    made = [suite for _, suite in store.fields(Evaluation, "suite")] if any(found.values()) else []
    suites = {ref: store.get(ref, Suite) for ref, items in found.items() if items}
    return tuple(
        Questions(id=ref, name=suite.name, role=suite.role, items=found[ref], evaluations=made.count(ref))
        for ref, suite in suites.items()
    )


def _people(store: Store) -> dict[Ref, dict[str, int]]:
    """Suite → person → items about them; a conversation may stand for a person."""
    from whence.evaluate import items_of

    if PSEUDONYMS not in store.keys:
        return {}
    found: dict[Ref, dict[str, int]] = {}
    for ref, _ in store.all(Suite):
        mine = found.setdefault(ref, {})
        for item in items_of(store, ref):
            if item.group is not None:
                person = store.keys.pseudonym(item.group)
                mine[person] = mine.get(person, 0) + 1
    return found
