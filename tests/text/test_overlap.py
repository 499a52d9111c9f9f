"""Overlap with evaluation texts: each kernel against plain Python, planted leaks of every kind, and bad input."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.text import covers as kernels
from whence.text.covers import Covers, spelt_in, worth
from whence.text.covers import spelt as spelt_words
from whence.text.grams import Probe, boilerplate, sizes, strip
from whence.text.overlap import TIERS, Bounds, leaks, look
from whence.text.planted import KINDS, plant
from whence.text.vocabulary import UNSEEN, Vocabulary, information
from whence.text.words import columns, split, words

TEXT = st.lists(st.sampled_from(["a", "b", "card", "crad", "transfer", "transfre", "我", "要"]), max_size=14).map(
    " ".join
)
TEXTS = st.lists(TEXT, max_size=6)


def texts(some: list[str]) -> pa.Array:
    return pa.array(some, pa.string())


def runs(text: str, n: int) -> list[tuple[str, ...]]:
    found = split(text)
    return [tuple(found[at : at + n]) for at in range(len(found) - n + 1)]


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 4))
def test_shared_runs_are_those_of_python(rows: list[str], items: list[str], n: int) -> None:
    expected = []
    for row, text in enumerate(rows):
        for item, own in enumerate(items):
            begins = [at for at, run in enumerate(runs(own, n)) if run in set(runs(text, n))]
            covered = {at + more for at in begins for more in range(n)}
            if begins:
                expected.append((row, item, len(begins), len(covered) / len(split(own))))
    found = Probe(texts(items), n).probe(texts(rows))
    assert [tuple(pair.values())[:4] for pair in found.to_pylist()] == expected


@settings(deadline=None)
@given(TEXTS, st.integers(1, 3), st.sampled_from([0.05, 0.4, 0.8]))
def test_boilerplate_is_that_of_python(rows: list[str], n: int, share: float) -> None:
    counts = Counter(run for text in rows for run in set(runs(text, n)))
    common = {run for run, count in counts.items() if count > max(1, share * len(rows))}
    stripped = strip(texts(rows), boilerplate(texts(rows), n, share), n)
    for text, left in zip(rows, stripped.to_pylist(), strict=True):
        gone = {at + more for at, run in enumerate(runs(text, n)) if run in common for more in range(n)}
        assert [not value for value in left] == [at in gone for at in range(len(split(text)))]
    assert sizes(stripped).tolist() == [sum(map(bool, left)) for left in stripped.to_pylist()]


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_words_are_numbered_and_weighed(some: list[str], rows: list[str]) -> None:
    known = Vocabulary(words(texts(some)))
    ids, offsets = known.ids(words(texts(rows)))
    own = {word for text in some for word in split(text)}
    assert (ids >= 0).tolist() == [word in own for text in rows for word in split(text)]
    assert len(known.words) == len(own)
    bits = information(known.seen(words(texts(rows)), np.ones(len(rows), np.int64)), len(rows))
    share = {word: (1 + sum(word in split(text) for text in rows)) / (len(rows) + UNSEEN) for word in own}
    assert np.sort(bits) == pytest.approx(sorted(-math.log2(one) for one in share.values()))
    expected = [sum(-math.log2(share[word]) for word in set(split(text)) & own) for text in rows]
    assert worth(ids, offsets, bits).tolist() == pytest.approx(expected)


def alike(a: str, b: str) -> bool:
    """Optimal string alignment, cell by cell."""
    if a == b:
        return True
    if any(c in "0123456789" for c in a + b):
        return False
    cost = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            ways = [cost[i - 1, j] + 1, cost[i, j - 1] + 1, cost[i - 1, j - 1] + (a[i - 1] != b[j - 1])]
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                ways.append(cost[i - 2, j - 2] + 1)
            cost[i, j] = min(ways)
    shorter = min(len(a), len(b))
    return cost[len(a), len(b)] <= (0 if shorter < 4 else 1 if shorter < 8 else 2)


WORD = st.text("abé1", max_size=9)


@settings(deadline=None, max_examples=300)
@given(WORD, WORD, st.integers(0, 8))
def test_misspellings_are_those_of_python(a: str, b: str, at: int) -> None:
    for one, other in ((a, b), (a, a[:at] + b[:1] + a[at + 1 :]), (a, a[:at] + a[at : at + 2][::-1] + a[at + 2 :])):
        points, ends = spelt_words([one, other])
        same = kernels._alike(points, ends[0], ends[1], points, ends[1], ends[2])
        assert same == alike(one, other), (one, other)


def longest(row: list[str], item: list[str], same) -> int:
    """The longest common subsequence, cell by cell."""
    best = [0] * (len(item) + 1)
    for word in row:
        last = best[:]
        for at, own in enumerate(item):
            best[at + 1] = max(last[at + 1], best[at], last[at] + 1 if same(word, own) else 0)
    return best[-1]


def pieces(row: list[str], length: int) -> list[tuple[int, int]]:
    last = max(length, len(row) - length)
    return [(at, min(at + 2 * length, len(row))) for at in range(0, last, length)]


@settings(deadline=None)
@given(TEXTS, TEXTS, st.sampled_from([0.3, 0.6, 0.9]), st.sampled_from([1, 9]))
def test_covers_are_those_of_python(rows: list[str], items: list[str], least: float, times: int) -> None:
    rows, items = [" ".join([text] * times) for text in rows], [" ".join([text] * (times // 2 + 1)) for text in items]
    known = Vocabulary(words(texts(items)))
    weights = information(known.seen(words(texts(rows)), np.ones(len(rows), np.int64)), len(rows))
    ids, offsets = known.ids(words(texts(rows)))
    own, _ = columns(words(texts(items)))
    bits = dict(
        zip((w for text in items for w in split(text)), weights[known.ids(words(texts(items)))[0]], strict=True)
    )
    made = Covers(*known.ids(words(texts(items))), weights, least)
    found = made.candidates(ids, offsets)
    expected = {}
    for item, text in enumerate(items):
        mine = split(text)
        length = max(16, 1 << (len(mine) - 1).bit_length()) if mine else 0
        for row, other in enumerate(rows if mine else []):
            theirs = split(other)
            shared = [sum(bits[w] for w in set(mine) & set(theirs[a:b])) for a, b in pieces(theirs, length)]
            if shared and max(shared) >= least * sum(bits[w] for w in set(mine)) - 1e-6:
                expected[row, item] = max(shared)
    pairs = {(one["row"], one["item"]): one["bits"] for one in found.to_pylist()}
    assert pairs == pytest.approx(expected)
    order = [word for text in items for word in split(text)]
    names = [next(w for w, value in zip(order, own, strict=True) if value == word) for word in known.words]
    lengths, tight = made.misspelt(ids, found, spelt_in(rows), spelt_words(names))
    every = [word for text in rows for word in split(text)]
    for one, exact, near, best in zip(found.to_pylist(), made.in_order(ids, found), lengths, tight, strict=True):
        mine, piece = split(items[one["item"]]), every[one["start"] : one["end"]]
        assert exact == longest(piece, mine, lambda a, b: a == b)
        assert near == longest(piece, mine, lambda a, b, mine=mine: a == b if a in mine else alike(a, b))
        assert best <= sum(bits[w] for w in set(mine)) + 1e-6


def made(seed: int, count: int, length: int) -> list[str]:
    """Texts in words of a made vocabulary, the frequent ones first."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices("aeioubcdfglmnprst", k=draw.randint(3, 9))) for _ in range(3000)]
    weights = [1 / (rank + 2) for rank in range(3000)]
    draw = random.Random(count * length + seed)
    return [" ".join(draw.choices(vocabulary, weights, k=length)).capitalize() + "." for _ in range(count)]


