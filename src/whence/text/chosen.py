"""Which of near-duplicate texts stay, and which one each of the others stands behind."""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whence.text.near import MARKS, Rows, clusters, jaccard, marks, paired, sketched
from whence.text.sketches import VALUES
from whence.text.words import AT, columns

Share = npt.NDArray[np.float64]


class Alike:
    """Texts that were compared once, to be asked at any threshold from `lowest` on."""

    def __init__(self, texts: pa.Array, lowest: float, *, threads: int = 1) -> None:
        self._sets, keys = sketched(texts, 3, threads)
        self._pairs = paired(self._sets, keys, lowest, threads=threads)

    def behind(self, groups: Rows, ranks: Rows, threshold: float) -> tuple[Rows, Share]:
        """(for each text the one that it stands behind, itself where it stays; their Jaccard index, 1 for itself).

        In the order of their ranks texts stay unless one that stays already, of the same group and the same cluster of
        near-duplicates, has an index of at least `threshold` with it; of several the most alike, then the first.
        groups, ranks: whole numbers, shape (texts,)."""
        labels = clusters(len(ranks), self._pairs.filter(pc.field("jaccard") >= threshold)).to_numpy()
        order = np.lexsort((ranks, labels))
        behind, alike = np.arange(len(ranks)), np.ones(len(ranks))
        hashes, offsets = columns(self._sets)
        bits = marks(hashes, offsets, np.flatnonzero(np.bincount(labels, minlength=len(ranks))[labels] > 1))
        groups = np.ascontiguousarray(groups, np.int64)
        _choose(order, labels, groups, hashes, offsets, bits, threshold, behind, alike)
        return behind, alike


@nb.njit(
    nb.void(nb.int64[::1], AT, nb.int64[::1], VALUES, AT, MARKS, nb.float64, nb.int64[::1], nb.float64[::1]),
    cache=True,
    nogil=True,
)
def _choose(order, labels, groups, hashes, offsets, bits, threshold, behind, alike):  # type: ignore[no-untyped-def]
    stays, count = np.empty(len(order), np.int64), 0
    for at in range(len(order)):
        text = order[at]
        if at and labels[order[at - 1]] != labels[text]:
            count = 0
        best, other = 0.0, -1
        for i in range(count):
            if groups[stays[i]] == groups[text]:
                value = jaccard(hashes, offsets, bits, stays[i], text, threshold)
                if value > best:
                    best, other = value, stays[i]
        if other < 0:
            stays[count] = text
            count += 1
        else:
            behind[text], alike[text] = other, best
