"""What is derived from the row file so that questions need not read it: the sorted id → ordinal index, the children
of every row as one CSR array, and the row sets of sources, subjects, licences and slices.

All of it covers the ordinals below ``covers``; it lies in a folder named by that number and can be deleted at any time.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from blake3 import blake3
from pyroaring import BitMap64

from whence.records import Damaged
from whence.store.sets import PackedSets, group, to_array

KINDS = ("source", "subject", "licence", "slice")
COLUMNS = ("ord", "id", "source", "subject", "licence", "slices", "parents")
"""What an index is derived from."""

U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Index:
    """An index over the ordinals 0 … covers − 1."""

    covers: int
    prefixes: U64
    """first 8 bytes of each id, big-endian, sorted; shape (n,)"""
    rest: npt.NDArray[np.uint8]
    """the other 24 bytes; shape (n, 24)"""
    ordinals: U64
    """shape (n,)"""
    offsets: npt.NDArray[np.int64]
    """CSR: children of row i are children[offsets[i]:offsets[i + 1]]; shape (covers + 1,)"""
    children: U64
    """shape (edges,)"""
    sets: dict[str, PackedSets]
    """kind → named sets"""

    @classmethod
    def empty(cls) -> Index:
        """Of a store without rows."""
        none = np.zeros(0, np.uint64)
        sets = {kind: PackedSets.empty() for kind in KINDS}
        return cls(0, none, np.zeros((0, 24), np.uint8), none, np.zeros(1, np.int64), none, sets)

    def extended(self, tail: pa.Table, covers: int) -> Index:
        """This index with the rows of `tail` (columns `COLUMNS`, ordinals from `self.covers` on)."""
        ordinals = tail["ord"].to_numpy().astype(np.uint64, copy=False)
        new = ids_array(tail["id"])
        prefixes = np.concatenate([self.prefixes, prefix(new)])
        order = np.argsort(prefixes, kind="stable")
        offsets, children = self._with_children(tail, ordinals, covers)
        sets = {kind: self.sets[kind].merged(group(tail[kind], ordinals)) for kind in ("source", "subject", "licence")}
        sets["slice"] = self.sets["slice"].merged(_slices(group(tail["slices"], ordinals)))
        return Index(
            covers,
            prefixes[order],
            np.concatenate([self.rest, new[:, 8:]])[order],
            np.concatenate([self.ordinals, ordinals])[order],
            offsets,
            children,
            sets,
        )

    def _with_children(self, tail: pa.Table, ordinals: U64, covers: int) -> tuple[npt.NDArray[np.int64], U64]:
        lists = tail["parents"].combine_chunks()
        counts = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        parents = np.concatenate([self.parents_of_edges(), lists.flatten().to_numpy(zero_copy_only=False)])
        kids = np.concatenate([self.children, np.repeat(ordinals, counts)])
        order = np.lexsort((kids, parents))
        offsets = np.zeros(covers + 1, np.int64)
        np.cumsum(np.bincount(parents.astype(np.int64), minlength=covers), out=offsets[1:])
        return offsets, kids[order].astype(np.uint64)

    def parents_of_edges(self) -> U64:
        """The parent of each entry of `children`; shape (edges,)."""
        return np.repeat(np.arange(self.covers, dtype=np.uint64), np.diff(self.offsets))

    def find(self, ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Ordinals of ids of shape (n, 32); −1 where there is none."""
        out = np.full(len(ids), -1, np.int64)
        if not len(self.prefixes) or not len(ids):
            return out
        wanted = prefix(ids)
        at = np.searchsorted(self.prefixes, wanted)
        for i in np.flatnonzero(self.prefixes[np.minimum(at, len(self.prefixes) - 1)] == wanted):
            k = at[i]
            while k < len(self.prefixes) and self.prefixes[k] == wanted[i]:
                if self.rest[k].tobytes() == ids[i, 8:].tobytes():
                    out[i] = self.ordinals[k]
                    break
                k += 1
        return out

    def find_prefix(self, hexes: str) -> list[int]:
        """Ordinals of the ids that start with these hex digits (at least 6)."""
        low = np.uint64(int(hexes[:16].ljust(16, "0"), 16))
        high = np.uint64(int(hexes[:16].ljust(16, "f"), 16))
        found = range(int(np.searchsorted(self.prefixes, low)), int(np.searchsorted(self.prefixes, high, side="right")))
        return sorted(
            int(self.ordinals[k])
            for k in found
            if (int(self.prefixes[k]).to_bytes(8, "big") + self.rest[k].tobytes()).hex().startswith(hexes)
        )

    def descendants(self, rows: BitMap64) -> BitMap64:
        """Every row made from these, at any depth, themselves left out unless made from each other."""
        found, frontier = BitMap64(), rows
        while frontier:
            parts = [self.children[self.offsets[o] : self.offsets[o + 1]] for o in to_array(frontier).astype(np.int64)]
            frontier = BitMap64(np.concatenate(parts)) - found
            found |= frontier
        return found

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write as ``folder/COVERS`` with a manifest of digests; older ones are removed."""
        final = folder / f"{self.covers:020d}"
        if final.exists():
            return
        partial = folder / f".{secrets.token_hex(4)}.part"
        partial.mkdir(parents=True)
        rest = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(24), len(self.rest), [None, pa.py_buffer(np.ascontiguousarray(self.rest))]
        )
        _save(partial / "ids.arrow", pa.table({"prefix": self.prefixes, "rest": rest, "ord": self.ordinals}))
        lists = pa.LargeListArray.from_arrays(pa.array(self.offsets), pa.array(self.children))
        _save(partial / "children.arrow", pa.table({"children": lists}))
        for kind in KINDS:
            self.sets[kind].save(partial / f"{kind}.arrow")
        manifest = {p.name: blake3(p.read_bytes()).hexdigest() for p in sorted(partial.glob("*.arrow"))}
        (partial / "manifest.json").write_text(json.dumps(manifest))
        os.rename(partial, final)
        for old in folders(folder)[:-1]:
            shutil.rmtree(old, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path) -> Index:
        """The newest saved index, memory-mapped; an empty one where there is none."""
        found = folders(folder)
        if not found:
            return cls.empty()
        try:
            return cls._read(found[-1])
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            do = f"delete {found[-1]}: it is derived again"
            raise Damaged(f"the index {found[-1]} cannot be read: {str(error)[:200]}\n  do: {do}") from error

    @classmethod
    def _read(cls, newest: Path) -> Index:
        ids = pa.ipc.open_file(pa.memory_map(str(newest / "ids.arrow"))).read_all().combine_chunks()
        kids = pa.ipc.open_file(pa.memory_map(str(newest / "children.arrow"))).read_all()["children"].combine_chunks()
        return cls(
            int(newest.name),
            ids["prefix"].to_numpy(),
            fixed(ids["rest"], 24),
            ids["ord"].to_numpy(),
            kids.offsets.to_numpy(),
            kids.values.to_numpy(),
            {kind: PackedSets.load(newest / f"{kind}.arrow") for kind in KINDS},
        )


def folders(folder: Path) -> list[Path]:
    """Saved indexes, oldest first."""
    return sorted(p for p in folder.glob("[0-9]*") if p.is_dir())


def damaged_files(folder: Path) -> Iterable[Path]:
    """Files of the newest saved index that do not match its manifest."""
    for newest in folders(folder)[-1:]:
        try:
            manifest = json.loads((newest / "manifest.json").read_text())
        except (OSError, ValueError):
            manifest = {}
        if set(manifest) != {"ids.arrow", "children.arrow", *(f"{kind}.arrow" for kind in KINDS)}:
            yield newest / "manifest.json"
        for name, expected in manifest.items():
            path = newest / name
            if not path.exists() or blake3(path.read_bytes()).hexdigest() != expected:
                yield path


def ids_array(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Row ids as bytes; shape (n, 32)."""
    return fixed(column, 32)


def fixed(column: pa.ChunkedArray, width: int) -> npt.NDArray[np.uint8]:
    """A fixed-size binary column without nulls as bytes; shape (n, width)."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.binary(width))
    if not len(array):
        return np.zeros((0, width), np.uint8)
    data = np.frombuffer(array.buffers()[1], np.uint8)
    return data[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)


def prefix(ids: npt.NDArray[np.uint8]) -> U64:
    """The first 8 bytes of ids of shape (n, 32) as big-endian numbers; shape (n,)."""
    return np.ascontiguousarray(ids[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def _save(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _slices(by_json: dict[str, BitMap64]) -> dict[str, BitMap64]:
    """``{"channel": "chat"}`` as text → rows becomes ``channel=chat`` → rows."""
    out: dict[str, BitMap64] = {}
    for text, rows in by_json.items():
        for field, value in json.loads(text).items():
            name = f"{field}={value}"
            out[name] = out[name] | rows if name in out else rows
    return out
