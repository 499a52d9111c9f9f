"""Arrow columns as arrays, and sorted arrays: merging them, taking ranges of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]


def places(old: U64, new: U64) -> I64:
    """Where each of `new` stands when both are merged, behind those of `old` that are equal; both sorted."""
    out: I64 = np.searchsorted(old, new, side="right") + np.arange(len(new))
    return out


def woven(old: npt.NDArray[Any], new: npt.NDArray[Any], at: I64) -> npt.NDArray[Any]:
    """`old` in order, with `new` at these `places`; shape (len(old) + len(new), …)."""
    if not len(old):
        return new
    out = np.empty((len(old) + len(new), *old.shape[1:]), old.dtype)
    kept = np.ones(len(out), bool)
    kept[at] = False
    out[kept], out[at] = old, new
    return out


def ranges(starts: I64, counts: I64) -> I64:
    """The numbers starts[i] … starts[i] + counts[i] − 1 of every i, end to end."""
    ends = np.cumsum(counts)
    out: I64 = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return out


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def ids_array(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Row ids as bytes; shape (n, 32)."""
    return fixed(column, 32)


def fixed(column: pa.ChunkedArray, width: int) -> npt.NDArray[np.uint8]:
    """A fixed-size binary column without nulls as bytes; shape (n, width)."""
    array = whole(column)
    if not len(array):
        return np.zeros((0, width), np.uint8)
    data = np.frombuffer(array.buffers()[1], np.uint8)
    return data[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)


def prefix(ids: npt.NDArray[np.uint8]) -> U64:
    """The first 8 bytes of ids of shape (n, 32) as big-endian numbers; shape (n,)."""
    return np.ascontiguousarray(ids[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def sorted_ids(ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Ids of shape (n, 32) in order of their bytes."""
    first = prefix(ids)
    order = np.argsort(first)
    if (np.diff(first[order]) == 0).any():
        order = np.lexsort(ids.view(">u8").T[::-1])
    return ids[order]
