"""Cases: what a request, a takedown, a departure or an end of life asks of us, what was done, and what is still open.

A case fixes what it is about and when it must be done. What it affects is not written down but asked anew each time: a
model that is trained on the rows while the case is open is in it as well. Each thing has actions with a level of proof:
*exact* where nothing is left of the rows to the byte, *none* where a person takes it on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from whence import govern, lineage, register, train
from whence.govern import Told
from whence.govern.scopes import ABOUT
from whence.lifecycle.blast import BlastRadius, Reached, blast_radius
from whence.records import Adapter, Base, Case, Closure, Event, NotFound, Ownership, Ref, Unmet
from whence.serve import leases
from whence.store import RowSet, Store, erased, row_set

Kind = Literal["erasure", "takedown", "departure", "end-of-life"]
Action = Literal["erase", "retire", "drop", "rebuild", "ended", "own", "note", "waive"]
DAYS = {"erasure": 30, "takedown": 14, "departure": 30, "end-of-life": 180}
"""Days until a case is due, where nobody says: for an erasure the month that European law gives."""
PROOF: dict[str, str] = {
    "erase": "exact",
    "retire": "exact",
    "drop": "exact",
    "rebuild": "exact",
    "ended": "recorded",
    "own": "recorded",
    "note": "approximate",
    "waive": "none",
}
"""Action → what it proves. exact: nothing is left, to the byte; recorded: a person says so; approximate: a person says
that a method lessened what is left, which settles nothing; none: it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing that a case affects."""

    thing: str
    """digest, or ``content`` for the rows' own content, or the name of what is owned"""
    what: Literal["content", "adapter", "deployment", "ownership"]
    name: str
    """what people call it"""
    why: str
    """how it is affected"""
    actions: tuple[Action, ...]
    """that can be taken"""
    cost: str
    """of the dearest of them"""
    done: Event | None
    """the event ``case.acted`` that settled it, or ``adapter.retired`` of another case; None: it is open"""
    noted: tuple[Event, ...] = ()
    """events ``case.noted``: approximate methods that somebody applied; they settle nothing"""

    @property
    def action(self) -> str | None:
        """What settled it; None while it is open."""
        return self.done.data.get("action", "retire") if self.done else None

    @property
    def proof(self) -> str | None:
        """What was proven: exact, recorded or none; None while it is open."""
        return PROOF[self.action] if self.action else None


def opened(store: Store, kind: Kind, about: Sequence[tuple[str, str]], due: datetime | None, reason: str | None) -> Ref:
    """Open a case; a person does. An erasure or takedown withdraws the right to the rows, where it still stands.
    Raises Unmet."""
    store.person()
    kinds = {"departure": ("person",), "end-of-life": ("base",)}.get(kind, ABOUT)
    if not about or any(one not in kinds for one, _ in about):
        raise Unmet(f"{kind} is about {', '.join(one for one, _ in about) or 'nothing'}", " or ".join(kinds), "name it")
    for one, name in about:
        if one in ("person", "base") and not _known(store, one, name):
            raise Unmet(f"no {one} is called {name!r}", "one that the record knows", "look at its spelling")
    now, names = store.clock(), tuple(f"{one}:{name}" for one, name in about)
    with store.transaction():
        number = sum(case.kind == kind for _, case in store.all(Case)) + 1
        request = store.write_words("payload", {"request": reason}) if reason else None
        ref = store.put(
            Case(
                name=f"{kind}-{number}",
                kind=kind,
                about=names,
                opened_at=now,
                due_at=due or now + timedelta(days=DAYS[kind]),
                request=request,
            )
        )
        store.append("case.opened", ref, {"kind": kind})
        if kind in ("erasure", "takedown"):
            held = govern.Book.of(store).standings()
            ended = [name for name in names if name not in held or held[name].state != "withdrawn"]
            govern.tell(store, [Told(what="withdraw", about=name) for name in ended])
    return ref


def _known(store: Store, kind: str, name: str) -> bool:
    """Whether somebody of this name owns or owned something, or a base is called so."""
    if kind == "person":
        return any(name in (one.accountable, one.backup) for _, one in store.all(Ownership))
    return any(name in (ref, base.name) for ref, base in store.all(Base))


