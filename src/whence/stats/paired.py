"""Two models on the same items: is one right more often, and how small a difference could have been seen?

Of n items, `gained` are right only under the second model and `lost` only under the first; the rest agree. The
difference is (gained − lost) / n; the discordance is (gained + lost) / n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from whence.stats.result import POWER, Result, finite, reach, scipy_stats, two_sided_z


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


def noninferior(gained: int, lost: int, n: int, margin: float, alpha: float = 0.05) -> Result:
    """Whether the second model is worse by less than a margin, 0 to 1: the paired difference, and p one-sided of its
    being −margin or less, by the score test of Tango (below), asymptotic; Liu and others, Statistics in Medicine 21,
    2002, p. 231, recommend it.

    detectable: the smallest margin that equal models of this discordance pass in 8 of 10, by the normal approximation.
    Raises ValueError where the counts do not fit into n or the margin is out of range.
    """
    return _by_margin(gained, lost, n, margin, alpha, "non-inferiority", lambda below, _: below)


def equivalent(gained: int, lost: int, n: int, margin: float, alpha: float = 0.05) -> Result:
    """Whether the models differ by less than a margin, 0 to 1: two one-sided tests (D. J. Schuirmann, Journal of
    Pharmacokinetics and Biopharmaceutics 15, 1987, p. 657), the larger p. See `noninferior`."""
    return _by_margin(gained, lost, n, margin, alpha, "equivalence, two one-sided tests", max)


def _by_margin(
    gained: int, lost: int, n: int, margin: float, alpha: float, what: str, p: Callable[[float, float], float]
) -> Result:
    if min(gained, lost) < 0 or n < 1 or gained + lost > n or not 0 < margin < 1 or not 0 < alpha < 1:
        raise ValueError(f"{gained} gained, {lost} lost of {n} pairs, margin {margin}, alpha {alpha} do not fit")
    normal = NormalDist()
    below = 1 - normal.cdf(_score(gained, lost, n, -margin))
    above = normal.cdf(_score(gained, lost, n, margin))
    low, high = tango(gained, lost, n)
    power: float = (1 + POWER) / 2 if p is max else POWER  # both sides are to be shown
    needed = normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)
    return Result(
        statistic=(gained - lost) / n,
        p=p(below, above),
        low=low,
        high=high,
        n=n,
        detectable=min(1.0, needed * sqrt((gained + lost) / n / n)) if gained + lost else None,
        method=f"{what} by {margin:.1%}, Tango score test, asymptotic; Tango interval, 95 %",
    )


def tango(gained: int, lost: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a paired difference (T. Tango, Statistics in Medicine 17, 1998, p. 891): every difference
    that `_score` does not reject."""
    z = two_sided_z(confidence)
    middle = (gained - lost) / n
    low = -1.0 if lost == n else _crossing(lambda d: _score(gained, lost, n, d) <= z, -1.0, middle)
    high = 1.0 if gained == n else _crossing(lambda d: _score(gained, lost, n, d) <= -z, middle, 1.0)
    return low, high


def _score(gained: int, lost: int, n: int, d: float) -> float:
    """(gained − lost − n d) / √(n (2 q + d (1 − d))), q the maximum-likelihood probability of a lost item under d."""
    a, b, c = 2 * n, (2 * n - gained + lost) * d - gained - lost, -lost * d * (1 - d)
    q = (sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * q + d * (1 - d))
    distance = gained - lost - n * d
    return distance / sqrt(variance) if variance > 0 else distance * float("inf") if distance else 0.0


def paired_mean(differences: npt.ArrayLike, resamples: int = 9_999, alpha: float = 0.05) -> Result:
    """The mean of paired differences in a graded score, with the bias-corrected and accelerated bootstrap's interval
    (B. Efron, JASA 82, 1987, p. 171; of a mean the acceleration is its skewness / 6 √n).

    p: two-sided, by turning the signs of differences at random (R. A. Fisher, The Design of Experiments, 1935): exact
    where a difference is as likely as its negative, all 2ⁿ of them below 15 items. detectable: for normal
    differences, by the t test; None where all are equal. Raises ValueError for fewer than two finite numbers.
    """
    d = finite(differences)
    rng, normal, n, mean = np.random.default_rng(0), NormalDist(), len(d), float(d.mean())
    spread = float(d.std(ddof=1))
    if not spread:
        low = high = mean
    else:
        means = np.concatenate([d[rng.integers(n, size=(some, n))].mean(axis=1) for some in _batches(resamples, n)])
        below = float(np.mean(means < mean) + np.mean(means <= mean)) / 2
        shift = normal.inv_cdf(min(max(below, 1e-6), 1 - 1e-6))
        centred = d - mean
        pace = float((centred**3).sum() / (6 * (centred**2).sum() ** 1.5))
        ends = [shift + (shift + z) / (1 - pace * (shift + z)) for z in (-two_sided_z(0.95), two_sided_z(0.95))]
        low, high = (float(np.quantile(means, normal.cdf(end))) for end in ends)
    if n < EVERY_SIGN:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        turned, own = signs @ d, 0
    else:
        draws = [(1 - 2 * rng.integers(0, 2, (some, n), np.int8)) @ d for some in _batches(resamples, n)]
        turned, own = np.concatenate(draws), 1
    slack = 1e-12 + 1e-9 * abs(d).sum()  # ties in exact arithmetic stay ties
    return Result(
        statistic=mean,
        p=float((own + np.sum(abs(turned) >= abs(d.sum()) - slack)) / (own + len(turned))),
        low=low,
        high=high,
        n=n,
        detectable=reach(n - 1, alpha) * spread / sqrt(n) if spread else None,
        method=f"BCa bootstrap of the mean, {resamples:,} resamples, 95 %; signs turned at random",
    )


