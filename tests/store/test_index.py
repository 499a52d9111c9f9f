"""What is derived from rows: the same built bit by bit and at once; ids, children, row sets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap64

from whence.records import Damaged, encode
from whence.store.index import KINDS, Index, Read, damaged_files, folders
from whence.store.rows import SCHEMA
from whence.store.sets import PackedSets, group, row_set, to_array

COLUMNS = ("ord", "id", "source", "subject", "licence", "slices", "parents", "record", "generator")


def rows(first: int, drawn: list[tuple[bytes, str, str | None, str | None, list[int]]]) -> pa.Table:
    """A table of `COLUMNS`; records repeat, parents are taken modulo the row's own ordinal: they come before it."""
    ordinals = list(range(first, first + len(drawn)))
    parents = [sorted({p % o for p in d[4]}) if o else [] for o, d in zip(ordinals, drawn, strict=True)]
    columns = [
        ordinals,
        [d[0] + o.to_bytes(2, "big") for o, d in zip(ordinals, drawn, strict=True)],
        [d[1] for d in drawn],
        [d[2] for d in drawn],
        [d[3] for d in drawn],
        [encode({"channel": d[1], "tier": d[2]}).decode() if d[2] else None for d in drawn],
        parents,
        ["" if o % 3 else f"{d[1]}{o % 5}" for o, d in zip(ordinals, drawn, strict=True)],
        [d[2] for d in drawn],
    ]
    types = [SCHEMA.field(name).type for name in COLUMNS]
    return pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], names=list(COLUMNS))


def read(*tables: pa.Table) -> Read:
    return lambda columns: [table.select(columns) for table in tables]


NAME = st.sampled_from(["a", "b", "é", "b c"])
DRAWN = st.lists(
    st.tuples(
        st.sampled_from([b"\x00" * 30, b"\xff" * 30, b"\x00" * 7 + b"\x01" * 23, bytes(range(30))]),
        NAME,
        st.none() | NAME,
        st.none() | NAME,
        st.lists(st.integers(0, 50), max_size=3),
    ),
    max_size=24,
)


def whole(index: Index) -> tuple[object, ...]:
    arrays = (index.prefixes, index.rest, index.ordinals, index.marks, index.marked, index.offsets, index.children)
    return (index.covers, *(a.tolist() for a in arrays), {k: dict(index.sets[k].items()) for k in KINDS})


@settings(max_examples=25, deadline=None)
@given(DRAWN, st.lists(st.integers(0, 24), max_size=4))
def test_extended_bit_by_bit_is_built_at_once(drawn: list, cuts: list[int]) -> None:
    at_once = Index.empty().extended(read(rows(0, drawn)), len(drawn))
    bounds = [0, *sorted(min(c, len(drawn)) for c in cuts), len(drawn)]
    grown = Index.empty()
    for low, high in pairwise(bounds):
        grown = grown.extended(read(rows(low, drawn[low:high])), high)
    assert whole(grown) == whole(at_once)


@settings(max_examples=25, deadline=None)
@given(DRAWN)
def test_the_index_says_what_the_rows_say(drawn: list) -> None:
    table = rows(0, drawn)
    index = Index.empty().extended(read(table.slice(0, 5), table.slice(5)), len(drawn))
    ids, parents = table["id"].to_pylist(), table["parents"].to_pylist()
    wanted = [*ids, b"\x07" * 32, bytes(30) + b"\xff\xff"]
    found = index.find(np.frombuffer(b"".join(wanted), np.uint8).reshape(-1, 32))
    assert found.tolist() == [*range(len(drawn)), -1, -1]
    for ordinal, name in enumerate(ids):
        assert index.find_prefix(name.hex()) == [ordinal]
        for digits in (6, 15, 16, 17, 40):
            expected = [o for o, other in enumerate(ids) if other.hex().startswith(name.hex()[:digits])]
            assert index.find_prefix(name.hex()[:digits]) == expected
    for start in range(len(drawn)):
        reached: set[int] = set()
        frontier = {start}
        while frontier:
            frontier = {o for o, p in enumerate(parents) if set(p) & frontier} - reached
            reached |= frontier
        assert set(index.descendants(row_set([start]))) == reached
    for kind in ("source", "subject", "licence"):
        column = table[kind].to_pylist()
        assert set(index.sets[kind].names()) == {v for v in column if v is not None}
        for value in [*index.sets[kind].names(), "nobody"]:
            assert set(index.sets[kind].get(value)) == {o for o, v in enumerate(column) if v == value}
    held = {o for o, d in enumerate(drawn) if d[2] and d[1] == "é"}
    assert set(index.sets["slice"].get("channel=é")) == held


