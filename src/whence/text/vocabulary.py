"""The words of some texts as small numbers, and how rare each is. Arrow in, numpy out."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whence.text.words import AT, Hashes, columns, mixed

Ids = npt.NDArray[np.int32]
KEYS = nb.types.Array(nb.uint64, 1, "C", readonly=True)
IDS = nb.types.Array(nb.int32, 1, "C", readonly=True)
GAP = np.uint64(0)
"""In place of a word that was left out: no word, and no run of words goes across it."""
UNSEEN = 1024
"""Texts without a word that are imagined beside those counted: of few rows nothing is known to be everyday."""


class Vocabulary:
    """The distinct words of some texts: number 0, 1, …; −1 is every other word."""

    def __init__(self, lists: pa.LargeListArray) -> None:
        values, _ = columns(lists)
        self.words: Hashes = np.unique(values)
        self.words = self.words[self.words != GAP]
        self.slots = slots(self.words)

    def ids(self, lists: pa.LargeListArray) -> tuple[Ids, npt.NDArray[np.int64]]:
        """(the number of each word, offsets) of these texts."""
        values, offsets = columns(lists)
        out = np.empty(len(values), np.int32)
        _ids(values, self.words, self.slots, out)
        return out, offsets

    def seen(self, lists: pa.LargeListArray, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """In how many of these texts each word stands, where each text is there so many times."""
        out = np.zeros(len(self.words), np.int64)
        _seen(*self.ids(lists), times, out)
        return out


def information(seen: npt.NDArray[np.int64], texts: int) -> npt.NDArray[np.float64]:
    """−log2 of the share of so many texts that each word stands in, bits."""
    return np.asarray(np.log2((texts + UNSEEN) / (seen + 1)))


def slots(keys: Hashes) -> Ids:
    """An open-addressing table of distinct keys, at most half full: in each slot a key's place in `keys`, or −1."""
    out = np.full(1 << max(4, int(2 * len(keys)).bit_length()), -1, np.int32)
    _fill(keys, out)
    return out


@nb.njit(nb.void(KEYS, nb.int32[::1]), cache=True, nogil=True)
def _fill(keys, out):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(out) - 1)
    for place in range(len(keys)):
        slot = mixed(keys[place]) & mask
        while out[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        out[slot] = place


@nb.njit(nb.int32(KEYS, IDS, nb.uint64), cache=True, nogil=True, inline="always")
def place_of(keys, slots, key):  # type: ignore[no-untyped-def]
    """Where a key stands in `keys`, or −1."""
    mask = np.uint64(len(slots) - 1)
    slot = mixed(key) & mask
    while slots[slot] >= 0 and keys[slots[slot]] != key:
        slot = (slot + np.uint64(1)) & mask
    return slots[slot]


@nb.njit(nb.void(KEYS, KEYS, IDS, nb.int32[::1]), cache=True, nogil=True)
def _ids(values, keys, slots, out):  # type: ignore[no-untyped-def]
    for at in range(len(values)):
        out[at] = place_of(keys, slots, values[at])


@nb.njit(nb.void(IDS, AT, AT, nb.int64[::1]), cache=True, nogil=True)
def _seen(ids, offsets, times, seen):  # type: ignore[no-untyped-def]
    """Adds to each word the number of texts that have it."""
    last = np.full(len(seen), -1, np.int64)
    for text in range(len(offsets) - 1):
        for at in range(offsets[text], offsets[text + 1]):
            word = ids[at]
            if word >= 0 and last[word] != text:
                last[word] = text
                seen[word] += times[text]