def case_of(store: Store, name: str) -> tuple[Ref, Case]:
    """A case by its name or digest. Raises NotFound."""
    for ref, case in reversed(list(store.all(Case))):
        if name in (case.name, ref) or (len(name) >= 6 and ref.removeprefix("sha256:").startswith(name)):
            return ref, case
    known = ", ".join(case.name for _, case in store.all(Case)) or "none yet"
    raise NotFound(f"no case is called {name!r}\n  expected: one of {known}")


def closed(store: Store, case: Ref) -> Event | None:
    """The event that ended it, or None."""
    return next(iter(store.events("case.closed", about=case, last=True)), None)


def rows_of(store: Store, case: Case) -> RowSet:
    """The rows that a case is about, those made from them left out."""
    found = row_set([])
    for name in case.about:
        kind, _, rest = name.partition(":")
        found |= govern.rows_of(store, kind, [rest]) if kind in ABOUT else row_set([])
    return found


def tasks(store: Store, ref: Ref, case: Case) -> list[Task]:
    """What a case affects, as of now."""
    done = _settled(store, ref)
    makers = {"departure": _departed, "end-of-life": _ended}
    found = makers[case.kind](store, case, done) if case.kind in makers else _rows(store, ref, case, done)
    noted: dict[str, list[Event]] = {}
    for event in store.events("case.noted", about=ref):
        noted.setdefault(event.data["thing"], []).append(event)
    return [replace(one, noted=tuple(noted.get(one.thing, ()))) for one in found]


def _settled(store: Store, ref: Ref) -> dict[str, Event]:
    """Thing → the event that settled it; a waiver that has expired settles nothing."""
    now, found = store.clock(), dict[str, Event]()
    for event in store.events("case.acted", about=ref):
        until = event.data.get("until")
        if until is None or datetime.fromisoformat(until) > now:
            found[event.data["thing"]] = event
        else:
            found.pop(event.data["thing"], None)
    return found


def _rows(store: Store, ref: Ref, case: Case, done: dict[str, Event]) -> Iterator[Task]:
    rows = rows_of(store, case)
    blast = reach(store, case)
    if case.kind == "erasure":
        every, taken = rows | blast.derived, erased(store)
        left = every - (taken.rows - taken.under_way)
        more = ", an erasure of some is under way" if every & taken.under_way else ""
        yield Task(
            thing="content",
            what="content",
            name=f"{len(every):,} rows",
            why=f"{len(rows):,} of the request, {len(every) - len(rows):,} made from them; "
            f"{len(every) - len(left):,} erased{more}",
            actions=("erase", "waive"),
            cost="the row files that hold them are written anew",
            done=_waived(done.get("content")) if left else done.get("content"),
        )
    for one in blast.adapters:
        yield _model(store, case, one, every_row(store, rows), done)
    yield from _served(store, blast, done)


def every_row(store: Store, rows: RowSet) -> RowSet:
    """Rows, and all that was made from them."""
    return rows | store.index().descendants(rows)


def reach(store: Store, case: Case) -> BlastRadius:
    """Everything that was ever made of a case's rows."""
    asked = [(one.partition(":")[0], one.partition(":")[2]) for one in case.about]
    return blast_radius(store, asked, history=True, what_if=True)


def held(store: Store, case: Case) -> Iterator[str]:
    """What of a case's rows somebody must keep: how many, under which hold."""
    rows = every_row(store, rows_of(store, case))
    for about, event in govern.holds(store).items():
        kind, _, name = about.partition(":")
        if both := len(rows & every_row(store, govern.rows_of(store, kind, [name]))):
            yield f"{both:,} of the rows: {about} since {event.recorded_at:%Y-%m-%d} (event {event.seq})"


def _waived(event: Event | None) -> Event | None:
    return event if event and event.data["action"] == "waive" else None


