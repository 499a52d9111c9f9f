"""CPU time of our training process beside a plain TRL script that trains the same: base, rows of each step, recipe.

    python -m bench.train_overhead [--rows 640] [--epochs 1 12] [--pairs 5]

Both are processes of their own, started at once, each on a core of its own, which they exchange from pair to pair: a
shared machine is not equally fast all the time. CPU seconds are the whole process's, from its start to its end. Two
lengths of training separate what is paid once (imports, reading and tokenising the rows, the base's fingerprint, the
record) from what each step costs. A last pair of runs logs and saves after every step, so that the loss of each step
is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from bench.machine import describe
from whence.data import CurationPlan, Plan, curate, ingest
from whence.demo.base import cached_base
from whence.demo.generate import INTENTS
from whence.models import fingerprint
from whence.records import Base, Recipe, Ref, Snapshot, Source
from whence.store import Store, row_set
from whence.train import outcome, plan, prepare
from whence.train.run import environment

RECIPE = Recipe(
    method="sft",
    rank=8,
    alpha=16,
    dropout=0.0,
    target_modules="all-linear",
    learning_rate=4e-3,
    lr_schedule="linear",
    warmup_steps=10,
    weight_decay=0.01,
    max_grad_norm=1.0,
    seed=7,
    max_length=256,
    batch_rows=16,
    micro_batch_rows=1000,  # a step is one forward pass, as in the plain script
    checkpoint_every=50,
    threads=1,
    dtype="float32",
    epochs=1,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What is trained, and where."""

    folder: Path
    store: Store
    base: Path
    base_ref: Ref
    snapshot: Ref
    rows: Path


def write_rows(path: Path, count: int) -> None:
    """Chats of one turn, as JSONL."""
    rng = random.Random(count)
    words = ["card", "payment", "transfer", "refund", "balance", "app", "branch", "limit", "fee", "account", "waiting"]
    with path.open("w") as file:
        for i in range(count):
            asked = {"role": "user", "content": " ".join(rng.choices(words, k=rng.randrange(6, 30)))}
            said = {"role": "assistant", "content": rng.choice(INTENTS)}
            file.write(json.dumps({"id": f"c-{i}", "messages": [asked, said]}) + "\n")


def prepared(folder: Path, count: int) -> Bench:
    """A store with the rows frozen, and the base."""
    rows = folder / "rows.jsonl"
    write_rows(rows, count)
    store = Store.open(folder / ".whence", create=True, actor="bench@example.org")
    source = Source(name="chats", kind="human_annotation", location=rows.name, licence="MIT")
    read = Plan(source=source, path=rows, format="jsonl", map={"id": "id", "messages": "messages"}, rights="none")
    run, _ = ingest(store, read, lambda _, subjects, *__: [None] * len(subjects))
    frozen, _ = curate(
        store, CurationPlan(name="all", ingests=[run], steps=[], withdrawn=row_set([]), groups={}, inputs={})
    )
    base = cached_base(INTENTS)
    base_ref = store.put(Base(name="tiny", location=str(base), fingerprint=fingerprint(base)))
    return Bench(folder, store, base, base_ref, frozen, rows)


def ours(bench: Bench, recipe: Recipe, attempt: int) -> tuple[Command, Ref]:
    """(command, run) of one training by our process."""
    run = prepare(bench.store, bench.base_ref, bench.snapshot, recipe, attempt=attempt)
    return Command(("-P", "-m", "whence.train.worker", run), environment(bench.store, recipe)), run


def plain(bench: Bench, settings: Path, recipe: Recipe) -> Command:
    """One training by the plain script."""
    return Command(("-m", "bench.plain_trl", str(settings)), environment(bench.store, recipe))


@dataclass(frozen=True, slots=True)
class Command:
    """A Python process to be."""

    arguments: tuple[str, ...]
    env: dict[str, str]


