"""A finished run again without some of its rows: from which checkpoint, at what cost, and how a new run takes it over.

Which step a row is fed in depends on its id alone, so until the first of the rows was fed, the run did what a training
that never had them does, to the bit. A new run over the rows that stay, with the same frozen recipe, goes on from the
last whole checkpoint before that. Its inputs name the checkpoint by digest and the run that made it; its own process
copies it (`takeover`), as only that knows under which conditions it trains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from whence.records import METHODS, Closure, Conditions, Json, Recipe, Ref, Run, Schedule, Unmet
from whence.store import RowSet, Store, row_set
from whence.train import surroundings
from whence.train.checkpoints import FOLDER, Checkpoint, made_under, whole
from whence.train.compare import conditions as against
from whence.train.job import Outcome, folder_of, job, recorded
from whence.train.plan import steps_of
from whence.train.rows import weights_of
from whence.train.wheels import named, packages

CHECKPOINT, MADE_BY = "checkpoint", "checkpoint_of"
"""Inputs of a run that goes on from another's checkpoint: the checkpoint's digest, and the run that made it."""


def from_the_start(inputs: Mapping[str, str]) -> dict[str, str]:
    """A run's inputs without the checkpoint that it went on from."""
    return {name: digest for name, digest in inputs.items() if name not in (CHECKPOINT, MADE_BY)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A checkpoint that a new run can go on from."""

    run: Ref
    """that made it"""
    step: int
    """optimizer steps done"""
    digest: str
    """over its files"""

    @property
    def inputs(self) -> dict[str, str]:
        """What the new run names."""
        return {CHECKPOINT: self.digest, MADE_BY: self.run}


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A checkpoint that would have been nearer."""

    run: Ref
    """that made it"""
    step: int
    """optimizer steps done"""
    why: Literal["gone", "damaged"]
    """damaged: its files are not those of its marker, or these not those on record"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What training a run again without some rows comes to."""

    run: Ref
    """the finished run"""
    fed: int
    """rows that it was fed"""
    gone: int
    """of these, rows that go"""
    erased: int
    """of those that go, rows that nobody named: their content was erased since"""
    first_step: int | None
    """0-based step in which the first of them was fed; None: none was"""
    steps: int
    """of the whole training"""
    checkpoint: Kept | None = None
    """what it goes on from; None: it is trained from the start"""
    why: str | None = None
    """why from the start"""
    differing: Mapping[str, Json] = field(default_factory=dict)
    """condition → what it was and what it is, where that is why"""
    passed_over: tuple[PassedOver, ...] = ()
    """checkpoints that were nearer and are not whole"""
    share: float = 1.0
    """of the work of a whole training that is done again: rows times the epochs that are trained again"""
    train_cpu_s: float | None = None
    """CPU seconds of a whole training on the rows that stay, by those that the run took; None: nobody measured"""
    start_cpu_s: float | None = None
    """CPU seconds that each training process takes beside"""

    @property
    def from_step(self) -> int:
        """Steps that are not done again."""
        return self.checkpoint.step if self.checkpoint else 0

    def from_start(self, why: str, differing: Mapping[str, Json]) -> Replay:
        """The same, trained from the start."""
        return replace(self, checkpoint=None, why=why, differing=differing, share=1.0)


OTHER_CONDITIONS = "the conditions are not those of the run, so its checkpoints are not gone on from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """What a run left on disk that was trained after a step, and so on rows that were fed from then on."""

    run: Ref
    """the run"""
    checkpoints: tuple[Path, ...]
    """folders, unfinished ones too"""
    adapter: Path | None
    """its adapter's folder"""
    example: tuple[int, str] | None
    """ordinal of the row that the run keeps one decoded example of, and the blob that holds it"""


def replay(store: Store, run: str, without: RowSet) -> Replay:
    """What training this finished run again without these rows comes to; nothing is done. `without` holds rows made
    from them, too. Raises Unmet where no row is left, or the run is not finished."""
    known = recorded(store, run)
    if known is None:
        raise Unmet(f"run {run[:19]}… is not finished", "a finished run", "train it to its end first: whence run")
    recipe, schedule = _followed(store, known)
    fed = fed_rows(store, known)
    erased = _erased(store, fed) - without
    left = fed - without - erased
    if not left:
        raise Unmet(
            f"nothing is left to train on: all {len(fed):,} rows that run {run[:19]}… was fed go",
            "rows that stay",
            "take its releases down instead of making them again",
        )
    found = Replay(
        run=Ref(run),
        fed=len(fed),
        gone=len(fed - left),
        erased=len(erased),
        first_step=first_step(store, schedule, fed - left),
        steps=schedule.steps,
    )
    if fed.isdisjoint(without):
        return replace(found, gone=0, erased=0, first_step=None)
    return _priced(store, known, schedule, left, _chosen(store, known, recipe, left, found))


def _chosen(store: Store, known: Outcome, recipe: Recipe, left: RowSet, found: Replay) -> Replay:
    """With the checkpoint to go on from, or why there is none."""
    if not METHODS[recipe.method].exact_replay:
        return found.from_start(f"{recipe.method}: {METHODS[recipe.method].why}", {})
    then = known.report.conditions
    if then and (differing := against(then, _here(store, known, then))[1]):
        return found.from_start(OTHER_CONDITIONS, differing)
    over: list[PassedOver] = []
    for made, step, digest in _early_enough(store, known, left):
        why = _fault(store, made, step, digest)
        if why is None:
            return replace(
                found, checkpoint=Kept(run=made.adapter.run, step=step, digest=digest), passed_over=tuple(over)
            )
        over.append(PassedOver(run=made.adapter.run, step=step, why=why))
    early = f"no checkpoint was kept before step {found.first_step}, in which the first of the rows was fed"
    why = "every checkpoint from before the first of the rows is gone or damaged" if over else early
    return replace(found, why=why, passed_over=tuple(over))


def _early_enough(store: Store, known: Outcome, left: RowSet) -> Iterator[tuple[Outcome, int, str]]:
    """(run, step, digest) of each checkpoint, as recorded, that a training on `left` alone would have made as well, the
    furthest first; those of the runs that this one went on from among them."""
    found = []
    for made in _line(store, known):
        first = first_step(store, _followed(store, made)[1], fed_rows(store, made) ^ left)
        steps = {int(step): digest for step, digest in made.report.facts.get("checkpoints", {}).items()}
        found += [(made, step, digest) for step, digest in steps.items() if first is None or step <= first]
    return iter(sorted(found, key=lambda one: -one[1]))


def _line(store: Store, known: Outcome) -> Iterator[Outcome]:
    """The run and those that it went on from, under the same conditions."""
    made: Outcome | None = known
    while made:
        yield made
        above = store.get(made.adapter.run, Run).inputs.get(MADE_BY)
        made = recorded(store, above) if above and "replayed_from" in made.report.facts else None


def _fault(store: Store, made: Outcome, step: int, digest: str) -> Literal["gone", "damaged"] | None:
    """What is wrong with a checkpoint."""
    folder = place_of(store, made, step)
    if not folder.is_dir():
        return "gone"
    found = _whole(made, folder)
    return None if found and found.digest == digest else "damaged"


def _whole(made: Outcome, folder: Path) -> Checkpoint | None:
    report = made.report
    if report.conditions is None or report.set is None:
        return None
    return whole(folder, made_under(made.adapter.closure, report.set, report.conditions))


def place_of(store: Store, made: Outcome, step: int) -> Path:
    """Where a run's checkpoint of this step lies."""
    return job(store, made.adapter.run).folder / f"{FOLDER}{step}"


def _here(store: Store, known: Outcome, then: Conditions) -> Conditions:
    """The conditions of a rebuild now, as far as they can be told without torch."""
    here = surroundings.conditions(then.threads, then.device, then.cpu_capability.partition(" ")[0])
    wheels = store.get(known.adapter.closure, Closure).wheels
    return replace(here, packages=packages(named(store, wheels))) if wheels else here


def _priced(store: Store, known: Outcome, schedule: Schedule, left: RowSet, found: Replay) -> Replay:
    """With what it costs. A step costs about what its rows cost."""
    facts, report = known.report.facts, known.report
    passes = _steps(store, schedule, left)
    share = float((passes >= found.from_step).mean())
    took, began = facts.get("train_cpu_s"), facts.get("resumed_from") or 0
    if not took:
        return replace(found, share=share)
    trained = int((_steps(store, schedule, fed_rows(store, known)) >= began).sum())
    return replace(
        found,
        share=share,
        train_cpu_s=took / max(trained, 1) * passes.size,
        start_cpu_s=report.cpu_s - took,
    )


def reached(store: Store, run: str, rows: RowSet) -> int | None:
    """The 0-based step in which a training run, finished or not, was first fed any of these rows; None: in none, or it
    was planned elsewhere. Of a run that is not finished, all rows of its snapshot count as fed."""
    plan = store.events("run.planned", about=run, last=True)
    if not plan:
        return None
    schedule, known = store.get(Ref(plan[0].data["recipe"]), Recipe).schedule, recorded(store, run)
    assert schedule
    fed = fed_rows(store, known) if known else store.snapshot_rows(job(store, run).snapshot)
    return first_step(store, schedule, fed & rows)


def on_disk(store: Store) -> list[Ref]:
    """Training runs, finished or not, that have a folder."""
    trained = (Ref(ref) for ref, activity in store.fields(Run, "activity") if activity == "train")
    return [run for run in trained if folder_of(store, run).is_dir()]


def first_step(store: Store, schedule: Schedule, rows: RowSet) -> int | None:
    """The first step in which any of these rows is fed; None where none is."""
    steps = _steps(store, schedule, rows)
    return int(steps.min()) if steps.size else None


def _steps(store: Store, schedule: Schedule, rows: RowSet) -> npt.NDArray[np.int64]:
    """The step of each occurrence of these rows; shape (occurrences,)."""
    ids: list[str] = []
    sources: list[str] = []
    ordinals: list[int] = []
    for batch in store.scan(["ord", "id", "source"], rows):
        ordinals += batch["ord"].to_pylist()
        ids += [name.hex() for name in batch["id"].to_pylist()]
        sources += batch["source"].to_pylist()
    return steps_of(schedule, ids, sources, weights_of(store, schedule.lowered, ordinals))[1]


def fed_rows(store: Store, made: Outcome) -> RowSet:
    """The rows that a finished run was fed. Raises Unmet where nobody counted."""
    if made.report.set is None:
        raise Unmet(
            f"nobody counted the rows that run {made.adapter.run[:19]}… was fed",
            "a run of `whence run`",
            "train on its snapshot with a recipe of your own: `whence run`",
        )
    return store.get_set(made.report.set)


def _erased(store: Store, rows: RowSet) -> RowSet:
    """Those of these rows whose content is no more."""
    found = row_set([])
    for batch in store.scan(["ord", "content"], rows):
        if batch["content"].null_count:
            found |= row_set(pc.filter(batch["ord"], pc.is_null(batch["content"])).to_pylist())
    return found


def _followed(store: Store, made: Outcome) -> tuple[Recipe, Schedule]:
    """The frozen recipe and its schedule."""
    named = store.get(made.adapter.closure, Closure).recipe
    recipe = store.get(named) if named else None
    if not isinstance(recipe, Recipe) or recipe.schedule is None:
        raise Unmet(
            f"run {made.adapter.run[:19]}… was done elsewhere: nobody recorded a recipe to follow to the bit",
            "a run of `whence run`",
            "train on its snapshot with a recipe of your own: `whence run`",
        )
    return recipe, recipe.schedule


def stale(store: Store, run: str, step: int) -> Stale:
    """What a training run, finished or not, left on disk that was trained beyond so many steps. Of rows that were first
    fed in the 0-based step `first_step`, checkpoints of more than so many steps hold influence. Nothing is deleted."""
    folder, known = job(store, run).folder, recorded(store, run)
    adapter = folder / "adapter"
    report = known.report if known else None
    named = report.facts.get("example_ordinal") if report else None
    return Stale(
        run=Ref(run),
        checkpoints=tuple(sorted(path for path in folder.glob(FOLDER + "*") if _beyond(path, step))),
        adapter=adapter if adapter.is_dir() else None,
        example=(named, report.example) if report and report.example and named is not None else None,
    )


def _beyond(checkpoint: Path, step: int) -> bool:
    number = checkpoint.name.removeprefix(FOLDER)
    return not number.isdigit() or int(number) > step


def line(store: Store, run: str) -> list[Ref]:
    """This finished run and those whose checkpoints it went on from, nearest first."""
    known = recorded(store, run)
    return [made.adapter.run for made in _line(store, known)] if known else []
