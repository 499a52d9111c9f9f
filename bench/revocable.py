"""Rows that may have to go: what each design teaches, and what it costs to train again without some of them.

    python -m bench.revocable [--settings desk banking77] [--seeds 5] [--rows 640] [--out FILE] [--no-replays]
        [--rehearsal .5] [--peak 1]

A quarter of the rows may have to go: drawn at random (they resemble the rest), or whole intents that stand nowhere
else. `own`: items on those intents, or as many drawn at random, whose share that is answered right; `rest`: the others.
Designs: all rows spread over all steps (mixed, what the others are held against); the revocable rows left out; a
tier of the last .1, .2, .3 of the steps under one fall of the learning rate, as first tried; the tier that `revocable =
"tier"` plans (a rise and fall of its own, half of the other rows rehearsed in it); and `revocable = "routed"`, an
adapter of their own beside one of the rest, requests routed by what the rows ask.

Then 1, 10 and 100 revocable rows leave: the replay from the last checkpoint before them, and a training from the start
on the rows that stay, each in a process of its own, are compared byte for byte. CPU seconds are those of the steps: the
processes are forked with everything imported. --out keeps what is done, one JSON line each; it goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy import stats

from bench.machine import describe
from whence.records import METHODS, Recipe, Schedule, Tier
from whence.text import Likeness, normalise, profile

SHARE, LATE, EVERY, EPOCHS, BATCH, TESTED = 0.25, "late", 20, 2, 8, 480
TIERS = {"tier .1": 0.1, "tier .2": 0.2, "tier .3": 0.3}
DESIGNS = ("mixed", "left out", *TIERS, "tier", "routed")
COUNTS = (1, 10, 100)
RECIPE = Recipe(
    method="sft", rank=8, alpha=16, dropout=0.0, target_modules="all-linear", learning_rate=4e-3, lr_schedule="linear",
    warmup_steps=20, weight_decay=0.0, max_grad_norm=1.0, seed=0, max_length=256, batch_rows=BATCH,
    micro_batch_rows=8, checkpoint_every=EVERY, threads=1, dtype="float32", epochs=EPOCHS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One draw of rows."""

    setting: str
    kind: str
    """alike, or whole intents"""
    seed: int
    base: str
    rows: tuple[tuple[str, str, bool], ...]
    """(question, intent, revocable)"""
    items: tuple[tuple[str, str, bool], ...]
    """(question, intent, own)"""
    rehearsal: float
    peak: float


def draw(setting: str, kind: str, seed: int, count: int, rehearsal: float, peak: float) -> Case:
    """Rows and items of a setting."""
    rng = random.Random(f"{setting} {kind} {seed}")
    base, rows, items, labels = desk(seed) if setting == "desk" else banking77(rng)
    rng.shuffle(rows)
    rng.shuffle(items)
    rows, items = rows[:count], items[:TESTED]
    own = set(rng.sample(labels, round(len(labels) * SHARE)))

    def late(label: str) -> bool:
        return label in own if kind == "whole intents" else rng.random() < SHARE

    rows, items = [(*r, late(r[1])) for r in rows], [(*i, late(i[1])) for i in items]
    return Case(setting, kind, seed, str(base), tuple(rows), tuple(items), rehearsal, peak)


Pairs = list[tuple[str, str]]


def desk(seed: int) -> tuple[Path, Pairs, Pairs, list[str]]:
    """The generated project: its tickets and its gate suite."""
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS, generate

    with tempfile.TemporaryDirectory() as place:
        generate(Path(place), seed=7 + seed)
        lines = (Path(place) / "data/tickets.jsonl").read_bytes().splitlines()
        items = [json.loads(line) for line in (Path(place) / "suites/gate.jsonl").read_bytes().splitlines()]
    rows = [row for line in lines if (row := _parsed(line)) and row.get("intent") in INTENTS and len(row["text"]) < 300]
    pairs = [[(one["text"], one["intent"]) for one in some] for some in (rows, items)]
    return cached_base(INTENTS), pairs[0], pairs[1], list(INTENTS)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("text"), str) else None


def banking77(rng: random.Random) -> tuple[Path, Pairs, Pairs, list[str]]:
    """24 of the 77 published intents, and their published test questions."""
    from whence.demo.base import cached_base

    folder = Path(os.environ.get("WHENCE_DATA", "../shared/data")) / "banking77"
    labels = json.loads((folder / "categories.json").read_text())
    chosen = rng.sample(labels, 24)
    found = []
    for name in ("train.jsonl", "test.jsonl"):
        lines = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        found.append([(one["text"], one["intent"]) for one in lines if one["intent"] in chosen])
    return cached_base(labels), found[0], found[1], chosen


