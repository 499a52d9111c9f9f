"""The model port: real and scripted models behave alike; mixed batches give what single runs give."""

from __future__ import annotations

from pathlib import Path

import pytest

from whence.models import Request, ScriptedModel
from whence.models.backends.detokenise import TextStream
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import NotFound, Unmet

ASKED = ["Where is my card?", "I was charged twice for one order, can you look into this for me please?", "hi", "?"]


def ask(text: str, adapter: str | None = None, **options) -> Request:
    return Request(messages=[{"role": "user", "content": text}], adapter=adapter, **{"max_tokens": 12, **options})


@pytest.fixture(scope="module")
def model(tiny_base: Path, adapters: dict[str, Path]) -> TransformersModel:
    return TransformersModel(tiny_base, adapters, threads=1)


@pytest.mark.tiny
def test_a_mixed_batch_is_token_identical_to_single_adapter_runs(
    model: TransformersModel, tiny_base: Path, adapters: dict[str, Path]
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    mixed = model.generate([ask(text, name) for text in ASKED for name in (None, *adapters)])
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    for offset, name in enumerate((None, *adapters)):
        single = AutoModelForCausalLM.from_pretrained(tiny_base)
        if name:
            single = PeftModel.from_pretrained(single, adapters[name])
        single.eval()
        for number, text in enumerate(ASKED):
            prompt = tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            with torch.inference_mode():
                out = single.generate(**prompt, max_new_tokens=12, do_sample=False)
            expected = tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
            assert mixed[3 * number + offset].text == expected, (name, text)
    answers = {name: tuple(r.text for r in mixed[i::3]) for i, name in enumerate((None, *adapters))}
    assert len(set(answers.values())) == 3, "the adapters should answer differently for this test to say anything"


@pytest.mark.tiny
def test_pieces_joined_are_the_text_also_with_many_requests(model: TransformersModel) -> None:
    requests = [
        ask(ASKED[i % 4] * (1 + i % 3), (None, "one@1", "two@1")[i % 3], max_tokens=3 + i % 20) for i in range(70)
    ]
    pieces: dict[int, list[str]] = {}
    replies = model.generate(requests, lambda i, piece: pieces.setdefault(i, []).append(piece) is None)
    assert ["".join(pieces.get(i, [])) for i in range(70)] == [r.text for r in replies]
    assert all(r.completion_tokens <= q.max_tokens for r, q in zip(replies, requests, strict=True))
    assert {r.finish for r in replies} == {"stop", "length"}
    assert replies == model.generate(requests)


@pytest.mark.tiny
def test_stop_texts_length_and_cancelling_are_each_sequence_s_own(model: TransformersModel) -> None:
    answers = zip(ASKED, model.generate([ask(text, max_tokens=60) for text in ASKED]), strict=True)
    asked, whole = max((pair for pair in answers if pair[1].finish == "stop"), key=lambda p: p[1].completion_tokens)
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 3]
    given: list[str] = []
    replies = model.generate(
        [
            ask(asked, max_tokens=60, stop=[stop]),
            ask(asked, max_tokens=2),
            ask(asked, max_tokens=60),
            ask(asked, max_tokens=60),
        ],
        lambda i, piece: i != 2 and (given.append(piece) if i == 0 else None) is None,
    )
    assert replies[0].text == "".join(given) == whole.text.split(stop)[0]
    assert [r.finish for r in replies] == ["stop", "length", "cancelled", "stop"]
    assert replies[2].completion_tokens == 1
    assert replies[3] == whole


@pytest.mark.tiny
def test_sampling_repeats_under_a_seed_whatever_shares_the_call(model: TransformersModel) -> None:
    seeded = ask(ASKED[0], "one@1", temperature=1.5, seed=7)
    alone = model.generate([seeded])[0]
    among = model.generate([ask(ASKED[1], temperature=1.5), seeded, ask(ASKED[2])])[1]
    assert among == alone
    others = {model.generate([ask(ASKED[0], "one@1", temperature=1.5, seed=s)])[0].text for s in range(8)}
    assert len(others) > 1


@pytest.mark.tiny
def test_what_cannot_be_answered_is_refused_before_the_first_token(model: TransformersModel) -> None:
    said: list[str] = []
    with pytest.raises(Unmet, match="context of 1024"):
        model.generate([ask("hi"), ask("card " * 2000)], lambda i, piece: said.append(piece) is None)
    with pytest.raises(NotFound, match="three@1"):
        model.generate([ask("hi", "three@1")])
    with pytest.raises(Unmet, match="unknown role: wizard"):
        model.generate([Request(messages=[{"role": "wizard", "content": "x"}])])
    assert said == []
    long = "card " * 900
    near = model.generate([ask(long, max_tokens=5000), ask("hi", max_tokens=5)])
    assert near[0].prompt_tokens + near[0].completion_tokens <= 1024


def test_whole_characters_only() -> None:
    text = "naïve 東京 🙂 end"
    raw = text.encode()
    stream = TextStream(lambda ids: bytes(ids).decode(errors="replace"))
    pieces = [stream.push(byte) for byte in raw]
    assert "".join(pieces) + stream.end() == text
    assert all("\ufffd" not in piece for piece in pieces)


def test_bytes_that_are_no_character_are_given_at_the_end() -> None:
    stream = TextStream(lambda ids: bytes(ids).decode(errors="replace"))
    assert "".join(stream.push(b) for b in b"ab\xf0\x9f") + stream.end() == "ab\ufffd"


def test_decoders_that_drop_a_leading_space_lose_none() -> None:
    words = ["▁Hello", "▁big", "▁world", "s"]
    stream = TextStream(lambda ids: "".join(words[i] for i in ids).replace("▁", " ").removeprefix(" "))
    assert [stream.push(i) for i in range(4)] == ["Hello", " big", " world", "s"]


@pytest.mark.parametrize("stop", ["END", "\n\n", "a b"])
def test_a_stop_text_is_never_given_in_part(stop: str) -> None:
    for text in (f"one a{stop}two", f"{stop}", "EN a \n x", f"aEaEN{stop}"):
        stream = TextStream(lambda ids: "".join(map(chr, ids)), [stop])
        given = "".join(stream.push(ord(c)) for c in text if not stream.stopped) + stream.end()
        assert given == text.split(stop)[0]
        assert stream.stopped == (stop in text)


def test_the_scripted_model_keeps_the_port_s_promises() -> None:
    model = ScriptedModel({"hi": "one two three END four", "yo": "five six"})
    pieces: dict[int, str] = {}

    def on_text(i: int, piece: str) -> bool:
        pieces[i] = pieces.get(i, "") + piece
        return i != 3

    replies = model.generate(
        [ask("hi", stop=["END"]), ask("hi", max_tokens=2), ask("yo"), ask("yo"), ask("?")], on_text
    )
    assert [r.text for r in replies] == ["one two three ", "one two", "five six", "five", ""]
    assert [r.finish for r in replies] == ["stop", "length", "stop", "cancelled", "stop"]
    assert [pieces.get(i, "") for i in range(5)] == [r.text for r in replies]
