"""What a suite loses when items retire, on real adapters: what few models say of it beside what all say.

    python -m bench.discrimination [--items 2000] [--draws 200]

Sixteen adapters of the demo's desk, which differ in seed and epochs, answer the same generated questions.
Suites of 200 of these are drawn; twelve or fifty items retire: at random, those that the first adapter has wrong (what
somebody looks at and trains on), or those that tell models apart best by `stats.item_rest`. Printed is the share of the
power that goes, over all sixteen, and how often the interval from five, eight or twelve of them, drawn, holds that
value. (The sixteen stand for all models, of which they are a sample themselves.) The desk is invented: this shows what
the figure is worth, not how good a model is.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from itertools import product
from pathlib import Path

import numpy as np

from bench.gate_models import answered
from bench.machine import describe

SUITE, FEW = 200, (5, 8, 12)
WAYS = {
    f"seed {seed}, epochs {epochs}": ("epochs = 2", f"epochs = {epochs}\nseed = {seed}")
    for seed, epochs in product(range(8), (1, 2))
}
"""Adapter → what stands in the project file, and what in its stead."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="a file for which adapter has which item right")
    args = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    if args.keep and args.keep.exists():
        right = np.load(args.keep)
    else:
        with tempfile.TemporaryDirectory() as tmp:
            right = np.array([*answered(Path(tmp), args.items, WAYS).values()], float)
        if args.keep:
            np.save(args.keep, right)
    table(right, args.draws)


def table(right: np.ndarray, draws: int) -> None:
    """What goes with items, and how well few models know it."""
    from whence.stats import item_rest, power_lost, reliability

    shares = right.mean(axis=1)
    told = reliability(right)
    print(f"# what retiring costs ({describe()}), {len(right)} adapters, {right.shape[1]:,} items, {draws} suites\n")
    print(f"right {shares.min():.1%} to {shares.max():.1%}; alpha of all items {told.statistic:.3f}\n")
    rng = np.random.default_rng(0)
    print(
        "| retired of 200 | lost, median (5 to 95 of 100 suites) | "
        + " | ".join(f"{m} models: said, width, holds" for m in FEW)
        + " |"
    )
    print("| --- | ---: |" + " ---: |" * len(FEW))
    for k, how in product((12, 50), ("at random", "failures", "telling best")):
        lost, said = [], {m: [] for m in FEW}
        for _ in range(draws):
            x = right[:, rng.choice(right.shape[1], SUITE, replace=False)]
            by = rng.random(SUITE)
            if how == "failures":
                by = by - x[0]
            elif how == "telling best":
                by = np.nan_to_num(item_rest(x), nan=-1)
            gone = np.isin(np.arange(SUITE), np.argsort(-by)[:k])
            if (truth := power_lost(x, gone)) is None:
                continue
            lost.append(truth.statistic)
            for m in FEW:
                one = power_lost(x[rng.choice(len(x), m, replace=False)], gone)
                if one:
                    said[m].append((one.high - one.low, one.low <= truth.statistic <= one.high))
        cells = [
            f"{len(each) / len(lost):.0%}, {np.median([w for w, _ in each]):.1%}, {np.mean([h for _, h in each]):.0%}"
            if each
            else "–"
            for each in said.values()
        ]
        low, middle, high = np.quantile(lost, [0.05, 0.5, 0.95])
        print(f"| {k} {how} | {middle:.1%} ({low:.1%} to {high:.1%}) | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
