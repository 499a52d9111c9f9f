"""How long until something ends, where some have not ended yet."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from whence.stats.result import Result, scipy_stats


def kaplan_meier(times: npt.ArrayLike, ended: npt.ArrayLike, at: float) -> Result:
    """The share that lasts beyond a time (E. L. Kaplan and P. Meier, JASA 53, 1958, p. 457), with the log-log interval,
    95 % (J. D. Kalbfleisch and R. L. Prentice, 1980, p. 15).

    times: until it ended, or until now. ended: whether it did. n: those that are still watched at that time. Later than
    the last time nobody knows: the interval is then 0 to 1. Raises ValueError where the two do not match or a time is
    negative, Unmet without scipy.
    """
    t, over, stats = np.asarray(times, np.float64), np.asarray(ended, bool), scipy_stats()
    if t.shape != over.shape or t.ndim != 1 or not len(t) or not (t >= 0).all():
        raise ValueError("each time is 0 or more and has ended or not")
    watched = int((t >= at).sum())
    said = f"Kaplan-Meier, log-log interval, 95 %, {int((~over).sum())} of {len(t)} not ended"
    if not over.any():
        return Result(statistic=1.0, low=0.0 if not watched else _all_last(watched), high=1.0, n=watched, method=said)
    curve = stats.ecdf(stats.CensoredData(uncensored=t[over], right=t[~over])).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of times at which log-log has none
        band = curve.confidence_interval(method="log-log")
    share, low, high = (float(one.evaluate(at)) for one in (curve, band.low, band.high))
    if not watched or np.isnan(low):  # log-log has no interval for 0 and 1
        edge = _all_last(watched) if watched else 0.0
        low, high = (edge, 1.0) if share else (0.0, 1 - edge)
    return Result(statistic=share, low=low, high=high, n=watched, method=said)


def _all_last(n: int) -> float:
    """The lower end for n of n, exact (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934, p. 404)."""
    return float(0.025 ** (1 / n))
