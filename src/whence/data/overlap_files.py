"""Evaluation texts that stand in files: looked for in this process, by Daft on this machine, or by Daft on Ray, with
one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from whence.data.text_files import Files, possible, read, write
from whence.records import require

WHOLE = ("exact", "normalised")
"""Tiers that say that an item stands there whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Evaluation texts that stand in texts of files."""

    texts: int
    """texts that were read"""
    items: int
    """evaluation texts"""
    pairs: pa.Table
    """`row`, `item`: ids, as text; `tier` (how: ``exact`` the strongest, ``paraphrase`` the weakest); `coverage`, share
    of the item's words that were found, for a paraphrase of its bits; `bits` of the words found; `natural`, that
    is no more than texts have in common by chance; `said`, texts with the words of this one. In the order of row,
    then item; where it is natural, of texts with the same words only the first"""
    whole: int
    """items that stand in a text whole"""
    part: int
    """items that stand in one in part only"""
    everyday: int
    """items of which only what is natural was found"""
    blind: float
    """share of the items that can be told whole only: they say too little, and to find nothing of them says nothing"""


def overlapping(files: Files, items: Sequence[str], out: str | None = None) -> Overlap:
    """Evaluation texts that stand in texts, whole, in part, misspelt or reworded; the answer and the file `out`
    (Parquet) are the same, byte for byte, by each engine.

    items: files of evaluation texts, with columns of the same names. Raises Unmet, BackendFailed.
    """
    possible(files, out)
    suite = replace(files, paths=items)
    possible(suite, None)
    require("checks", "numba")
    if files.engine == "local":
        from whence.text.overlap import look  # noqa: PLC0415

        rows, evaluated = read(files), read(suite)
        found, told = look(rows["text"], evaluated["text"])
        row, item = (ids.take(found[name]) for name, ids in (("row", rows["id"]), ("item", evaluated["id"])))
        texts, pairs = len(rows), found.set_column(0, "row", row).set_column(1, "item", item)
    else:
        from whence.data.backends.daft_files import overlap_by_daft  # noqa: PLC0415

        texts, pairs, told = overlap_by_daft(files, suite)
    pairs = pairs.set_column(2, "tier", pairs["tier"].cast(pa.large_string())).combine_chunks()
    if out:
        write(pairs, out)
    leaked = pairs.filter(pc.invert(pairs["natural"]))
    of_whole = leaked.filter(pc.is_in(leaked["tier"], pa.array(WHOLE, pa.large_string())))
    whole, some, every = (len(table["item"].unique()) for table in (of_whole, leaked, pairs))
    return Overlap(
        texts=texts,
        items=len(told),
        pairs=pairs,
        whole=whole,
        part=some - whole,
        everyday=every - some,
        blind=1 - pc.mean(told["part"]).as_py() if len(told) else 0.0,
    )
