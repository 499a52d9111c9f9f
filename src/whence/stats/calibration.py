"""Does a model that says 80 % come out right 8 times in 10?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whence.stats.result import Result, two_sided_z

DRAWS = 9_999


def brier(confidence: npt.ArrayLike, right: npt.ArrayLike) -> Result:
    """The mean squared distance of confidence, 0 to 1, from what came (G. W. Brier, Monthly Weather Review 78, 1950, p.
    1): 0 the best, .25 for saying one half always; with a normal interval, 95 %. Raises ValueError outside 0 to 1 or
    for fewer than two."""
    p, y = _given(confidence, right)
    losses = (p - y) ** 2
    mean, half = float(losses.mean()), float(two_sided_z(0.95) * losses.std(ddof=1) / np.sqrt(len(p)))
    return Result(
        statistic=mean,
        low=max(0.0, mean - half),
        high=min(1.0, mean + half),
        n=len(p),
        method="Brier score; normal, 95 %",
    )


def calibration_error(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10, alpha: float = 0.05) -> Result:
    """How far confidence, 0 to 1, is from the share that is right: the expected calibration error over bins of equal
    numbers (M. P. Naeini, G. F. Cooper and M. Hauskrecht, AAAI 2015).

    p: one-sided, of an error as large where every confidence is true, imagined 9,999 times (J. Bröcker and L. A. Smith,
    Weather and Forecasting 22, 2007, p. 651): exact. It is never 0 even then: detectable is what it exceeds with
    probability alpha at most, and the interval is the bootstrap's turned around, which takes off that excess, 95 %.
    Raises ValueError outside 0 to 1 or for fewer than two.
    """
    p, y = _given(confidence, right)
    at = np.sort(p)[np.linspace(0, len(p), min(bins, len(p)) + 1).astype(int)[:-1]]
    of = np.searchsorted(np.unique(at), p, side="right") - 1  # equal confidences are in one bin
    member = (of[:, None] == np.arange(of.max() + 1)).astype(np.float64)

    def error(apart: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(abs(apart @ member).sum(axis=-1) / len(p))

    rng, size = np.random.default_rng(0), max(1, (1 << 22) // len(p))
    statistic, null, again = float(error(y - p)), list[npt.NDArray[np.float64]](), list[npt.NDArray[np.float64]]()
    for start in range(0, DRAWS, size):
        some = min(size, DRAWS - start)
        null.append(error((rng.random((some, len(p))) < p) - p))
        again.append(error(rng.multinomial(len(p), np.full(len(p), 1 / len(p)), some) * (y - p)))
    imagined, resampled = np.concatenate(null), np.concatenate(again)
    low, high = (2 * statistic - float(np.quantile(resampled, q)) for q in (0.975, 0.025))
    return Result(
        statistic=statistic,
        p=float((1 + np.sum(imagined >= statistic - 1e-12)) / (1 + DRAWS)),
        low=max(0.0, low),
        high=min(1.0, max(0.0, high)),
        n=len(p),
        detectable=float(np.quantile(imagined, 1 - alpha, method="higher")),
        method=f"expected calibration error, {of.max() + 1} bins; {DRAWS:,} calibrated models imagined",
    )


def _given(confidence: npt.ArrayLike, right: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    p, y = np.asarray(confidence, np.float64), np.asarray(right, bool).astype(np.float64)
    if p.shape != y.shape or p.ndim != 1 or len(p) < 2 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("two or more confidences within 0 to 1 are needed, each right or not")
    return p, y