@dataclass(frozen=True, slots=True)
class Training:
    """What one process trains."""

    case: Case
    part: str
    """all, rest or late rows"""
    schedule: Schedule
    folder: str
    gone: frozenset[str] = frozenset()
    """ids of rows left out"""
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it."""

    cpu_s: float
    digest: str
    """of the adapter's weights"""
    right: tuple[bool, ...]
    """of each item; empty where nobody asked"""


def ids(case: Case) -> list[str]:
    """Of the rows, in order."""
    return [hashlib.blake2b(f"{case.setting} {case.seed} {i}".encode()).hexdigest()[:64] for i in range(len(case.rows))]


def train(what: Training, ask: bool) -> Trained:
    """In a process of its own."""
    import torch
    from transformers import AutoTokenizer

    from whence.models.backends.transformers_peft import TransformersModel
    from whence.models.port import Request
    from whence.train.backends.keyed import Course, Pulse, save_adapter
    from whence.train.backends.tokens import tokenise
    from whence.train.backends.trainers import trainer
    from whence.train.plan import plan
    from whence.train.rows import Fed

    torch.set_num_threads(1)
    case, base, folder = what.case, Path(what.case.base), Path(what.folder)
    every = [
        Fed(i, name, LATE if late else "rest", {"shape": "prompt_completion", "prompt": asked, "completion": label})
        for i, (name, (asked, label, late)) in enumerate(zip(ids(case), case.rows, strict=True))
        if what.part in ("all", LATE if late else "rest")
    ]
    tokenizer = AutoTokenizer.from_pretrained(base)
    planned, fed = (
        tokenise(iter(rows), tokenizer, METHODS["sft"], RECIPE.max_length, lambda *_: None)
        for rows in (every, [row for row in every if row.id not in what.gone])
    )
    divisor = what.schedule.divisor * planned.learnt().sum() / len(planned.ids)
    numbers = {name: i for i, name in enumerate(fed.ids)}
    batches = [[numbers[name] for name in step] for step in plan(fed.ids, what.schedule, fed.sources)]
    recipe = replace(RECIPE, seed=case.seed)
    course = Course(recipe=recipe, schedule=replace(what.schedule, divisor=divisor), batches=batches, under={})
    began = time.process_time()
    made = trainer(course, fed, base, "base", tokenizer, Pulse(course, lambda *_: None), folder)
    made.train(resume_from_checkpoint=what.resume)
    took = time.process_time() - began
    save_adapter(made.model, folder / "adapter")
    digest = hashlib.sha256((folder / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()
    if not ask:
        return Trained(took, digest, ())
    model = TransformersModel(base, {"a": folder / "adapter"}, 1)
    asked = [Request(messages=[{"role": "user", "content": q}], adapter="a", max_tokens=24) for q, *_ in case.items]
    said = model.generate(asked)
    return Trained(
        took, digest, tuple(r.text.strip() == label for r, (_, label, _) in zip(said, case.items, strict=True))
    )


def schedule(case: Case, design: str, part: str) -> Schedule:
    """What the design plans. The divisor is in rows here: the training process knows how many tokens a row has."""
    late = sum(one for *_, one in case.rows)
    rest = len(case.rows) - late
    count = {"all": late + rest, "rest": rest, LATE: late}[part]
    key = hashlib.sha256(f"{case.setting} {case.kind} {case.seed} {part}".encode()).hexdigest()
    steps, tiers, fed = math.ceil(count / BATCH), (), float(EPOCHS * count)
    if design in TIERS:
        length = round(TIERS[design] * steps * EPOCHS)
        tiers = (Tier(sources=(LATE,), rehearsal=0.0, first_step=steps * EPOCHS - length, steps=length),)
    elif design == "tier":
        steps, fed = math.ceil(rest / BATCH), fed + case.rehearsal * rest
        length = math.ceil((EPOCHS * late + case.rehearsal * rest) / BATCH)
        tiers = (
            Tier(sources=(LATE,), rehearsal=case.rehearsal, peak=case.peak, first_step=steps * EPOCHS, steps=length),
        )
    plan = Schedule(key=key, epochs=EPOCHS, steps_per_epoch=steps, divisor=1.0, tiers=tiers)
    return replace(plan, divisor=fed / plan.steps)


class Bench:
    """Runs what is not done yet."""

    def __init__(self, out: Path | None) -> None:
        self.out = out
        self.done = [json.loads(line) for line in out.read_text().splitlines()] if out and out.exists() else []
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["bench.revocable_preload"])
        self.pool = ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1)

    def known(self, **named: Any) -> list[dict[str, Any]]:
        """Lines that say this."""
        return [line for line in self.done if all(line.get(name) == value for name, value in named.items())]

    def keep(self, **line: Any) -> None:
        """One more line."""
        self.done.append(line)
        if self.out:
            with self.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
        said = (f"{name} {value:.3f}" if isinstance(value, float) else str(value) for name, value in line.items())
        print("  ".join(said), flush=True)

    def train(self, what: Training, ask: bool = True) -> Trained:
        """In a process of its own."""
        return self.pool.submit(train, what, ask).result()

    def quality(self, case: Case, place: Path) -> None:
        """What each design teaches."""
        found: dict[str, Trained] = {}
        name = {"setting": case.setting, "kind": case.kind, "seed": case.seed}
        missing = [design for design in DESIGNS if not self.known(what="quality", design=design, **name)]
        needed = {"rest": ("left out", "routed"), LATE: ("routed",)}

        def made(design: str, part: str = "all") -> Trained:
            plan = schedule(case, design if part == "all" else "mixed", part)
            return self.train(Training(case, part, plan, str(place / design / part)))

        parts = {part: made("alone", part) for part, by in needed.items() if set(by) & set(missing)}
        for design in missing:
            if design == "left out":
                found[design] = parts["rest"]
            elif design == "routed":
                found[design] = routed(case, parts["rest"], parts[LATE])
            else:
                found[design] = made(design)
        late = sum(one for *_, one in case.rows)
        for design, one in found.items():
            sides: dict[bool, list[bool]] = {True: [], False: []}
            for ok, (*_, own) in zip(one.right, case.items, strict=True):
                sides[own].append(ok)
            right = {"own": statistics.mean(sides[True]), "rest": statistics.mean(sides[False])}
            share = late / len(case.rows) if design == "routed" else again(case, design)
            self.keep(what="quality", **name, design=design, **right, cpu_s=one.cpu_s, again=share)

    def replays(self, case: Case, place: Path) -> None:
        """What a removal costs, and whether it ends with the same bytes."""
        mine = [i for i, (*_, late) in zip(ids(case), case.rows, strict=True) if late]
        counts = [count for count in COUNTS if count < len(mine)]
        for design in (*TIERS, "tier", "routed", "mixed"):
            part = LATE if design == "routed" else "all"
            name = {"setting": case.setting, "seed": case.seed, "design": design}
            if len(self.known(what="replay", **name)) == len(counts):
                continue
            plan, first = schedule(case, "mixed" if design == "routed" else design, part), place / design / part
            shutil.rmtree(first, ignore_errors=True)
            whole = self.train(Training(case, part, plan, str(first)), ask=False)
            for count in counts:
                gone = frozenset(random.Random(f"{case.seed} {count}").sample(mine, count))
                since = first_fed(gone, plan)
                kept = max((n for p in first.glob("checkpoint-*") if (n := int(p.name[11:])) <= since), default=0)
                resume = str(first / f"checkpoint-{kept}") if kept else None
                scratch = self.train(Training(case, part, plan, str(first) + " scratch", gone), ask=False)
                replay = (
                    self.train(Training(case, part, plan, str(first) + " again", gone, resume), ask=False)
                    if kept
                    else scratch
                )
                seen = {"from_step": kept, "steps": plan.steps, "other": whole.digest != scratch.digest}
                took = {"replay_cpu_s": replay.cpu_s, "scratch_cpu_s": scratch.cpu_s}
                self.keep(what="replay", **name, rows=count, same=replay.digest == scratch.digest, **seen, **took)


