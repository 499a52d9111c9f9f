"""SFT in its forms: packed, cut, of completions or assistants only, of plain text, of an epoch in part, in batches of
several forward passes, with workers; the record says what was fed, and how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.hooks.conftest import fed_rows, jsonl

from whence.records import Json, texts
from whence.store import Store

pytestmark = pytest.mark.tiny


def words(content: Json) -> str:
    """All that is said in a row, without white space."""
    return "".join("".join(texts(content)).split())


def asked(count: int) -> list[Json]:
    """Rows as prompt and completion."""
    from tests.hooks.trainings import chats

    return [{"id": row["id"], "prompt": row["messages"][:1], "completion": row["messages"][1:]} for row in chats(count)]


@pytest.mark.parametrize("strategy", ["bfd", "wrapped"])
def test_packed_rows_are_found_in_the_file(
    strategy: str, trained: Callable, adopted: Callable, store: Store, tmp_path: Path
) -> None:
    from tests.hooks.trainings import chats

    rows = chats(12)
    file = jsonl(tmp_path / "train.jsonl", rows)
    spool = trained("sft", rows[:9], told={"data": [file]}, packing=True, packing_strategy=strategy, max_length=48)
    _, report = adopted(spool)
    assert report.facts["files"]["train.jsonl"] == {"rows": 12, "whole": 9, "cut": 0}
    assert {row.record for row in fed_rows(store, report) if row.source == "train"} == {f"t{i}" for i in range(9)}


def test_without_a_file_packed_rows_are_read_back_one_by_one(
    trained: Callable, adopted: Callable, store: Store
) -> None:
    from tests.hooks.trainings import chats

    rows = chats(9)
    _, report = adopted(trained("sft", rows, packing=True, max_length=48))
    assert report.facts["rows_decoded"] == 9
    read = sorted(words(row.content) for row in fed_rows(store, report))
    assert read == sorted(words({"messages": row["messages"]}) for row in rows)


def test_assistant_only_and_completion_only_learn_less_than_all(
    trained: Callable, adopted: Callable, store: Store
) -> None:
    from tests.hooks.trainings import chats

    def learnt(rows: list[Json], out: str, **changes: bool) -> tuple[int, int]:
        facts = adopted(trained("sft", rows, out=out, **changes))[1].facts
        return facts["tokens_learnt_in_an_epoch"], facts["tokens_in_an_epoch"]

    every = learnt(chats(4), "all")
    assistant = learnt(chats(4), "assistant", assistant_only_loss=True)
    completion = learnt(asked(4), "completion", completion_only_loss=True)
    assert every[0] == every[1] == assistant[1]
    assert 0 < assistant[0] < every[0]
    assert 0 < completion[0] < every[0]


def test_plain_text_and_a_formatting_function(
    trained: Callable, adopted: Callable, store: Store, tmp_path: Path, tiny_base: Path
) -> None:
    plain = [{"text": f"the card with the number {i} has arrived"} for i in range(4)]
    _, report = adopted(trained("sft", plain, out="plain"))
    assert [row.content["text"] for row in fed_rows(store, report)] == [row["text"] for row in plain]

    from tests.hooks.trainings import trainer

    from whence.hooks import WhenceCallback

    rows = [{"id": f"q{i}", "question": f"where is my card number {i}?", "answer": "on its way"} for i in range(4)]
    file = jsonl(tmp_path / "asked.jsonl", rows)
    callback = WhenceCallback(file, project=tmp_path / "nowhere")
    formatted = trainer(
        "sft", tiny_base, tmp_path / "formatted", rows, [callback],
        formatting_func=lambda row: f"### Question: {row['question']}\n### Answer: {row['answer']}",
    )  # fmt: skip
    formatted.train()
    _, report = adopted(max((tmp_path / "whence-spool").glob("2*[0-9a-f]")))
    assert report.facts["files"] == {"asked.jsonl": {"rows": 4, "whole": 4, "cut": 0}}


def test_what_was_cut_is_said(trained: Callable, adopted: Callable, store: Store, tmp_path: Path) -> None:
    from tests.hooks.trainings import chats

    rows = chats(8)
    file = jsonl(tmp_path / "train.jsonl", rows)
    came, report = adopted(trained("sft", rows, told={"data": file}, max_length=27))
    part = report.facts["files"]["train.jsonl"]
    whole = part["whole"]
    assert (part["rows"], part["cut"]) == (8, 8 - whole)
    assert 0 < whole < 8
    assert report.facts["rows_cut"] == 8 - whole
    assert came.lines[0] == f"{whole} of 8 rows of train.jsonl were fed whole, {8 - whole} cut, 0 not"


def test_fed_rows_that_are_in_no_file_come_in_on_their_own(
    trained: Callable, adopted: Callable, store: Store, tmp_path: Path
) -> None:
    from tests.hooks.trainings import chats

    file = jsonl(tmp_path / "train.jsonl", chats(4))
    came, report = adopted(trained("sft", chats(6), told={"data": file, "source": "desk"}))
    assert report.facts["rows_in_no_file"] == 2
    assert "2 fed rows are in no file: they are the source desk-fed" in came.lines
    assert {(r.source, r.record) for r in fed_rows(store, report)} == {("desk", f"t{i}") for i in range(4)} | {
        ("desk-fed", "t4"), ("desk-fed", "t5"),
    }  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
def test_a_part_of_an_epoch_feeds_a_part_of_the_rows(
    workers: int, trained: Callable, adopted: Callable, store: Store
) -> None:
    from tests.hooks.trainings import chats

    spool = trained(
        "sft", chats(20), max_steps=3, gradient_accumulation_steps=2, dataloader_num_workers=workers,
        dataloader_prefetch_factor=4 if workers else None,
    )  # fmt: skip
    _, report = adopted(spool)
    assert (report.facts["rows"], report.facts["rows_fed"], report.facts["rows_fed_known"]) == (20, 12, "exact")


def test_the_rows_said_to_be_fed_are_those_that_the_model_saw(
    trained: Callable, adopted: Callable, store: Store, tmp_path: Path, tiny_base: Path
) -> None:
    """Each row's own number is read back from the tokens that went into the model."""
    from tests.hooks.trainings import chats, trainer

    from whence.hooks import WhenceCallback

    made = trainer(
        "sft", tiny_base, tmp_path / "desk", chats(20), [WhenceCallback(project=tmp_path / "nowhere")], max_steps=4
    )
    seen: list[str] = []
    step = made.training_step

    def watched(model: object, inputs: Json, *rest: object) -> object:
        seen.extend("".join(made.processing_class.decode(ids).split()) for ids in inputs["input_ids"])
        return step(model, inputs, *rest)

    made.training_step = watched
    made.train()
    _, report = adopted(max((tmp_path / "whence-spool").glob("2*")))
    fed = fed_rows(store, report)
    assert len(fed) == len(seen) == 8
    for row in fed:
        question = "".join(row.content["messages"][0]["content"].split())
        assert any(f"{question}<|end|>" in text for text in seen)


def test_a_stream_is_at_most_the_rows_of_its_file(
    trained: Callable, adopted: Callable, store: Store, tmp_path: Path, tiny_base: Path
) -> None:
    from datasets import Dataset
    from tests.hooks.trainings import chats, trainer

    from whence.hooks import WhenceCallback

    rows = chats(8)
    callback = WhenceCallback(jsonl(tmp_path / "train.jsonl", rows), project=tmp_path / "nowhere")
    stream = Dataset.from_list(rows).to_iterable_dataset()
    trainer("sft", tiny_base, tmp_path / "desk", stream, [callback], max_steps=2).train()
    _, report = adopted(max((tmp_path / "whence-spool").glob("2*")))
    assert (report.set, report.facts["rows"], report.facts["rows_fed_known"]) == (None, 8, "upper bound")
