"""Near-duplicates: each kernel against plain Python, and what comes of all of them on made and on bad texts."""

from __future__ import annotations

import random
import unicodedata
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.text import coarse, normalise
from whence.text.near import clusters, near_duplicates, paired
from whence.text.sketches import BANDS, ORDERS, SIZE, bands, shingles, signatures
from whence.text.words import words

MOST = 2**64 - 1
TEXTS = st.lists(st.lists(st.sampled_from(list("abcdefg")), max_size=12).map(" ".join), max_size=12)


def mixed(value: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ value >> 33) * factor & MOST
    return value ^ value >> 33


def shingled(hashes: list[int], n: int) -> list[int]:
    """`shingles` of one text."""
    found, width = set(), min(n, len(hashes))
    for at in range(len(hashes) - width + 1 if width else 0):
        value = 0
        for word in hashes[at : at + width]:
            value = (value * 0x9FB21C651E98DF25 + word) & MOST
        found.add(max(1, mixed(value)))
    return sorted(found)


def signed(hashes: list[int]) -> list[int]:
    """`signatures` of one set."""
    own: dict[int, int] = {}
    for value in sorted(hashes, reverse=True):
        own[value >> 57] = value >> 25 & 0xFFFFFFFF
    offers = [(turn, giver) for turn in range(SIZE) for giver in sorted(own)]
    out = dict(own)
    for turn, giver in offers:
        out.setdefault(int(ORDERS[giver, turn]), own[giver])
    return [out.get(place, 0) for place in range(SIZE)]


def banded(signature: list[int]) -> list[int]:
    """`bands` of a set, by its signature."""
    out = []
    for band in range(BANDS):
        value = band
        for one in signature[4 * band : 4 * band + 4]:
            value = mixed(value ^ one)
        out.append(max(1, value >> 33) if any(signature) else 0)
    return out


def sets(texts: list[str], n: int = 3) -> list[frozenset[int]]:
    return [frozenset(shingled(own, n)) for own in words(pa.array(texts, pa.string())).to_pylist()]


def alike(a: frozenset[int], b: frozenset[int]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def joined(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """`clusters`, by the book."""
    own = list(range(n))
    for _ in range(n):
        for a, b in pairs:
            own[a] = own[b] = min(own[a], own[b])
    return own


def edited(base: list[str], share: float, rng: random.Random) -> str:
    return " ".join(rng.choice("uvwxyz") + word if rng.random() < share else word for word in base)


def made(rng: random.Random, count: int, opening: str = "") -> list[str]:
    """Texts of made words, every third an edited copy of the one before."""
    texts: list[str] = []
    while len(texts) < count:
        base = [str(rng.randrange(10_000)) for _ in range(rng.randint(20, 60))]
        texts += [opening + " ".join(base), opening + edited(base, rng.uniform(0, 0.15), rng)]
        texts.append(opening + " ".join(str(rng.randrange(10_000)) for _ in range(30)))
    return texts[:count]


@settings(deadline=None)
@given(TEXTS, st.integers(1, 5))
def test_shingles_are_those_of_python(texts: list[str], n: int) -> None:
    lists = words(pa.array(texts, pa.string()))
    assert shingles(lists, n).to_pylist() == [shingled(own, n) for own in lists.to_pylist()]
    assert shingles(lists[1:], n).to_pylist() == [shingled(own, n) for own in lists.to_pylist()[1:]]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sets(st.integers(0, MOST), max_size=40), max_size=4))
def test_signatures_and_bands_are_those_of_python(found: list[set[int]]) -> None:
    given_sets = pa.array([sorted(one) for one in found], pa.large_list(pa.uint64()))
    assert signatures(given_sets).tolist() == [signed(sorted(one)) for one in found]
    assert bands(given_sets).tolist() == [banded(signed(sorted(one))) for one in found]


@pytest.mark.parametrize("size", [8, 60, 400])
def test_signatures_agree_as_often_as_sets(size: int) -> None:
    rng, agreed, share = random.Random(size), list[float](), 0.6
    shared = round(2 * size * share / (1 + share))
    for _ in range(400):
        pool = [rng.getrandbits(64) for _ in range(2 * size - shared)]
        left, right = sorted(pool[:size]), sorted(pool[size - shared :])
        a, b = signatures(pa.array([left, right], pa.large_list(pa.uint64())))
        agreed.append(float((a == b).mean()))
    wanted = shared / (2 * size - shared)
    assert abs(np.mean(agreed) - wanted) < 0.02
    assert np.std(agreed) < 1.3 * (wanted * (1 - wanted) / SIZE) ** 0.5


@settings(deadline=None)
@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=25))
def test_clusters_are_those_of_python(n: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(a % n, b % n) for a, b in pairs]
    table = pa.table({side: pa.array([p[i] for p in pairs], pa.int64()) for i, side in enumerate(("left", "right"))})
    assert clusters(n, table).to_pylist() == joined(n, pairs)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.1, 0.3, 0.5, 2 / 3, 0.7, 1.0]), st.integers(1, 4))
