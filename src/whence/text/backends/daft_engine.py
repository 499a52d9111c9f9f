"""Near-duplicates of texts that are more than one machine holds, by Daft: on its own runner or on Ray.

Daft is imported when the work starts. Which runner works, the caller chooses (``daft.set_runner_native()``,
``daft.set_runner_ray(address)``); workers need this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from whence.text.near import near_duplicates
from whence.text.sketches import BANDS, bands, shingles, signatures
from whence.text.words import words

if TYPE_CHECKING:
    import daft


def near_duplicates_of(
    frame: daft.DataFrame, threshold: float = 0.7, *, id: str = "id", text: str = "text", n: int = 3, threads: int = 1
) -> pa.Table:
    """What `near_duplicates` says of these texts in the order of their ids (whole numbers or text, each once), with ids
    in place of positions. frame: of whatever Daft reads.

    The workers make the bands of all texts and find those that share one; only these come to the caller's machine,
    where they are compared. So it needs room for texts that have something in common with another, not for all. In
    bands a text goes by its id's hash: two of one hash are at worst a text more to compare."""
    import daft

    keys = daft.func.batch(return_dtype=daft.DataType.list(daft.DataType.uint64()))(_keys)
    own = frame.select(daft.col(id).alias("id"), daft.col(text).alias("text"))
    met = own.select(own["id"].hash().alias("mark"), keys(own["text"], n).alias("key")).explode("key")
    marks = daft.col("mark")
    buckets = met.where(daft.col("key").not_null()).groupby("key").agg(marks.list_agg(), marks.count().alias("count"))
    shared = buckets.where(daft.col("count") > 1).select("mark").explode("mark").distinct()
    marked = own.with_column("mark", own["id"].hash()).join(shared, on="mark", how="semi")
    rows = marked.select("id", "text").to_arrow().sort_by("id").combine_chunks()
    ids = rows["id"].combine_chunks() if rows.num_rows else pa.array([], rows.schema.field("id").type)
    if len(ids.unique()) < len(ids):
        raise ValueError(f"two texts have one {id}")
    texts = rows["text"].combine_chunks() if rows.num_rows else pa.array([], pa.large_string())
    pairs = near_duplicates(texts, threshold, n=n, threads=threads)
    left, right = (ids.take(pairs[side].combine_chunks()) for side in ("left", "right"))
    return pa.table({"left": left, "right": right, "jaccard": pairs["jaccard"]})


def _keys(texts: Any, n: int) -> pa.Array:
    """Of each text its bands, band << 32 | key; none of a text without words."""
    found = bands(signatures(shingles(words(texts.to_arrow()), n)))
    numbered = found.astype(np.uint64) | np.arange(BANDS, dtype=np.uint64) << np.uint64(32)
    ends = np.cumsum([0, *np.where(found[:, 0] > 0, BANDS, 0)])
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(numbered[found[:, 0] > 0].ravel()))
