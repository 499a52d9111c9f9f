"""Row sets: roaring bitmaps over ordinals, many to a file, memory-mapped.

A packed file is an Arrow file of two columns, sorted by name: ``name`` (string) and ``set`` (portable roaring 64).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyroaring import BitMap64

RowSet = BitMap64


def row_set(ordinals: Iterable[int] | npt.NDArray[np.uint64]) -> BitMap64:
    """A row set of these ordinals."""
    if isinstance(ordinals, np.ndarray):
        return BitMap64(array("Q", np.ascontiguousarray(ordinals, np.uint64).tobytes()))  # four times as fast
    return BitMap64(ordinals)


def to_array(rows: BitMap64) -> npt.NDArray[np.uint64]:
    """Sorted ordinals, uint64."""
    return np.frombuffer(rows.to_array(), np.uint64)


class PackedSets:
    """Named row sets, read from a packed file or made in memory."""

    def __init__(self, names: pa.Array, sets: pa.Array) -> None:
        self._names, self._sets = names, sets

    @classmethod
    def empty(cls) -> PackedSets:
        """No sets."""
        return cls(pa.array([], pa.large_string()), pa.array([], pa.large_binary()))

    @classmethod
    def load(cls, path: Path) -> PackedSets:
        """Memory-map a packed file."""
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
        if not table.num_rows:
            return cls.empty()
        return cls(table["name"].chunk(0), table["set"].chunk(0))

    def save(self, path: Path) -> None:
        """Write a packed file."""
        table = pa.table({"name": self._names, "set": self._sets})
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def of(cls, sets: Mapping[str, BitMap64]) -> PackedSets:
        """These sets."""
        return cls.empty().merged(sets)

    @classmethod
    def of_bytes(cls, data: bytes) -> PackedSets:
        """The sets of `to_bytes`."""
        table = pa.ipc.open_file(pa.py_buffer(data)).read_all().combine_chunks()
        return cls(table["name"].chunk(0), table["set"].chunk(0)) if table.num_rows else cls.empty()

    def to_bytes(self) -> bytes:
        """A packed file in memory."""
        table, sink = pa.table({"name": self._names, "set": self._sets}), pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue().to_pybytes())

    def get(self, name: str) -> BitMap64:
        """The set of this name; empty where there is none."""
        low, high = 0, len(self._names)
        while low < high:
            middle = (low + high) // 2
            if self._names[middle].as_py() < name:
                low = middle + 1
            else:
                high = middle
        if low < len(self._names) and self._names[low].as_py() == name:
            return BitMap64.deserialize(self._sets[low].as_py())
        return BitMap64()

    def union(self, names: Iterable[str]) -> BitMap64:
        """The rows of any of these names; names that there are not are passed over."""
        wanted = list(dict.fromkeys(names))
        if len(wanted) * 50 < len(self._names) or len(wanted) < 16:
            return BitMap64().union(*map(self.get, wanted)) if wanted else BitMap64()
        at = pc.index_in(pa.array(wanted, self._names.type), self._names).drop_null()
        return BitMap64().union(*map(BitMap64.deserialize, self._sets.take(at).to_pylist())) if len(at) else BitMap64()

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._names)

    def names(self) -> list[str]:
        """All names, sorted."""
        return list(self._names.to_pylist())

    def __eq__(self, other: object) -> bool:
        """Whether the same names stand for the same rows, however they are written."""
        if not isinstance(other, PackedSets) or not self._names.equals(other._names):
            return False
        pairs = zip(self._sets.to_pylist(), other._sets.to_pylist(), strict=True)
        return all(a == b or BitMap64.deserialize(a) == BitMap64.deserialize(b) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> Iterator[tuple[str, BitMap64]]:
        """(name, set) in order of name."""
        for name, data in zip(self._names, self._sets, strict=True):
            yield name.as_py(), BitMap64.deserialize(data.as_py())

    def merged(self, more: Mapping[str, BitMap64]) -> PackedSets:
        """These sets with `more` added; sets that did not change are not decoded."""
        if not more:
            return self
        old = dict(zip(self._names.to_pylist(), self._sets.to_pylist(), strict=True))
        names = sorted(old.keys() | more.keys())
        blobs = []
        for name in names:
            if name not in more:
                blobs.append(old[name])
            elif name in old:
                blobs.append((BitMap64.deserialize(old[name]) | more[name]).serialize())
            else:
                blobs.append(more[name].serialize())
        return PackedSets(pa.array(names, pa.large_string()), pa.array(blobs, pa.large_binary()))


def group(names: pa.ChunkedArray, ordinals: npt.NDArray[np.uint64]) -> dict[str, BitMap64]:
    """name → set of the ordinals that carry it; null names belong to none."""
    if not len(ordinals):
        return {}
    encoded = names if pa.types.is_dictionary(names.type) else pc.dictionary_encode(names)
    coded = encoded.unify_dictionaries().combine_chunks()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    labels = coded.dictionary.to_pylist()
    return {
        labels[code]: row_set(ordinals[order[start:end]])
        for code, start, end in zip(found, starts, ends, strict=True)
        if code >= 0
    }
