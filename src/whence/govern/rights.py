"""Rights as events: what was granted, changed, disputed, withdrawn and reinstated, and what holds at a time.

A source's declared licence and consent basis are what was granted at first. From then on the events about a person, a
source, a licence, a row or a list of rows decide, each from the time on at which it holds in the world, as far as it
was recorded by a time. Of events about one thing that hold from one time on, the strictest counts last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Literal

from whence.govern.licences import Ruling, rule, terms_of
from whence.govern.scopes import ABOUT, collected_before, rows_of
from whence.govern.uses import uses
from whence.records import Event, Finding, Json, Ref, Snapshot, Source, encode, plain, sha256
from whence.records import Use as Declared
from whence.store import RowSet, Store, row_set

PERSONAL_BASES = frozenset({"consent", "contract", "legitimate-interest", "legal-duty"})

What = Literal["grant", "change", "dispute", "withdraw", "reinstate"]
State = Literal["granted", "disputed", "withdrawn"]
Use = Literal["train", "evaluate"]
STRICTNESS = {"reinstate": 0, "grant": 0, "change": 1, "dispute": 2, "withdraw": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A change of a right, to be recorded."""

    what: What
    about: str
    """``subject:PSEUDONYM``, ``source:NAME``, ``licence:EXPRESSION``, ``row:ID`` or ``rows:BLOB``"""
    valid_at: datetime | None = None
    """from when; None: from now on"""
    use: Use | None = None
    """what it is about; None: every use"""
    licence: str | None = None
    """of a change: the new licence; of a grant: the only one that counts from now on"""
    reach: Literal["new", "all"] | None = None
    """of a change: rows that are collected from then on, or those that were collected before, too"""
    evidence: str | None = None
    """``sha256:`` of a file that shows it"""
    reason: str | None = None
    """words: kept apart, erasable"""
    said_by: str | None = None
    """who said so, where it was not the one who records it; kept with the words"""


def tell(store: Store, changes: Iterable[Told]) -> list[Event]:
    """Record changes of rights, all or none; a person decides them, except that anybody may see a licence change.
    Raises Unmet."""
    changes = list(changes)
    for one in changes:
        if one.what != "change":
            store.person()
            break
    journal, entries, made = store.journal("payload"), [], []
    for one in changes:
        if one.reason or one.said_by:
            entries.append(journal.append({"reason": one.reason, "by": one.said_by or store.actor}))
        words = entries[-1].digest if one.reason or one.said_by else None
        data: dict[str, Json] = {"use": one.use, "licence": one.licence, "reach": one.reach, "evidence": one.evidence}
        made.append((f"rights.{one.what}", one.about, data, one.valid_at, words))
    journal.sync()
    with store.transaction():
        store.note_words("payload", entries)
        return store.append_many(made)


def change(
    store: Store,
    about: str,
    what: What,
    *,
    valid_at: datetime | None = None,
    reason: str | None = None,
) -> int:
    """Record one change; see `Told`. Returns the event's number."""
    return tell(store, [Told(what=what, about=about, valid_at=valid_at, reason=reason)])[0].seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A licence that was named after rows had been collected."""

    licence: str | None
    """None: the terms changed, nobody has said to what"""
    since: datetime
    """from when"""
    event: int
    """number in the chain"""
    reach: Literal["new", "all"]
    """rows collected from then on, or earlier ones as well"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for one thing at a time."""

    state: State
    """what may be done with it"""
    what: What
    """what decided it"""
    since: datetime
    """from when"""
    event: int
    """number in the chain of what decided it"""
    terms: tuple[Terms, ...] = ()
    """licences that were named later and that no decision has cleared; the strictest counts"""
    decided: bool = False
    """whether the last of `terms` replaces the licence that rows came with: a person said so"""
    contradicted: tuple[int, ...] = ()
    """events that said otherwise of the same time"""
    use: Use | None = None
    """what it is about; None: every use"""


@dataclass(frozen=True, slots=True)
class _Entry:
    event: Event
    told: datetime
    """when it was recorded, as far as clocks can be trusted: never before an earlier event"""

    @property
    def holds(self) -> datetime:
        return self.event.valid_at or self.told


