"""What is derived from the row file so that questions need not read it: the sorted id → ordinal index, the same for
the names that rows have in their source, the children of every row as one CSR array, and the row sets of sources,
subjects, licences and slices.

All of it covers the ordinals below ``covers``; it lies in a folder named by that number and can be deleted at any time.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3
from pyroaring import BitMap64

from whence.records import Damaged
from whence.store.columns import U64, fixed, ids_array, places, prefix, ranges, whole, woven
from whence.store.marks import marks
from whence.store.sets import PackedSets, group, row_set, to_array

KINDS = ("source", "subject", "licence", "slice", "generator")
FILES = frozenset({"ids.arrow", "records.arrow", "children.arrow", *(f"{kind}.arrow" for kind in KINDS)})
"""What a saved index consists of, besides its manifest."""

Read = Callable[[list[str]], Iterable[pa.Table]]
"""``read(columns)`` → those columns of the rows that are added, ``ord`` among them, in order of ordinal, in parts."""


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
    marks: U64
    """of (source, record), see `marks`, sorted; shape (n,)"""
    marked: U64
    """the ordinals of `marks`; shape (n,)"""
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
        return cls(0, none, np.zeros((0, 24), np.uint8), none, none, none, np.zeros(1, np.int64), none, sets)

    def extended(self, read: Read, covers: int) -> Index:
        """This index with the rows that `read` reads: the ordinals from `self.covers` up to `covers`."""
        sets = {kind: self.sets[kind].merged(_named(kind, read)) for kind in KINDS}
        return Index(covers, *self._with_ids(read, covers), *self._with_marks(read), *self._with_children(read), sets)

    def _with_ids(self, read: Read, covers: int) -> tuple[U64, npt.NDArray[np.uint8], U64]:
        ids, first = np.empty((covers - self.covers, 32), np.uint8), 0
        ordinals = np.empty(len(ids), np.uint64)
        for part in read(["ord", "id"]):
            end = first + len(part)
            ids[first:end], ordinals[first:end] = ids_array(part["id"]), part["ord"].to_numpy()
            first = end
        new = prefix(ids)
        order = np.argsort(new, kind="stable")
        at = places(self.prefixes, new[order])
        return (
            woven(self.prefixes, new[order], at),
            woven(self.rest, ids[order, 8:], at),
            woven(self.ordinals, ordinals[order], at),
        )

    def _with_marks(self, read: Read) -> tuple[U64, U64]:
        parts = [(marks(p["source"], p["record"]), p["ord"].to_numpy()) for p in read(["ord", "source", "record"])]
        new = np.concatenate([np.zeros(0, np.uint64), *(mark for mark, _ in parts)])
        ordinals = np.concatenate([np.zeros(0, np.uint64), *(ordinal for _, ordinal in parts)])
        order = np.argsort(new, kind="stable")
        at = places(self.marks, new[order])
        return woven(self.marks, new[order], at), woven(self.marked, ordinals[order], at)

    def _with_children(self, read: Read) -> tuple[npt.NDArray[np.int64], U64]:
        parts, covers = [(np.zeros(0, np.uint64), np.zeros(0, np.uint64))], self.covers
        for part in read(["ord", "parents"]):
            lists, ordinals = whole(part["parents"]), part["ord"].to_numpy()
            counts = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
            parts.append((lists.flatten().to_numpy(zero_copy_only=False), np.repeat(ordinals, counts)))
            covers += len(part)
        parents, kids = (np.concatenate(side) for side in zip(*parts, strict=True))
        order = np.lexsort((kids, parents))
        before = np.repeat(np.arange(self.covers, dtype=np.uint64), np.diff(self.offsets))
        at = places(before, parents[order])  # new rows come behind the children that were there
        offsets = np.zeros(covers + 1, np.int64)
        offsets[1 : self.covers + 1] = np.diff(self.offsets)
        offsets[1:] += np.bincount(parents.astype(np.int64), minlength=covers)
        return np.cumsum(offsets), woven(self.children, kids[order], at)

    def find(self, ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Ordinals of ids of shape (n, 32); −1 where there is none."""
        out = np.full(len(ids), -1, np.int64)
        if not len(self.prefixes) or not len(ids):
            return out
        wanted, last = prefix(ids), len(self.prefixes) - 1
        theirs, held = np.ascontiguousarray(ids[:, 8:]).view(np.uint64), self.rest.view(np.uint64)
        asked = np.argsort(wanted)  # in their order the index is read from front to back
        at = np.searchsorted(self.prefixes, wanted[asked])
        while len(asked):
            near = (at <= last) & (self.prefixes[np.minimum(at, last)] == wanted[asked])
            asked, at = asked[near], at[near]
            same = (held[at] == theirs[asked]).all(1)
            out[asked[same]] = self.ordinals[at[same]]
            asked, at = asked[~same], at[~same] + 1
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
            frontier = row_set(self.children_of(to_array(frontier))[0]) - found
            found |= frontier
        return found

    def children_of(self, ordinals: U64) -> tuple[U64, npt.NDArray[np.int64]]:
        """(the rows that were made from each of these, one after the other; how many from each)."""
        at = ordinals.astype(np.int64)
        counts = self.offsets[at + 1] - self.offsets[at]
        return self.children[ranges(self.offsets[at], counts)], counts

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write as ``folder/COVERS`` with a manifest of digests; older ones are removed."""
        final = folder / f"{self.covers:020d}"
        if final in folders(folder):
            return
        for unfinished in folder.glob(".*"):  # folders a killed writer left; files of shelves, which are made again
            shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink(missing_ok=True)
        partial = folder / f".{secrets.token_hex(4)}.part"
        partial.mkdir(parents=True)
        rest = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(24), len(self.rest), [None, pa.py_buffer(np.ascontiguousarray(self.rest))]
        )
        _save(partial / "ids.arrow", pa.table({"prefix": self.prefixes, "rest": rest, "ord": self.ordinals}))
        _save(partial / "records.arrow", pa.table({"mark": self.marks, "ord": self.marked}))
        lists = pa.LargeListArray.from_arrays(pa.array(self.offsets), pa.array(self.children))
        _save(partial / "children.arrow", pa.table({"children": lists}))
        for kind in KINDS:
            self.sets[kind].save(partial / f"{kind}.arrow")
        manifest = {p.name: _digest(p) for p in sorted(partial.glob("*.arrow"))}
        (partial / "manifest.json").write_text(json.dumps(manifest))
        others = list(folder.glob("[0-9]*"))
        if final in others:
            os.rename(final, partial.with_suffix(".old"))
        os.rename(partial, final)
        for old in [*others, partial.with_suffix(".old")]:
            if old != final:
                shutil.rmtree(old, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path) -> Index:
        """The newest saved index, memory-mapped; an empty one where there is none."""
        while found := folders(folder):
            try:
                return cls._read(found[-1])
            except (OSError, ValueError, KeyError, pa.ArrowException) as error:
                if folders(folder)[-1:] != found[-1:]:
                    continue  # a writer saved a newer one meanwhile and removed this one
                do = f"delete {found[-1]}: it is derived again"
                raise Damaged(f"the index {found[-1]} cannot be read: {str(error)[:200]}\n  do: {do}") from error
        return cls.empty()

    @classmethod
    def _read(cls, newest: Path) -> Index:
        ids = pa.ipc.open_file(pa.memory_map(str(newest / "ids.arrow"))).read_all().combine_chunks()
        records = pa.ipc.open_file(pa.memory_map(str(newest / "records.arrow"))).read_all().combine_chunks()
        kids = pa.ipc.open_file(pa.memory_map(str(newest / "children.arrow"))).read_all()["children"].combine_chunks()
        return cls(
            int(newest.name),
            ids["prefix"].to_numpy(),
            fixed(ids["rest"], 24),
            ids["ord"].to_numpy(),
            records["mark"].to_numpy(),
            records["ord"].to_numpy(),
            kids.offsets.to_numpy(),
            kids.values.to_numpy(),
            {kind: PackedSets.load(newest / f"{kind}.arrow") for kind in KINDS},
        )


def folders(folder: Path) -> list[Path]:
    """Saved indexes, oldest first; what an older version of whence saved is none."""
    return sorted(p for p in folder.glob("[0-9]*") if p.is_dir() and not _older(p))


def _older(saved: Path) -> bool:
    """Whether a manifest names other files."""
    try:
        return not set(json.loads((saved / "manifest.json").read_text())) >= FILES
    except (OSError, ValueError):
        return False


def damaged_files(folder: Path) -> list[Path]:
    """Files of the newest saved index that do not match its manifest."""
    while found := folders(folder):
        bad = list(_differing(found[-1]))
        if not bad or folders(folder)[-1:] == found[-1:]:
            return bad
    return []


def _differing(saved: Path) -> Iterable[Path]:
    try:
        manifest = json.loads((saved / "manifest.json").read_text())
    except (OSError, ValueError):
        manifest = {}
    if set(manifest) != FILES:
        yield saved / "manifest.json"
    for name, expected in manifest.items():
        try:
            same = _digest(saved / name) == expected
        except FileNotFoundError:
            same = False
        if not same:
            yield saved / name


def _digest(path: Path) -> str:
    return blake3().update_mmap(path).hexdigest()


def _save(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _named(kind: str, read: Read) -> dict[str, BitMap64]:
    """name → rows of one kind of set."""
    column = "slices" if kind == "slice" else kind
    parts = [(pc.dictionary_encode(whole(p[column])), p["ord"].to_numpy()) for p in read(["ord", column])]
    if not parts:
        return {}
    found = group(pa.chunked_array([names for names, _ in parts]), np.concatenate([ordinals for _, ordinals in parts]))
    return _slices(found) if kind == "slice" else found


def _slices(by_json: dict[str, BitMap64]) -> dict[str, BitMap64]:
    """``{"channel": "chat"}`` as text → rows becomes ``channel=chat`` → rows."""
    out: dict[str, BitMap64] = {}
    for text, rows in by_json.items():
        for field, value in json.loads(text).items():
            name = f"{field}={value}"
            out[name] = out[name] | rows if name in out else rows
    return out
