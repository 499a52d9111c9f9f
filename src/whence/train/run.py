"""(base, snapshot, recipe) → adapter, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from whence import records
from whence.records import (
    BackendFailed,
    Base,
    Json,
    Recipe,
    Ref,
    Run,
    Snapshot,
    Unmet,
    WhenceError,
    parameter_faults,
    require,
)
from whence.store import Store
from whence.train.job import job, outcome, planned, recorded
from whence.train.rewards import load_reward
from whence.train.room import VARIABLE, Room
from whence.train.wheels import name_wheels

STDERR_TAIL = 2000
"""Characters of a dead worker's stderr that its error quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A sign of life of the worker."""

    stage: str
    """making the room, loading, tokenising, training, saving, or what it waits for"""
    done: int = 0
    """rows or steps of this stage, counted over all processes of the run"""
    total: int = 0
    """of these; 0: not known"""
    loss: float | None = None
    """of the last step: summed losses over the schedule's divisor"""


def prepare(
    store: Store,
    base: str,
    snapshot: str,
    recipe: Recipe,
    *,
    inputs: Mapping[str, str] | None = None,
    attempt: int = 0,
) -> Ref:
    """Put the recipe and the run of these inputs into the record; the same inputs give the same run.

    base, snapshot: digests of records. inputs: other inputs by digest. Raises NotFound, Unmet.
    """
    store.get(base, Base)
    store.get(snapshot, Snapshot)
    for name in ("epochs", "batch_rows", "micro_batch_rows", "checkpoint_every", "threads", "rank", "max_length"):
        if getattr(recipe, name) < 1:
            raise Unmet(f"recipe: {name} is {getattr(recipe, name)}", "at least 1", "correct the recipe")
    if faults := list(parameter_faults(recipe.method, asdict(recipe))):
        said = "; ".join(f"{name} {fault}" for name, fault in faults)
        raise Unmet(f"recipe: {said}", f"the parameters of {recipe.method}", "correct the recipe (docs/training.md)")
    if recipe.reward is not None:
        load_reward(recipe.reward)
    if recipe.schedule is not None and recipe.schedule.epochs != recipe.epochs:
        raise Unmet(
            f"the recipe says {recipe.epochs} epochs, its schedule {recipe.schedule.epochs}", "one number", "correct it"
        )
    with store.transaction():
        used = (Ref(base), Ref(snapshot), store.put(recipe))
        return store.put(Run(activity="train", used=used, inputs=dict(inputs or {}), attempt=attempt))


def attempt(
    store: Store,
    base: str,
    snapshot: str,
    recipe: Recipe,
    *,
    inputs: Mapping[str, str] | None = None,
    first: int = 0,
    packages: Mapping[str, str] | None = None,
) -> Ref:
    """`prepare`, as the first attempt from this number on that is finished or can be gone on with: one that was begun
    with other packages is passed over. packages: versions that it will be trained with; None: those installed."""
    for number in count(first):
        run = prepare(store, base, snapshot, recipe, inputs=inputs, attempt=number)
        if recorded(store, run) or not _begun_otherwise(store, run, packages):
            return run
    raise AssertionError


def _begun_otherwise(store: Store, run: str, packages: Mapping[str, str] | None) -> bool:
    try:
        planned(store, job(store, run), packages)
    except Unmet:
        return True
    return False


def train(
    store: Store,
    run: str,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    code: Path | None = None,
    wheels: Path | None = None,
    room: Room | None = None,
) -> Ref:
    """Train a prepared run and return its adapter's digest; a finished one returns at once. `code` is the folder whose
    git state the closure names; None: the one that the store lies in. `wheels` is a folder whose wheels the closure
    names by digest: what is installed must be what they are. `room`: where it is trained, with the wheels of the room.

    The worker ends when this process does: it dies at its next sign of life, and the next call goes on from its last
    whole checkpoint. Raises what the worker raised, BackendFailed where it died, Damaged where a finished run's
    adapter was changed.
    """
    done = outcome(store, run)
    if done:
        return done.adapter_ref
    if room is None or room.wheels is None:
        require("train", "torch", "transformers", "peft", "trl", "datasets")
    words, recipe = ("-m", "whence.train.worker", run), job(store, run).recipe
    if room:
        if on_progress and room.wheels:
            on_progress(Progress(stage="making the room"))
        with room.command(words, _fixed(store, recipe, code, room.wheels)) as (command, env):
            _follow_through(command, env, on_progress)
    else:
        named = name_wheels(store, wheels) if wheels else None
        env = environment(store, recipe, code, named)
        _follow_through([sys.executable, "-P", *words], env, on_progress)
    done = outcome(store, run)
    if done is None:
        raise BackendFailed(f"the training process ended without a result for run {run}")
    return done.adapter_ref


def _follow_through(
    command: Sequence[str], env: Mapping[str, str], on_progress: Callable[[Progress], None] | None
) -> None:
    """Start the worker and wait for its end. Raises what it raised, BackendFailed where it died."""
    with tempfile.TemporaryFile() as stderr:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, env=env, text=True
        ) as worker:
            try:
                failure = _follow(worker.stdout, on_progress)
            except BaseException:
                worker.kill()
                raise
        if failure:
            raise failure
        if worker.returncode:
            raise BackendFailed(f"the training process ended with code {worker.returncode}:\n{_tail(stderr)}")


def environment(store: Store, recipe: Recipe, code: Path | None = None, wheels: str | None = None) -> dict[str, str]:
    """The worker's environment outside of a room: this one, and what is fixed."""
    named = {n: v for n, v in os.environ.items() if n and n != VARIABLE}  # a nameless one makes accelerate fail
    return named | _fixed(store, recipe, code, wheels)


def _fixed(store: Store, recipe: Recipe, code: Path | None, wheels: str | None) -> dict[str, str]:
    """Where store and code lie, and what makes arithmetic and file order repeat."""
    return {
        "WHENCE_STORE": str(store.root),
        "WHENCE_KEYS": str(store.keys.path),
        "WHENCE_CODE": str(code or store.root.parent),
        "WHENCE_ACTOR": store.actor,
        "WHENCE_WHEELS": wheels or "",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": str(recipe.threads),
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":16:8",
    }


def _follow(lines: IO[str], on_progress: Callable[[Progress], None] | None) -> WhenceError | None:
    """Pass the worker's progress on until it closes its end; the error that it reported, if any."""
    failure = None
    for line in lines:
        said = json.loads(line)
        if "error" in said:
            failure = _error(said)
        elif on_progress:
            on_progress(Progress(**said))
    return failure


def _error(said: Json) -> WhenceError:
    kind: Any = getattr(records, said["error"])
    return kind(*said["args"]) if isinstance(kind, type) and issubclass(kind, WhenceError) else BackendFailed(str(said))


def _tail(stderr: IO[bytes]) -> str:
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - STDERR_TAIL))
    return stderr.read().decode(errors="replace").strip()
