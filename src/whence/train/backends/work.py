"""Fine-tuning with LoRA through TRL, one run from its id to its adapter.

No pickle is read from anything that was made elsewhere: bases load from safetensors and without remote code. The
optimizer's state in our own checkpoints is torch's format; it is read with ``weights_only`` and only after every file
has matched the digest in the checkpoint's marker.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from whence.models import PROFILE, Held, adapter_digests, bond_of, fingerprint, hold, load_base, write_sidecar
from whence.models.identity import differing
from whence.records import (
    METHODS,
    Adapter,
    Base,
    Conditions,
    Json,
    Ref,
    RunReport,
    Unmet,
    sha256,
    writing,
)
from whence.records.methods import Method
from whence.store import Store, row_set
from whence.store.lock import FileLock, WriterLock
from whence.text import profile
from whence.train import rewards, surroundings
from whence.train.asks import questions
from whence.train.attest import attest
from whence.train.backends.tokens import Tokenised, check_template, example, tokenise
from whence.train.checkpoints import Checkpoint, made_under, sweep
from whence.train.job import Job, Planned, finish, freeze, job, outcome, planned
from whence.train.plan import passes, plan
from whence.train.rows import read, weights_of
from whence.train.takeover import take_over

Say = Callable[[Json], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a training process was told beside its run, and what it found when it began."""

    code: Path | None = None
    """folder whose git state the closure names; None: the one that the store lies in"""
    wheels: str | None = None
    """blob that names the wheels of its environment; None: nobody named any"""
    room: dict[str, Json] | None = None
    """of home and network, what `attest.enter` found; None: outside of a room"""


BEAT_S = 0.2
"""Seconds between two signs of life while rows are tokenised or steps trained."""
LOCK_WAIT_S = 600
"""Seconds to wait for another process that trains the same run."""


@dataclass(slots=True)
class Meter:
    """Clocks of this process."""

    started_at: datetime
    wall: float
    import_cpu_s: float = 0.0
    train_cpu_s: float = 0.0


@dataclass(slots=True)
class Trained:
    """What training left in memory."""

    model: Any
    log: list[Json]
    """transformers' log lines; loss is the mean over the steps since the line before"""
    resumed_from: int | None
    """steps that an earlier process had done"""
    found: dict[str, Json]
    """facts of this method alone"""


def work(store: Store, run: str, say: Say, given: Given = Given()) -> Ref:
    """Train a run to its end, or go on where a killed process stopped. One process a run, by a lock in its folder.

    A checkpoint counts only for the closure, the rows and the conditions that it was made under: what the report says
    then holds for every step, and a row erased meanwhile is in none of them.
    """
    asked = job(store, run)
    asked.folder.mkdir(parents=True, exist_ok=True)
    with WriterLock(FileLock(asked.folder / "lock"), str(asked.folder)).hold(
        "train", LOCK_WAIT_S, lambda text: say({"stage": text})
    ):
        done = outcome(store, run)
        if done:
            return done.adapter_ref
        say({"stage": "loading"})
        with held_base(store, asked.base) as base:
            return _work(store, asked, base, say, given)


