"""Near-duplicates: pairs of texts whose sets of word n-grams are much alike. Arrow in, Arrow out.

Texts become sets of shingles, sets become signatures by minhash with one permutation, signatures become 32 bands of 4
values, and only texts that share a band are compared, by the exact Jaccard index of their sets. Two sets of index J
share a band with probability 1 - (1 - J⁴)³²: .9998 at .7, .87 at .5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whence.text.sketches import BANDS, VALUES, Keys, bands, shingles
from whence.text.words import AT, Hashes, columns, mixed, words

CROWD = 64
"""texts; in a band that more of them share, not all pairs are compared"""
NEXT = 32
"""texts of a crowd that one is compared with"""
BITS = 512
"""of a set's bitmap, by which most pairs are told to be unlike before they are compared"""
AT_ONCE = 1 << 22
"""bytes of text, about, that one thread works on"""

Rows = npt.NDArray[np.int64]
ROOM = np.uint32(1 << 31)
"""In a key: its bucket is a crowd."""


def near_duplicates(texts: pa.Array, threshold: float = 0.7, *, n: int = 3, threads: int = 1) -> pa.Table:
    """Pairs of texts whose shingles have a Jaccard index of at least `threshold`: left < right (positions), jaccard.

    Every pair is verified. Not every pair is there, so that pairs grow with the texts and not with their square: of
    texts with equal sets each is paired with the first of them, and the first stands for all towards others; where more
    than `CROWD` texts share a band, each is held against the `NEXT` most promising only, and not against those that
    other pairs connect it with already. So what is promised is `clusters` of the pairs: two texts of an index
    J ≥ threshold are in one with the probability above, in crowds with one that is measured (docs/near-duplicates.md).
    A text without words is in no pair. The result does not depend on `threads`."""
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is above 0 and at most 1, not {threshold}")
    sets, keys = sketched(texts, n, threads)
    return paired(sets, keys, threshold, threads=threads)


def clusters(n: int, pairs: pa.Table) -> pa.Array:
    """The smallest text that each of n texts is connected with by pairs (left, right); itself if by none."""
    parents = np.arange(n, dtype=np.int64)
    _join(parents, *(np.ascontiguousarray(pairs[side].to_numpy(), np.int64) for side in ("left", "right")))
    return pa.array(parents)


def paired(sets: pa.LargeListArray, keys: Keys, threshold: float, *, threads: int = 1) -> pa.Table:
    """The pairs among sets whose bands are known. keys: (32, texts), which are changed."""
    hashes, offsets = columns(sets)
    first = _firsts(hashes, offsets)
    copies = np.flatnonzero(first != np.arange(len(first)))
    keys[:, copies] = 0
    found = [_Pairs(first[copies], copies, np.ones(len(copies)))]
    each = partial(_each, threads)
    list(each(lambda band: _settle(_ordered(keys, band), band, keys), range(BANDS)))
    bits = marks(hashes, offsets, np.flatnonzero(keys.any(axis=0)))
    found += each(
        lambda band: _Pairs(*_compare(_ordered(keys, band), band, keys, hashes, offsets, bits, threshold)), range(BANDS)
    )
    parents = np.arange(len(first), dtype=np.int64)
    for pairs in found:
        _join(parents, pairs.left, pairs.right)
    for band in range(BANDS):
        rows, ends = _crowds(keys, band)
        found.append(_Pairs(*_connect(rows, ends, parents, hashes, offsets, bits, threshold)))
    left, right, jaccard = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((right, left))
    return pa.table({"left": left[order], "right": right[order], "jaccard": jaccard[order]})


class _Pairs(NamedTuple):
    left: Rows
    right: Rows
    jaccard: npt.NDArray[np.float64]


def _each(threads: int, work: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
    if threads == 1:
        yield from map(work, parts)
    else:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(work, parts)


def sketched(texts: pa.Array, n: int, threads: int) -> tuple[pa.LargeListArray, Keys]:
    """(shingles, bands) of all texts."""

    def sketch(part: tuple[int, int]) -> tuple[pa.LargeListArray, Keys]:
        own = shingles(words(texts.slice(part[0], part[1] - part[0])), n)
        return own, bands(own)

    texts = texts.cast(pa.large_string())
    weights = np.zeros(1, np.int64)
    if len(texts):
        weights = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    size = int(weights[-1] - weights[0])
    weights = weights - weights[0] + 64 * np.arange(len(weights))
    cuts = np.unique([*np.searchsorted(weights, np.arange(0, weights[-1], AT_ONCE)), len(texts)]).tolist()
    keys = np.empty((BANDS, len(texts)), np.uint32)
    offsets = np.zeros(len(texts) + 1, np.int64)
    values = np.empty(size // 2 + len(texts), np.uint64)  # the most there can be; what is not written takes no memory
    at = filled = 0
    for own, own_keys in _each(threads, sketch, pairwise(cuts)):
        some, ends = columns(own)
        values[filled : filled + len(some)] = some
        offsets[at + 1 : at + len(ends)] = ends[1:] + filled
        keys[:, at : at + len(own_keys)] = own_keys.T
        at, filled = at + len(own_keys), filled + len(some)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values[:filled])), keys


