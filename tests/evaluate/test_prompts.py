"""Prompts: the grid is fixed, its words come from the dev suite, and no item is its own shot."""

from __future__ import annotations

import random

from questions import LABELS, Desk, item

from whence.evaluate import grid, items_of, messages
from whence.evaluate.prompts import shown, spread
from whence.records import Item, Prompt, Suite


def test_the_grid_has_six_prompts_the_plainest_first(desk: Desk) -> None:
    dev = desk.suite(40, "dev")
    prompts = grid(desk.store.get(dev, Suite), dev, items_of(desk.store, dev))
    kinds = [(p.template, len(p.shots)) for p in prompts]
    assert kinds == [(name, count) for count in (0, 2, 4) for name in ("bare", "instructed")]
    assert {p.text for p in prompts if p.template == "bare"} == {""}
    assert all(p.text.splitlines()[1:] == list(LABELS) for p in prompts if p.template == "instructed")
    assert {s.suite for p in prompts for s in p.shots} == {dev}
    assert prompts[2].shots == prompts[4].shots[:2]


def test_a_grid_leaves_out_what_a_suite_cannot_give(desk: Desk) -> None:
    few = desk.suite(3, "dev")
    assert [len(p.shots) for p in grid(desk.store.get(few, Suite), few, items_of(desk.store, few))] == [0, 0, 2, 2]
    patterns = Suite(name="s", role="dev", scorer="regex", items="sha256:00", n=9, root="sha256:00")
    items = [Item(id=str(i), input=f"q {i}", expected=".*") for i in range(9)]
    assert grid(patterns, few, items) == [Prompt(template="bare", text="")]


def test_shots_spread_over_labels_whatever_the_order_of_the_items() -> None:
    items = [item(i) for i in range(60)] + [item(4 * i) for i in range(20, 60)]
    chosen = spread(items, 4)
    assert {shot.expected for shot in chosen} == set(LABELS)
    random.Random(5).shuffle(items)
    assert spread(items, 4) == chosen


def test_messages_have_one_system_turn_and_the_item_last() -> None:
    prompt = Prompt(template="instructed", text="Pick one.")
    turns = [{"role": "system", "content": "Bank desk."}, {"role": "user", "content": "late?"}]
    shot = Item(id="s", input=turns, expected="fee query")
    assert messages(prompt, [shot], Item(id="a", input=turns, expected="pin reset")) == [
        {"role": "system", "content": "Pick one.\n\nBank desk."},
        {"role": "user", "content": "late?"},
        {"role": "assistant", "content": "fee query"},
        {"role": "user", "content": "late?"},
    ]
    assert messages(Prompt(template="bare", text=""), [], item(3)) == [{"role": "user", "content": "question 3"}]


def test_an_item_with_the_input_of_a_shot_is_given_away() -> None:
    other = Item(id="elsewhere", input="question 1", expected="fee query")
    assert shown(item(1), [item(1)])
    assert shown(other, [item(1)])
    assert not shown(item(2), [item(1)])
