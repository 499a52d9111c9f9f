"""Marks: 64 bits of (source, record), by which rows are found under the name that their source gave them.

A mark is a hint: equal names have equal marks, and hardly any others; the row itself is read before anything is said.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.store.columns import U64, places, ranges, whole, woven

WEIGHTS = np.random.PCG64(0).random_raw(1024) | np.uint64(1)
"""Of the places of bytes in a text; fixed, since marks are saved."""


def marks(sources: pa.ChunkedArray, records: pa.ChunkedArray) -> U64:
    """64 bits of each (source, record); shape (n,)."""
    coded = pc.dictionary_encode(whole(sources))
    by_source = WEIGHTS[0] * _weighed(coded.dictionary)
    out: U64 = _weighed(whole(records)) + by_source[coded.indices.to_numpy()]
    return out


def _weighed(texts: pa.StringArray) -> U64:
    """The sum of each text's first bytes, each times the weight of its place, modulo 2^64; shape (n,)."""
    out = np.empty(len(texts), np.uint64)
    for start in range(0, len(texts), 65_536):
        part = texts.slice(start, 65_536)
        offsets = np.frombuffer(part.buffers()[1], np.int32)[part.offset : part.offset + len(part) + 1]
        data = np.frombuffer(part.buffers()[2] or b"", np.uint8)
        lengths = np.minimum(np.diff(offsets), len(WEIGHTS)).astype(np.int64)
        taken = ranges(offsets[:-1].astype(np.int64), lengths)
        sums = np.zeros(len(taken) + 1, np.uint64)
        weights = WEIGHTS[taken - np.repeat(offsets[:-1], lengths)]
        np.cumsum((data[taken].astype(np.uint64) + np.uint64(1)) * weights, out=sums[1:])
        ends = np.cumsum(lengths)
        out[start : start + len(part)] = sums[ends] - sums[ends - lengths]
    return out


class Runs:
    """Marks → ordinals in a few sorted runs: a first one that is there, and those of what is added since."""

    def __init__(self, marks: U64, ordinals: U64) -> None:
        self._runs = [(marks, ordinals)]

    def add(self, marks: U64, ordinals: U64) -> None:
        """Ordinals under their marks, in any order. Runs of like size are merged, so that there are log n of them."""
        order = np.argsort(marks, kind="stable")
        runs, run = self._runs[:], (marks[order], ordinals[order])
        while len(runs) > 1 and len(runs[-1][0]) < 2 * len(run[0]):
            older = runs.pop()
            at = places(older[0], run[0])
            run = woven(older[0], run[0], at), woven(older[1], run[1], at)
        self._runs = [*runs, run]

    def find(self, marks: U64) -> U64:
        """The ordinals that stand under any of these marks, sorted, each once."""
        wanted, found = np.unique(marks), []
        for held, ordinals in self._runs:
            low = np.searchsorted(held, wanted)
            found.append(ordinals[ranges(low, np.searchsorted(held, wanted, side="right") - low)])
        return np.unique(np.concatenate(found))
