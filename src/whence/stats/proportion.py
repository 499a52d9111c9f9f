"""One proportion."""

from __future__ import annotations

from math import sqrt

from whence.stats.result import Result, two_sided_z


def wilson(right: int, n: int, confidence: float = 0.95) -> Result:
    """The share right / n with Wilson's score interval (E. B. Wilson, JASA 22, 1927, p. 209).

    The interval is a normal approximation of the score, not of the share: it stays inside 0 to 1 and has a width at
    0 and n. Raises ValueError where n is 0 or right is not within 0 to n.
    """
    if not 0 <= right <= n or n == 0:
        raise ValueError(f"{right} right of {n} is no proportion")
    z = two_sided_z(confidence)
    share, shrink = right / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrink
    half = z / shrink * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if right == 0 else middle - half
    high = 1.0 if right == n else middle + half
    return Result(statistic=share, low=low, high=high, n=n, method=f"Wilson score interval, {confidence:.0%}")
