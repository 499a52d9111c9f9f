"""How much one thing moves with another while others are held fixed."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from whence.stats.result import Result, finite, reach, scipy_stats


def slope(y: npt.ArrayLike, x: npt.ArrayLike, *held: npt.ArrayLike, alpha: float = 0.05) -> Result:
    """How much y rises for 1 of x, by least squares through the origin, with the others held fixed; of an x of ones,
    the mean.

    p and interval, 95 %: Student's t with an error that holds where the spread of y is not everywhere the same (HC3: J.
    G. MacKinnon and H. White, Journal of Econometrics 29, 1985, p. 305; advised for small samples by J. S. Long and L.
    H. Ervin, American Statistician 54, 2000, p. 217); approximate. detectable: by the t test. Raises ValueError where
    these are not as many finite numbers each, or x cannot be told from what is held fixed.
    """
    found = finite(y)
    columns = np.stack([finite(one) for one in (x, *held)], axis=1)  # (n, 1 + held)
    n, width = columns.shape
    if len(found) != n or n <= width or np.linalg.matrix_rank(columns) < width:
        raise ValueError("as many numbers of each, more than there are things, none of them made of the others")
    inverse = np.linalg.inv(columns.T @ columns)
    weights = columns @ inverse  # (n, 1 + held): what each y adds to each coefficient
    rest = found - columns @ (weights.T @ found)
    pull = np.maximum(1 - (weights * columns).sum(axis=1), 1e-9)
    value = float(weights[:, 0] @ found)
    error = sqrt(float((weights[:, 0] ** 2 * (rest / pull) ** 2).sum()))
    freedom = n - width
    if error <= 1e-12 * max(1.0, abs(value)):
        error, p = 0.0, float(abs(value) <= 1e-12)
    else:
        p = 2 * float(scipy_stats().t.sf(abs(value) / error, freedom))
    half = float(scipy_stats().t.ppf(0.975, freedom)) * error
    return Result(
        statistic=value,
        p=p,
        low=value - half,
        high=value + half,
        n=n,
        detectable=reach(freedom, alpha) * error,
        method="least squares through the origin, HC3 error, Student's t, 95 %",
    )
