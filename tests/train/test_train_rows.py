"""Rows as conversations, and conversations as tokens with a loss mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lessons import add, freeze, talk, talks

from whence.records import METHODS, SHAPES, Json, Snapshot, Unmet
from whence.store import Store
from whence.train.backends.tokens import IGNORED, check_template, encoded, example, tokenise
from whence.train.rows import Fed, conversation, pair, read


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base)


def learnt(content: Json, tokenizer: Any) -> list[str]:
    return [text for text, spoken in example((encoded(conversation(content), tokenizer),), tokenizer) if spoken]


def fed(*contents: Json | None) -> list[Fed]:
    return [Fed(i, f"{i:02x}", "desk", content) for i, content in enumerate(contents)]


@pytest.mark.tiny
@pytest.mark.parametrize("method", METHODS)
def test_other_shapes_are_not_fed(tokenizer: Any, method: str) -> None:
    every = [{"shape": shape, "prompt": "?", "completion": "a", "label": True} for shape in SHAPES]
    every = [row | {"chosen": "yes", "rejected": "no"} | talk("?", "a") | {"shape": row["shape"]} for row in every]
    rows = tokenise(fed(*every), tokenizer, METHODS[method], 64, lambda _: None)
    assert {every[n]["shape"] for n in rows.ordinals} == set(METHODS[method].shapes)
    assert rows.reasons() == {"shape": len(SHAPES) - len(METHODS[method].shapes)}


def test_rows_outside_the_snapshot_are_not_read(store: Store) -> None:
    ordinals = add(store, "desk", talks(5))
    found = list(read(store, store.get(freeze(store, ordinals[1:4]), Snapshot)))
    assert [row.ordinal for row in found] == ordinals[1:4]
    assert found[0].content == talks(5)[1]
    assert len(found[0].id) == 64


def test_prompt_and_completion_become_turns() -> None:
    plain = conversation({"shape": "prompt_completion", "prompt": "Hi", "completion": "Hello"})
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert (plain.messages, plain.given) == (turns, 1)
    listed = {"shape": "prompt_completion", "prompt": turns[:1], "completion": turns[1:]}
    assert conversation(listed) == plain


@pytest.mark.tiny
def test_only_the_assistant_is_learnt_its_end_token_included(tokenizer: Any) -> None:
    assert learnt(talk("Where is it?", "card arrival"), tokenizer) == ["card arrival<|end|>"]
    two = talk("One?", "first")
    two["messages"] += talk("Two?", "second")["messages"]
    assert learnt(two, tokenizer) == ["first<|end|>", "second<|end|>"]


@pytest.mark.tiny
def test_what_the_assistant_says_in_a_prompt_is_not_learnt(tokenizer: Any) -> None:
    prompt = [*talk("One?", "first")["messages"], {"role": "user", "content": "Two?"}]
    content = {"shape": "prompt_completion", "prompt": prompt, "completion": "second"}
    assert learnt(content, tokenizer) == ["second<|end|>"]


@pytest.mark.tiny
def test_tool_calls_keep_only_their_own_arguments(tokenizer: Any) -> None:
    def call(**arguments: Json) -> Json:
        turn = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}
        return {"shape": "chat", "messages": [{"role": "user", "content": "go"}, turn]}

    assert '"a":1' in learnt(call(a=1), tokenizer)[0]
    assert "null" not in learnt(call(b=2), tokenizer)[0]


@pytest.mark.tiny
def test_every_row_is_fed_or_has_a_reason(tokenizer: Any) -> None:
    long = talk("word " * 80, "lost card")
    silent = {"shape": "chat", "messages": [{"role": "user", "content": "hello"}]}
    strange = {"shape": "chat", "messages": [{"role": "developer", "content": "x"}, *talk("a", "b")["messages"]]}
    cut = talk("please", "card " * 80)
    rows = tokenise(
        fed(talk("please", "ok"), long, silent, strange, None, cut), tokenizer, METHODS["sft"], 40, lambda _: None
    )
    assert rows.ordinals == [0, 5]
    assert rows.not_fed == [(1, "truncated"), (2, "no_answer"), (3, "template"), (4, "erased")]
    assert rows.cut == 1
    assert len(rows.sides[1][0].ids) == 40
    assert rows.learnt().sum() == sum((side.labels != IGNORED).sum() for (side,) in rows.sides)


@pytest.mark.tiny
def test_of_a_pair_both_answers_are_learnt_and_the_shared_turns_are_not(tokenizer: Any) -> None:
    def said(content: Json) -> list[list[str]]:
        return [
            [text for text, spoken in example((encoded(side, tokenizer),), tokenizer) if spoken]
            for side in pair(content)
        ]

    plain = {"shape": "preference", "prompt": "?", "chosen": "lost card", "rejected": "exchange rate"}
    assert said(plain) == [["lost card<|end|>"], ["exchange rate<|end|>"]]
    shared = talk("One?", "first")["messages"] + talk("Two?", "second")["messages"][:1]
    sides = {name: [*shared, {"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    assert said({"shape": "preference", **sides}) == [["chosen<|end|>"], ["rejected<|end|>"]]


@pytest.mark.tiny
def test_a_pair_of_which_one_side_teaches_nothing_is_not_fed(tokenizer: Any) -> None:
    def pairs(**sides: Json) -> Json:
        return {"shape": "preference", "prompt": "please", "chosen": "lost card", "rejected": "exchange rate", **sides}

    silent = pairs(rejected=[{"role": "user", "content": "hello"}])
    late, cut = pairs(prompt="word " * 80), pairs(rejected="lost card " + "again " * 80)
    same, ends_alike = pairs(rejected="lost card"), pairs(chosen="card " * 80 + "a", rejected="card " * 80 + "b")
    rows = tokenise(fed(pairs(), silent, late, cut, same, ends_alike), tokenizer, METHODS["dpo"], 40, lambda _: None)
    assert rows.ordinals == [0, 3]
    assert rows.not_fed == [(1, "no_answer"), (2, "truncated"), (4, "same"), (5, "same")]
    assert rows.cut == 1


@pytest.mark.tiny
def test_a_prompt_is_never_cut(tokenizer: Any) -> None:
    long, short = ({"shape": "prompt", "prompt": "word " * size} for size in (80, 2))
    rows = tokenise(fed(long, short), tokenizer, METHODS["grpo"], 40, lambda _: None)
    assert (rows.ordinals, rows.not_fed, rows.learnt().sum()) == ([1], [(0, "truncated")], 0)
    assert tokenizer.decode(rows.sides[0][0].ids).endswith("<|assistant|>")


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("template", "says"),
    [
        (None, "no chat template"),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "does not mark"),
        (
            "{% for m in messages %}{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}"
            "{% endgeneration %}{% else %}{{ m['content'] }}{% endif %}<|end|>{% endfor %}",
            "end token outside",
        ),
    ],
)
def test_a_template_that_cannot_teach_is_refused(tiny_base: Path, template: str | None, says: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    check_template(tokenizer)
    tokenizer.chat_template = template
    with pytest.raises(Unmet, match=says):
        check_template(tokenizer)
