"""CPU seconds to judge many scores by a gate, and to resample paired differences, beside SciPy's bootstrap.

python -m bench.verdicts [--items 10000 100000 1000000] [--resamples 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from bench.machine import alone, describe, peak_kib, version


def judged(items: int) -> None:
    """Rules of a gate over items in twenty slices, with nine other candidates tried."""
    from whence.evaluate.rules import Pairing, rules
    from whence.records import Gate, Item, Ref

    rng = np.random.default_rng(0)
    word = np.array(["wrong", "right"])
    all_of = [Item(id=str(i), input="", expected=None, slices={"part": str(i % 20)}) for i in range(items)]

    def states(share: float) -> dict[str, str]:
        return dict(
            zip((item.id for item in all_of), word[(rng.random(items) < share).astype(int)].tolist(), strict=True)
        )

    numbers = {"min_value": 0.5, "min_gain": 0.0, "max_slice_drop": 0.1, "alpha": 0.05, "max_unscored": 0.02}
    gate = Gate(suite=Ref("sha256:0"), min_items=100, min_slice_items=20, **numbers)
    new, old, others = states(0.8), states(0.7), [states(0.7) for _ in range(9)]
    rules(gate, Pairing.of(all_of[:200], new, old), candidate="new", baseline="old")  # imports
    begun = time.process_time()
    found = rules(gate, Pairing.of(all_of, new, old), candidate="new", baseline="old", others=others)
    print(json.dumps({"cpu": time.process_time() - begun, "mib": peak_kib() / 1024, "findings": len(found)}))


def resampled(way: str, resamples: int, items: int) -> None:
    """The bootstrap's interval of the mean of so many differences."""
    from scipy import stats as scipy_stats

    from whence import stats

    d = np.random.default_rng(0).exponential(1, items) - 0.9
    stats.paired_mean(d[:50], 99)
    begun = time.process_time()
    if way == "whence":
        found = stats.paired_mean(d, resamples)
        low, high = found.low, found.high
    else:
        batch = max(1, (1 << 22) // items)
        low, high = scipy_stats.bootstrap((d,), np.mean, n_resamples=resamples, batch=batch, rng=0).confidence_interval
    print(json.dumps({"cpu": time.process_time() - begun, "mib": peak_kib() / 1024, "low": low, "high": high}))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--resamples", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        way, *numbers = args.one
        return judged(int(numbers[0])) if way == "judged" else resampled(way, *map(int, numbers))
    print(f"# verdicts ({describe()}), scipy {version('scipy')}\n")
    print("| items, ten candidates, twenty slices | CPU s | peak MiB |\n| ---: | ---: | ---: |")
    for items in args.items:
        took = alone("bench.verdicts", "--one", "judged", str(items))
        print(f"| {items:,} | {took['cpu']:.2f} | {took['mib']:,.0f} |", flush=True)
    print("\n| resamples | of items | whence, CPU s | SciPy, CPU s | intervals |\n| ---: | ---: | ---: | ---: | --- |")
    for resamples in args.resamples:
        for items in (100, 1_000):
            ours, theirs = (
                alone("bench.verdicts", "--one", way, str(resamples), str(items)) for way in ("whence", "scipy")
            )
            both = " and ".join(f"{one['low']:.4f} to {one['high']:.4f}" for one in (ours, theirs))
            print(f"| {resamples:,} | {items:,} | {ours['cpu']:.2f} | {theirs['cpu']:.2f} | {both} |", flush=True)
    return None


if __name__ == "__main__":
    main()
