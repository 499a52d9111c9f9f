"""What makes an item whole, and the texts in it."""

from __future__ import annotations

from typing import Any

import pytest
from drawn import JSON
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.records import SHAPES, content_fault, texts

USER, ANSWER = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}
WHOLE = {
    "chat": {"messages": [USER, ANSWER]},
    "preference": {"prompt": "p", "chosen": "c", "rejected": "r"},
    "rated": {"prompt": "p", "completion": "c", "label": True},
    "stepwise": {"prompt": "p", "completions": ["a", "b"], "labels": [True, False]},
    "prompt_completion": {"prompt": [USER], "completion": [ANSWER]},
    "text": {"text": "t"},
    "prompt": {"prompt": "p"},
}


def test_every_shape_has_a_whole_item() -> None:
    assert set(WHOLE) == set(SHAPES)


@pytest.mark.parametrize("shape", WHOLE)
def test_whole_items_are_silent(shape: str) -> None:
    assert content_fault({"shape": shape, **WHOLE[shape]}) is None


@pytest.mark.parametrize("shape", WHOLE)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_missing_or_odd_member_is_named_and_never_raises(shape: str, data: st.DataObject) -> None:
    for member in SHAPES[shape]:
        without = {k: v for k, v in WHOLE[shape].items() if k != member}
        assert (content_fault({"shape": shape, **without}) or "").startswith(member)
        content_fault({"shape": shape, **without, member: data.draw(JSON)})


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "user"},
        {"content": "x"},
        {"role": "narrator", "content": "x"},
        {"role": ["user"], "content": "x"},
        {"role": "user", "content": 5},
        {"role": "user", "content": {"text": "x"}},
        {"role": "assistant", "tool_calls": []},
        {"role": "assistant", "tool_calls": "transfer()"},
        "hi",
        None,
    ],
)
def test_a_turn_that_is_none_is_a_fault(turn: Any) -> None:
    assert content_fault({"shape": "chat", "messages": [USER, turn]})


@pytest.mark.parametrize("content", [{}, {"shape": "poem"}, {"shape": ["chat"]}, {"shape": None, "text": "x"}])
def test_no_shape_is_a_fault(content: dict[str, Any]) -> None:
    assert "shape" in (content_fault(content) or "")


@pytest.mark.parametrize("value", ["", "  \n", [], 5, None, [None]])
def test_an_empty_text_is_a_fault(value: Any) -> None:
    assert content_fault({"shape": "text", "text": value})


def test_texts_are_read_in_order_with_tool_arguments_and_results() -> None:
    call = {"id": "c", "function": {"name": "pay", "arguments": {"to": "Zoë"}}}
    turns = [USER, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": "done"}]
    assert [t for t in texts({"shape": "chat", "messages": turns}) if t in ("hi", "pay", "Zoë", "done")] == [
        "hi",
        "pay",
        "Zoë",
        "done",
    ]
    assert list(texts({"shape": "rated", "prompt": "p", "completion": "c", "label": True})) == ["p", "c"]
