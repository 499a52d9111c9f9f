"""What is done in a case, one action at a time; each can be called again after a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from whence import govern, register, train
from whence.lifecycle import cases
from whence.lifecycle.cases import Action, Task
from whence.lifecycle.erasing import holding
from whence.lifecycle.rebuild import Replayed, without
from whence.records import Adapter, Case, Ref, Source, Unmet
from whence.serve import leases
from whence.store import RowSet, Store, erase, erased

Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What an action came to."""

    action: str
    """erase, retire, drop, rebuild, ended, own, note or waive"""
    thing: str
    """digest or name, or ``content``"""
    proof: str
    """exact, recorded, approximate or none"""
    event: int
    """its number in the chain"""
    facts: dict[str, object]
    """what was done, by number or digest"""
    elsewhere: tuple[str, ...] = ()
    """what is not ours to delete and still lies there"""
    rebuilt: Replayed | None = None
    """of a rebuild"""


def act(
    store: Store,
    ref: Ref,
    case: Case,
    action: Action,
    thing: str | None,
    told: Told,
    code: Path,
    release: Callable[[Ref], Ref | None],
    *,
    until: datetime | None = None,
    reason: str | None = None,
    to: str | None = None,
    prove: bool = False,
) -> Acted:
    """Do one thing of a case; a person does. thing: as a task names it, by digest, its first digits or its name; None:
    the content. code: the folder whose git state a rebuild's closure names. release: judges a rebuilt adapter and
    releases it; None where it may not. until, reason: of a waiver; reason: of a note, the method. to: who takes over.
    Raises Unmet, NotFound, BackendFailed, Damaged where keys are gone.
    """
    store.person()
    if cases.closed(store, ref):
        raise Unmet(f"{case.name} is closed", "an open case", "open another")
    task = _task(store, ref, case, action, thing)
    facts: dict[str, object] = {}
    elsewhere: tuple[str, ...] = ()
    rebuilt = None
    if action == "erase":
        _no_hold(store, case)
        with store.writer("erase"):
            facts, elsewhere = _erase(store, ref, case, told)
    elif action in ("retire", "drop"):
        elsewhere = _retire(store, case, Ref(task.thing))
    elif action == "rebuild":
        rebuilt = _rebuild(store, case, Ref(task.thing), told, code, prove)
        if rebuilt.adapter is None or rebuilt.outcome in ("unproven", "incomparable"):
            raise Unmet(f"the rebuilt adapter is {rebuilt.outcome}", "one that is proven", "see whence model rebuild")
        facts = {
            "adapter": rebuilt.adapter,
            "outcome": rebuilt.outcome,
            "run": rebuilt.run,
            "proven_by": rebuilt.proof.run if rebuilt.proof else None,
            "checkpoint": rebuilt.plan.checkpoint.digest if rebuilt.plan.checkpoint else None,
            "share": round(rebuilt.plan.share, 4),
            "release": release(rebuilt.adapter),
        }
        elsewhere = _retire(store, case, Ref(task.thing))
    elif action == "ended":
        leases.end(store, [Ref(task.thing)])
    elif action == "own":
        if not to:
            raise Unmet("nobody is named who takes over", "a person", "name one: --to")
        govern.own(store, task.thing, to)
        facts = {"to": to}
    elif action == "note":
        if not reason:
            do = "say what was done, and by what measure it helped: --reason"
            raise Unmet("nothing is said of the method", "which one was applied", do)
    elif until is None or until <= store.clock() or not reason:
        raise Unmet("a waiver needs a reason, and a day on which it ends", "both", "say --reason and --until")
    words = store.write_words("payload", {"reason": reason}) if reason else None
    ends = until.isoformat() if until and action == "waive" else None
    data = {"action": action, "thing": task.thing, "until": ends, **facts}
    event = store.append("case.noted" if action == "note" else "case.acted", ref, data, None, words)
    return Acted(
        action=action,
        thing=task.thing,
        proof=cases.PROOF[action],
        event=event.seq,
        facts={name: value for name, value in facts.items() if value is not None},
        elsewhere=elsewhere,
        rebuilt=rebuilt,
    )


def _task(store: Store, ref: Ref, case: Case, action: Action, thing: str | None) -> Task:
    every = cases.tasks(store, ref, case)
    wanted = thing or ("content" if action == "erase" else "")
    fitting = [one for one in every if wanted and action in one.actions]
    found = [one for one in fitting if wanted in (one.thing, *one.name.split(", "))]
    found = found or [one for one in fitting if _is(one, wanted)]
    if len(found) != 1:
        fits = [f"{one.name} ({one.thing.rpartition(':')[2][:12]})" for one in every if action in one.actions]
        raise Unmet(
            f"{wanted or 'nothing'} names {len(found)} things that {action} fits",
            "; ".join(fits) or f"nothing: {action} fits none of this case",
            "name one of them",
        )
    return found[0]


def _is(task: Task, name: str) -> bool:
    start = len(name) >= 6 and task.thing.rpartition(":")[2].startswith(name.removeprefix("sha256:"))
    return start or task.name.startswith(f"{name} at ")


def _no_hold(store: Store, case: Case) -> None:
    """Raises Unmet where somebody must keep what is to be erased."""
    if kept := list(cases.held(store, case)):
        raise Unmet(
            f"held: {'; '.join(kept)}",
            "nothing that must be kept",
            "a person decides which comes first: whence rights release, or waive the erasure until then",
        )


def _erase(store: Store, ref: Ref, case: Case, told: Told) -> tuple[dict[str, object], tuple[str, ...]]:
    """Content of the rows and of all made from them; what holds their words; checkpoints that they had reached."""
    rows = cases.every_row(store, cases.rows_of(store, case))
    people = [name.partition(":")[2] for name in case.about if name.startswith("subject:")]
    progress = lambda what, done, total: told(f"look for them in {what}", done, total)  # noqa: E731
    found = holding(store, rows, people, progress)
    train.drop(cases.stale(store, train.on_disk(store), rows))
    done = erase(store, ref, rows, found.words, found.blobs, lambda what, n, total: told(f"erase {what}", n, total))
    every = [event.data for event in store.events("erasure.done", about=ref)]
    facts = {name: sum(one[name] for one in every) for name in ("rows", "words", "blobs", "others")}
    return {**facts, "erasure": done.seq}, tuple(_files(store, erased(store).rows & rows))


def _files(store: Store, rows: RowSet) -> list[str]:
    """Files from which these rows were read and that still lie there: they are the user's."""
    found = []
    for _, source in store.all(Source):
        place = store.root.parent / source.location
        if "://" not in source.location and place.exists() and store.index().sets["source"].get(source.name) & rows:
            found.append(str(place))
    return list(dict.fromkeys(found))


def _retire(store: Store, case: Case, adapter: Ref) -> tuple[str, ...]:
    """Its weights, and checkpoints, of its run and of those that it went on from, that had seen any of the rows."""
    rows, runs = cases.every_row(store, cases.rows_of(store, case)), train.line(store, store.get(adapter, Adapter).run)
    with store.writer("retire"):
        train.drop(cases.stale(store, runs, rows))
        return tuple(register.retire(store, adapter, case.name))


def _rebuild(store: Store, case: Case, adapter: Ref, told: Told, code: Path, prove: bool) -> Replayed:
    rows = cases.every_row(store, cases.rows_of(store, case))
    return without(store, adapter, rows, code, told, prove=prove)