ROWS = made(1, 1500, 30)
ITEMS = made(1, 120, 24)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_is_found_and_what_is_not_is_not(kind: str) -> None:
    rows = ROWS + plant(ITEMS[:60], kind, ROWS)
    found = leaks(texts(rows), texts(ITEMS)).to_pylist()
    leaked = {one["item"] for one in found if not one["natural"] and one["row"] - len(ROWS) == one["item"]}
    assert len(leaked) >= 57 + 3 * (kind in ("verbatim", "recased"))
    assert not [one for one in found if not one["natural"] and one["row"] - len(ROWS) != one["item"]]
    assert all(0 < one["coverage"] <= 1 and one["tier"] in TIERS for one in found)


def test_everyday_turns_are_told_apart() -> None:
    turns = ["yes", "can you help me", "Thank you!", f"can you help me {ROWS[3]}"] * 100
    rows = [*ROWS, *turns, ITEMS[0].upper()]
    table, told = look(texts(rows), texts(["Yes.", "thank you", "can you help me?", ITEMS[0], ""]))
    found = table.to_pylist()
    assert [(one["item"], one["tier"]) for one in found if not one["natural"]] == [(3, "normalised")]
    assert [one["said"] for one in found if one["item"] == 0] == [100], "one row stands for all where it is natural"
    assert told["part"].to_pylist() == [False, False, False, True, False]


