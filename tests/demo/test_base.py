"""The tiny base: a corpus that shares nothing with the demo's data, a template that trains answers only, a cache."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desk_files import Desk

from whence.demo import base
from whence.demo.corpus import SPECIAL_TOKENS, label_words
from whence.demo.generate import INTENTS, generate
from whence.text import normalise

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where is it?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "find", "arguments": {"where": {"a": [1, "x"]}}}}],
    },
    {"role": "tool", "name": "find", "content": "{}"},
    {"role": "assistant", "content": "lost_card"},
]


def _corpus_lines(documents: Iterable[str]) -> Iterator[str]:
    """The normalised lines of a corpus; each turn of a chat is a line."""
    marks = "|".join(map(re.escape, SPECIAL_TOKENS))
    for document in documents:
        for line in re.split(rf"\n|{marks}", document):
            yield normalise(line)


def _row_lines(desk: Desk) -> set[str]:
    """The normalised texts and lines of everything that a customer or a paraphraser wrote."""
    turns = (turn for row in desk.sources["chats"] for turn in row["messages"] if turn["role"] in ("user", "system"))
    texts = [*desk.texts().values(), *(turn["content"] for turn in turns)]
    return {normalise(part) for text in texts for part in (text, *text.split("\n"))} - {""}


def test_the_corpus_shares_no_line_with_the_rows(tmp_path: Path) -> None:
    generate(tmp_path)
    rows = _row_lines(Desk(tmp_path))
    documents = list(base.corpus(INTENTS))
    assert not rows & set(_corpus_lines(documents))
    planted = next(iter(Desk(tmp_path).texts("gate").values())).upper()
    assert rows & set(_corpus_lines([*documents, f"<|user|>{planted} !<|end|>"]))


def test_the_corpus_is_the_same_each_time_and_uses_every_label() -> None:
    documents = list(base.corpus(INTENTS))
    assert documents == list(base.corpus(INTENTS))
    assert documents != list(base.corpus(INTENTS, seed=1))
    text = "\n".join(documents)
    assert all(text.count(label) >= 3 and text.count(label_words(label)) >= 3 for label in INTENTS)


def test_label_words() -> None:
    assert label_words("Refund_not_showing_up") == "refund not showing up"
    assert label_words("reverted_card_payment?") == "reverted card payment"


def test_importing_the_demo_loads_no_model_library() -> None:
    code = "import sys, whence.demo.base, whence.demo.generate; print({'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_digest_follows_labels_and_seed() -> None:
    digests = {base.recipe_digest(), base.recipe_digest(("lost_card",)), base.recipe_digest((), 1)}
    assert len(digests) == 3
    assert base.recipe_digest() in digests


def test_a_base_is_made_once_and_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def write(out: Path, **_: Any) -> Path:
        made.append(out)
        (out / "config.json").write_text("{}")
        if len(made) == 1:
            raise KeyboardInterrupt
        return out

    monkeypatch.setattr(base, "make_base", write)
    with pytest.raises(KeyboardInterrupt):
        base.cached_base(cache=tmp_path)
    assert list(tmp_path.iterdir()) == []
    first, second = base.cached_base(cache=tmp_path), base.cached_base(cache=tmp_path)
    assert first == second == tmp_path / base.recipe_digest()
    assert len(made) == 2
    assert [path.name for path in first.iterdir()] == ["config.json"]


@pytest.mark.tiny
def test_equal_arguments_give_equal_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = list(base.corpus(("lost_card",)))[:600]
    monkeypatch.setattr(base, "corpus", lambda labels, seed: iter(documents))
    monkeypatch.setattr(base, "EPOCHS", 1)
    one, two = (base.make_base(tmp_path / name) for name in ("one", "two"))
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    assert (one / "tokenizer.json").read_bytes() == (two / "tokenizer.json").read_bytes()


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base)


@pytest.mark.tiny
def test_only_the_assistant_and_its_end_token_are_trained(tokenizer: Any) -> None:
    encoded = tokenizer.apply_chat_template(CHAT, return_dict=True, return_assistant_tokens_mask=True)
    pairs = zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    trained = tokenizer.decode([one for one, mask in pairs if mask])
    assert trained == '<|call|>{"name":"find","arguments":{"where":{"a":[1,"x"]}}}<|end|>lost_card<|end|>'


@pytest.mark.tiny
def test_the_template_renders_every_role_tools_and_the_prompt(tokenizer: Any) -> None:
    tools = [{"type": "function", "function": {"name": "find"}}]
    text = tokenizer.apply_chat_template(CHAT[:2], tools=tools, tokenize=False, add_generation_prompt=True)
    assert text == (
        '<|system|>tools: [{"type":"function","function":{"name":"find"}}]<|end|>'
        "<|system|>Be brief.<|end|><|user|>Where is it?<|end|><|assistant|>"
    )
    whole = tokenizer.apply_chat_template(CHAT, tokenize=False)
    assert "<|tool|>{}<|end|><|assistant|>lost_card<|end|>" in whole
    with pytest.raises(Exception, match="unknown role"):
        tokenizer.apply_chat_template([{"role": "poet", "content": ""}], tokenize=False)


@pytest.mark.tiny
def test_the_corpus_writes_chats_as_the_template_does(tokenizer: Any) -> None:
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    from whence.demo.corpus import ASSISTANT, USER, turn

    assert tokenizer.apply_chat_template(chat, tokenize=False) == turn(USER, "a") + turn(ASSISTANT, "b")


@pytest.mark.tiny
def test_the_saved_base_is_small_complete_and_ends_its_turns(tiny_base: Path, tokenizer: Any) -> None:
    from transformers import AutoModelForCausalLM, GenerationConfig

    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    assert 400_000 < model.num_parameters() < 600_000
    assert model.config.max_position_embeddings == 1024
    assert model.config.tie_word_embeddings
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert GenerationConfig.from_pretrained(tiny_base).eos_token_id == tokenizer.eos_token_id
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "my card was stolen"}],
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    written = model.generate(**asked)[0, asked["input_ids"].shape[1] :]
    assert written[-1] == tokenizer.eos_token_id


@pytest.mark.real_data
def test_the_corpus_for_banking77_shares_no_line_with_its_questions(real_data: Path) -> None:
    """Only the labels' names come from the data set."""
    folder = real_data / "banking77"
    labels = json.loads((folder / "categories.json").read_text())
    lines = (folder / "train.jsonl").read_text().splitlines() + (folder / "test.jsonl").read_text().splitlines()
    asked = {normalise(json.loads(line)["text"]) for line in lines}
    written = set(_corpus_lines(base.corpus(labels)))
    assert len(asked) > 13_000
    assert not asked & written