def _work(store: Store, asked: Job, base: Held, say: Say, given: Given) -> Ref:
    meter = Meter(store.clock(), time.monotonic())
    before = planned(store, asked)
    before_import = time.process_time()
    torch, tokenizer = _libraries(asked, base.path)
    meter.import_cpu_s = time.process_time() - before_import
    check_template(tokenizer)
    rows = _tokenise(store, asked, tokenizer, say)
    rows.weights = weights_of(store, asked.snapshot.lowered, rows.ordinals)
    code = given.code or store.root.parent
    frozen = before or freeze(store, asked, rows.sources, rows.weights, _units(asked, rows), code, given.wheels)
    rows.weights = weights_of(store, frozen.schedule.lowered, rows.ordinals)
    rows.feed(passes(frozen.schedule, rows.ids, rows.sources, rows.weights))
    conditions = _conditions(torch, asked.recipe.threads)
    fed = store.put_set(row_set(rows.ordinals))
    under = made_under(frozen.closure, fed, conditions)
    with writing(asked.folder):
        taken = take_over(store, asked, frozen, row_set(rows.ordinals), conditions, under)
    started = time.process_time()
    trained = _train(asked, frozen, rows, (base.path, tokenizer, under), say)
    base.check()
    meter.train_cpu_s = time.process_time() - started
    say({"stage": "saving"})
    with writing(asked.folder):
        asks = profile(questions(store, row_set(rows.ordinals))).to_json() if asked.recipe.profile else None
        adapter = _keep(store, asked, frozen, trained.model, asks)
    facts = _facts(rows, frozen, trained, meter) | taken | {"checkpoints": _digests(sweep(asked.folder, under))}
    if given.room is not None:
        facts["room"] = given.room | attest(store, given.wheels)
    report = RunReport(
        run=asked.run,
        started_at=meter.started_at,
        duration_s=time.monotonic() - meter.wall,
        cpu_s=time.process_time(),
        conditions=conditions,
        facts=facts | {"rows": asked.snapshot.rows},
        set=fed,
        example=store.write_words("example", example(rows.sides[0], tokenizer)),
        removed=store.put_table(_removed(rows)),
    )
    return finish(store, asked, [adapter, report])


@contextmanager
def held_base(store: Store, base: Base) -> Iterator[Held]:
    """The base's files on this machine, held open. Raises Unmet where it is not the one on record, naming what
    differs."""
    with hold(load_base(base.location, base.revision, store.root.parent)) as held:
        names = differing(fingerprint(held.path), base.fingerprint) if base.fingerprint else ["fingerprint"]
        if names:
            raise Unmet(
                f"the base at {base.location} is not the one on record: its {', '.join(names)} differ",
                f"the base {base.name} as it was recorded",
                "restore it, or record the new one as a base of its own",
            )
        yield held


def _libraries(asked: Job, folder: Path) -> tuple[Any, Any]:
    """(torch, tokenizer), quiet and with the recipe's threads. Most of the time goes into imports."""
    import datasets
    import torch
    import transformers
    from transformers import AutoTokenizer

    from whence.train.backends.trainers import kind_of

    kind_of(asked.recipe.method)  # so that its imports are counted here
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    torch.set_num_threads(asked.recipe.threads)
    return torch, AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def _tokenise(store: Store, asked: Job, tokenizer: Any, say: Say) -> Tokenised:
    beat = _beat("tokenising", asked.snapshot.rows, say)
    method = _method(asked)
    rows = tokenise(read(store, asked.snapshot), tokenizer, method, asked.recipe.max_length, beat)
    if not rows.ids:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in rows.reasons().items()) or "it has no rows"
        raise Unmet(
            f"no row of the snapshot can be learnt from by {asked.recipe.method} ({reasons})",
            f"rows of the shape {' or '.join(method.shapes)} with an answer within max_length",
            "look at the snapshot with `whence data`, choose another method, or raise max_length",
        )
    return rows


def _method(asked: Job) -> Method:
    """The recipe's method, its shapes those that the recipe's reward can judge."""
    method, reward = METHODS[asked.recipe.method], asked.recipe.reward
    return replace(method, shapes=rewards.shapes(reward)) if reward else method


def _conditions(torch: Any, threads: int) -> Conditions:
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    return surroundings.conditions(threads, device, torch.backends.cpu.get_cpu_capability())


def _units(asked: Job, rows: Tokenised) -> float:
    """What the losses of one epoch are added over, on average."""
    tokens = METHODS[asked.recipe.method].divisor == "tokens"
    return float(rows.weights @ rows.learnt()) if tokens else float(rows.weights.sum())