def test_boilerplate_alone_is_no_overlap() -> None:
    opening = "I understand that you have a question and I am here to help you with all of it today"
    rows = [f"{opening} {text}" for text in ROWS[:300]]
    items = [f"{opening} {text}" for text in ITEMS[:5]]
    assert leaks(texts(rows), texts(items)).num_rows == 0
    assert leaks(texts(rows), texts(items), Bounds(boilerplate=1.0)).num_rows == 1500
    assert [one["tier"] for one in leaks(texts([*rows, items[3]]), texts(items)).to_pylist()] == ["exact"]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [""],
        ["a"],
        [None, "a"],
        ["👍 \u0000\u0007", "‏שלום עולם", "我要退款" * 9],
        ["one and the same row of some words"] * 99,
    ],
)
@pytest.mark.parametrize(
    "items", [[], ["", "a"], ["one and the same row of some words", "我要退款" * 9, "👍", "‏שלום עולם"]]
)
def test_strange_texts_are_no_trouble(rows: list[str], items: list[str]) -> None:
    found = leaks(texts(rows), texts(items)).to_pylist()
    for one in found:
        assert split(rows[one["row"]]) == split(items[one["item"]])
    same = [
        (r, i)
        for r, row in enumerate(rows)
        for i, item in enumerate(items)
        if split(item) and split(row or "") == split(item)
    ]
    assert [(one["row"], one["item"]) for one in found] == same


def test_a_leak_a_hundred_times_over_is_a_leak() -> None:
    found = leaks(texts([ITEMS[0]] * 100), texts(ITEMS[:3])).to_pylist()
    assert {(one["item"], one["tier"], one["natural"]) for one in found} == {(0, "exact", False)}
    assert len(found) == 100


def test_a_row_of_a_megabyte_covers_no_item_by_chance() -> None:
    long = " ".join(made(1, 9, 18_000))
    assert len(long) > 1 << 20
    found = leaks(texts([*ROWS, f"{long} {ITEMS[7]} {long}"]), texts(ITEMS)).to_pylist()
    assert [(one["row"], one["item"], one["tier"]) for one in found if not one["natural"]] == [
        (len(ROWS), 7, "ngram13")
    ]
    assert leaks(texts([long, "a"]), texts([long])).to_pylist()[0]["tier"] == "exact"


def test_rows_may_be_many_parts() -> None:
    rows = ROWS + plant(ITEMS, "reworded", ROWS)
    cut = pa.chunked_array([texts(rows[:7]), texts([]), texts(rows[7:1600])[0:], texts(["x", *rows[1600:]])[1:]])
    assert leaks(cut, texts(ITEMS)).equals(leaks(texts(rows), texts(ITEMS)))
