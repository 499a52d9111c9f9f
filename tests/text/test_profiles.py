"""Profiles: counts that add, and the likeliest of several."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.text import Likeness, Profile, normalise, profile, told_apart, wanted

CARDS = [
    f"my {colour} card has not come by {day}" for colour in ("blue", "red", "gold") for day in ("monday", "friday")
]
RATES = [f"how many {coin} for one {other}" for coin in ("euro", "yen", "peso") for other in ("pound", "dollar")]


@given(st.lists(st.text(), max_size=5), st.lists(st.text(), max_size=5))
def test_counts_add(ours: list[str], others: list[str]) -> None:
    """So the profile of the texts that stay is what it would be had the others never been there."""
    one, other, both = (
        profile(map(normalise, ours)),
        profile(map(normalise, others)),
        profile(map(normalise, ours + others)),
    )
    assert (both.counts - other.counts == one.counts).all()
    assert both.texts - other.texts == one.texts
    assert Profile.from_json(both.to_json()).to_json() == both.to_json()


def test_the_likeliest() -> None:
    like = Likeness([profile(CARDS), profile(RATES)])
    assert [like.most(text) for text in ("where is my green card", "how many francs for a krone", "")] == [0, 1, 0]


def test_told_apart() -> None:
    assert told_apart(CARDS, RATES) == 1
    drawn = random.Random(1)
    mixed = [(f"{drawn.choice(CARDS)} {drawn.choice(RATES)}", drawn.random() < 0.25) for _ in range(400)]
    ours, others = ([text for text, side in mixed if side == wanted] for wanted in (True, False))
    assert abs(told_apart(ours, others)) < 0.15
    assert math.isnan(told_apart([], RATES))


def test_what_a_conversation_asks() -> None:
    turns = [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "My CARD!"},
        {"role": "assistant", "content": "Which?"},
        {"role": "user", "content": [{"type": "text", "text": "the blue one"}, {"type": "image_url"}]},
        {"role": "user", "content": None},
    ]
    assert wanted(turns) == "my card the blue one"


def test_another_size_is_refused() -> None:
    said = json.loads(profile(CARDS).to_json()) | {"buckets": 8}
    with pytest.raises(ValueError, match="8 buckets"):
        Profile.from_json(json.dumps(said))
