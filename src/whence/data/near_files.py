"""Near-duplicates in files: in this process, by Daft on this machine, or by Daft on Ray, with one answer."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from whence.data.text_files import Files, possible, read, write
from whence.records import Unmet, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearby:
    """Near-duplicates in files."""

    texts: int
    """texts that were read"""
    pairs: pa.Table
    """`left`, `right`: ids, as text; `jaccard`. In the order of left, then right"""
    clusters: int
    """groups of texts that pairs connect"""
    clustered: int
    """texts in them"""


def nearby(files: Files, threshold: float = 0.8, out: str | None = None) -> Nearby:
    """Near-duplicates in Parquet files and JSON lines; the answer and the file `out` (Parquet) are the same, byte for
    byte, by each engine.

    threshold: Jaccard index of their word 3-grams from which on two texts are alike, above 0 and at most 1. Raises
    Unmet, BackendFailed.
    """
    possible(files, out)
    if not 0 < threshold <= 1:
        raise Unmet(f"the threshold is {threshold}", "above 0 and at most 1")
    require("checks", "numba")
    if files.engine == "local":
        from whence.text.near import near_duplicates  # noqa: PLC0415  (half a second, and an extra)

        table = read(files)
        found = near_duplicates(table["text"].combine_chunks(), threshold, threads=len(os.sched_getaffinity(0)))
        ids = table["id"].combine_chunks()
        left, right = (ids.take(found[side].combine_chunks()) for side in ("left", "right"))
        texts, pairs = len(table), pa.table({"left": left, "right": right, "jaccard": found["jaccard"]})
    else:
        from whence.data.backends.daft_files import near_by_daft  # noqa: PLC0415

        texts, pairs = near_by_daft(files, threshold)
    pairs = pairs.combine_chunks()
    if out:
        write(pairs, out)
    return Nearby(texts=texts, pairs=pairs, **_clusters(pairs))


def _clusters(pairs: pa.Table) -> dict[str, int]:
    from whence.text.near import clusters  # noqa: PLC0415

    ids = pa.chunked_array([*pairs["left"].chunks, *pairs["right"].chunks], pa.large_string()).combine_chunks()
    numbers = ids.dictionary_encode()
    left, right = np.split(numbers.indices.to_numpy(), 2)
    found = clusters(len(numbers.dictionary), pa.table({"left": left, "right": right}))
    return {"clusters": len(found.unique()), "clustered": len(numbers.dictionary)}
