"""How well rows are told apart, on real data by which nothing was chosen (docs/validity.md)."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from whence.text import normalise, told_apart

pytestmark = pytest.mark.real_data


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def apart(ours: list[str], others: list[str], count: int = 800) -> float:
    draw = random.Random(len(ours))
    some = [[normalise(text) for text in draw.sample(side, min(count, len(side)))] for side in (ours, others)]
    return told_apart(*some)


def test_whole_intents_are_told_apart_and_drawn_rows_are_not(real_data: Path) -> None:
    rows = lines(real_data / "bitext_support/intent_train.jsonl")
    labels, draw = sorted({row["intent"] for row in rows}), random.Random(5)
    own = set(draw.sample(labels, len(labels) // 4))
    sides: dict[str, dict[bool, list[str]]] = {"intents": {True: [], False: []}, "drawn": {True: [], False: []}}
    for row in rows:
        sides["intents"][row["intent"] in own].append(row["utterance"])
        sides["drawn"][draw.random() < 0.25].append(row["utterance"])
    assert apart(sides["intents"][True], sides["intents"][False]) > 0.8
    assert abs(apart(sides["drawn"][True], sides["drawn"][False])) < 0.1


def test_two_sources_are_told_apart_and_two_parts_of_one_are_not(real_data: Path) -> None:
    train, test = ([row["question"] for row in lines(real_data / f"gsm8k/{part}.jsonl")] for part in ("train", "test"))
    seeds = [row["instruction"] for row in lines(real_data / "self_instruct/seed_tasks.jsonl")]
    assert apart(seeds, train) > 0.8
    assert abs(apart(test, train)) < 0.1
