"""Near-duplicates of texts that are more than one machine holds, and evaluation texts in them, by Daft: on its own
runner or on Ray.

Daft is imported when the work starts. Which runner works, the caller chooses (``daft.set_runner_native()``,
``daft.set_runner_ray(address)``); workers need this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from whence.text.grams import SAMPLE, boilerplate
from whence.text.near import near_duplicates
from whence.text.overlap import FOUND, Bounds, Known, Search, Suite, Texts, digests
from whence.text.sketches import BANDS, bands, shingles
from whence.text.words import columns, words

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
    found = bands(shingles(words(texts.to_arrow()), n))
    numbered = found.astype(np.uint64) | np.arange(BANDS, dtype=np.uint64) << np.uint64(32)
    ends = np.cumsum([0, *np.where(found[:, 0] > 0, BANDS, 0)])
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(numbered[found[:, 0] > 0].ravel()))


def look_in(
    frame: daft.DataFrame,
    items: pa.Array | pa.ChunkedArray,
    bounds: Bounds = Bounds(),
    *,
    id: str = "id",
    text: str = "text",
) -> tuple[pa.Table, pa.Table]:
    """What `look` says of these texts in the order of their ids (whole numbers or text, each once), with ids in place
    of positions of rows. frame: of whatever Daft reads. items: strings.

    The workers bring texts with the same words together, count the suite's words in them and look for its items; to
    the caller's machine come 20,000 texts, by which boilerplate is told, and those in which something was found. So it
    needs room for these, not for all."""
    from daft import DataType, Series, col, func

    suite = Suite(items, bounds)

    @func.batch(return_dtype=DataType.uint64())
    def digested(texts: Series) -> pa.Array:
        return pa.array(digests(*columns(words(texts.to_arrow()))))

    @func.batch(return_dtype=DataType.list(DataType.int64()))
    def counted(texts: Series, times: Series) -> pa.Array:
        """Of a batch: in its first row, the others are null."""
        seen = suite.seen(texts.to_arrow(), times.to_arrow().to_numpy())
        return pa.array([seen, *[None] * (len(texts) - 1)][: len(texts)], pa.large_list(pa.int64()))

    own = frame.select(col(id).alias("id"), col(text).alias("text")).with_column("digest", digested(col("text")))
    each = own.where(col("digest") > 0).groupby("digest")
    times = col("id").count("all").cast(DataType.int64()).alias("times")
    said = each.agg(col("id").min(), col("text").any_value(), times).collect()
    shown = said.sort("digest").limit(SAMPLE).select("text").to_arrow()["text"].combine_chunks()
    seen = said.select(counted(col("text"), col("times")).alias("seen")).where(col("seen").not_null())
    known = Known(
        grams=boilerplate(shown, share=bounds.boilerplate),
        seen=np.sum([np.zeros(len(suite.words.words), np.int64), *seen.to_arrow()["seen"].to_numpy()], axis=0),
        rows=own.count_rows(),
        worded=said.sum("times").to_pydict()["times"][0] or 0,
        distinct=len(said),
    )
    search = Search(suite, known)

    @func.batch(return_dtype=DataType.list(DataType.from_arrow_type(pa.struct([*FOUND]))))
    def found(texts: Series, times: Series) -> pa.Array:
        table = search.find(texts.to_arrow(), times.to_arrow().to_numpy())
        ends = np.searchsorted(table["row"].to_numpy(), np.arange(len(texts) + 1))
        return pa.LargeListArray.from_arrays(pa.array(ends), table.to_struct_array().combine_chunks())

    hits = said.select("id", found(col("text"), col("times")).alias("found")).where(col("found").list_count() > 0)
    hits = hits.explode("found").select(col("id"), col("found").unnest()).collect()
    leaked = hits.where(~col("natural")).select("digest").distinct()
    first = hits.where(col("natural")).select("id").distinct()
    rows = own.join(leaked, on="digest", how="semi").union_all(own.join(first, on="id", how="semi"))
    rows = rows.distinct("id").to_arrow().sort_by("id")
    found_in = hits.select(*FOUND.names).to_arrow().cast(FOUND)
    table = search.spread(found_in, Texts(rows["text"]))
    return table.set_column(0, "row", rows["id"].take(table["row"])), search.told()
