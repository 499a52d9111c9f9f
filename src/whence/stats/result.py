"""What every test returns, and the one place that asks for scipy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from whence.records import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measured number with what is known about it."""

    statistic: float
    """what was measured"""
    p: float | None = None
    """two-sided p-value; None where nothing was tested"""
    low: float
    """lower end of the interval"""
    high: float
    """upper end of the interval"""
    n: int
    """sample size"""
    detectable: float | None = None
    """smallest change that n would have shown, in the statistic's unit; None where there is none"""
    method: str
    """how p, interval and detectable were computed, and whether exact"""


def two_sided_z(confidence: float) -> float:
    """The standard normal quantile of a two-sided interval: 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


@lru_cache(maxsize=1024)
def reach(freedom: int, alpha: float = 0.05) -> float:
    """How many standard errors an effect has to be for a two-sided t test of so many degrees of freedom to show it in 8
    of 10: 2.8 for many. Raises Unmet without scipy."""
    stats = scipy_stats()
    bound = stats.t.ppf(1 - alpha / 2, freedom)

    def short(effect: float) -> float:
        return POWER - float(stats.nct.sf(bound, freedom, effect) + stats.nct.cdf(-bound, freedom, effect))

    low, high = 0.0, 4.0 * float(bound)
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if short(middle) > 0 else (low, middle)
    return high


POWER = 0.8
"""Chance to see a change of the smallest detectable size; the usual convention (Cohen 1988)."""


def finite(numbers: npt.ArrayLike, least: int = 2) -> npt.NDArray[np.float64]:
    """These numbers in a row. Raises ValueError where one is not finite or there are too few."""
    found = np.asarray(numbers, np.float64)
    if found.ndim != 1 or len(found) < least or not np.isfinite(found).all():
        raise ValueError(f"{least} or more finite numbers are needed, in a row")
    return found


def scipy_stats() -> Any:
    """The module scipy.stats, imported at first use. Raises Unmet where it is not installed."""
    require("checks", "scipy")
    from scipy import stats  # noqa: PLC0415  (a second or more, and an extra)

    return stats
