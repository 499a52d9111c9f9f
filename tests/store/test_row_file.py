"""Rows by ordinal wherever they lie, and by the name that their source gave them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.records import Snapshot, ids_root, merkle_root
from whence.store import Store, row_set, verify
from whence.store.columns import ids_array, ranges, sorted_ids
from whence.store.marks import Runs, marks

ROWS = 12


@pytest.fixture
def filled(store: Store, take: Callable) -> Store:
    """Twelve rows of one source."""
    take([{"id": f"r{n}", "text": f"row {n}"} for n in range(ROWS)], id="id")
    return store


def records(store: Store, ordinals: list[int]) -> list[str]:
    return store.rows.at(["record"], np.array(ordinals, np.uint64))["record"].to_pylist()


def test_rows_are_found_where_they_lie_and_where_they_were_moved_to(filled: Store) -> None:
    asked = [[0], [3, 4, 5], [1, 7, 11], list(range(ROWS))]
    expected = [[f"r{o}" for o in ordinals] for ordinals in asked]
    assert [records(filled, ordinals) for ordinals in asked] == expected
    url = str(filled.root / "rows.lance")
    moved = lance.dataset(url).to_table(filter="ord = 4 OR ord = 1")
    lance.dataset(url).delete("ord = 4 OR ord = 1")
    assert [records(filled, ordinals) for ordinals in asked] == [[r for r in e if r not in "r4r1"] for e in expected]
    lance.write_dataset(moved, url, mode="append")
    assert [records(filled, ordinals) for ordinals in asked] == expected
    assert records(filled, [2, ROWS, ROWS + 5]) == ["r2"]
    assert filled.row(4).record == "r4"
    assert verify(Store.open(filled.root)) == []


def test_rows_are_found_by_their_source_s_name(filled: Store, take: Callable) -> None:
    take([{"id": "r3", "text": "row 3, corrected"}, {"id": "x" * 3000, "text": "a long name"}], id="id")
    take([{"id": "r3", "text": "row 3 of another source"}], "other", id="id")
    expected = {"r3": [3, 12], "r5": [5], "x" * 3000: [13]}
    for store in (filled, Store.open(filled.root)):
        assert store.records_at("tickets", ["r3", "r5", "r99", "x" * 3000, "x" * 3001, ""]) == expected
        assert store.records_at("other", ["r3", "r5"]) == {"r3": [14]}
        assert store.records_at("nobody", ["r3"]) == {}
        assert store.find_rows("tickets:r3") == [3, 12]


def test_a_name_written_since_the_index_was_saved_is_found(filled: Store) -> None:
    table = filled.rows.table([f.name for f in lance.dataset(str(filled.root / "rows.lance")).schema], "ord < 2")
    filled.index()
    with filled.writer("test"):
        for part in range(5):
            named = pa.array([f"n{part}", f"m{part}"])
            fresh = table.drop_columns(["ord"]).set_column(2, table.schema.field("record"), named)
            filled.add_rows(fresh, "tickets")
            assert filled.records_at("tickets", [f"n{p}" for p in range(5)] + ["r1"]) == {
                "r1": [1],
                **{f"n{p}": [ROWS + 2 * p] for p in range(part + 1)},
            }


NAMES = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=4)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(NAMES)
def test_a_mark_is_a_name_s_own(names: list[tuple[str, str]]) -> None:
    sources, held = (
        (pa.array(side, pa.string()) for side in zip(*names, strict=True))
        if names
        else (pa.array([], pa.string()),) * 2
    )
    found = marks(pa.chunked_array([sources]), pa.chunked_array([held.slice(0, 3), held.slice(3)]))
    assert len(set(found.tolist())) == len(set(names))
    assert found.tolist() == [int(marks(sources.slice(i, 1), held.slice(i, 1))[0]) for i in range(len(names))]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=40), st.lists(st.integers(0, 40), max_size=6), st.lists(st.integers(0, 12)))
def test_runs_hold_what_was_added(held: list[int], cuts: list[int], asked: list[int]) -> None:
    bounds = [0, *sorted(min(c, len(held)) for c in cuts), len(held)]
    runs = Runs(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    for low, high in pairwise(bounds):
        runs.add(np.array(held[low:high], np.uint64), np.arange(low, high, dtype=np.uint64))
    found = runs.find(np.array(asked, np.uint64))
    assert found.tolist() == [o for o, mark in enumerate(held) if mark in asked]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 5))))
def test_ranges_are_laid_end_to_end(asked: list[tuple[int, int]]) -> None:
    starts, counts = (np.array([a[i] for a in asked], np.int64) for i in (0, 1))
    assert ranges(starts, counts).tolist() == [n for start, count in asked for n in range(start, start + count)]


# -- roots -------------------------------------------------------------------------------------------------------------

IDS = st.lists(st.sampled_from([b"\x00" * 31, b"\x00" * 7 + b"\x01" * 24, b"\xff" * 31]).flatmap(
    lambda start: st.integers(0, 255).map(lambda last: start + bytes([last]))
), unique=True, max_size=30)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(IDS)
def test_ids_are_sorted_by_their_bytes(ids: list[bytes]) -> None:
    given_ = np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 32)
    assert sorted_ids(given_).tobytes() == b"".join(sorted(ids))


def test_a_snapshot_s_root_is_over_its_rows_ids(filled: Store) -> None:
    rows = row_set([7, 2, 5])
    ids = sorted(bytes(i) for i in ids_array(filled.rows.at(["id"], np.array([2, 5, 7], np.uint64))["id"]))
    assert filled.root_of(rows) == ids_root(b"".join(ids))
    assert filled.root_of(row_set([])) == ids_root(b"")
    assert filled.root_of(row_set([7, 2])) != filled.root_of(rows)


def test_a_root_of_the_older_kind_still_verifies(filled: Store) -> None:
    rows, ids = row_set([2, 5]), ids_array(filled.rows.at(["id"], np.array([2, 5], np.uint64))["id"])
    made = Snapshot(name="old", rows=2, root=merkle_root(map(bytes, ids)), set=filled.put_set(rows), steps=())
    filled.put(made)
    assert verify(filled) == []
    filled.put(Snapshot(name="wrong", rows=2, root=merkle_root([b"x"]), set=filled.put_set(rows), steps=()))
    assert ["no longer has its Merkle root" in f.message for f in verify(filled)] == [True]
