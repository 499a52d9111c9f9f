"""Words as numbers, against Python's own."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.text import normalise
from whence.text.words import UNSPACED, columns, split, words

TEXTS = st.lists(st.text() | st.text(st.sampled_from("abcAB ,.-_é ßİΣσς١漢字カナไทย👍\u0301\u200f\n")), max_size=8)


def fnv(word: str) -> int:
    """The hash of a word, in Python."""
    value, most = 0xCBF29CE484222325, 2**64 - 1
    for byte in word.encode():
        value = (value ^ byte) * 0x100000001B3 & most
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ value >> 33) * factor & most
    return value ^ value >> 33


@settings(deadline=None)
@given(TEXTS)
def test_words_are_those_of_python(texts: list[str]) -> None:
    assert words(pa.array(texts, pa.string())).to_pylist() == [[fnv(w) for w in split(t)] for t in texts]


@given(st.text())
def test_words_are_those_of_normalise_where_spaces_part_them(text: str) -> None:
    spaced = "".join(c for c in text if not any(a <= ord(low) < b for a, b in UNSPACED for low in c.lower()))
    assert split(spaced) == normalise(spaced).split()


@settings(deadline=None)
@given(TEXTS, st.integers(0, 3))
def test_any_arrow_of_strings_will_do(texts: list[str], skipped: int) -> None:
    wanted = words(pa.array(texts, pa.string())).to_pylist()[skipped:]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert words(pa.array(texts, kind)[skipped:]).to_pylist() == wanted
    assert words(pa.array([*texts, None], pa.string())).to_pylist()[-1] == []


def test_letters_of_unspaced_scripts_are_words() -> None:
    assert split("我要退款 please, ไทย 3") == ["我", "要", "退", "款", "please", "ไ", "ท", "ย", "3"]
    assert all(re.fullmatch(r"\w", one) for one in split("、。「」我・ー々"))


def test_columns_are_views() -> None:
    values, offsets = columns(words(pa.array(["a b", "", "c"])))
    assert offsets.tolist() == [0, 2, 2, 3]
    assert values.tolist() == [fnv("a"), fnv("b"), fnv("c")]


def test_every_code_point_is_to_the_kernel_what_it_is_to_python() -> None:
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    _, offsets = columns(words(pa.array(points)))
    wrong = [one for one, count in zip(points, np.diff(offsets), strict=True) if (one.isalnum() or one == "_") != count]
    assert wrong == []