class Book:
    """What was recorded of rights by a time (by now, where none is named).

    A clock that jumps changes no order: what names no time of its own holds from its place in the chain on, and what
    held when it was recorded goes on holding.
    """

    def __init__(self, store: Store, known_by: datetime | None = None) -> None:
        self._clock, self._known_by = store.clock, known_by
        now, told = store.clock(), datetime.min.replace(tzinfo=UTC)
        self._about: dict[str, list[_Entry]] = {}
        for event in store.events("rights.*", as_of=known_by):
            told = max(told, min(event.recorded_at, now))
            self._about.setdefault(event.about, []).append(_Entry(event, told))

    @classmethod
    def of(cls, store: Store) -> Book:
        """All that was ever recorded; read once, until more is."""
        return store.memo("rights.book", lambda: cls(store), "rights.*")

    def standing(self, about: str, use: Use = "train", at: datetime | None = None) -> Standing | None:
        """What holds for this thing, now or at a time; None where nothing was ever said of it."""
        return _fold(_valid(self._about.get(about, ()), use, at, self._clock()))

    def standings(self, use: Use = "train", at: datetime | None = None) -> dict[str, Standing]:
        """What holds for everything that anything was said of."""
        now, found = self._clock(), {}
        for about, entries in self._about.items():
            one = _fold(_valid(entries, use, at, now))
            if one is not None:
                found[about] = one
        return found

    def ever_withdrawn(self) -> set[str]:
        """Everything that was withdrawn at some time."""
        return {a for a, entries in self._about.items() if any(e.event.kind == "rights.withdraw" for e in entries)}

    def to_end(self) -> dict[str, datetime]:
        """When the right to each thing ends of which that is recorded already and does not hold yet."""
        now, found = self._clock(), {}
        for about, entries in self._about.items():
            later = sorted({e.holds for e in entries if e.holds > now and e.event.kind == "rights.withdraw"})
            ends = (at for at in later if (s := self.standing(about, at=at)) and s.state == "withdrawn")
            if later and (at := next(ends, None)):
                found[about] = at
        return found

    def next_change(self) -> datetime | None:
        """When the next thing that was recorded begins to hold."""
        now = self._clock()
        later = [e.holds for entries in self._about.values() for e in entries if e.holds > now]
        return min(later, default=None)


def _valid(entries: Sequence[_Entry], use: Use, at: datetime | None, now: datetime) -> list[_Entry]:
    """Those that hold, in the order in which they do. What lifts a restriction of its own time comes after it."""
    keyed = []
    restricted = {e.event.valid_at: e.event.seq for e in entries if e.event.kind in RESTRICTING}
    for entry in entries:
        event = entry.event
        data = event.data or {}
        if data.get("use", data.get("scope")) not in (None, use):  # scope: so called in version 0.1
            continue
        if at is None:
            if (event.valid_at or event.recorded_at) > max(now, event.recorded_at):
                continue
            when = min(event.valid_at, now) if event.valid_at else entry.told
        elif entry.holds > at:
            continue
        else:
            when = entry.holds
        lifts = event.kind == "rights.reinstate" and event.seq > restricted.get(event.valid_at, 0)
        strict = 4 if lifts else STRICTNESS[event.kind.removeprefix("rights.")]
        strict = strict if event.valid_at else 0
        keyed.append(((when, strict, event.seq), entry))
    return [entry for _, entry in sorted(keyed, key=itemgetter(0))]


def _fold(entries: Sequence[_Entry]) -> Standing | None:
    """What these, in the order in which they hold, come to."""
    if not entries:
        return None
    state: State = "granted"
    terms: tuple[Terms, ...] = ()
    decided = False
    for entry in entries:
        event = entry.event
        what, data = event.kind.removeprefix("rights."), event.data or {}
        if what == "change":
            made = Terms(
                licence=data.get("licence"), since=entry.holds, event=event.seq, reach=data.get("reach") or "new"
            )
            terms = (*terms, made)
            continue
        state = ENDS.get(what, "granted")
        if what == "grant" and data.get("licence"):
            terms = (Terms(licence=data["licence"], since=entry.holds, event=event.seq, reach="all"),)
            decided = True
    last = next((e for e in reversed(entries) if e.event.kind != "rights.change"), entries[0])
    return Standing(
        state=state,
        what=last.event.kind.removeprefix("rights."),
        since=last.holds,
        event=last.event.seq,
        terms=terms,
        decided=decided,
        contradicted=_contradicting(entries, last.event) if len(entries) > 1 else (),
        use=(last.event.data or {}).get("use"),
    )


ENDS: dict[str, State] = {"withdraw": "withdrawn", "dispute": "disputed"}


def _contradicting(entries: Sequence[_Entry], event: Event) -> tuple[int, ...]:
    """Events that say of the same time what only one of both can be."""
    if event.valid_at is None or event.kind == "rights.reinstate":
        return ()
    others = [e.event for e in entries if e.event.valid_at == event.valid_at and e.event.kind != event.kind]
    return tuple(e.seq for e in others if {e.kind, event.kind} & RESTRICTING)


