"""Looking again while data comes in: tests that may be looked at at any time, and at times planned before."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, log, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from whence.stats.result import Result

NORMAL = NormalDist()


def at_any_time(gained: Sequence[int], lost: Sequence[int], n: Sequence[int], alpha: float = 0.05) -> Result:
    """The paired difference at the last of several looks, with a p that holds alpha however often it was looked at.

    gained, lost, n: counts so far at each look, each no smaller than before. p: 1 / the largest likelihood ratio so far
    of a mixture of all shares of gained items among the discordant, against one half (H. Robbins, Annals of
    Mathematical Statistics 41, 1970, p. 1397; Ville's inequality), exact: E = 2ᵏ B(gained + 1, lost + 1). Interval:
    `bounded_mean` at the last look, 95 %, good at all looks at once; items between two looks are taken in an order
    drawn by lot. detectable: the difference that, at this discordance, brings the ratio to 1 / alpha in 8 of 10,
    approximate; None where none does. Raises ValueError where counts do not fit or fall.
    """
    counts = np.array([gained, lost, n], np.int64)
    steps = np.diff(counts, axis=1, prepend=0)
    if counts.shape[1] < 1 or (steps < 0).any() or (counts[0] + counts[1] > counts[2]).any() or n[0] < 1:
        raise ValueError("each look has counts no smaller than the one before, which fit into its n")
    strongest = max(_ratio(*pair) for pair in zip(gained, lost, strict=True))
    g, lo, total = gained[-1], lost[-1], n[-1]
    came = [
        np.random.default_rng(look).permutation(np.repeat([1, -1, 0], (up, down, more - up - down)))
        for look, (up, down, more) in enumerate(steps.T)
    ]
    low, high = bounded_mean(np.concatenate(came), -1, 1)
    return Result(
        statistic=(g - lo) / total,
        p=min(1.0, exp(-strongest)),
        low=low,
        high=high,
        n=total,
        detectable=_reached((g + lo) / total, total, alpha),
        method=f"beta mixture of McNemar's likelihood ratio, {len(n)} looks, valid at any; confidence sequence, 95 %",
    )


def _ratio(gained: int, lost: int) -> float:
    """log of the mixture's likelihood ratio."""
    return (gained + lost) * log(2) + lgamma(gained + 1) + lgamma(lost + 1) - lgamma(gained + lost + 2)


def _reached(discordance: float, n: int, alpha: float) -> float | None:
    """The least difference at which the ratio, at the lower fifth of what is gained, reaches 1 / alpha."""
    pairs = round(discordance * n)
    for ahead in range(pairs + 1):
        share = (1 + ahead / pairs) / 2 if pairs else 1
        few = pairs * share - NORMAL.inv_cdf(0.8) * sqrt(pairs * share * (1 - share))
        if few >= pairs / 2 and pairs and _ratio(round(few), pairs - round(few)) >= -log(alpha):
            return ahead / n
    return None


def bounded_mean(values: npt.ArrayLike, low: float, high: float, confidence: float = 0.95) -> tuple[float, float]:
    """An interval for the mean of values within bounds, as they came, that holds at every length of the series at once:
    the predictable empirical Bernstein confidence sequence (I. Waudby-Smith and A. Ramdas, JRSS B 86, 2024, p. 1,
    theorem 2), at its last value. Raises ValueError outside the bounds or without a value."""
    x = (np.asarray(values, np.float64) - low) / (high - low)
    if x.ndim != 1 or not len(x) or not ((x >= 0) & (x <= 1)).all():
        raise ValueError(f"one or more values within {low} to {high} are needed")
    alpha, t = 1 - confidence, np.arange(1, len(x) + 1)
    means = (0.5 + np.cumsum(x)) / (t + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    before, spread = np.concatenate([[0.5], means[:-1]]), np.concatenate([[0.25], variances[:-1]])
    weights = np.minimum(np.sqrt(2 * log(2 / alpha) / (spread * t * np.log(t + 1))), 0.5)
    paid = 4 * (x - before) ** 2 * (-np.log1p(-weights) - weights) / 4
    total = weights.sum()
    middle, half = float(weights @ x / total), float((log(2 / alpha) + paid.sum()) / total)
    return low + (high - low) * max(0.0, middle - half), low + (high - low) * min(1.0, middle + half)


def planned_looks(shares: Sequence[float], alpha: float = 0.05) -> tuple[float, ...]:
    """What p has to be below at each of several looks, so that all together raise a false alarm with chance alpha.

    shares: of all data that will be there at each look, rising, the last 1 where the plan is complete. Alpha is spent
    as O'Brien and Fleming's bounds spend it: little early (K. K. G. Lan and D. L. DeMets, Biometrika 70, 1983, p. 659),
    by numerical integration (P. Armitage, C. K. McPherson and B. C. Rowe, JRSS A 132, 1969, p. 235); for statistics
    that are normal and grow by independent steps, two-sided. Raises ValueError where the shares do not rise within 0 to
    1.
    """
    if not shares or any(a >= b for a, b in zip([0.0, *shares], shares)) or shares[-1] > 1 or not 0 < alpha < 1:  # noqa: B905
        raise ValueError("shares of all data rise, above 0 and up to 1")
    spent = [4 * (1 - NORMAL.cdf(NORMAL.inv_cdf(1 - alpha / 4) / sqrt(share))) for share in shares]
    grid = np.linspace(-9, 9, 3601)
    step, density, before, out = grid[1] - grid[0], np.zeros(0), 0.0, list[float]()
    for share, all_spent, so_far in zip(shares, spent, [0.0, *spent], strict=False):
        width = sqrt(share - before)
        if not len(density):
            density = np.exp(-((grid / width) ** 2) / 2) / width / sqrt(2 * np.pi)
        else:
            kernel = np.exp(-(((grid[:, None] - grid[None, :]) / width) ** 2) / 2) / width / sqrt(2 * np.pi)
            density = kernel @ density * step
        beyond = 2 * np.cumsum(density[::-1]) * step
        at = int(np.searchsorted(beyond, all_spent - so_far))
        bound = float(grid[::-1][min(at, len(grid) - 1)])
        density = np.where(abs(grid) < bound, density, 0.0)
        out.append(2 * (1 - NORMAL.cdf(bound / sqrt(share))))
        before = share
    return tuple(out)
