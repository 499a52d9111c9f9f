"""Do two measures of the same things order them alike?"""

from __future__ import annotations

from itertools import permutations
from math import factorial
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from whence.stats.result import POWER, Result, finite, scipy_stats, two_sided_z

DRAWS = 9_999
"""Random orders; with the observed one they make p a multiple of 1/10,000."""
LEAST = 5
"""Pairs from which on a two-sided test at 5 % can show anything: of four, all in order is p = 1/12."""


def spearman(first: npt.ArrayLike, second: npt.ArrayLike, alpha: float = 0.05) -> Result:
    """Spearman's rank correlation of pairs: 1 in the same order, −1 in the opposite one; ties have mean ranks.

    p: two-sided, of the second in any order: all of them up to seven pairs, else 9,999 at random and the observed one,
    which holds alpha exactly where the pairs are exchangeable. Interval: normal of its artanh, of variance (1 + ρ² / 2)
    / (n − 3) (D. G. Bonett and T. A. Wright, Psychometrika 65, 2000, p. 23), 95 %, −1 to 1 of three pairs. detectable:
    the correlation that is shown in 8 of 10, by the same variance; None where n cannot reach alpha. Where either has
    one value only, it is not known: statistic 0, p 1, −1 to 1. Raises ValueError for fewer than three pairs.
    """
    a, b = finite(first, 3), finite(second, 3)
    if len(a) != len(b):
        raise ValueError("as many of the second as of the first are needed")
    n, rank = len(a), scipy_stats().rankdata
    x, y = (rank(one) - (n + 1) / 2 for one in (a, b))
    scale = float(np.sqrt((x @ x) * (y @ y)))
    said = f"Spearman's rho; {min(factorial(n), DRAWS):,} orders, two-sided; interval of its artanh, 95 %"
    shows = None if n < LEAST else _detectable(n, alpha)
    if not scale:
        return Result(statistic=0.0, p=1.0, low=-1.0, high=1.0, n=n, detectable=shows, method=said)
    if factorial(n) <= DRAWS:
        orders, own = np.array([*permutations(y)]), 0
    else:
        orders, own = np.random.default_rng(0).permuted(np.tile(y, (DRAWS, 1)), axis=1), 1
    value = float(np.clip(x @ y / scale, -1, 1))
    p = float((own + np.sum(abs(orders @ x) / scale >= abs(value) - 1e-12)) / (own + len(orders)))
    low, high = _interval(value, n)
    return Result(statistic=value, p=p, low=low, high=high, n=n, detectable=shows, method=said)


def _error(value: float, n: int) -> float:
    return float(np.sqrt((1 + value**2 / 2) / (n - 3)))


def _interval(value: float, n: int) -> tuple[float, float]:
    """Of pairs in perfect order, as of the nearest correlation that is not."""
    if n < 4:
        return -1.0, 1.0
    edge = 1 - 6 / (n**3 - n)
    inner = min(edge, max(-edge, value))
    half = two_sided_z(0.95) * _error(inner, n)
    low, high = (float(np.tanh(np.arctanh(inner) + one)) for one in (-half, half))
    return min(value, low), max(value, high)


def _detectable(n: int, alpha: float) -> float:
    value, errors = 0.0, two_sided_z(1 - alpha) + NormalDist().inv_cdf(POWER)
    for _ in range(20):
        value = float(np.tanh(errors * _error(value, n)))
    return value
