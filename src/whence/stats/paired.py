"""Two models on the same items: is one right more often, and how small a difference could have been seen?

Of n items, `gained` are right only under the second model and `lost` only under the first; the rest agree. The
difference is (gained − lost) / n; the discordance is (gained + lost) / n.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import sqrt

import numpy as np

from whence.stats.result import Result, scipy_stats, two_sided_z

POWER = 0.8
"""Chance to see a change of the smallest detectable size; the usual convention (Cohen 1988)."""


def mcnemar(gained: int, lost: int, n: int, alpha: float = 0.05) -> Result:
    """The paired difference, −1 to 1, with McNemar's exact test and a 95 % interval.

    p: two-sided binomial over the discordant pairs, exact and so conservative (Q. McNemar, Psychometrika 12, 1947).
    Interval: Tango's score interval, asymptotic; recommended for paired proportions by Fagerland, Lydersen and Laake,
    Statistics in Medicine 33, 2014, p. 2850. detectable: `smallest_detectable` at the observed discordance; None
    where n is too small for any. Raises ValueError where the counts do not fit into n, Unmet without scipy.
    """
    if min(gained, lost) < 0 or n < 1 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost do not fit into {n} pairs")
    low, high = tango(gained, lost, n)
    return Result(
        statistic=(gained - lost) / n,
        p=min(1.0, 2 * float(scipy_stats().binom.cdf(min(gained, lost), gained + lost, 0.5))),
        low=low,
        high=high,
        n=n,
        detectable=smallest_detectable(n, (gained + lost) / n, alpha),
        method="McNemar, exact two-sided; Tango score interval, 95 %, asymptotic; detectable by exact power",
    )


def tango(gained: int, lost: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a paired difference (T. Tango, Statistics in Medicine 17, 1998, p. 891).

    Every difference d that the score test (gained − lost − n d) / √(n (2 q + d (1 − d))) does not reject, where q is
    the maximum-likelihood probability of a lost item under d.
    """
    z = two_sided_z(confidence)

    def score(d: float) -> float:
        a, b, c = 2 * n, (2 * n - gained + lost) * d - gained - lost, -lost * d * (1 - d)
        q = (sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = n * (2 * q + d * (1 - d))
        distance = gained - lost - n * d
        return distance / sqrt(variance) if variance > 0 else distance * float("inf") if distance else 0.0

    middle = (gained - lost) / n
    low = -1.0 if lost == n else _crossing(lambda d: score(d) <= z, -1.0, middle)
    high = 1.0 if gained == n else _crossing(lambda d: score(d) <= -z, middle, 1.0)
    return low, high


@lru_cache(maxsize=4096)
def smallest_detectable(n: int, discordance: float, alpha: float = 0.05, power: float = POWER) -> float | None:
    """The smallest true paired difference, 0 to 1, that the exact McNemar test shows with this power at n items.

    discordance: share of items on which the models disagree, 0 to 1; a difference d above it takes d of them to differ.
    The power is exact and unconditional (S. W. Duffy, Biometrics 40, 1984, p. 1005): with discordance ψ,
    Σₖ P[Bin(n, ψ) = k] · P[Bin(k, (1 + d/ψ)/2) ≥ k − cₖ], cₖ the largest count that the two-sided test still rejects
    in k discordant pairs. None where even a difference of 1 would not be shown (n below 6 at alpha 0.05).
    Raises ValueError outside these ranges, Unmet without scipy.
    """
    if n < 1 or not 0 <= discordance <= 1 or not 0 < alpha < 1 or not 0 < power < 1:
        raise ValueError(f"n {n}, discordance {discordance}, alpha {alpha}, power {power} are out of range")
    binom = scipy_stats().binom
    pairs = np.arange(n + 1)
    rejected = binom.ppf(alpha / 2, pairs, 0.5)
    rejected[0] = 0
    rejected -= binom.cdf(rejected, pairs, 0.5) > alpha / 2

    def shown(d: float) -> bool:
        rate = max(discordance, d)
        reach = 7 * sqrt(n * rate * (1 - rate)) + 30  # what lies further out weighs less than 1e-9
        k = pairs[max(0, int(n * rate - reach)) : int(n * rate + reach) + 1]
        chance = binom.sf(k - rejected[k] - 1, k, (1 + d / rate) / 2)
        return bool(np.dot(binom.pmf(k, n, rate), chance) >= power)

    return _crossing(shown, 1e-9, 1.0, 1e-4) if shown(1.0) else None


def _crossing(holds: Callable[[float], bool], low: float, high: float, tolerance: float = 1e-10) -> float:
    """Where `holds`, false on the left and true on the right, turns."""
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
