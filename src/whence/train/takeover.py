"""In the training process: a run takes over the checkpoint that its inputs name, where it would have made the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from whence.records import Closure, Conditions, Damaged, Json, Unmet
from whence.store import RowSet, Store
from whence.train.checkpoints import FOLDER, seal, sweep, whole
from whence.train.compare import conditions as against
from whence.train.job import Job, Outcome, Planned, recorded
from whence.train.replay import CHECKPOINT, MADE_BY, fed_rows, first_step, place_of


def take_over(
    store: Store, asked: Job, frozen: Planned, fed: RowSet, conditions: Conditions, under: Mapping[str, str]
) -> dict[str, Json]:
    """Copy the checkpoint that a run's inputs name into its folder, sealed for this run; facts for its report.

    ``replayed_from``: its step. Where the conditions are not those it was made under nothing is copied, the run is
    trained from the start, and ``conditions_differ`` names them instead. Raises Unmet where the checkpoint has seen a
    row that this run is not fed, Damaged where it is not whole.
    """
    if CHECKPOINT not in asked.inputs:
        return {}
    made = recorded(store, asked.inputs[MADE_BY])
    if made is None:
        raise Damaged(f"run {asked.inputs[MADE_BY][:19]}… is no longer on record as finished")
    differing = against(made.report.conditions, conditions)[1]
    if differing:
        return {"conditions_differ": differing}
    step = _same_until(store, asked, frozen, made, fed)
    if not sweep(asked.folder, under):
        _copy(store, asked, made, step, under)
    return {"replayed_from": step}


def _same_until(store: Store, asked: Job, frozen: Planned, made: Outcome, fed: RowSet) -> int:
    """The step of the checkpoint, once it is sure that this run would have made it as well."""
    closure, digest = store.get(made.adapter.closure, Closure), asked.inputs[CHECKPOINT]
    step = next((int(step) for step, one in made.report.facts["checkpoints"].items() if one == digest), None)
    first = first_step(store, frozen.schedule, fed_rows(store, made) ^ fed)
    same = (closure.base, closure.recipe) == (asked.base_ref, frozen.recipe_ref)
    if step is None or not same or (first is not None and step > first):
        seen = f"rows that differ are fed from step {first} on" if same else "base or recipe are others"
        raise Unmet(
            f"the checkpoint {digest[:15]}… after step {step} of run {made.adapter.run[:19]}… is not one of this run: "
            f"{seen}",
            "a checkpoint from before the first step that differs",
            "ask for the rebuild again: it chooses anew",
        )
    return step


def _copy(store: Store, asked: Job, made: Outcome, step: int, under: Mapping[str, str]) -> None:
    source, final = place_of(store, made, step), asked.folder / f"{FOLDER}{step}"
    partial = final.with_name(final.name + ".part")
    if source.is_dir():
        shutil.copytree(source, partial)
        seal(partial, under)
        partial.rename(final)
    found = whole(final, under)
    if found is None or found.digest != asked.inputs[CHECKPOINT]:
        shutil.rmtree(final, ignore_errors=True)
        raise Damaged(
            f"the checkpoint after step {step} in {source.parent} is gone or damaged\n  do: ask for the rebuild again: "
            "it goes on from an earlier one"
        )
