"""Evaluation items in training rows of real sets: what is known of them is told, and what is natural is not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from whence.data import CurationPlan, curate, note_accesses, read_accesses
from whence.data.leaks import leaks
from whence.evaluate import put_suite
from whence.records import Item, Ref, RunReport
from whence.store import Store, row_set
from whence.text import normalise

pytestmark = pytest.mark.real_data
Take = Callable[..., RunReport]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rows(said: Sequence[dict[str, Any]], asked: str, answer: str, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": str(n), "prompt": one[asked], "completion": one[answer]} for n, one in enumerate(said, start)]


def gate(store: Store, said: Sequence[dict[str, Any]], asked: str, answer: str) -> None:
    items = [Item(id=f"t{n}", input=one[asked], expected=one[answer]) for n, one in enumerate(said)]
    put_suite(store, "gate", "gate", "exact", items, [])


def snapshot(store: Store, *ingests: RunReport) -> Ref:
    runs = [one.run for one in ingests]
    plan = CurationPlan(name="p", ingests=runs, steps=[], withdrawn=row_set([]), groups={}, inputs={})
    return curate(store, plan)[0]


def test_banking77s_leaked_items_are_dropped_and_what_is_natural_stays(
    store: Store, take: Take, real_data: Path
) -> None:
    gate(store, lines(real_data / "banking77/test.jsonl"), "text", "intent")
    [found] = leaks(
        store, snapshot(store, take(rows(lines(real_data / "banking77/train.jsonl"), "text", "intent"), id="id"))
    )
    assert (found.whole, found.verdict) == (25, "fail")
    assert found.short == 15
    assert 10 <= len(found.told) <= 14, "those of eight words and more, and the rows that say the same"
    assert found.p > 0.01
    assert found.everyday > 1000
    assert found.recall["verbatim"] == 1.0


def test_gsm8ks_test_questions_have_no_more_in_common_with_training_than_training_has(
    store: Store, take: Take, real_data: Path
) -> None:
    """Not tuned on: the comparison of rows with rows was made on generated rows and banking77."""
    gate(store, lines(real_data / "gsm8k/test.jsonl"), "question", "answer")
    [found] = leaks(
        store, snapshot(store, take(rows(lines(real_data / "gsm8k/train.jsonl"), "question", "answer"), id="id"))
    )
    assert (found.whole, found.verdict, len(found.told)) == (0, "pass", 0), found
    assert min(found.recall.values()) > 0.97


def test_twelve_items_reworded_by_whom_had_looked_are_told_and_twelve_of_somebody_else_are_not(
    store: Store, take: Take, real_data: Path, tmp_path: Path
) -> None:
    draw = random.Random(3)
    train, test = lines(real_data / "banking77/train.jsonl"), lines(real_data / "banking77/test.jsonl")
    known = {normalise(one["text"]) for one in train}
    test = [one for one in test if normalise(one["text"]) not in known and len(one["text"].split()) >= 10]
    draw.shuffle(test)
    items, spare = test[:200], test[200:]
    gate(store, items, "text", "intent")
    history = {"suite": "gate", "by": "ann@example.org", "at": "2020-01-01T00:00:00Z", "purpose": "inspect"}
    (tmp_path / "looked.jsonl").write_text(json.dumps({**history, "items": [f"t{n}" for n in range(12)]}))
    note_accesses(store, read_accesses(store, tmp_path / "looked.jsonl"))
    others = [word for one in train[:500] for word in one["text"].split()]

    def reworded(one: dict[str, Any]) -> dict[str, Any]:
        words = one["text"].split()
        words[4::5] = [draw.choice(others) for _ in words[4::5]]
        return {**one, "text": " ".join(words)}

    natural = take(rows(train, "text", "intent"), "train", id="id")
    hers = Store.open(store.root, actor="ann@example.org")
    ann = take(rows([reworded(one) for one in items[:12]], "text", "intent"), "ann", into=hers, id="id")
    his = Store.open(store.root, actor="bob@example.org")
    like = [next(one for one in spare if one["intent"] == item["intent"]) for item in items[:12]]
    bob = take(rows(like, "text", "intent"), "bob", into=his, id="id")
    [found] = leaks(store, snapshot(store, natural, ann, bob))
    assert {(one.source, one.record) for one in map(store.row, found.told)} == {("ann", str(n)) for n in range(12)}
    assert (found.known, found.whole, found.verdict) == (12, 0, "fail")
    for one in (hers, his):
        one.close()


def test_short_turns_of_multidogo_do_not_alarm(store: Store, take: Take, real_data: Path) -> None:
    """The rule for short items was made with this set in view."""
    said = lines(real_data / "multidogo/software_turn_level.jsonl")
    items = [one for one in said if one["split"] == "test"]
    put_suite(
        store,
        "gate",
        "gate",
        "exact",
        [Item(id=f"t{n}", input=one["text"], expected="") for n, one in enumerate(items)],
        [],
    )
    train = [{"id": str(n), "prompt": one["text"], "completion": "x", "talk": one["conversation"]}
             for n, one in enumerate(said) if one["split"] == "train"]  # fmt: skip
    [found] = leaks(store, snapshot(store, take(train, id="id", group="talk")))
    assert found.whole > 400
    assert found.short > 0.8 * found.whole
    assert (found.verdict, found.p) == ("fail", 1.0), "long turns that stand there word for word are told"
    asked = {store.row(ordinal).content["prompt"] for ordinal in found.told}
    assert len(asked) < 0.2 * found.whole
