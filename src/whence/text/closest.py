"""Of each text the rows that share most of its rare words, by the cosine of TF-IDF. Arrow in, Arrow out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from whence.records import require
from whence.text.vocabulary import Vocabulary, information
from whence.text.words import words

COMMON = 0.05
"""share of the rows from which on a word tells nothing, where there are more than `FEW`"""
FEW = 1000
AT_ONCE = 64
"""items"""


def closest(
    items: pa.Array, rows: pa.Array, most: int, kinds: tuple[Sequence[int], Sequence[int]] | None = None
) -> pa.Table:
    """`item`, `row`, `score` of the rows that are closest to each item, `most` of them, the closest first; rows that
    share no telling word are none. kinds: of each item and row, −1 for none; then as many again of the item's own kind.
    Raises Unmet without scipy."""
    require("checks", "scipy")
    from scipy import sparse  # noqa: PLC0415

    lists = [words(texts) for texts in (items, rows)]
    known = Vocabulary(lists[0])
    seen = known.seen(lists[1], np.ones(len(rows), np.int64))
    bits = information(seen, len(rows))
    bits[seen >= (COMMON * len(rows) if len(rows) > FEW else len(rows))] = 0.0
    sides = []
    for part in lists:
        ids, offsets = known.ids(part)
        kept = ids >= 0
        ends = np.concatenate([[0], np.cumsum(kept)])[offsets]
        side = sparse.csr_matrix((np.ones(kept.sum()), ids[kept], ends), (len(offsets) - 1, len(bits)))
        side.sum_duplicates()
        side.data = bits[side.indices]
        norms = np.sqrt(np.asarray(side.multiply(side).sum(axis=1)).ravel())
        sides.append(sparse.diags(1 / np.where(norms > 0, norms, 1)) @ side)
    found: list[tuple[int, int, float]] = []
    own, others = (np.asarray(side) for side in kinds) if kinds else (None, None)
    turned = sides[1].T.tocsr()
    for start in range(0, len(items), AT_ONCE):
        scores = (sides[0][start : start + AT_ONCE] @ turned).tocsr()
        for at in range(scores.shape[0]):
            row = scores.indices[scores.indptr[at] : scores.indptr[at + 1]]
            score = scores.data[scores.indptr[at] : scores.indptr[at + 1]]
            told = score > 0
            some = _best(row[told], score[told], most)
            if own is not None and own[start + at] >= 0:
                same = told & (others[row] == own[start + at])
                some |= _best(row[same], score[same], most)
            found += [(start + at, *one) for one in sorted(some, key=lambda one: (-one[1], one[0]))]
    names = ("item", "row", "score")
    types = (pa.int64(), pa.int64(), pa.float64())
    columns = zip(*found, strict=True) if found else ((), (), ())
    return pa.table({n: pa.array(column, t) for n, t, column in zip(names, types, columns, strict=True)})


def _best(rows: np.ndarray, scores: np.ndarray, most: int) -> set[tuple[int, float]]:
    order = np.lexsort((rows, -scores))[:most]
    return {(int(rows[at]), float(scores[at])) for at in order}
