"""A series: does it rise or fall, and when did it change?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from whence.stats.result import Result, finite, reach, scipy_stats, two_sided_z

DRAWS = 9_999
"""Series that are imagined; with the observed one they make p a multiple of 1/10,000."""


def mann_kendall(values: npt.ArrayLike, alpha: float = 0.05) -> Result:
    """Whether values in the order of time rise or fall: Theil and Sen's slope a step, with Mann and Kendall's test
    (H. B. Mann, Econometrica 13, 1945, p. 245).

    p: two-sided, exact without ties, else by the normal approximation. Interval: of the slope (P. K. Sen, JASA 63,
    1968, p. 1379), 95 %. detectable: the slope of a straight line in normal noise of the residuals' size that is shown
    in 8 of 10, approximate (Kendall's efficiency is 3 / π to the power 1/2 of a regression's). Values that depend on
    the ones before them break it. Raises ValueError for fewer than four finite numbers, Unmet without scipy.
    """
    y = finite(values, 4)
    n, stats = len(y), scipy_stats()
    slope, cut, low, high = stats.theilslopes(y, alpha=0.95)
    tau = stats.kendalltau(np.arange(n), y)
    spread = float((y - cut - slope * np.arange(n)).std(ddof=2))
    return Result(
        statistic=float(slope),
        p=1.0 if np.isnan(tau.pvalue) else float(tau.pvalue),
        low=float(low),
        high=float(high),
        n=n,
        detectable=float(reach(n - 2, alpha) * spread / np.sqrt(3 / np.pi * (n**3 - n) / 12)) if spread else None,
        method="Theil-Sen slope a step, 95 %; Mann-Kendall, two-sided",
    )


def widening(first: Sequence[tuple[int, int]], second: Sequence[tuple[int, int]], alpha: float = 0.05) -> Result:
    """How much more a share rises a cycle in the first series than in the second: the slope of their difference, each
    cycle weighing as much as it is known (weighted least squares).

    first, second: (right, n) a cycle. p: two-sided, normal, of binomial shares (a cycle's share is shrunk by one right
    and one wrong for its error), times k (k + 1) of the k-th test, where two cycles give the first: looking each cycle
    for ever raises a false alarm with chance alpha at most. Interval: 95 %, of this look alone. n: all that was
    answered. detectable: the slope that so many cycles show in 8 of 10 at this look. Raises ValueError for fewer than
    two cycles, or where one has no answer.
    """
    a, b = np.array(first, float), np.array(second, float)
    if a.shape != b.shape or a.ndim != 2 or len(a) < 2 or not (a[:, 1] > 0).all() or not (b[:, 1] > 0).all():
        raise ValueError("two cycles or more are needed, each with answers in both series")
    gap, error = a[:, 0] / a[:, 1] - b[:, 0] / b[:, 1], np.zeros(len(a))
    for right, n in (a.T, b.T):
        share = (right + 1) / (n + 2)
        error += share * (1 - share) / n
    at = np.arange(len(a)) - np.average(np.arange(len(a)), weights=1 / error)
    spread = float(1 / np.sqrt((at**2 / error).sum()))
    slope = float((at * gap / error).sum()) * spread**2
    looks, normal = len(a) - 1, NormalDist()
    half = two_sided_z(0.95) * spread
    bound = normal.inv_cdf(1 - alpha / looks / (looks + 1) / 2)
    return Result(
        statistic=slope,
        p=min(1.0, 2 * normal.cdf(-abs(slope) / spread) * looks * (looks + 1)),
        low=slope - half,
        high=slope + half,
        n=int(a[:, 1].sum() + b[:, 1].sum()),
        detectable=(bound + normal.inv_cdf(0.8)) * spread,
        method=f"weighted slope of a difference of shares over {len(a)} cycles; p holds for all looks",
    )


def cusum(values: npt.ArrayLike, expected: float, spread: float, shift: float = 1.0, rising: bool = True) -> Result:
    """Whether a series left what was expected of it, and by how much since: a cumulated sum (E. S. Page, Biometrika 41,
    1954, p. 100) of what exceeds half of `shift` standard deviations.

    expected, spread: mean and standard deviation while nothing has changed, known from before. The sum's last zero
    before its highest point is where the change began. Statistic: the mean since then less `expected`, with its normal
    interval, 95 %, which says nothing by itself, being chosen to be far off. p: one-sided, of a sum as high in as long
    a series of normal values that did not change, imagined 9,999 times. detectable: `shift`, which it is set for.
    Raises ValueError where the spread is not above 0.
    """
    y = (finite(values, 1) - expected) / spread if spread > 0 else np.zeros(0)
    if not len(y):
        raise ValueError(f"a spread is above 0, not {spread}")
    signed = y if rising else -y
    sums = _sums(signed[None, :], shift / 2)[0]
    peak = int(sums.argmax())
    start = int(np.flatnonzero(sums[: peak + 1] == 0)[-1]) + 1 if (sums[: peak + 1] == 0).any() else 0
    since = signed[start:] if sums[peak] else signed
    rng, n = np.random.default_rng(0), len(y)
    size = max(1, (1 << 22) // n)
    highest = np.concatenate(
        [_sums(rng.standard_normal((min(size, DRAWS - at), n)), shift / 2).max(axis=1) for at in range(0, DRAWS, size)]
    )
    mean = float(since.mean()) * spread * (1 if rising else -1)
    half = float(two_sided_z(0.95) * spread / np.sqrt(len(since)))
    return Result(
        statistic=mean,
        p=float((1 + np.sum(highest >= sums[peak] - 1e-12)) / (1 + DRAWS)),
        low=mean - half,
        high=mean + half,
        n=n,
        detectable=shift * spread,
        method=f"CUSUM for {shift:g} SD, one-sided, {DRAWS:,} unchanged series imagined; mean since value {start}",
    )


def _sums(y: npt.NDArray[np.float64], slack: float) -> npt.NDArray[np.float64]:
    """Of each row the sum so far of value − slack, begun again at 0 whenever it would fall below."""
    walk = np.cumsum(y - slack, axis=1)
    lowest = np.minimum(np.minimum.accumulate(walk, axis=1), 0)
    return np.asarray(walk - lowest)