def _model(store: Store, case: Case, one: Reached, rows: RowSet, done: dict[str, Event]) -> Task:
    adapter = store.get(one.id, Adapter)
    dropped = register.only_beside(store, one.id)
    actions: list[Action] = ["drop" if dropped else "retire"]
    cost = "its weights are deleted, and " + ("the one beside it answers" if dropped else "it answers no more")
    try:
        plan = train.replay(store, adapter.run, rows)
    except Unmet:
        plan = None
    if plan and plan.gone:
        actions.insert(0, "rebuild")
        took = plan.train_cpu_s and plan.start_cpu_s is not None and plan.share * plan.train_cpu_s + plan.start_cpu_s
        cost = f"{plan.share:.0%} of a training" + (f", about {took:,.0f} CPU s" if took else "")
    how = [f"{one.rows:,} of the rows"] if one.rows else []
    how += [f"{one.mediated:,} rows that such a model wrote"] if one.mediated else []
    how += sorted(set(one.through.values()) & {"composed", "distilled"})
    return Task(
        thing=one.id,
        what="adapter",
        name=_called(store, one.id, one.name),
        why=", ".join(how),
        actions=(*actions, "note", "waive"),
        cost=cost,
        done=done.get(one.id) or _retired(store, case, one.id, rows),
    )


def _retired(store: Store, case: Case, adapter: Ref, rows: RowSet) -> Event | None:
    """The event of another case that took an adapter away, where nothing of it is left; our own counts once all of it
    is done, which ``case.acted`` says."""
    event = next(iter(store.events("adapter.retired", about=adapter, last=True)), None)
    if event is None or event.data["for"] == case.name or register.remains(store, adapter):
        return None
    return None if stale(store, train.line(store, store.get(adapter, Adapter).run), rows) else event


def stale(store: Store, runs: Iterable[Ref], rows: RowSet) -> list[Path]:
    """What these training runs left on disk that had seen any of the rows: checkpoints, and the adapter of a run that
    did not end."""
    found: list[Path] = []
    for run in runs:
        if (step := train.reached(store, run, rows)) is not None:
            left = train.stale(store, run, step)
            found += left.checkpoints
            found += [left.adapter] if left.adapter and not train.recorded(store, run) else []
    return found


def _called(store: Store, adapter: Ref, name: str) -> str:
    names = [name for _, name in lineage.releases_of(store).get(adapter, ())]
    return ", ".join(names) or name


def _served(store: Store, blast: BlastRadius, done: dict[str, Event]) -> Iterator[Task]:
    """Deployments that may still answer: each must end, whatever became of its adapter."""
    states = leases.states(store)
    for one in blast.deployments:
        if one.deployment in done or states[one.deployment] != "ended":
            yield Task(
                thing=one.deployment,
                what="deployment",
                name=f"{one.name} at {one.endpoint}",
                why=f"it is {states[one.deployment]}",
                actions=("ended", "waive"),
                cost="stop it there; a gateway of ours refuses a retired release at once",
                done=done.get(one.deployment),
            )


def _departed(store: Store, case: Case, done: dict[str, Event]) -> Iterator[Task]:
    people, now = {one.partition(":")[2] for one in case.about}, store.clock()
    for about, owner in govern.owners(store).items():
        if owner.accountable in people or about in done:
            answers = owner.answers(now)
            kept = owner.accountable not in people
            yield Task(
                thing=about,
                what="ownership",
                name=about,
                why=f"{answers or 'nobody'} answers for it",
                actions=("own", "waive"),
                cost="a person takes over",
                done=done.get(about) if kept or _waived(done.get(about)) else None,
            )


def _ended(store: Store, case: Case, done: dict[str, Event]) -> Iterator[Task]:
    names = {one.partition(":")[2] for one in case.about}
    bases = {ref for ref, base in store.all(Base) if base.name in names or ref in names}
    for ref, adapter in store.all(Adapter):
        if store.get(adapter.closure, Closure).base in bases:
            yield Task(
                thing=ref,
                what="adapter",
                name=_called(store, ref, adapter.name),
                why="it stands on the base",
                actions=("retire", "waive"),
                cost="its weights are deleted, and it answers no more",
                done=done.get(ref) or _retired(store, case, ref, row_set([])),
            )