EVERY_SIGN = 15
"""differences; of fewer all signs are tried"""
AT_ONCE = 1 << 22
"""numbers that are drawn at once"""


def _batches(draws: int, n: int) -> Iterator[int]:
    size = max(1, AT_ONCE // n)
    yield from (min(size, draws - start) for start in range(0, draws, size))


def wilcoxon(differences: npt.ArrayLike, alpha: float = 0.05) -> Result:
    """Wilcoxon's signed-rank test of paired differences, with the pseudo-median: the median of the means of all pairs
    of differences (J. L. Hodges and E. L. Lehmann, Annals of Mathematical Statistics 34, 1963, p. 598).

    p: two-sided, exact up to 50 differences without ties, else the normal approximation with ties, zeros as Pratt has
    them. Interval: the means of pairs between the test's critical ranks (M. Hollander and D. A. Wolfe, Nonparametric
    Statistical Methods, 3.3), approximate. detectable: for normal differences, of which the test's efficiency is 3 / π.
    Raises ValueError for fewer than two finite numbers, Unmet without scipy.
    """
    d = np.sort(finite(differences))
    n = len(d)
    p = float(scipy_stats().wilcoxon(d, zero_method="pratt").pvalue) if d.any() else 1.0
    pairs, middle = n * (n + 1) // 2, n * (n + 1) / 4
    out = round(max(0.0, middle - two_sided_z(0.95) * sqrt(n * (n + 1) * (2 * n + 1) / 24)))
    spread = float(d.std(ddof=1))
    return Result(
        statistic=(_walsh(d, (pairs + 1) // 2) + _walsh(d, pairs // 2 + 1)) / 2,
        p=p,
        low=_walsh(d, max(1, out)),
        high=_walsh(d, pairs + 1 - max(1, out)),
        n=n,
        detectable=reach(n - 1, alpha) * spread * sqrt(np.pi / 3 / n) if spread else None,
        method="Wilcoxon signed rank; pseudo-median, interval by ranks, 95 %",
    )


def _walsh(d: npt.NDArray[np.float64], rank: int) -> float:
    """The mean of two of these sorted numbers (or of one with itself) that is the rank-th smallest of all such."""
    at = np.arange(len(d))
    low, high = float(d[0]), float(d[-1])
    for _ in range(100):
        middle = (low + high) / 2
        count = int(np.maximum(np.searchsorted(d, 2 * middle - d, side="right") - at, 0).sum())
        low, high = (low, middle) if count >= rank else (middle, high)
        if high - low <= 1e-12 * max(1.0, abs(low), abs(high)):
            break
    return high


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

    def shown(d: float) -> bool:
        return _shown(d, n, discordance, alpha, power)

    return _crossing(shown, 1e-9, 1.0, 1e-4) if shown(1.0) else None


def _shown(d: float, n: int, discordance: float, alpha: float, power: float) -> bool:
    """Whether the exact test shows a difference of d with this power."""
    binom, rate = scipy_stats().binom, max(discordance, d)
    reach = 7 * sqrt(n * rate * (1 - rate)) + 30  # what lies further out weighs less than 1e-9
    first, last = max(0, int(n * rate - reach)), min(n, int(n * rate + reach))
    k = np.arange(first, last + 1)
    chance = binom.sf(k - _rejected(first, last, alpha) - 1, k, (1 + d / rate) / 2)
    return bool(np.dot(binom.pmf(k, n, rate), chance) >= power)


@lru_cache(maxsize=256)
def _rejected(first: int, last: int, alpha: float) -> npt.NDArray[np.float64]:
    """The largest count that the two-sided test still rejects in each number of discordant pairs; −1: none."""
    binom, pairs = scipy_stats().binom, np.arange(first, last + 1)
    counts = np.where(pairs > 0, binom.ppf(alpha / 2, pairs, 0.5), 0)
    found: npt.NDArray[np.float64] = counts - (binom.cdf(counts, pairs, 0.5) > alpha / 2)
    return found


def items_needed(difference: float, discordance: float, alpha: float = 0.05, power: float = POWER) -> int:
    """Items at which the exact McNemar test shows this difference with this power: begun where the normal approximation
    is (R. J. Connor, Biometrics 43, 1987, p. 207), ended by the exact power, to within 1 %; above `VAST` items the two
    are no further apart. discordance: share of items on which the models disagree; a larger difference takes that to
    differ. Raises ValueError outside 0 to 1."""
    if not 0 < difference <= 1:
        raise ValueError(f"a difference is above 0 and at most 1, not {difference}")
    rate, normal = max(discordance, difference), NormalDist()
    a, b = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(power)
    n = max(1, int(((a * sqrt(rate) + b * sqrt(rate - difference**2)) / difference) ** 2))
    while n < VAST and not _shown(difference, n, rate, alpha, power):
        n += 1 + n // 100
    return n


VAST = 10_000_000
"""items"""


def _crossing(holds: Callable[[float], bool], low: float, high: float, tolerance: float = 1e-10) -> float:
    """Where `holds`, false on the left and true on the right, turns."""
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
