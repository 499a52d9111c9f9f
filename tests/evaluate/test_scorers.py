"""Scorers: what is right, what is wrong, and the few things that are unscored."""

from __future__ import annotations

import sys

import pytest

from whence.evaluate import score
from whence.models.port import Reply
from whence.records import Item, Json, Suite, Unmet

COUNT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
LOOP = {"$ref": "#"}


def scored(scorer: str, expected: Json, answer: str, finish: str = "stop") -> str:
    suite = Suite(name="s", role="dev", scorer=scorer, items="sha256:00", n=1, root="sha256:00", labels=("card lost",))
    item = Item(id="a", input="q", expected=expected)
    given = score(suite, item, Reply(text=answer, prompt_tokens=1, completion_tokens=1, finish=finish))
    assert (given.reason is not None) == (given.state == "unscored")
    return given.state


@pytest.mark.parametrize(
    ("scorer", "expected", "answer", "state"),
    [
        ("label", "Card lost", "  card\n LOST ", "right"),
        ("label", "STRASSE", "straße", "right"),
        ("label", "card lost", "card lost.", "wrong"),
        ("label", "card lost", "I cannot say", "wrong"),
        ("label", "card lost", "", "wrong"),
        ("exact", "42", " 42\n", "right"),
        ("exact", "Yes", "yes", "wrong"),
        ("regex", r"order \d+", "order 77\n", "right"),
        ("regex", r"order \d+", "your order 77", "wrong"),
        ("regex", r"order (", "order (", "unscored"),
        ("json_schema", COUNT, '{"n": 3}', "right"),
        ("json_schema", COUNT, '{"n": "3"}', "wrong"),
        ("json_schema", COUNT, 'Sure: {"n": 3}', "wrong"),
        ("json_schema", COUNT, '{"n": NaN}', "wrong"),
        ("json_schema", COUNT, "[" * 100_000, "wrong"),
        ("json_schema", True, "1", "right"),
        ("json_schema", {"type": "whole"}, "1", "unscored"),
        ("json_schema", {"$ref": "http://localhost:9/none.json"}, "1", "unscored"),
        ("json_schema", LOOP, "1", "unscored"),
        ("json_schema", {"multipleOf": 0.5}, "1" + "0" * 400, "unscored"),  # jsonschema raises OverflowError
        ("label", None, "card lost", "unscored"),
    ],
)
def test_each_answer_gets_its_state(scorer: str, expected: Json, answer: str, state: str) -> None:
    assert scored(scorer, expected, answer) == state


@pytest.mark.parametrize(
    ("finish", "state"), [("stop", "right"), ("length", "right"), ("error", "unscored"), ("cancelled", "unscored")]
)
def test_only_a_failed_answer_is_unscored(finish: str, state: str) -> None:
    assert scored("exact", "yes", "yes", finish) == state


def test_without_jsonschema_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(Unmet, match=r"\.\[checks\]"):
        scored("json_schema", COUNT, "{}")
