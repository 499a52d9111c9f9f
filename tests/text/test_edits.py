"""Edit distances against the whole table in Python."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.text.edits import distance

LETTERS = st.sampled_from("abcé漢👍")
SIDES = st.lists(st.tuples(st.text(LETTERS, max_size=9) | st.text(), st.text(LETTERS, max_size=9)), max_size=6)


def edits(a: str, b: str, swaps: bool) -> int:
    """`distance` of two texts, without a limit."""
    table = [list(range(len(b) + 1))]
    for i in range(1, len(a) + 1):
        table.append([i])
        for j in range(1, len(b) + 1):
            own = [table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a[i - 1] != b[j - 1])]
            if swaps and i > 1 and j > 1 and a[i - 2 : i] == b[j - 1] + b[j - 2]:
                own.append(table[i - 2][j - 2] + 1)
            table[i].append(min(own))
    return table[-1][-1]


@settings(deadline=None)
@given(SIDES, st.integers(0, 12), st.booleans())
def test_distances_are_those_of_python(pairs: list[tuple[str, str]], most: int, swaps: bool) -> None:
    left, right = ([pair[side] for pair in pairs] for side in (0, 1))
    found = distance(pa.array(left, pa.string()), pa.array(right, pa.large_string()), most, swaps=swaps)
    assert found.to_pylist() == [min(edits(a, b, swaps), most + 1) for a, b in pairs]


def test_known_distances() -> None:
    left, right = (
        pa.array(["kitten", "abcd", "ca", None, "ß", "same"]),
        pa.array(["sitting", "abdc", "abc", "xy", "ss", "same"]),
    )
    assert distance(left, right, 10).to_pylist() == [3, 2, 3, 2, 2, 0]
    assert distance(left, right, 10, swaps=True).to_pylist() == [3, 1, 3, 2, 2, 0]
    assert distance(left[1:], right[1:], 1).to_pylist() == [2, 2, 2, 2, 0]


def test_long_texts_need_no_table() -> None:
    long = "x" * 1_000_000
    assert distance(pa.array([long + "ab" + long]), pa.array([long + "c" + long]), 3).to_pylist() == [2]
    assert distance(pa.array([long]), pa.array(["y" * 1_000_000]), 3).to_pylist() == [4]


def test_sides_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="both sides"):
        distance(pa.array(["a"]), pa.array(["a", "b"]), 1)
    with pytest.raises(ValueError, match="at least 0"):
        distance(pa.array(["a"]), pa.array(["a"]), -1)
