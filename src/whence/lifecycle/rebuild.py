"""An adapter made again: as it was, or as if some rows had never been there.

The second is exact: it goes on from the last checkpoint before any of the rows was fed, and ends with the bytes of a
training that never had them. `train.replay` chooses the checkpoint, data makes the snapshot, the training process takes
the checkpoint over; here they meet, and the result is held against a training from the start where that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

from whence import data, lineage, register, train
from whence.models import load_base
from whence.project import declared_wheels
from whence.records import Adapter, Base, Closure, Json, NotFound, Recipe, Ref, Release, Run, RunReport, Snapshot, Unmet
from whence.store import RowSet, Store

Told = Callable[[str, int, int], None]
"""(what is under way, done, total)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A training beside another of the same recipe."""

    run: Ref
    """the new training run"""
    same_closure: bool
    """whether both had the same inputs"""
    same_rows: bool
    """whether both were fed the same rows; not where some were erased since"""
    identical: bool
    """whether both files of the adapters are the same, byte for byte"""
    conditions: Mapping[str, Json]
    """that agree: device, threads, versions …"""
    differing: Mapping[str, Json]
    """condition → the two values"""
    checkpoints_compared: int
    """how many both have"""
    first_difference: int | None
    """step of the first checkpoint that differs"""
    room: Mapping[str, Json] | None = None
    """what the new training found around it: environment, wheels, home, network; None: it was in no clean room"""

    @property
    def outcome(self) -> str:
        """pass: the same bytes; abstain: others, under conditions for which equal bytes are not promised; fail."""
        if self.identical and self.first_difference is None:
            return "pass"
        return "abstain" if self.differing else "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """An adapter made again without some rows, or what that would come to."""

    outcome: Literal["untouched", "estimated", "made", "proven", "unproven", "incomparable"]
    """untouched: it was fed none of the rows, so there is nothing to do; made: no proof was asked for; proven: a
    training from the start on the rows that stay gave the same bytes; unproven: it gave others; incomparable: it gave
    others under other conditions"""
    original: Ref
    """the adapter that had the rows"""
    plan: train.Replay
    """what goes, from where it is trained again, and at what cost"""
    mediated: int
    """rows that stay and were written by a model that the rows reached, or made from such rows"""
    snapshot: Ref | None = None
    """the rows that stay; None where nothing was made"""
    run: Ref | None = None
    """the new training run"""
    room: Mapping[str, Json] | None = None
    """what it found around it, as in `Rebuilt`"""
    adapter: Ref | None = None
    """the new adapter"""
    proof: Rebuilt | None = None
    """the training from the start, beside the new one; None: not asked for"""
    stale: tuple[train.Stale, ...] = ()
    """what of the run, and of those that it went on from, holds influence of the rows that went; it is still there"""


def again(store: Store, name: str, code: Path, told: Told) -> Rebuilt:
    """Train the same closure again from the start, as a further attempt, and compare. name: an adapter, or a release or
    alias of one. code: the folder whose git state the closure names. Raises Unmet, NotFound, BackendFailed."""
    _, adapter, closure = _trained_here(store, name)
    first = store.get(adapter.run, Run)
    _base_is_there(store, closure)
    base, snapshot, recipe = first.used
    inputs = train.from_the_start(first.inputs)
    with train.clean_room(store, closure.wheels, declared_wheels(code)) as room:
        run = train.prepare(
            store, base, snapshot, store.get(recipe, Recipe), inputs=inputs, attempt=_attempts(store, first, inputs)
        )
        _train(store, run, room, code, "again", told)
    return _beside(store, adapter.run, run)


def without(
    store: Store, name: str, rows: RowSet, code: Path, told: Told, *, prove: bool = False, estimate: bool = False
) -> Replayed:
    """Make an adapter again without these rows; rows made from them must be among them.

    name, code: as in `again`. prove: train from the start on the rows that stay, too, and compare. estimate: do
    nothing. What was made before is found again. Raises Unmet where no row is left or the base is gone, NotFound,
    BackendFailed.
    """
    original, adapter, closure = _trained_here(store, name)
    plan = train.replay(store, adapter.run, rows)
    if not plan.gone:
        return Replayed(outcome="untouched", original=original, plan=plan, mediated=0)
    mediated = _mediated(store, adapter.run, rows)
    if estimate:
        return Replayed(outcome="estimated", original=original, plan=plan, mediated=mediated)
    _base_is_there(store, closure)
    base, before, recipe = closure.base, closure.snapshot, closure.recipe
    assert base
    assert before
    assert recipe
    with train.clean_room(store, closure.wheels, declared_wheels(code)) as room:
        snapshot, frozen = data.leave_out(store, before, rows), store.get(recipe, Recipe)
        inputs = plan.checkpoint.inputs if plan.checkpoint else {}
        run = train.attempt(store, base, snapshot, frozen, inputs=inputs, packages=room.packages)
        made = _train(store, run, room, code, "without the rows", told)
        if plan.checkpoint and (differing := _conditions_differed(store, run)):
            plan = plan.from_start(train.OTHER_CONDITIONS, differing)
        asked, first = (base, snapshot, frozen), 0 if inputs else store.get(run, Run).attempt + 1
        proof = _proved(store, run, asked, first, room, code, told) if prove else None
    return Replayed(
        outcome=PROOFS[proof.outcome] if proof else "made",
        original=original,
        plan=plan,
        mediated=mediated,
        snapshot=snapshot,
        run=run,
        room=_room(store, run),
        adapter=made,
        proof=proof,
        stale=tuple(train.stale(store, one, plan.first_step or 0) for one in train.line(store, adapter.run)),
    )


def on_same_rows(store: Store, base: Ref, snapshot: Ref, recipe: Recipe) -> Ref | None:
    """A finished training on these rows by this recipe, though its plan may have been frozen when there were more of
    them: what a rebuild made is found again. One that was released comes first; a retired adapter does not count."""
    wanted, released, found = store.get(snapshot, Snapshot), lineage.releases_of(store), list[tuple[bool, Ref]]()
    for ref, run in store.all(Run):
        if run.activity != "train" or len(run.used) != 3 or run.used[0] != base:
            continue
        followed = replace(store.get(run.used[2], Recipe), schedule=None)
        same = recipe in (followed, replace(followed, profile=None))  # a profile that nobody asks for does no harm
        fed = store.get(run.used[1], Snapshot)
        if not same or (fed.root, fed.lowered) != (wanted.root, wanted.lowered):
            continue
        done = train.recorded(store, ref)
        if done and not register.retired(store, done.adapter_ref):
            found.append((done.adapter_ref in released, ref))
    return max(found, key=lambda one: one[0], default=(False, None))[1]


PROOFS: dict[str, Literal["proven", "unproven", "incomparable"]] = {
    "pass": "proven",
    "fail": "unproven",
    "abstain": "incomparable",
}


def _proved(
    store: Store, run: Ref, asked: tuple[Ref, Ref, Recipe], first: int, room: train.Room, code: Path, told: Told
) -> Rebuilt:
    """A training from the start beside `run`. One that was done before under other conditions proves nothing: then it
    is done once more."""
    for number in count(first):
        scratch = train.attempt(store, *asked, first=number, packages=room.packages)
        before = train.outcome(store, scratch) is not None
        _train(store, scratch, room, code, "from the start", told)
        proof = _beside(store, run, scratch)
        if proof.outcome != "abstain" or not before:
            return proof
    raise AssertionError


def _beside(store: Store, first: Ref, run: Ref) -> Rebuilt:
    return Rebuilt(run=run, room=_room(store, run), **train.compare(store, first, run))


def _train(store: Store, run: Ref, room: train.Room, code: Path, what: str, told: Told) -> Ref:
    def tell(sign: train.Progress) -> None:
        told(f"{what}: {sign.stage}", sign.done, sign.total)

    return train.train(store, run, on_progress=tell, code=code, room=room)


def _trained_here(store: Store, name: str) -> tuple[Ref, Adapter, Closure]:
    """The adapter that a name means, and its closure. Raises NotFound, Unmet."""
    found = Ref(str(lineage.find(store, name)))
    record: Any = store.get(found)
    ref = record.adapter if isinstance(record, Release) else found
    adapter: Any = store.get(ref)
    if not isinstance(adapter, Adapter):
        raise NotFound(f"{name} is a {type(record).__name__}, expected an adapter or a release of one")
    closure = store.get(adapter.closure, Closure)
    if closure.recipe is None or not isinstance(store.get(closure.recipe), Recipe):
        raise Unmet(
            f"{name} was trained elsewhere: nobody recorded a recipe that could be followed to the bit",
            "an adapter that `whence run` trained",
            "train on its snapshot with a recipe of your own: `whence run`",
        )
    return ref, adapter, closure


def _base_is_there(store: Store, closure: Closure) -> None:
    """Before anything is recorded. Raises Unmet, BackendFailed."""
    base = store.get(closure.base, Base) if closure.base else None
    if base:
        load_base(base.location, base.revision, store.root.parent)


def _attempts(store: Store, run: Run, inputs: Mapping[str, str]) -> int:
    """The next attempt's number for what the run used, with these inputs."""
    same = [r for _, r in store.all(Run) if (r.activity, r.used, r.inputs) == (run.activity, run.used, inputs)]
    return max((r.attempt for r in same), default=-1) + 1


def _conditions_differed(store: Store, run: Ref) -> Mapping[str, Json]:
    """What kept the run's process from going on from the checkpoint, as it found."""
    return _report(store, run).facts.get("conditions_differ") or {}


def _room(store: Store, run: Ref) -> Mapping[str, Json] | None:
    """What the run's last process found around it."""
    return _report(store, run).facts.get("room")


def _mediated(store: Store, run: Ref, rows: RowSet) -> int:
    """Of the rows that the run was fed and that stay, those that stand on the others by way of a model."""
    written = lineage.blast_radius(store, rows).mediated
    return len((written & store.get_set(str(_report(store, run).set))) - rows) if written else 0


def _report(store: Store, run: Ref) -> RunReport:
    done = train.recorded(store, run)
    assert done
    return done.report
