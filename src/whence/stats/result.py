"""What every test returns, and the one place that asks for scipy."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

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


def scipy_stats() -> Any:
    """The module scipy.stats, imported at first use. Raises Unmet where it is not installed."""
    require("checks", "scipy")
    from scipy import stats  # noqa: PLC0415  (a second or more, and an extra)

    return stats
