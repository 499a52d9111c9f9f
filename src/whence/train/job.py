"""What a training run was asked to do, and what it came to, as the record has it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whence.models import altered
from whence.records import (
    Adapter,
    Base,
    Closure,
    Damaged,
    NotFound,
    Recipe,
    Ref,
    Run,
    RunReport,
    Schedule,
    Snapshot,
    Unmet,
)
from whence.store import Store
from whence.train import surroundings
from whence.train.plan import check


@dataclass(frozen=True, slots=True)
class Job:
    """A run and what it uses."""

    run: Ref
    base_ref: Ref
    base: Base
    snapshot_ref: Ref
    snapshot: Snapshot
    recipe_ref: Ref
    recipe: Recipe
    """as asked for, the schedule perhaps absent"""
    inputs: Mapping[str, str]
    """other inputs by digest"""
    folder: Path
    """checkpoints, the adapter and the lock of this run"""


@dataclass(frozen=True, slots=True)
class Planned:
    """What was frozen before the first step."""

    recipe_ref: Ref
    recipe: Recipe
    schedule: Schedule
    closure: Ref


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run."""

    adapter_ref: Ref
    adapter: Adapter
    report_ref: Ref
    report: RunReport
    folder: Path
    """where the adapter lies"""


def job(store: Store, run: str) -> Job:
    """The training run of this digest. Raises NotFound where it is none."""
    found = store.get(run, Run)
    if found.activity != "train" or len(found.used) != 3:
        raise NotFound(f"{run} is a run of the activity {found.activity}, not a training run")
    base, snapshot, recipe = found.used
    return Job(
        run=Ref(run),
        base_ref=base,
        base=store.get(base, Base),
        snapshot_ref=snapshot,
        snapshot=store.get(snapshot, Snapshot),
        recipe_ref=recipe,
        recipe=store.get(recipe, Recipe),
        inputs=found.inputs,
        folder=folder_of(store, run),
    )


def folder_of(store: Store, run: str) -> Path:
    """Where a training run's checkpoints and its adapter lie."""
    return store.root / "runs" / run.removeprefix("sha256:")[:16]


def outcome(store: Store, run: str) -> Outcome | None:
    """What a finished run came to, or None. Raises Damaged where its adapter is no longer what it was."""
    found = recorded(store, run)
    if found is None:
        return None
    adapter, folder = found.adapter, found.folder
    try:
        differing = altered(folder, adapter.weights, adapter.config, adapter.profile)
    except Unmet as error:
        raise Damaged(f"the adapter of run {run[:19]}… cannot be read: {error.found}\n  do: {_AGAIN}") from error
    if differing:
        raise Damaged(
            f"the adapter in {folder} is not the one that run {run[:19]}… made: its {' and '.join(differing)} changed\n"
            f"  do: {_AGAIN}"
        )
    return found


def recorded(store: Store, run: str) -> Outcome | None:
    """What a finished run came to, or None; its adapter's files may have been deleted since."""
    done = store.events("run.finished", about=run, last=True)
    if not done:
        return None
    adapter_ref = Ref(done[0].data["adapter"])
    adapter = store.get(adapter_ref, Adapter)
    report_ref, report = _report(store, run)
    return Outcome(adapter_ref, adapter, report_ref, report, store.root / adapter.location)


_AGAIN = "restore the folder, or train again as a new attempt of the same inputs"


def _report(store: Store, run: str) -> tuple[Ref, RunReport]:
    refs = [src for src, field, _ in store.downstream([run]) if field == "run"]
    found = [(ref, noun) for ref in refs if isinstance(noun := store.get(ref), RunReport)]
    if not found:
        raise Damaged(f"run {run[:19]}… is finished but its report is gone")
    return found[-1]


