"""Texts as sketches: sets of word n-grams, their minhash signatures, and the bands of these. Arrow in, Arrow out."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whence.text.words import AT, columns, mixed

SIZE = 128
"""values of a signature"""
BANDS = 32
AT_ONCE = 256
"""signatures: as many as the processor's nearest cache holds"""

Keys = npt.NDArray[np.uint32]
VALUES = nb.types.Array(nb.uint64, 1, "C", readonly=True)


def shingles(words: pa.LargeListArray, n: int = 3) -> pa.LargeListArray:
    """The hashes of each text's n-grams of words, sorted, each once. A text of fewer than n words has one shingle, of
    all of them; one without words has none."""
    if n < 1:
        raise ValueError(f"n is at least 1, not {n}")
    hashes, offsets = columns(words)
    ends = np.zeros(len(offsets), np.int64)
    room = np.empty(len(hashes) + 1, np.uint64)
    _shingle(hashes, offsets, n, ends, room)
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(room[: ends[-1]].copy()))


def signatures(shingles: pa.LargeListArray) -> npt.NDArray[np.uint32]:
    """(texts, 128): two sets agree at one place with the probability of their Jaccard index; zeros for an empty set.

    One permutation (Li, Owen and Zhang, 2012): a hash's first 7 bits are its place, the least hash of a place its
    value. A place that stays empty takes another's: each full place offers its own to all places, in an order of its
    own, and the first offer is taken (Mai and others, "On Densification for Minwise Hashing", 2019)."""
    hashes, offsets = columns(shingles)
    out = np.empty((len(offsets) - 1, SIZE), np.uint32)
    _sign(hashes, offsets, OFFERS, out)
    return out


def bands(shingles: pa.LargeListArray) -> Keys:
    """(texts, 32): of each set's signature a number above 0 and below 2³¹ for each four values; 0 for an empty set."""
    hashes, offsets = columns(shingles)
    out, room = np.zeros((len(offsets) - 1, BANDS), np.uint32), np.empty((AT_ONCE, SIZE), np.uint32)
    for start in range(0, len(out), AT_ONCE):
        ends = offsets[start : start + AT_ONCE + 1]
        signed = room[: len(ends) - 1]
        _sign(hashes, ends, OFFERS, signed)
        _band(signed, out[start : start + AT_ONCE])
    return out


def _orders() -> npt.NDArray[np.int64]:
    """(128, 128): for each place all places in an order of its own. Never to change: signatures are compared."""
    numbers = np.arange(SIZE * SIZE, dtype=np.uint64) + np.uint64(1)
    numbers *= np.uint64(0x9E3779B97F4A7C15)
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(factor)
    return np.argsort(numbers.reshape(SIZE, SIZE), axis=1, kind="stable")


ORDERS = _orders()
OFFERS = (np.argsort(ORDERS, axis=1) * SIZE + np.arange(SIZE)[:, None]).astype(np.uint16)
"""(128, 128): when each place offers its own to each place, × 128, and who it is: the least is taken"""
NOBODY = np.uint16(SIZE * SIZE)


@nb.njit("int64(uint64[::1], int64, uint64)", cache=True, nogil=True, inline="always")
def _put(table, at, value):  # type: ignore[no-untyped-def]
    """Put a number into its place, at or behind `at`, among those that are there in order, unless it is there. 0: free.
    How far it reached."""
    while table[at] and table[at] < value:
        at += 1
    while value and table[at] != value:
        table[at], value = value, table[at]
        at += 1
    return at


@nb.njit(nb.void(VALUES, AT, nb.int64, nb.int64[::1], nb.uint64[::1]), cache=True, nogil=True)
def _shingle(hashes, offsets, n, ends, room):  # type: ignore[no-untyped-def]
    """Sets into room, one after the other, their ends into ends[1:]. Hashes are spread evenly, so each goes near the
    place that its first bits name in a table twice as large as the set, and the table is sorted at once."""
    factor, end, longest = np.uint64(0x9FB21C651E98DF25), 0, 1
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    table = np.zeros(5 * longest + 2, np.uint64)
    for text in range(len(offsets) - 1):
        start, stop = offsets[text], offsets[text + 1]
        width = min(n, stop - start)
        last = stop - width + 1 if width else start
        bits = 1
        while 1 << bits < 2 * (last - start):
            bits += 1
        reached = 0
        for at in range(start, last):
            value = np.uint64(0)
            for word in range(at, at + width):
                value = value * factor + hashes[word]
            value = max(mixed(value), np.uint64(1))
            reached = max(reached, _put(table, np.int64(value >> np.uint64(64 - bits)), value))
        for at in range(reached + 1):
            room[end] = table[at]
            end += table[at] != 0
            table[at] = 0
        ends[text + 1] = end


@nb.njit(nb.void(VALUES, AT, nb.uint16[:, ::1], nb.uint32[:, ::1]), cache=True, nogil=True)
def _sign(hashes, offsets, offers, out):  # type: ignore[no-untyped-def]
    taken, own = np.empty(SIZE, np.uint16), np.empty(SIZE, np.uint32)
    for text in range(len(offsets) - 1):
        taken[:] = NOBODY
        before = -1
        for at in range(offsets[text], offsets[text + 1]):
            place = np.int64(hashes[at] >> np.uint64(57))
            if place == before:
                continue
            before = place
            own[place] = np.uint32(hashes[at] >> np.uint64(25))
            for other in range(SIZE):
                taken[other] = min(taken[other], offers[place, other])
            taken[place] = np.uint16(place)
        if before < 0:
            out[text] = 0
            continue
        for place in range(SIZE):
            out[text, place] = own[taken[place] & np.uint16(SIZE - 1)]


@nb.njit(nb.void(nb.types.Array(nb.uint32, 2, "C", readonly=True), nb.uint32[:, ::1]), cache=True, nogil=True)
def _band(signatures, out):  # type: ignore[no-untyped-def]
    rows = SIZE // BANDS
    for text in range(len(signatures)):
        if not signatures[text].any():
            continue
        for band in range(BANDS):
            value = np.uint64(band)
            for at in range(band * rows, band * rows + rows):
                value = mixed(value ^ np.uint64(signatures[text, at]))
            out[text, band] = max(np.uint32(1), np.uint32(value >> np.uint64(33)))
