"""Several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

from whence.stats.result import scipy_stats


def few_kept(kept: float, size: int, drawn: float, n: int) -> float:
    """The chance that a slice of `size` among n rows keeps as few as `kept` or fewer where `drawn` of the n are kept by
    lot: hypergeometric, exact for whole numbers; others are rounded, `kept` down. Raises Unmet without scipy."""
    return float(scipy_stats().hypergeom.cdf(int(kept + 1e-9), n, size, round(drawn)))


def adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted by Benjamini and Hochberg (JRSS B 57, 1995), in the order given.

    Calling those below alpha holds the expected share of false ones at alpha, for independent or positively dependent
    tests, such as slices that share items. Raises ValueError for values outside 0 to 1, Unmet without scipy.
    """
    if not p_values:
        return ()
    return tuple(float(p) for p in scipy_stats().false_discovery_control(list(p_values), method="bh"))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted by Holm (Scandinavian Journal of Statistics 6, 1979, p. 65), in the order given: calling those
    below alpha makes any false call with chance alpha at most, however the tests depend on one another. Raises
    ValueError for values outside 0 to 1."""
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("a p-value lies within 0 to 1")
    out, most = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[at]))
        out[at] = most
    return tuple(out)
