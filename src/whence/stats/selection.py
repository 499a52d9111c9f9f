"""The best of several: how good is it really?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whence.stats.result import Result, scipy_stats, two_sided_z

STEPS, GRID, ALPHA = 500, 400, 0.05


def best_of(scores: npt.ArrayLike) -> Result:
    """What the best of several variants would score on other items like these: its mean here is too high by what it
    owes to luck, the more the more variants there were.

    scores: (variants, items), of the same items. Where chance alone explains their differences, it is the mean of all.
    Else their true means are taken for draws from one distribution, whatever its shape, which their means here tell (J.
    Kiefer and J. Wolfowitz, Annals of Mathematical Statistics 27, 1956, p. 887; R. Koenker and I. Mizera, JASA 109,
    2014, p. 674); statistic is the best one's expected mean under it. What all variants have in common on an item does
    not count as luck. Of one variant it is its mean. Interval: normal, of one variant's mean, 95 %, and up to what the
    best showed. detectable: a standard error of the best against the others; None of one variant. Raises ValueError for
    fewer than two items or a number that is not finite.
    """
    right = np.asarray(scores, np.float64)
    if right.ndim != 2 or right.shape[1] < 2 or not len(right) or not np.isfinite(right).all():
        raise ValueError("variants and two or more items are needed, each with a number")
    variants, n = right.shape
    means = right.mean(axis=1)
    best = int(means.argmax())
    half = float(two_sided_z(0.95) * right[best].std(ddof=1) / np.sqrt(n))
    apart = right - right.mean(axis=0)
    errors = np.sqrt(apart.var(axis=1, ddof=1) / n * variants / max(1, variants - 1))
    mean = float(means[best])
    if variants > 1 and errors.all() and means.min() < means.max():
        mean = float(means.mean()) if _alike(means, errors) else _expected(means, errors, best)
    return Result(
        statistic=mean,
        low=mean - half,
        high=max(mean + half, float(means[best])),
        n=n,
        detectable=float(errors[best]) if variants > 1 else None,
        method=f"best of {variants}, its mean shrunk by empirical Bayes; normal interval of one mean, 95 %",
    )


def _alike(means: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]) -> bool:
    """Whether chance alone explains, at 5 % for both together, how far all are apart (W. G. Cochran, Biometrics 10,
    1954, p. 101) and how far the best is above them."""
    stats, z = scipy_stats(), (means - means.mean()) / errors
    spread = stats.chi2.sf(float((z**2).sum() * (len(z) - 1) / len(z)), len(z) - 1)
    return bool(min(2 * spread, 2 * len(z) * stats.norm.sf(float(z.max()))) > ALPHA)


def _expected(means: npt.NDArray[np.float64], errors: npt.NDArray[np.float64], best: int) -> float:
    grid = np.linspace(means.min(), means.max(), GRID)
    likely = np.exp(-(((means[:, None] - grid) / errors[:, None]) ** 2) / 2) / errors[:, None]
    weights = np.full(GRID, 1 / GRID)
    for _ in range(STEPS):
        weights = (likely * weights / (likely @ weights)[:, None]).mean(axis=0)
    return float((grid * likely[best] * weights).sum() / (likely[best] @ weights))
