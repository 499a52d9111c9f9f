"""What the gate says of models whose true difference is known, simulated; and what a fixed rule of 5 points says.

    python -m bench.gate [--times 2000]

Ours is a gate with `min_gain = -0.03`, an allowed loss of 3 points, at the number of items that it asks for. *Soup* is
the rule of a published promotion gate: an evaluation of 20 to 40 items, pass unless the candidate is 5 points lower.
Right and wrong are drawn item by item; of two models a given share of the items is answered by one alone.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from bench.machine import describe
from whence.evaluate.rules import gain_outcome, items_asked
from whence.stats import mcnemar, wilson

MARGIN, ALPHA = 0.03, 0.05


def ours(rng: np.random.Generator, n: int, discordance: float, drop: float) -> str:
    lost, gained, _ = rng.multinomial(n, [(discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance])
    return gain_outcome(mcnemar(int(gained), int(lost), n), -MARGIN, ALPHA)


def soup(rng: np.random.Generator, n: int, discordance: float, drop: float) -> str:
    lost, gained, _ = rng.multinomial(n, [(discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance])
    return "fail" if (lost - gained) / n >= 0.05 - 1e-12 else "pass"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2000)
    times = parser.parse_args().times
    print(f"# gate ({describe()}), {times:,} times each\n")
    print("| gate | items | differ | true change | pass | abstain | fail |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for discordance in (0.05, 0.1, 0.2, 0.3):
        asked = items_asked(MARGIN, discordance, ALPHA)
        for name, rule, sizes in (("ours", ours, (asked, asked // 4)), ("fixed 5 points (Soup)", soup, (20, 40))):
            for n in sizes:
                for drop in (0.0, MARGIN, -MARGIN):
                    said = Counter(
                        rule(np.random.default_rng((n, t, round(1000 * drop) + 100)), n, discordance, drop)
                        for t in range(times)
                    )
                    shares = " | ".join(f"{said[one] / times:.1%}" for one in ("pass", "abstain", "fail"))
                    print(f"| {name} | {n:,} | {discordance:.0%} | {-drop or 0:+.0%} | {shares} |", flush=True)
    sure = wilson(round(0.8 * times), times)
    print(f"\nA share of 80 % in {times:,} lies within {sure.low:.1%} to {sure.high:.1%} of the true one, 95 %.")


if __name__ == "__main__":
    main()
