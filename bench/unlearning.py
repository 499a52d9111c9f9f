"""Exact unlearning: what a replay costs beside a training from the start, and whether both end with the same bytes.

    python -m bench.unlearning [--seeds 5] [--rows 1 10 100] [--every 20]

The demo's generated project is trained once a seed. Then rows drawn at random leave, with what was made from them:
a replay from the last checkpoint before them, and a training from the start on the rows that stay, each in a
process of its own. Where no checkpoint is early enough the replay is from the start as well. CPU of steps: building
the trainer, the steps and their checkpoints. CPU of processes: imports and tokenising too.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import whence
from bench.machine import describe
from whence.demo.base import cached_base
from whence.demo.generate import INTENTS, generate
from whence.lifecycle import rebuild
from whence.records import RunReport
from whence.store import row_set
from whence.train import recorded

HEAD = (
    "seed",
    "rows",
    "gone",
    "from step",
    "steps again",
    "CPU s of steps",
    "share",
    "CPU s of processes",
    "share",
    "bytes",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One removal."""

    seed: int
    rows: int
    """drawn"""
    gone: int
    """fed, those made from the drawn ones included"""
    from_step: int
    steps: int
    replay: RunReport
    scratch: RunReport
    outcome: str

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of steps, of the steps' CPU, of the processes' CPU."""
        trained = [one.facts["train_cpu_s"] for one in (self.replay, self.scratch)]
        return 1 - self.from_step / self.steps, trained[0] / trained[1], self.replay.cpu_s / self.scratch.cpu_s

    def __str__(self) -> str:
        steps, trained, whole = self.shares
        ends = (self.replay, self.scratch)
        seconds = [" / ".join(f"{one.facts['train_cpu_s']:.1f}" for one in ends)]
        seconds += [" / ".join(f"{one.cpu_s:.1f}" for one in ends)]
        from_step, again = f"{self.from_step} of {self.steps}", f"{steps:.0%}"
        cells = [self.seed, self.rows, self.gone, from_step, again]
        cells += [seconds[0], f"{trained:.0%}", seconds[1], f"{whole:.0%}", self.outcome]
        return "| " + " | ".join(map(str, cells)) + " |"


def project(folder: Path, seed: int, every: int) -> Path:
    """The generated desk, to be trained with this seed and a checkpoint after so many steps."""
    generate(folder)
    shutil.copytree(cached_base(INTENTS), folder / "tiny-base")
    text = files("whence.demo").joinpath("whence.toml").read_text()
    text = re.sub(r"(?m)^checkpoint_every.*$", f"checkpoint_every = {every}\nseed = {seed}", text)
    (folder / "whence.toml").write_text(text)
    return folder


def lines(folder: Path, seed: int, every: int, counts: list[int]) -> list[Line]:
    """A training, and one removal for each of these numbers of rows."""
    found = []
    with whence.open(project(folder, seed, every), create=True, actor="bench@example.org") as w:
        original = w.run("train").adapter
        assert original
        first = recorded(w.store, w.store.get(original).run)
        assert first
        fed = sorted(w.store.get_set(str(first.report.set)))
        for count in counts:
            drawn = row_set(random.Random(f"{seed} {count}").sample(fed, count))
            gone = drawn | w.store.index().descendants(drawn)
            made = rebuild.without(w.store, original, gone, folder, lambda *_: None, prove=True)
            assert made.run
            assert made.proof
            both = [recorded(w.store, run) for run in (made.run, made.proof.run)]
            found.append(
                Line(seed, count, made.plan.gone, made.plan.from_step, made.plan.steps,
                     *(one.report for one in both if one), made.outcome)
            )  # fmt: skip
            print(found[-1], flush=True)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--every", type=int, default=20, help="steps between checkpoints")
    args = parser.parse_args()
    print(f"# unlearning: the generated desk, rows at random, a checkpoint every {args.every} steps ({describe()})")
    print(f"| {' | '.join(HEAD)} |\n|{' ---: |' * len(HEAD)}", flush=True)
    found: list[Line] = []
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as place:
            found += lines(Path(place) / "desk", seed, args.every, args.rows)
    print("\n| rows | seeds | steps again, mean | CPU of steps, mean | CPU of processes, mean | same bytes |")
    print("|" + " ---: |" * 6)
    for count in args.rows:
        mine = [one for one in found if one.rows == count]
        means = [statistics.mean(shares) for shares in zip(*(one.shares for one in mine), strict=True)]
        same = sum(one.outcome == "proven" for one in mine)
        print(f"| {count} | {len(mine)} | {' | '.join(f'{m:.0%}' for m in means)} | {same} of {len(mine)} |")


if __name__ == "__main__":
    main()
