"""Rows as conversations, and conversations as tokens with a loss mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lessons import add, freeze, talk, talks

from whence.records import Json, Snapshot, Unmet
from whence.store import Store
from whence.train.backends.tokens import IGNORED, check_template, encoded, example, tokenise
from whence.train.rows import Fed, conversation, read


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base)


def learnt(content: Json, tokenizer: Any) -> list[str]:
    return [text for text, spoken in example(*encoded(conversation(content), tokenizer), tokenizer) if spoken]


def fed(*contents: Json | None) -> list[Fed]:
    return [Fed(i, f"{i:02x}", "desk", content) for i, content in enumerate(contents)]


@pytest.mark.parametrize("shape", ["text", "preference", "rated", "prompt", "stepwise"])
def test_shapes_without_a_marked_answer_are_refused(store: Store, shape: str) -> None:
    ordinals = add(store, "desk", [*talks(2), {"shape": shape, "text": "SECRET"}])
    with pytest.raises(Unmet, match=f"(?s)shape {shape}.*chat, prompt_completion") as caught:
        list(read(store, store.get(freeze(store, ordinals), Snapshot)))
    assert "SECRET" not in str(caught.value)


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
    rows = tokenise(fed(talk("please", "ok"), long, silent, strange, None, cut), tokenizer, 40, lambda _: None)
    assert rows.ordinals == [0, 5]
    assert rows.not_fed == [(1, "truncated"), (2, "no_answer"), (3, "template"), (4, "erased")]
    assert rows.cut == 1
    assert len(rows.input_ids[1]) == 40
    assert rows.learnt() == sum((labels != IGNORED).sum() for labels in rows.labels)


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
