"""How well items tell models apart, and how much of that goes with some of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whence.stats.result import Result, scipy_stats

MODELS, ALPHA = 5, 0.05
"""MODELS: fewest of which the interval of what is lost is narrower than what there is."""


def item_rest(right: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(items,): the point-biserial correlation of each item with the share that the same models have right of the other
    items, which it is itself no part of (F. M. Lord and M. R. Novick, Statistical Theories of Mental Test Scores, 1968,
    section 15.3; corrected as M. J. Allen and W. M. Yen, Introduction to Measurement Theory, 1979, chapter 6). Below 0:
    better models have it wrong more often.

    right: (models, items) of 0 and 1, NaN where a model was not scored. NaN where fewer than three models were scored,
    or all of them have it right, or wrong. Raises ValueError where it is no such table.
    """
    x = _table(right)
    there = ~np.isnan(x)
    known, filled = there.sum(axis=1, keepdims=True), np.where(there, x, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(there, (filled.sum(axis=1, keepdims=True) - filled) / (known - 1), np.nan)
        both = there & np.isfinite(rest)
        n = both.sum(axis=0)
        a, b = (np.where(both, one, 0.0) for one in (filled, rest))
        a, b = (np.where(both, one - one.sum(axis=0) / n, 0.0) for one in (a, b))
        spread = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        found = (a * b).sum(axis=0) / np.where(spread > 1e-12, spread, np.nan)
    return np.asarray(np.where(n >= 3, found, np.nan))


def reliability(right: npt.ArrayLike) -> Result:
    """Cronbach's alpha: the share of the variance of the models' sums that is no chance of the items (L. J. Cronbach,
    Psychometrika 16, 1951, p. 297).

    right: (models, items) of 0 and 1, NaN where a model was not scored; items that all were scored on count. p: that
    the models are alike, by the F test of two-way analysis of variance (C. J. Hoyt, Psychometrika 6, 1941, p. 153).
    Interval: L. S. Feldt's (Psychometrika 30, 1965, p. 357), 95 %. n: items. Where all models are the same on all items
    that differ, alpha is not known: 0, p 1, down to −1. Raises ValueError for fewer than two of either.
    """
    x = _table(right)
    x = x[:, ~np.isnan(x).any(axis=0)]
    models, n = x.shape
    if models < 2 or n < 2:
        raise ValueError("two models and two items that all were scored on are needed")
    said, f = "Cronbach's alpha; F test and interval of two-way analysis of variance, 95 %", scipy_stats().f
    ratio, freedom = _ratio(x) + 1, (models - 1, (models - 1) * (n - 1))
    if not ratio > 0:
        return Result(statistic=0.0, p=1.0, low=-1.0, high=1.0, n=n, method=said)
    high, low = (1 - f.ppf(one, *freedom) / ratio for one in (0.025, 0.975))
    p = float(f.sf(ratio, *freedom))
    return Result(statistic=float(1 - 1 / ratio), p=p, low=float(low), high=float(high), n=n, method=said)


def power_lost(right: npt.ArrayLike, leaving: npt.ArrayLike) -> Result | None:
    """The share of a suite's power to tell models apart that goes with these items: 1 − the signal to noise ratio of
    the others' sum / that of all (L. J. Cronbach and G. C. Gleser, Educational and Psychological Measurement 24, 1964,
    p. 467), which is alpha / (1 − alpha) and by Spearman and Brown's formula grows like the number of items: k of n
    items alike take k / n. Below 0: without them the sum tells more.

    Of the sum, since that is what a gate compares; and not of r² of each item, which of few models is chance.
    right: as of `reliability`. leaving: (items,), true for those. Interval: jackknife over models, t, 95 %. n: models.
    None, since nothing can be said, for fewer than `MODELS` models, fewer than two items that stay, or a suite that
    does not tell these models apart at 5 %. Raises ValueError where the two do not fit.
    """
    x, gone = _table(right), np.asarray(leaving, bool)
    if gone.shape != x.shape[1:]:
        raise ValueError(f"{x.shape[1]} items are needed, each leaving or not")
    whole = ~np.isnan(x).any(axis=0)
    x, gone = x[:, whole], gone[whole]
    models, n = x.shape
    if models < MODELS or (~gone).sum() < 2 or reliability(x).p >= ALPHA:  # type: ignore[operator]
        return None

    def lost(some: npt.NDArray[np.float64]) -> float:
        return 1 - _ratio(some[:, ~gone]) / _ratio(some)

    share = lost(x)
    without = np.array([lost(np.delete(x, one, axis=0)) for one in range(models)])
    half = float(scipy_stats().t.ppf(0.975, models - 1) * (models - 1) * without.std(ddof=1) / np.sqrt(models))
    if not np.isfinite([share, half]).all():
        return None
    return Result(
        statistic=share,
        low=share - half,
        high=share + half,
        n=models,
        method=f"signal to noise of the sum, {n - int(gone.sum())} of {n} items; jackknife over models, 95 %",
    )


def _table(right: npt.ArrayLike) -> npt.NDArray[np.float64]:
    found = np.asarray(right, np.float64)
    if found.ndim != 2 or not (np.isnan(found) | (found == 0) | (found == 1)).all():
        raise ValueError("a table of models and items is needed, each 0, 1 or NaN")
    return found


def _ratio(x: npt.NDArray[np.float64]) -> float:
    """Signal / noise of the sum: mean square of models / that of the rest, less 1."""
    n = x.shape[1]
    of_models, of_items = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True)
    noise = ((x - of_models - of_items + x.mean()) ** 2).sum() / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(n * ((of_models - x.mean()) ** 2).sum() / noise - 1)