def marks(hashes: Hashes, offsets: Rows, rows: Rows) -> Hashes:
    """(sets, BITS / 64): the bitmaps of these sets, by which most pairs are told to be unlike."""
    bits = np.zeros((len(offsets) - 1, BITS // 64), np.uint64)
    _mark(hashes, offsets, rows, bits)
    return bits


def _firsts(hashes: Hashes, offsets: Rows) -> Rows:
    """For each set the first that is equal to it."""
    prints = np.zeros(len(offsets) - 1, np.uint64)
    _print(hashes, offsets, prints)
    first = np.arange(len(prints), dtype=np.int64)
    _same(hashes, offsets, prints, np.argsort(prints, kind="stable"), first)
    return first


def _ordered(keys: Keys, band: int) -> Hashes:
    """key << 32 | row, sorted, of rows that share this band with others (before `_settle`: of all that have any)."""
    rows = np.flatnonzero(keys[band])
    both = keys[band, rows].astype(np.uint64) << np.uint64(32) | rows.astype(np.uint64)
    both.sort()
    return both


def _crowds(keys: Keys, band: int) -> tuple[Rows, Rows]:
    """(rows of crowds, the end of each one's crowd). In a crowd, rows that share the bands after this one stand
    together, as in an LSH forest (Bawa, Condie and Ganesan, 2005)."""
    rows = np.flatnonzero(keys[band] & ROOM)
    after = [keys[(band + more) % BANDS, rows] for more in (3, 2, 1, 0)]
    rows = rows[np.lexsort((rows, *after))]
    own = keys[band, rows]
    return rows, np.searchsorted(own, own, side="right")


@nb.njit(nb.void(VALUES, AT, nb.uint64[::1]), cache=True, nogil=True)
def _print(hashes, offsets, prints):  # type: ignore[no-untyped-def]
    for text in range(len(prints)):
        for at in range(offsets[text], offsets[text + 1]):
            prints[text] = mixed(prints[text] ^ hashes[at])


@nb.njit(nb.void(VALUES, AT, nb.uint64[::1], nb.int64[::1], nb.int64[::1]), cache=True, nogil=True)
def _same(hashes, offsets, prints, order, first):  # type: ignore[no-untyped-def]
    """Rows by print, and by number among equal ones: each is held against the first."""
    start = 0
    for at in range(1, len(order)):
        a, b = order[start], order[at]
        size = offsets[a + 1] - offsets[a]
        if prints[a] != prints[b]:
            start = at
        elif size and size == offsets[b + 1] - offsets[b]:
            same = True
            for i in range(size):
                same &= hashes[offsets[a] + i] == hashes[offsets[b] + i]
            if same:
                first[b] = a


@nb.njit(nb.void(nb.uint64[::1], nb.int64, nb.uint32[:, ::1]), cache=True, nogil=True)
def _settle(ordered, band, keys):  # type: ignore[no-untyped-def]
    """In this band: 0 where no other shares the key, `ROOM` added where a crowd does."""
    start = 0
    while start < len(ordered):
        stop = start + 1
        while stop < len(ordered) and ordered[stop] >> np.uint64(32) == ordered[start] >> np.uint64(32):
            stop += 1
        for at in range(start, stop):
            row = np.int64(ordered[at] & np.uint64(0xFFFFFFFF))
            if stop - start == 1:
                keys[band, row] = 0
            elif stop - start > CROWD:
                keys[band, row] |= ROOM
        start = stop


MARKS = nb.types.Array(nb.uint64, 2, "C")


@nb.njit(nb.void(VALUES, AT, nb.int64[::1], MARKS), cache=True, nogil=True)
def _mark(hashes, offsets, rows, bits):  # type: ignore[no-untyped-def]
    """For each hash of these sets one bit."""
    for row in rows:
        for at in range(offsets[row], offsets[row + 1]):
            bit = hashes[at] % np.uint64(BITS)
            bits[row, bit // np.uint64(64)] |= np.uint64(1) << (bit % np.uint64(64))


@nb.njit("int64(uint64)", cache=True, nogil=True, inline="always")
def _ones(value):  # type: ignore[no-untyped-def]
    """How many bits are set (Warren, Hacker's Delight)."""
    value -= (value >> np.uint64(1)) & np.uint64(0x5555555555555555)
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((value * np.uint64(0x0101010101010101)) >> np.uint64(56))


@nb.njit(nb.float64(VALUES, AT, MARKS, nb.int64, nb.int64, nb.float64), cache=True, nogil=True)
def jaccard(hashes, offsets, bits, a, b, threshold):  # type: ignore[no-untyped-def]
    """The Jaccard index of two sets, or 0 if it is below the threshold: then as soon as that is certain. Each bit in
    which two sets differ is due to a hash that one of them lacks (bitmap filter: Sandes, Teodoro and Melo, 2020)."""
    i, j, stop_i, stop_j = offsets[a], offsets[b], offsets[a + 1], offsets[b + 1]
    both = stop_i - i + stop_j - j
    needed = max(np.int64(0), np.int64(threshold * both / (1 + threshold)) - 1)
    while needed / (both - needed) < threshold:
        needed += 1
    apart = 0
    for word in range(BITS // 64):
        apart += _ones(bits[a, word] ^ bits[b, word])
    if apart > both - 2 * needed:
        return 0.0
    spare_i, spare_j, shared = stop_i - i - needed, stop_j - j - needed, 0
    while i < stop_i and j < stop_j:
        if spare_i < 0 or spare_j < 0:
            return 0.0
        if hashes[i] == hashes[j]:
            shared += 1
            i += 1
            j += 1
        elif hashes[i] < hashes[j]:
            i += 1
            spare_i -= 1
        else:
            j += 1
            spare_j -= 1
    return shared / (both - shared) if shared >= needed else 0.0


@nb.njit(cache=True, nogil=True)
def _kept(found, count):  # type: ignore[no-untyped-def]
    """Room for one more."""
    if count < len(found):
        return found
    more = np.empty(2 * len(found), found.dtype)
    more[:count] = found
    return more


FOUND = nb.types.Tuple((nb.int64[::1], nb.int64[::1], nb.float64[::1]))


@nb.njit(FOUND(nb.uint64[::1], nb.int64, nb.uint32[:, ::1], VALUES, AT, MARKS, nb.float64), cache=True, nogil=True)
def _compare(ordered, band, keys, hashes, offsets, bits, threshold):  # type: ignore[no-untyped-def]
    """All pairs that share this band, but for crowds and for pairs that share an earlier band which is none."""
    lefts, rights, values, count = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64, np.float64), 0
    for at in range(len(ordered)):
        if ordered[at] >> np.uint64(63):
            break
        left, other = np.int64(ordered[at] & np.uint64(0xFFFFFFFF)), at + 1
        while other < len(ordered) and ordered[other] >> np.uint64(32) == ordered[at] >> np.uint64(32):
            right = np.int64(ordered[other] & np.uint64(0xFFFFFFFF))
            other += 1
            earlier = 0
            while earlier < band:
                key = keys[earlier, left]
                if key == keys[earlier, right] and 0 < key < ROOM:
                    break
                earlier += 1
            value = 0.0 if earlier < band else jaccard(hashes, offsets, bits, left, right, threshold)
            if value:
                lefts, rights, values = _kept(lefts, count), _kept(rights, count), _kept(values, count)
                lefts[count], rights[count], values[count] = left, right, value
                count += 1
    return lefts[:count].copy(), rights[:count].copy(), values[:count].copy()


@nb.njit("int64(int64[::1], int64)", cache=True, nogil=True)
def _root(parents, row):  # type: ignore[no-untyped-def]
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@nb.njit(nb.void(nb.int64[::1], AT, AT), cache=True, nogil=True)
def _join(parents, left, right):  # type: ignore[no-untyped-def]
    """Union-find; afterwards each row's parent is the smallest of its cluster."""
    for at in range(len(left)):
        a, b = _root(parents, left[at]), _root(parents, right[at])
        parents[max(a, b)] = min(a, b)
    for row in range(len(parents)):
        parents[row] = parents[parents[row]]


@nb.njit(FOUND(nb.int64[::1], nb.int64[::1], nb.int64[::1], VALUES, AT, MARKS, nb.float64), cache=True, nogil=True)
def _connect(rows, ends, parents, hashes, offsets, bits, threshold):  # type: ignore[no-untyped-def]
    """Of each crowd: every row with the next few, but for those that are connected already."""
    lefts, rights, values, count = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64, np.float64), 0
    for at in range(len(rows)):
        for other in range(at + 1, min(ends[at], at + 1 + NEXT)):
            left, right = min(rows[at], rows[other]), max(rows[at], rows[other])
            a, b = _root(parents, left), _root(parents, right)
            value = jaccard(hashes, offsets, bits, left, right, threshold) if a != b else 0.0
            if value:
                parents[max(a, b)] = min(a, b)
                lefts, rights, values = _kept(lefts, count), _kept(rights, count), _kept(values, count)
                lefts[count], rights[count], values[count] = left, right, value
                count += 1
    return lefts[:count].copy(), rights[:count].copy(), values[:count].copy()