def routed(case: Case, rest: Trained, alone: Trained) -> Trained:
    """Each item answered by the adapter whose rows ask such things."""
    like = Likeness([profile(normalise(q) for q, _, late in case.rows if late == side) for side in (False, True)])
    own = (bool(like.most(normalise(q))) for q, *_ in case.items)
    right = tuple(a if mine else r for mine, a, r in zip(own, alone.right, rest.right, strict=True))
    return Trained(rest.cpu_s + alone.cpu_s, "", right)


def first_fed(gone: frozenset[str], plan: Schedule) -> int:
    """The first step in which any of these revocable rows is fed."""
    from whence.train.plan import steps_of

    return int(steps_of(plan, sorted(gone), [LATE] * len(gone))[1].min())


def again(case: Case, design: str) -> float:
    """Rows trained again from the tier's first step on, as a share of those of a training without a tier."""
    from whence.train.plan import steps_of

    plan = schedule(case, design if design in (*TIERS, "tier") else "mixed", "all")
    if not plan.tiers:
        return 0.0 if design == "left out" else 1.0
    steps = steps_of(plan, ids(case), [LATE if late else "rest" for *_, late in case.rows])[1]
    return float((steps >= (plan.tiers[0].first_step or 0)).sum()) / (EPOCHS * len(case.rows))