RESTRICTING = {"rights.withdraw", "rights.dispute"}


def states(store: Store, as_of: datetime | None = None) -> dict[str, State]:
    """About → its state, as was known and held by then."""
    return {about: one.state for about, one in Book(store, as_of).standings(at=as_of).items()}


def rights_digest(store: Store) -> str:
    """``sha256:`` of all that holds: a stage that reads rights is done again when it changes."""
    held = Book.of(store).standings()
    said = {about: [one.state, one.decided, *(t.licence for t in one.terms)] for about, one in held.items()}
    changed = any(one.terms for one in held.values())
    if changed:
        said["uses"] = [plain(use) for use in uses(store)]
    if found := store.mark("mentions.*", "subject.*")[1]:
        said["mentions"] = [found]
    return sha256(encode(said))


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Rows that may not be used, themselves alone: what was made from them is for `lineage`."""

    breach: RowSet
    """withdrawn, or under a licence that came later and does not allow the declared use"""
    review: RowSet
    """disputed, or collected before their licence changed: a person has to decide"""
    barred: RowSet
    """that came under a licence or a generator's terms which do not allow the declared use; none where none is"""
    unclear: RowSet
    """of whose licence nobody can tell whether it does"""
    why: Mapping[str, Standing]
    """about → what holds for it, for whatever blocks"""
    because: Mapping[str, tuple[str, RowSet]]
    """``licence:…`` or ``generator:…`` → what it says of the declared use, where that is no permission, and the rows"""
    held: Mapping[str, Standing]
    """about → what holds for it, for everything that anything was said of"""
    until: datetime | None
    """when the next thing that was recorded begins to hold"""


def blocked(
    store: Store, as_of: datetime | None = None, known_by: datetime | None = None, use: Use = "train"
) -> Blocked:
    """Every row that may not be used as of a time, as far as was known by a time (then, where none is named)."""
    if as_of is not None or known_by is not None:
        return _blocked(store, as_of, known_by, use)
    known: list[Blocked] = store.memo(f"rights.{use}", list, "rights.*", "use.*", "rows.*", "mentions.*")
    if not known or (known[0].until is not None and known[0].until <= store.clock()):
        known[:] = [_blocked(store, None, None, use)]
    return known[0]


def _blocked(store: Store, as_of: datetime | None, known_by: datetime | None, use: Use) -> Blocked:
    known_by = known_by or as_of
    book = Book(store, known_by) if known_by else Book.of(store)
    held = book.standings(use, as_of)
    named: dict[State, dict[str, list[str]]] = {"withdrawn": {}, "disputed": {}, "granted": {}}
    for about, one in held.items():
        kind, _, name = about.partition(":")
        if one.state != "granted" and kind in ABOUT:
            named[one.state].setdefault(kind, []).append(name)
    breach, review, why = row_set([]), row_set([]), {a: one for a, one in held.items() if one.state != "granted"}
    for kind, names in named["withdrawn"].items():
        breach |= rows_of(store, kind, names, known_by)
    for kind, names in named["disputed"].items():
        review |= rows_of(store, kind, names, known_by)
    declared = uses(store, known_by)
    decided, barred, unclear, because = row_set([]), row_set([]), row_set([]), dict[str, tuple[str, RowSet]]()
    for about, terms, after, before in amended(store, held):
        ruling = judged(terms.licence, declared)
        verdict = ruling.verdict
        settled = held[about].decided and not declared and terms.reach == "all"  # a person granted it, for any use
        if verdict != "allowed" and not settled:
            why[about] = held[about]
            because[f"{about} since {terms.since:%Y-%m-%d}"] = _said(ruling), before | after
            breach |= after if verdict == "barred" else row_set([])
            review |= before if verdict == "barred" else before | after
        if held[about].decided:
            decided |= after
    for about, ruling, rows in claimed(store, declared) if declared else ():
        if ruling.verdict != "allowed" and (rows := rows - decided):
            because[about] = _said(ruling), rows
            if ruling.verdict == "barred":
                barred |= rows
            else:
                unclear |= rows
    return Blocked(
        breach=breach,
        review=review - breach,
        barred=barred,
        unclear=unclear - barred,
        why=why,
        because=because,
        held=held,
        until=book.next_change(),
    )


def _said(ruling: Ruling) -> str:
    return f"{ruling.verdict}: {ruling.why} ({ruling.clause})"