def planned(store: Store, asked: Job, packages: Mapping[str, str] | None = None) -> Planned | None:
    """The frozen plan of a run that has started before, or None. packages: versions that it goes on with; None: those
    that are installed.

    Raises Unmet where a package that decides the adapter's bytes has changed since.
    """
    event = store.events("run.planned", about=asked.run, last=True)
    if not event:
        return None
    recipe_ref, closure_ref = Ref(event[0].data["recipe"]), Ref(event[0].data["closure"])
    recipe, closure = store.get(recipe_ref, Recipe), store.get(closure_ref, Closure)
    if recipe.schedule is None:
        raise Damaged(f"the frozen recipe of run {asked.run[:19]}… has no schedule")
    differing = surroundings.changed(store.get_lines(closure.environment), packages or surroundings.packages())
    if differing:
        raise Unmet(
            f"since this run was planned: {', '.join(differing)}",
            "the versions it was planned with, so that its closure stays true",
            "install them again, or train as a new attempt of the same inputs",
        )
    return Planned(recipe_ref, recipe, recipe.schedule, closure_ref)


def freeze(
    store: Store,
    asked: Job,
    sources: Sequence[str],
    weights: npt.NDArray[np.float64],
    units: float,
    code: Path,
    wheels: str | None = None,
) -> Planned:
    """Fix the plan before the first step: the schedule, the closure, and the event ``run.planned`` that names both.

    sources, weights: of each row that can be fed. units: what one epoch's losses are added over, tokens learnt or
    rows, as the method has it. A schedule that came with the recipe (the replay of an older plan) is kept as it is.
    code: the folder whose git state counts. wheels: the blob that names those of its environment. Raises Unmet where
    every row has a tier.
    """
    schedule = asked.recipe.schedule or _schedule(asked, sources, weights, units)
    check(schedule)
    recipe = replace(asked.recipe, schedule=schedule)
    commit, clean = surroundings.git_state(code)
    environment = store.put_lines(surroundings.installed())
    with store.transaction():
        recipe_ref = store.put(recipe)
        closure = Closure(
            base=asked.base_ref,
            snapshot=asked.snapshot_ref,
            recipe=recipe_ref,
            code_commit=commit,
            code_clean=clean,
            environment=environment,
            wheels=wheels,
        )
        closure_ref = store.put(closure)
        store.append("run.planned", asked.run, {"recipe": recipe_ref, "closure": closure_ref})
    return Planned(recipe_ref, recipe, schedule, closure_ref)


def _schedule(asked: Job, sources: Sequence[str], weights: npt.NDArray[np.float64], units: float) -> Schedule:
    """Steps of `batch_rows` rows on average, before a tier and in it; `divisor` is their average of units. The key is
    the digest of the recipe that was asked for."""
    recipe, tier, rows = asked.recipe, asked.recipe.tier, float(weights.sum())
    in_tier = np.array([bool(tier and source in tier.sources) for source in sources])
    late = float(weights[in_tier].sum())
    if in_tier.all():
        raise Unmet("all rows that are fed may have to go", "some that stay", "leave `revocable` out, or add a source")
    fed, tiers = rows, ()
    steps = math.ceil((rows - late) / recipe.batch_rows)
    if tier and late:
        again = tier.rehearsal * (rows - late)
        length = math.ceil((recipe.epochs * late + again) / recipe.batch_rows)
        tiers = (replace(tier, first_step=recipe.epochs * steps, steps=max(length, recipe.epochs)),)
        fed += again / recipe.epochs
    key = asked.recipe_ref.removeprefix("sha256:")
    plan = Schedule(
        key=key, epochs=recipe.epochs, steps_per_epoch=steps, divisor=1.0, tiers=tiers, lowered=asked.snapshot.lowered
    )
    return replace(plan, divisor=units * (fed / rows) / (plan.steps / recipe.epochs))


def finish(store: Store, asked: Job, nouns: Sequence[Adapter | RunReport]) -> Ref:
    """Record the adapter and the report of a run together with the event ``run.finished``; the adapter's digest."""
    with store.transaction():
        adapter, _ = store.put_many(nouns)
        store.append("run.finished", asked.run, {"adapter": adapter})
    return adapter