def spent(*commands: Command) -> list[float]:
    """CPU seconds of these processes and their children, from start to end; they run at once, on a core each."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < len(commands):
        raise SystemExit(f"{len(commands)} cores are needed, {len(cores)} are there")
    with ExitStack() as files:
        running = []
        for command, core in zip(commands, cores, strict=False):
            said = files.enter_context(tempfile.TemporaryFile())
            words = [sys.executable, *command.arguments]
            running.append((subprocess.Popen(words, stdout=said, stderr=said, env=command.env), said))
            os.sched_setaffinity(running[-1][0].pid, {core})
        return [_ended(process, said) for process, said in running]


def _ended(process: subprocess.Popen[bytes], said: IO[bytes]) -> float:
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said.seek(0)
        raise SystemExit(f"{process.args} failed:\n{said.read().decode()[-3000:]}")
    return used.ru_utime + used.ru_stime


def settings_of(bench: Bench, run: Ref, out: Path) -> Path:
    """The plain script's settings: what our run froze, its batches as indexes into the file."""
    frozen = bench.store.events("run.planned", about=run, last=True)[0].data["recipe"]
    recipe = bench.store.get(frozen, Recipe)
    assert recipe.schedule is not None
    at: dict[str, int] = {}
    rows = bench.store.snapshot_rows(bench.store.get(bench.snapshot, Snapshot))
    for batch in bench.store.scan(["id", "record"], rows):
        ids, records = batch["id"].to_pylist(), batch["record"].to_pylist()
        at |= {name.hex(): int(record[2:]) for name, record in zip(ids, records, strict=True)}
    batches = [[at[name] for name in step] for step in plan(list(at), recipe.schedule)]
    if not all(batches):
        raise SystemExit("a step has no rows, which a plain script cannot train: take more rows a step")
    out.mkdir(exist_ok=True)
    path = out / "settings.json"
    facts = {"base": str(bench.base), "rows": str(bench.rows), "out": str(out), "batches": batches}
    path.write_text(json.dumps(facts | {"divisor": recipe.schedule.divisor, "recipe": asdict(recipe)}))
    return path


def curves(bench: Bench, run: Ref, out: Path) -> tuple[list[float], list[float]]:
    """Losses as logged by our run and by the plain one."""
    done = outcome(bench.store, run)
    assert done is not None
    last = max(done.folder.parent.glob("checkpoint-*"), key=lambda p: int(p.name.partition("-")[2]))
    logs: list[list[dict[str, Any]]] = [
        json.loads((last / "trainer_state.json").read_text())["log_history"],
        json.loads((out / "log.json").read_text()),
    ]
    mine, theirs = ([line["loss"] for line in log if "loss" in line] for log in logs)
    return mine, theirs


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--epochs", type=int, nargs=2, default=(1, 12))
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        bench = prepared(Path(tmp), args.rows)
        recipes = [replace(RECIPE, epochs=epochs) for epochs in args.epochs]
        settings = []
        for recipe in recipes:
            command, run = ours(bench, recipe, 0)
            spent(command)
            settings.append(settings_of(bench, run, Path(tmp) / f"plain-{recipe.epochs}"))
        per_epoch = -(-args.rows // RECIPE.batch_rows)
        steps = [recipe.epochs * per_epoch for recipe in recipes]
        print(f"# training: {args.rows} chats, {steps[0]} and {steps[1]} steps, {args.pairs} pairs ({describe()})")
        print(f"{'pair':>4} {'steps':>6} {'ours CPU s':>11} {'plain CPU s':>12} {'overhead':>9}", flush=True)
        took: dict[str, list[list[float]]] = {"ours": [[], []], "plain": [[], []]}
        for pair in range(args.pairs):
            for i, recipe in enumerate(recipes):
                commands = {"ours": ours(bench, recipe, pair + 1)[0], "plain": plain(bench, settings[i], recipe)}
                order = sorted(commands, reverse=bool(pair % 2))
                for way, cpu in zip(order, spent(*(commands[way] for way in order)), strict=True):
                    took[way][i].append(cpu)
                mine, theirs = took["ours"][i][-1], took["plain"][i][-1]
                print(
                    f"{pair + 1:>4} {steps[i]:>6} {mine:>11.2f} {theirs:>12.2f} {mine / theirs - 1:>9.1%}", flush=True
                )
        report(took, steps)
        every = replace(RECIPE, checkpoint_every=1)
        command, run = ours(bench, every, 0)
        spent(command)
        out = Path(tmp) / "curve"
        spent(plain(bench, settings_of(bench, run, out), every))
        mine_curve, theirs_curve = curves(bench, run, out)
        apart = max(abs(a - b) for a, b in zip(mine_curve, theirs_curve, strict=True))
        ends = f"{mine_curve[0]:.4f} to {mine_curve[-1]:.4f}"
        print(f"loss of {len(mine_curve)} steps, {ends}: at most {apart:.2g} apart")


def report(took: dict[str, list[list[float]]], steps: list[int]) -> None:
    """Medians over the pairs: whole processes, what is paid once, what each step costs."""
    median = {way: [statistics.median(cpu) for cpu in lengths] for way, lengths in took.items()}
    print(f"\n{'median CPU':<28} {'ours':>9} {'plain':>9} {'overhead':>9}")
    rows = [(f"whole process, {count} steps, s", [median[w][i] for w in took]) for i, count in enumerate(steps)]
    each = [(median[w][1] - median[w][0]) / (steps[1] - steps[0]) for w in took]
    rows += [
        ("a step, ms", [1000 * e for e in each]),
        ("once, s", [median[w][0] - e * steps[0] for w, e in zip(took, each, strict=True)]),
    ]
    for name, (mine, theirs) in rows:
        print(f"{name:<28} {mine:>9.2f} {theirs:>9.2f} {mine / theirs - 1:>9.1%}")


if __name__ == "__main__":
    main()
