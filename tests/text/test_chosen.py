"""Which near-duplicates stay: by rank, a group apart, never behind one that it was not held against."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.text.chosen import Alike
from whence.text.words import split


def sets(texts: list[str]) -> list[set[tuple[str, ...]]]:
    found = []
    for text in texts:
        words = split(text)
        found.append({tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))} if words else set())
    return found


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join), st.integers(0, 1), st.integers(0, 3)),
        max_size=25,
    ),
    st.sampled_from([0.5, 0.7, 1.0]),
)
def test_who_stands_behind_whom(drawn: list[tuple[str, int, int]], threshold: float) -> None:
    texts, groups, ranks = [d[0] for d in drawn], [d[1] for d in drawn], [d[2] for d in drawn]
    of = sets(texts)
    behind, alike = Alike(pa.array(texts, pa.string()), 0.5).behind(np.array(groups), np.array(ranks), threshold)
    for text, (other, value) in enumerate(zip(behind.tolist(), alike.tolist(), strict=True)):
        if other == text:
            assert value == 1
            continue
        assert behind[other] == other, "it stands behind one that stays"
        assert (groups[other], ranks[other] <= ranks[text]) == (groups[text], True)
        assert value == len(of[text] & of[other]) / len(of[text] | of[other]) >= threshold
    stays = [i for i, other in enumerate(behind.tolist()) if other == i]
    same = [(a, b) for a in stays for b in stays if a < b and of[a] and of[a] == of[b] and groups[a] == groups[b]]
    assert same == [], "of equal texts of a group one stays"


def test_at_several_thresholds_in_turn() -> None:
    base = "one two three four five six seven eight nine ten eleven twelve"
    texts = pa.array([base, base + " more", base.replace("one", "1"), "something else altogether is asked here", ""])
    alike, zeros = Alike(texts, 0.5), np.zeros(5, np.int64)
    assert alike.behind(zeros, np.arange(5), 0.5)[0].tolist() == [0, 0, 0, 3, 4]
    assert alike.behind(zeros, np.arange(5), 0.9)[0].tolist() == [0, 0, 2, 3, 4]
    assert alike.behind(zeros, np.arange(5)[::-1].copy(), 0.9)[0].tolist() == [1, 1, 2, 3, 4]
    assert alike.behind(np.arange(5), np.arange(5), 0.5)[0].tolist() == [0, 1, 2, 3, 4]
