"""Several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

from whence.stats.result import scipy_stats


def adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted by Benjamini and Hochberg (JRSS B 57, 1995), in the order given.

    Calling those below alpha holds the expected share of false ones at alpha, for independent or positively dependent
    tests, such as slices that share items. Raises ValueError for values outside 0 to 1, Unmet without scipy.
    """
    if not p_values:
        return ()
    return tuple(float(p) for p in scipy_stats().false_discovery_control(list(p_values), method="bh"))