def test_pairs_are_verified_and_equal_sets_are_a_star(texts: list[str], threshold: float, n: int) -> None:
    found, pairs = sets(texts, n), near_duplicates(pa.array(texts, pa.string()), threshold, n=n)
    rows = list(zip(*(pairs[name].to_pylist() for name in ("left", "right", "jaccard")), strict=True))
    assert rows == sorted(rows)
    assert len({row[:2] for row in rows}) == len(rows)
    for left, right, jaccard in rows:
        assert left < right
        assert jaccard == alike(found[left], found[right]) >= threshold
    for right, own in enumerate(found):
        left = found.index(own)
        assert ((left, right, 1.0) in rows) == (left < right and bool(own))


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.01, 0.1, 0.25, 1 / 3, 0.5, 0.6, 2 / 3, 0.7, 0.75, 1.0]), st.integers(1, 4))
def test_all_that_share_a_band_are_compared_exactly(texts: list[str], threshold: float, n: int) -> None:
    found, keys = sets(texts, n), np.zeros((BANDS, len(texts)), np.uint32)
    keys[np.ix_([3, 7], [row for row, own in enumerate(found) if own])] = 5
    pairs = paired(shingles(words(pa.array(texts, pa.string())), n), keys, threshold)
    wanted = [
        (left, right, alike(found[left], found[right]))
        for left, right in combinations(range(len(texts)), 2)
        if found[left] and found.index(found[left]) == left and found.index(found[right]) in (left, right)
    ]
    assert list(zip(*(pairs[name].to_pylist() for name in ("left", "right", "jaccard")), strict=True)) == [
        one for one in wanted if one[2] >= threshold
    ]


@pytest.mark.parametrize("opening", ["", " ".join(map(str, range(30))) + " "], ids=["plain", "boilerplate"])
def test_all_alike_texts_of_made_data_are_found(opening: str) -> None:
    texts = made(random.Random(7), 400, opening)
    found, pairs = sets(texts), near_duplicates(pa.array(texts))
    wanted = {(i, j) for i, j in combinations(range(len(texts)), 2) if alike(found[i], found[j]) >= 0.7}
    assert set(zip(pairs["left"].to_pylist(), pairs["right"].to_pylist(), strict=True)) == wanted
    assert len(wanted) > 50
    assert pairs.equals(near_duplicates(pa.array(texts), threads=3))


def test_a_crowd_is_connected_by_fewer_pairs_than_there_are_texts() -> None:
    """A template of 40 words with one number: all 500,000 pairs are alike."""
    template = " ".join(f"word{i}" for i in range(40))
    texts = pa.array([f"{template} {number}" for number in range(1000)])
    pairs = near_duplicates(texts)
    assert set(clusters(1000, pairs).to_pylist()) == {0}
    assert pairs.num_rows < 1000
    assert pairs.equals(near_duplicates(texts, threads=2))


def test_equal_texts_are_as_many_pairs_as_copies() -> None:
    pairs = near_duplicates(pa.array(["we are sorry to hear this"]).take(pa.array(np.zeros(50_000, np.int64))))
    assert pairs["left"].unique().to_pylist() == [0]
    assert pairs["right"].to_pylist() == list(range(1, 50_000))


def test_bad_texts() -> None:
    long = " ".join(str(i * 7919 % 104_729) for i in range(160_000))
    texts = [
        None,
        "",
        " ",
        "?!",
        "yes",
        "Yes.",
        "no",
        "thank you",
        "THANK you",
        "👍",
        "👍👍",
        "\x00\x01",
        "a\x00b",
        "a b",
    ]
    texts += [
        long,
        long + " end",
        "a " * 500_000,
        "a " * 400_000,
        "我要退款，谢谢你们的帮助",
        "我要退款，谢谢你们的帮助！",
        "我要退",
    ]
    texts += ["אני רוצה לבטל את ההזמנה שלי", "‏אני רוצה לבטל את ההזמנה שלי", "\ud7ff\U0010ffff"]
    pairs = near_duplicates(pa.array(texts, pa.string()))
    assert sorted(zip(pairs["left"].to_pylist(), pairs["right"].to_pylist(), strict=True)) == [
        (4, 5), (7, 8), (12, 13), (14, 15), (16, 17), (18, 19), (21, 22),
    ]  # fmt: skip
    for nothing in ([], [None], ["", ""]):
        assert near_duplicates(pa.array(nothing, pa.string())).num_rows == 0


def test_any_arrow_of_strings_will_do() -> None:
    texts = ["", "one two three four", "x", "one, two, three, four", "é one", "É one"]
    wanted = near_duplicates(pa.array(texts)).to_pydict()
    assert wanted == {"left": [1, 4], "right": [3, 5], "jaccard": [1.0, 1.0]}
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert near_duplicates(pa.array(["one two three four", *texts], kind)[1:]).to_pydict() == wanted


def test_a_threshold_or_a_width_that_means_nothing_is_refused() -> None:
    for threshold in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="threshold"):
            near_duplicates(pa.array(["a"]), threshold)
    with pytest.raises(ValueError, match="n is at least 1"):
        near_duplicates(pa.array(["a"]), n=0)


@given(st.text())
def test_coarse_is_one_spelling(text: str) -> None:
    assert coarse(coarse(text)) == coarse(text) == coarse(unicodedata.normalize("NFD", text)) == normalise(coarse(text))
    assert not set(coarse(text)) & set("123456789")


def test_texts_that_differ_in_spelling_and_numbers_are_one_when_coarse() -> None:
    assert (
        coarse("Ｏｒｄｅｒ №１２: Straße, café!")
        == coarse("order no34 STRASSE cafe\u0301")
        == "order no00 strasse café"
    )
    texts = [coarse(f"your order {number} has been sent today") for number in (113542, 998877)]
    assert near_duplicates(pa.array(texts)).num_rows == 1