@settings(max_examples=15, deadline=None)
@given(DRAWN)
def test_saved_and_loaded_it_is_the_same(tmp_path_factory: pytest.TempPathFactory, drawn: list) -> None:
    folder = tmp_path_factory.mktemp("index")
    index = Index.empty().extended(read(rows(0, drawn)), len(drawn))
    index.save(folder)
    assert list(damaged_files(folder)) == []
    assert whole(Index.load(folder)) == whole(index)
    shutil.rmtree(folder)


def test_the_newest_is_kept_and_loaded(tmp_path: Path) -> None:
    drawn = [(bytes(30), "a", None, None, [])] * 4
    first = Index.empty().extended(read(rows(0, drawn[:2])), 2)
    first.save(tmp_path)
    first.save(tmp_path)
    first.extended(read(rows(2, drawn[2:])), 4).save(tmp_path)
    assert [p.name for p in folders(tmp_path)] == [f"{4:020d}"]
    assert Index.load(tmp_path).covers == 4
    assert Index.load(tmp_path / "none").covers == 0
    (folders(tmp_path)[0] / "ids.arrow").write_bytes(b"")
    with pytest.raises(Damaged, match="derived again"):
        Index.load(tmp_path)


SHELVES = """
import sys
from pathlib import Path
from whence.store.shelf import Shelf
while True:
    Shelf(Path(sys.argv[1]) / "adapters.arrow", ["id"]).write([1], [(str(n),) for n in range(20_000)])
"""


def test_it_is_saved_beside_shelves_that_are_being_written_and_one_that_never_will_be(tmp_path: Path) -> None:
    def grow(index: Index) -> Index:
        more = index.extended(read(rows(index.covers, [(bytes(30), "a", None, None, [])])), index.covers + 1)
        more.save(tmp_path)
        return more

    index = grow(Index.empty())
    with subprocess.Popen([sys.executable, "-c", SHELVES, str(tmp_path)]) as writing:
        try:
            while not (tmp_path / "adapters.arrow").exists():
                time.sleep(0.01)
            for _ in range(100):
                index = grow(index)
        finally:
            writing.kill()
    (tmp_path / ".adapters.arrow-cut").touch()
    (tmp_path / ".0a.part").mkdir()
    grow(index)
    assert list(tmp_path.glob(".*")) == []
    assert Index.load(tmp_path).covers == 102


def test_rows_made_from_each_other_are_walked_once() -> None:
    drawn = [(bytes(30), "a", None, None, []) for _ in range(4)]
    table = rows(0, drawn)
    ring = pa.array([[2], [0], [1], []], pa.list_(pa.uint64()))
    index = Index.empty().extended(read(table.set_column(table.column_names.index("parents"), "parents", ring)), 4)
    assert set(index.descendants(row_set([0]))) == {0, 1, 2}
    assert index.descendants(row_set([])) == row_set([])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.sets(st.integers(0, 2**40), min_size=1), max_size=4), max_size=4)
)
def test_packed_sets_merged_bit_by_bit_are_the_union(parts: list[dict[str, set[int]]]) -> None:
    expected: dict[str, set[int]] = {}
    packed = PackedSets.empty()
    for part in parts:
        packed = packed.merged({name: row_set(held) for name, held in part.items()})
        for name, held in part.items():
            expected[name] = expected.get(name, set()) | held
    assert packed.names() == sorted(expected)
    assert {name: set(held) for name, held in packed.items()} == expected
    for name in [*expected, "\U0010ffff", ""]:
        assert set(packed.get(name)) == expected.get(name, set())


def test_grouping_leaves_nulls_out() -> None:
    found = group(pa.chunked_array([["b", None], ["a", "b"]], pa.string()), np.array([5, 6, 7, 8], np.uint64))
    assert found == {"b": BitMap64([5, 8]), "a": BitMap64([7])}
    assert group(pa.chunked_array([pa.array([], pa.string())]), np.array([], np.uint64)) == {}
    assert to_array(row_set([3, 1, 2**33])).tolist() == [1, 3, 2**33]


def test_what_an_older_version_saved_is_derived_again(tmp_path: Path) -> None:
    drawn = [(bytes(30), "a", None, None, [])] * 4
    index = Index.empty().extended(read(rows(0, drawn)), 4)
    index.save(tmp_path)
    saved = folders(tmp_path)[0]
    manifest = json.loads((saved / "manifest.json").read_text())
    del manifest["records.arrow"]
    (saved / "records.arrow").unlink()
    (saved / "manifest.json").write_text(json.dumps(manifest))
    assert folders(tmp_path) == damaged_files(tmp_path) == []
    assert Index.load(tmp_path).covers == 0
    index.save(tmp_path)
    assert whole(Index.load(tmp_path)) == whole(index)
    assert [p.name for p in tmp_path.iterdir()] == [saved.name]