def amended(store: Store, held: Mapping[str, Standing]) -> Iterator[tuple[str, Terms, RowSet, RowSet]]:
    """(about, a licence that was named later, rows that it covers, rows that were collected before it)."""
    for about, one in held.items():
        kind, _, name = about.partition(":")
        if one.terms and kind in ABOUT:
            rows = rows_of(store, kind, [name])
            for terms in one.terms:
                before = collected_before(store, rows, terms.since) if terms.reach == "new" else row_set([])
                yield about, terms, rows - before, before


def claimed(store: Store, declared: Sequence[Declared]) -> Iterator[tuple[str, Ruling, RowSet]]:
    """(``licence:…`` or ``generator:…``, what it says of the declared use, rows that came under it)."""
    sets, bare = store.index().sets, row_set(range(store.committed()))
    for name, rows in sets["licence"].items():
        bare -= rows
        yield f"licence:{name}", judged(name, declared), rows
    if bare:
        yield "licence:none", judged(None, declared), bare
    for name, rows in sets["generator"].items():
        rulings = [judged(terms_of(name, use) or UNKNOWN_TERMS, [use]) for use in declared]
        yield f"generator:{name}", min(rulings, key=_strictness), rows


UNKNOWN_TERMS = "LicenseRef-Unknown-Terms"


def judged(licence: str | None, declared: Sequence[Declared]) -> Ruling:
    """What a licence says of all that is declared, the strictest answer; unknown where nothing is."""
    if not declared:
        return Ruling(verdict="unknown", why="nothing says what the models are for", clause="none")
    return min((rule(licence, use) for use in declared), key=_strictness)


def _strictness(ruling: Ruling) -> int:
    return ("barred", "unknown", "allowed").index(ruling.verdict)


def withdrawn_rows(store: Store, as_of: datetime | None = None) -> RowSet:
    """Rows that may not be trained on, and rows made from them."""
    found = blocked(store, as_of)
    rows = found.breach | found.review
    return rows | store.index().descendants(rows)


def admitter(
    store: Store,
) -> Callable[[Source, Sequence[str | None], Sequence[str | None], Sequence[datetime | None]], list[str | None]]:
    """The ``admit`` that ingest asks: for each row None, or the code of what is missing. Nothing is assumed."""
    book = Book.of(store)
    gone = {about for about, one in book.standings().items() if one.state != "granted"}
    ever = book.ever_withdrawn()
    spelled = {about.casefold(): about for about in gone | ever if about.startswith("licence:")}

    def under(licence: str) -> str:
        return spelled.get(f"licence:{licence}".casefold(), "") if spelled else ""

    @lru_cache(maxsize=1 << 16)
    def was_withdrawn(about: str, when: datetime) -> bool:
        then = book.standing(about, at=when)
        return then is not None and then.state == "withdrawn"

    def ended(abouts: Sequence[str], when: datetime | None) -> str | None:
        """Why a row about these, collected then, may not come in."""
        if when is not None and any(about in ever and was_withdrawn(about, when) for about in abouts):
            return "collected_after_withdrawal"
        return "withdrawn" if gone.intersection(abouts) else None

    def admit(
        source: Source,
        subjects: Sequence[str | None],
        licences: Sequence[str | None],
        collected: Sequence[datetime | None],
    ) -> list[str | None]:
        of = f"source:{source.name}"
        if of in gone:
            return ["withdrawn"] * len(subjects)
        based = source.consent_basis in PERSONAL_BASES
        if not ever and not gone and based and all(licences):
            return [None] * len(subjects)
        return [
            "no_licence"
            if licence is None
            else "no_consent_basis"
            if subject is not None and not based
            else ended((of, f"subject:{subject}", under(licence)), when or source.retrieved_at)
            for subject, licence, when in zip(subjects, licences, collected, strict=True)
        ]

    return admit


def withdrawn(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``rights.withdrawn``: a snapshot must hold no row whose right was withdrawn."""
    record = store.get(thing)
    if isinstance(record, Snapshot):
        yield from _snapshot(store, thing, record)


def _snapshot(store: Store, thing: Ref, snapshot: Snapshot) -> Iterator[Finding]:
    rows = store.snapshot_rows(snapshot) & withdrawn_rows(store)
    yield Finding(
        check="rights.withdrawn",
        about=thing,
        verdict="fail" if rows else "pass",
        severity="high",
        message=f"{len(rows)} of {snapshot.rows} rows may not be trained on any more"
        if rows
        else f"nothing was withdrawn for any of {snapshot.rows} rows",
        statistic=float(len(rows)),
        threshold=0.0,
        n=snapshot.rows,
        rows=store.put_set(rows) if rows else None,
    )
