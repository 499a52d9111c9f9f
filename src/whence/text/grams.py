"""Runs of n words that two sides share, and runs that are boilerplate. Arrow in, Arrow out.

A run is found by a rolling hash (Karp and Rabin 1987), a Bloom filter (1970) and a table, and then compared word by
word with what the item has.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whence.text.vocabulary import IDS, KEYS, place_of, slots
from whence.text.words import AT, Hashes, columns, mixed, words

BASE = np.uint64(0x9E3779B97F4A7C15)
SAMPLE = 20_000
"""rows in which boilerplate is looked for: what stands in one of 20 is in 1,000 ± 31 of them"""


class Probe:
    """Runs of n words of evaluation texts, to be looked for in rows."""

    def __init__(self, items: pa.Array, n: int) -> None:
        self.n, self.items = n, worded(items)
        values, offsets = columns(self.items)
        hashes, starts = np.empty(len(values), np.uint64), np.empty(len(values), np.int64)
        found = _runs(values, offsets, n, hashes, starts)
        order = np.argsort(hashes[:found], kind="stable")
        self.keys, first = np.unique(hashes[:found][order], return_index=True)
        self.starts, self.ends = starts[:found][order], np.append(first, found).astype(np.int64)
        self.slots = slots(self.keys)
        self.bloom = np.zeros(1 << max(0, len(self.keys).bit_length() - 2), np.uint64)
        _bloom(self.keys, self.bloom)
        self.of = np.repeat(np.arange(len(self.items), dtype=np.int32), np.diff(offsets))

    def probe(
        self, rows: pa.Array, ids: npt.NDArray[np.int32] | None = None, bits: npt.NDArray[np.float64] | None = None
    ) -> pa.Table:
        """Each pair of a row and an item that share n words in a row: `row`, `item` (places), `shared` (places of the
        item where such a run begins), `coverage` (share of the item's words that stand in one), and `bits` of the
        distinct words covered, where the number of each word of the items and the bits of each number are given.
        """
        values, _ = columns(self.items)
        ids = np.zeros(len(values), np.int32) if ids is None else ids
        bits = np.zeros(1) if bits is None else bits
        row, item, shared, covered, worth = _probe(
            *columns(worded(rows)), self.n, self.bloom, self.keys, self.slots, self.ends, self.starts,
            values, self.of, ids, bits,
        )  # fmt: skip
        size = sizes(self.items)[item]
        return pa.table({"row": row, "item": item, "shared": shared, "coverage": covered / size, "bits": worth})


def boilerplate(rows: pa.Array, n: int = 4, share: float = 0.05) -> Hashes:
    """The hashes of runs of n words that stand in more than this share of the rows, sorted; at least two rows.

    Of many rows 20,000 are looked at, evenly spaced."""
    if len(rows) > SAMPLE:
        rows = rows.take(pa.array(np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64)))
    values, offsets = columns(worded(rows))
    hashes, starts = np.empty(len(values), np.uint64), np.empty(len(values), np.int64)
    found = _runs(values, offsets, n, hashes, starts)
    order = np.argsort(hashes[:found], kind="stable")
    run, row = hashes[order], np.searchsorted(offsets, starts[order], side="right")
    once = np.ones(found, bool)
    once[1:] = (run[1:] != run[:-1]) | (row[1:] != row[:-1])
    keys, counts = np.unique(run[once], return_counts=True)
    return keys[counts > max(1, share * len(rows))]


def strip(texts: pa.Array, grams: Hashes, n: int = 4) -> pa.LargeListArray:
    """The words of these texts with a gap in place of each that stands in such a run of n words."""
    lists = worded(texts)
    values, offsets = columns(lists)
    if not len(grams):
        return lists
    out = values.copy()
    _strip(values, offsets, n, grams, slots(grams), out)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(out))


def worded(texts: pa.Array) -> pa.LargeListArray:
    """The words of texts, or what is words already; from 0 on."""
    if not pa.types.is_large_list(texts.type):
        return words(texts)
    start = texts.offsets[0].as_py() if len(texts) else 0
    if not texts.offset and not start:
        return texts
    offsets = texts.offsets.to_numpy()
    return pa.LargeListArray.from_arrays(pa.array(offsets - start), texts.values[start : int(offsets[-1])])


def sizes(lists: pa.LargeListArray) -> npt.NDArray[np.int64]:
    """Words of each text, gaps not counted."""
    values, offsets = columns(lists)
    before = np.concatenate([[0], np.cumsum(values != 0)])
    return np.asarray(before[offsets[1:]] - before[offsets[:-1]])


@nb.njit(nb.uint64(nb.int64), cache=True, nogil=True)
def _power(n):  # type: ignore[no-untyped-def]
    """What the oldest of n words weighs in their hash."""
    out = np.uint64(1)
    for _ in range(n - 1):
        out *= BASE
    return out


@nb.njit(nb.int64(KEYS, AT, nb.int64, nb.uint64[::1], nb.int64[::1]), cache=True, nogil=True)
def _runs(values, offsets, n, hashes, starts):  # type: ignore[no-untyped-def]
    """The hash and the beginning of each run of n words; returns how many."""
    found, oldest = 0, _power(n)
    for text in range(len(offsets) - 1):
        run, value = 0, np.uint64(0)
        for at in range(offsets[text], offsets[text + 1]):
            if values[at] == 0:
                run, value = 0, np.uint64(0)
                continue
            if run == n:
                value -= values[at - n] * oldest
                run -= 1
            value = value * BASE + values[at]
            run += 1
            if run == n:
                hashes[found], starts[found] = value, at - n + 1
                found += 1
    return found


@nb.njit(nb.void(KEYS, nb.uint64[::1]), cache=True, nogil=True)
def _bloom(keys, bloom):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(bloom) - 1)
    for key in keys:
        spread = mixed(key)
        bits = np.uint64(1) << (spread >> np.uint64(58)) | np.uint64(1) << (spread >> np.uint64(52) & np.uint64(63))
        bloom[(spread >> np.uint64(20)) & mask] |= bits


@nb.njit(nb.boolean(KEYS, nb.uint64), cache=True, nogil=True, inline="always")
def _maybe(bloom, key):  # type: ignore[no-untyped-def]
    spread = mixed(key)
    bits = np.uint64(1) << (spread >> np.uint64(58)) | np.uint64(1) << (spread >> np.uint64(52) & np.uint64(63))
    return bloom[(spread >> np.uint64(20)) & np.uint64(len(bloom) - 1)] & bits == bits


@nb.njit(nb.void(KEYS, AT, nb.int64, KEYS, IDS, nb.uint64[::1]), cache=True, nogil=True)
def _strip(values, offsets, n, keys, slots, out):  # type: ignore[no-untyped-def]
    hashes, starts = np.empty(len(values), np.uint64), np.empty(len(values), np.int64)
    for run in range(_runs(values, offsets, n, hashes, starts)):
        if place_of(keys, slots, hashes[run]) >= 0:
            out[starts[run] : starts[run] + n] = 0


ROW_ITEM = nb.types.Tuple((nb.int64[::1], nb.int32[::1], nb.int64[::1], nb.int64[::1], nb.float64[::1]))
WEIGHTS = nb.types.Array(nb.float64, 1, "C", readonly=True)


@nb.njit(
    ROW_ITEM(KEYS, AT, nb.int64, KEYS, KEYS, IDS, AT, AT, KEYS, IDS, IDS, WEIGHTS),
    cache=True,
    nogil=True,
)  # fmt: skip
def _probe(values, offsets, n, bloom, keys, slots, ends, starts, item_values, of, ids, weights):  # type: ignore[no-untyped-def]
    """(row, item, places of the item where a shared run begins, words covered, their bits), by row and item."""
    room = 1024
    rows, items = np.empty(room, np.int64), np.empty(room, np.int32)
    shared, covered, worth = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.float64)
    hits, out, oldest = np.empty(1024, np.int64), 0, _power(n)
    asked, counted = np.full(len(keys), -1, np.int64), np.full(len(weights), -1, np.int64)
    for text in range(len(offsets) - 1):
        found, run, value = 0, 0, np.uint64(0)
        for at in range(offsets[text], offsets[text + 1]):
            if values[at] == 0:
                run, value = 0, np.uint64(0)
                continue
            if run == n:
                value -= values[at - n] * oldest
                run -= 1
            value = value * BASE + values[at]
            run += 1
            if run < n or not _maybe(bloom, value):
                continue
            key = place_of(keys, slots, value)
            if key < 0 or asked[key] == text:
                continue
            asked[key] = text
            for one in range(ends[key], ends[key + 1]):
                start, same = starts[one], 0
                while same < n and item_values[start + same] == values[at - n + 1 + same]:
                    same += 1
                if same == n:
                    if found == len(hits):
                        hits = np.concatenate((hits, np.empty(found, np.int64)))
                    hits[found] = start
                    found += 1
        if not found:
            continue
        begins = np.sort(hits[:found])
        for hit in range(found):
            start = begins[hit]
            item = of[start]
            if hit == 0 or items[out - 1] != item:
                if out == room:
                    rows, items = (
                        np.concatenate((rows, np.empty(room, np.int64))),
                        np.concatenate((items, np.empty(room, np.int32))),
                    )
                    shared, covered = (
                        np.concatenate((shared, np.empty(room, np.int64))),
                        np.concatenate((covered, np.empty(room, np.int64))),
                    )
                    worth = np.concatenate((worth, np.empty(room, np.float64)))
                    room *= 2
                rows[out], items[out], shared[out], covered[out], worth[out] = text, item, 0, 0, 0.0
                out += 1
                until = start
            shared[out - 1] += 1
            for at in range(max(start, until), start + n):
                covered[out - 1] += 1
                if counted[ids[at]] != out:
                    counted[ids[at]] = out
                    worth[out - 1] += weights[ids[at]]
            until = start + n
    return rows[:out].copy(), items[:out].copy(), shared[:out].copy(), covered[:out].copy(), worth[:out].copy()
