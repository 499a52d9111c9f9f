"""How many edits turn one text into another. Arrow in, Arrow out."""

from __future__ import annotations

import numba as nb
import numpy as np
import pyarrow as pa

from whence.text.words import AT, READ, _point, _utf8


def distance(left: pa.Array, right: pa.Array, most: int, *, swaps: bool = False) -> pa.Int64Array:
    """Levenshtein's distance of each text to the one beside it: characters (code points) inserted, deleted or exchanged
    at least; most + 1 where it is more than `most`. swaps: two neighbours changing places are one edit too, and neither
    is edited again (optimal string alignment). Null counts as empty. Only the cells within `most` of the diagonal are
    computed (Ukkonen, 1985): time grows with most x length."""
    if len(left) != len(right):
        raise ValueError(f"as many texts on both sides, not {len(left)} and {len(right)}")
    if most < 0:
        raise ValueError(f"most is at least 0, not {most}")
    out = np.empty(len(left), np.int64)
    sides = [_utf8(side.fill_null("") if side.null_count else side) for side in (left, right)]
    _distances(*sides[0], *sides[1], most, swaps, out)
    return pa.array(out)


@nb.njit(nb.int64(READ, nb.int64, nb.int64, nb.int32[::1]), cache=True, nogil=True)
def _points(data, at, stop, out):  # type: ignore[no-untyped-def]
    """The code points of one text into out; how many."""
    count = 0
    while at < stop:
        point, size = _point(data, at)
        out[count] = point
        count += 1
        at += size
    return count


@nb.njit(nb.int64(nb.int32[::1], nb.int32[::1], nb.int64, nb.boolean, nb.int64[:, ::1]), cache=True, nogil=True)
def _distance(a, b, most, swaps, rows):  # type: ignore[no-untyped-def]
    start, stop_a, stop_b = 0, len(a), len(b)
    while stop_a and stop_b and a[stop_a - 1] == b[stop_b - 1]:
        stop_a, stop_b = stop_a - 1, stop_b - 1
    while start < min(stop_a, stop_b) and a[start] == b[start]:
        start += 1
    a, b = a[start:stop_a], b[start:stop_b]
    reach = min(most, max(len(a), len(b)))
    if abs(len(a) - len(b)) > reach:
        return most + 1
    last, row, before = 0, 1, 2
    for j in range(min(reach + 1, len(b)) + 1):
        rows[row, j] = j
    for i in range(1, len(a) + 1):
        before, last, row = last, row, before
        low, high, least = max(1, i - reach), min(len(b), i + reach), reach + 1
        rows[row, low - 1] = i if low == 1 else reach + 1
        if i <= reach:
            least = i
        for j in range(low, high + 1):
            value = rows[last, j - 1] + (a[i - 1] != b[j - 1])
            value = min(value, rows[last, j] + 1, rows[row, j - 1] + 1)
            if swaps and i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                value = min(value, rows[before, j - 2] + 1)
            rows[row, j] = value
            least = min(least, value)
        if high < len(b):
            rows[row, high + 1] = reach + 1
        if least > reach:
            return most + 1
    return rows[row, len(b)] if rows[row, len(b)] <= reach else most + 1


@nb.njit(nb.void(READ, AT, READ, AT, nb.int64, nb.boolean, nb.int64[::1]), cache=True, nogil=True)
def _distances(left, left_at, right, right_at, most, swaps, out):  # type: ignore[no-untyped-def]
    longest_left = longest_right = 0
    for i in range(len(out)):
        longest_left = max(longest_left, left_at[i + 1] - left_at[i])
        longest_right = max(longest_right, right_at[i + 1] - right_at[i])
    a, b = np.empty(longest_left, np.int32), np.empty(longest_right, np.int32)
    rows = np.empty((3, longest_right + 2), np.int64)
    for i in range(len(out)):
        size_a = _points(left, left_at[i], left_at[i + 1], a)
        size_b = _points(right, right_at[i], right_at[i + 1], b)
        out[i] = _distance(a[:size_a], b[:size_b], most, swaps, rows)