def _train(asked: Job, frozen: Planned, rows: Tokenised, loaded: tuple[Path, Any, dict[str, str]], say: Say) -> Trained:
    from whence.train.backends.keyed import Course, Pulse
    from whence.train.backends.trainers import pair_accuracy, trainer

    folder, tokenizer, under = loaded
    recipe, schedule = frozen.recipe, frozen.schedule
    whole = sweep(asked.folder, under)
    index = {name: i for i, name in enumerate(rows.ids)}
    batches = [[index[name] for name in step] for step in plan(rows.ids, schedule, rows.sources, rows.weights)]
    course = Course(recipe=recipe, schedule=schedule, batches=batches, under=under)
    pulse = Pulse(course, _beat("training", len(batches), say))
    made = trainer(course, rows, folder, asked.base.name, tokenizer, pulse, asked.folder)
    last: Checkpoint | None = whole[-1] if whole else None
    made.train(resume_from_checkpoint=str(last.folder) if last else None)
    found: dict[str, Json] = {}
    if not METHODS[recipe.method].answers:
        found["pair_accuracy"] = pair_accuracy(made, rows)
    if recipe.generations is not None:
        found["answers_sampled"] = int(rows.passes.sum()) * recipe.generations
    if made.rewards:
        found["rewards"] = made.rewards
    return Trained(made.model, made.state.log_history, last.step if last else None, found)


def _beat(stage: str, total: int, say: Say) -> Callable[..., None]:
    """``beat(done, loss)``: a sign of life, at most one every `BEAT_S` seconds and one at the end."""
    told = 0.0

    def beat(done: int, loss: float | None = None) -> None:
        nonlocal told
        if done == total or time.monotonic() - told > BEAT_S:
            told = time.monotonic()
            say({"stage": stage, "done": done, "total": total, "loss": loss})

    return beat


def _keep(store: Store, asked: Job, frozen: Planned, model: Any, asks: str | None) -> Adapter:
    """Write the adapter's folder, its sidecar in it, beside its place and move it there in one step."""
    from whence.train.backends.keyed import save_adapter

    final, partial = asked.folder / "adapter", asked.folder / "adapter.part"
    shutil.rmtree(partial, ignore_errors=True)
    save_adapter(model, partial)
    weights, config = adapter_digests(partial)
    if asks is not None:
        (partial / PROFILE).write_text(asks)
    made = Adapter(
        name=asked.snapshot.name,
        closure=frozen.closure,
        run=asked.run,
        weights=weights,
        config=config,
        base=asked.base.fingerprint,
        location=str(final.relative_to(store.root)),
        bytes=(partial / "adapter_model.safetensors").stat().st_size,
        profile=None if asks is None else sha256(asks.encode()),
    )
    write_sidecar(partial, bond_of(store, made))
    shutil.rmtree(final, ignore_errors=True)
    os.rename(partial, final)
    return made


def _facts(rows: Tokenised, frozen: Planned, trained: Trained, meter: Meter) -> dict[str, Json]:
    schedule, method = frozen.schedule, METHODS[frozen.recipe.method]
    losses = [line["loss"] for line in trained.log if "loss" in line]
    return {
        "rows_fed": len(rows.ids),
        "rows_cut": rows.cut,
        "rows_not_fed": rows.reasons(),
        "steps": schedule.steps,
        "tokens_learnt": int(rows.passes @ rows.learnt()),
        "tokens_read": int(rows.passes @ rows.read()),
        "row_local": method.row_local,
        "exact_replay": method.exact_replay,
        "why": method.why,
        "final_loss": losses[-1] if losses else None,
        "resumed_from": trained.resumed_from,
        "import_cpu_s": meter.import_cpu_s,
        "train_cpu_s": meter.train_cpu_s,
        "example_ordinal": rows.ordinals[0],
        **trained.found,
    }


def _digests(checkpoints: list[Checkpoint]) -> dict[str, str]:
    return {str(one.step): one.digest for one in checkpoints}


def _removed(rows: Tokenised) -> pa.Table:
    ordinals = pa.array([ordinal for ordinal, _ in rows.not_fed], pa.uint64())
    return pa.table({"ordinal": ordinals, "reason": pa.array([reason for _, reason in rows.not_fed], pa.string())})