def spread(values: Sequence[float]) -> str:
    """Mean and its 95 % interval over seeds (Student's t)."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:+.3f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def tables(bench: Bench, settings: Sequence[str]) -> Iterator[str]:
    """Both, as Markdown."""
    yield "| setting | revocable rows | design | own | rest | own − mixed | rest − mixed | rows again |"
    yield "|" + " --- |" * 3 + " ---: |" * 5
    for setting in settings:
        for kind in ("alike", "whole intents"):
            base = {one["seed"]: one for one in bench.known(what="quality", setting=setting, kind=kind, design="mixed")}
            for design in DESIGNS:
                lines = [
                    one
                    for one in bench.known(what="quality", setting=setting, kind=kind, design=design)
                    if one["seed"] in base
                ]
                if not lines:
                    continue
                own, rest = ([one[side] for one in lines] for side in ("own", "rest"))
                off = {side: spread([one[side] - base[one["seed"]][side] for one in lines]) for side in ("own", "rest")}
                share = statistics.mean(one["again"] for one in lines)
                yield (f"| {setting} | {kind} | {design} | {statistics.mean(own):.3f} | {statistics.mean(rest):.3f} | "
                       f"{off['own']} | {off['rest']} | {share:.2f} |")  # fmt: skip
    yield (
        "\n| setting | design | rows | seeds | from step, mean | CPU from the start | replay, as a share | "
        "as a share of one without a tier | same bytes |"
    )
    yield "|" + " --- |" * 2 + " ---: |" * 7
    for setting in settings:
        plain = {
            o["seed"]: o["scratch_cpu_s"] for o in bench.known(what="replay", setting=setting, design="mixed", rows=1)
        }
        for design in (*TIERS, "tier", "routed", "mixed"):
            for count in COUNTS:
                lines = bench.known(what="replay", setting=setting, design=design, rows=count)
                if lines:
                    share = spread([one["replay_cpu_s"] / one["scratch_cpu_s"] for one in lines])
                    full = spread([one["replay_cpu_s"] / plain[one["seed"]] for one in lines if one["seed"] in plain])
                    took = statistics.mean(one["scratch_cpu_s"] for one in lines)
                    step = statistics.mean(one["from_step"] / one["steps"] for one in lines)
                    same = sum(one["same"] and one["other"] for one in lines)
                    cells = [setting, design, count, len(lines), f"{step:.0%}", f"{took:.1f} s", share, full]
                    yield f"| {' | '.join(map(str, cells))} | {same} of {len(lines)} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=["desk", "banking77"], choices=["desk", "banking77"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--out", type=Path, help="what is done, one JSON line each; it goes on from there")
    parser.add_argument("--rehearsal", type=float, default=0.5, help="of the tier")
    parser.add_argument("--peak", type=float, default=1.0, help="of the tier")
    parser.add_argument("--no-replays", action="store_true", help="quality alone")
    args = parser.parse_args()
    bench = Bench(args.out)
    print(f"# revocable rows: {args.rows} rows, a quarter of them revocable ({describe()})", flush=True)
    for seed in range(args.seeds):
        for setting in args.settings:
            with tempfile.TemporaryDirectory() as place:
                for kind in ("alike", "whole intents"):
                    case = draw(setting, kind, seed, args.rows, args.rehearsal, args.peak)
                    bench.quality(case, Path(place) / kind)
                    if kind == "alike" and not args.no_replays:
                        bench.replays(case, Path(place) / "replays")
    print("\n".join(tables(bench, args.settings)))


if __name__ == "__main__":
    main()
