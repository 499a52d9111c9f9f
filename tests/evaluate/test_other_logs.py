"""Logs of Inspect, lm-eval and others: what is read of the real ones, and what bad ones come to."""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import LABELS

from fixtures.other_logs import HEADER, archive, inspect_log, lines, packed, sample, samples, unpack
from whence.evaluate.elsewhere import Log, read_log, state_of
from whence.records import Unmet


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("logs"))


def states(log: Log) -> str:
    return "".join(one.state[0] for one in log.items)


def reasons(log: Log) -> dict[str, str | None]:
    return {one.id: one.reason for one in log.items if one.state == "unscored"}


@pytest.mark.parametrize("tool", ["inspect", "lm-eval"])
def test_what_the_real_tools_wrote(real: Path, tool: str) -> None:
    for model, right in (("base", "wwwrwwww"), ("tuned", "rrrrrrrr")):
        log = read_log(real / f"{model}.eval" if tool == "inspect" else samples(real, model), slices=["half"])
        assert (log.header.tool, log.header.task, states(log), log.answers) == (tool, "desk", right, 1)
        assert str(log.header.model).endswith(model)
        assert log.started is not None
        assert log.started.date() == datetime(2026, 11, 22, tzinfo=UTC).date()
        assert [(one.input, one.targets) for one in log.items] == [
            (f"question {i}", (LABELS[i % 4],)) for i in range(8)
        ]
        assert [one.slices["half"] for one in log.items] == ["true"] * 4 + ["false"] * 4
        assert log.items[3].answer == "pin reset"
        assert log.header.sampling["temperature"] == 0
    assert log.header.version == {"inspect": "0.3.285", "lm-eval": "0.4.13"}[tool]


def test_a_log_as_json_asked_twice_with_two_scorers(real: Path) -> None:
    with pytest.raises(Unmet, match="metrics exact, includes"):
        read_log(real / "twice.json")
    with pytest.raises(Unmet, match="no one metric 'f1'"):
        read_log(real / "twice.json", metric="f1")
    log = read_log(real / "twice.json", metric="includes")
    assert (log.answers, states(log), log.metric) == (2, "rr", "includes")


def test_samples_without_their_results_say_neither_when_nor_who(real: Path, tmp_path: Path) -> None:
    alone = shutil.copy(samples(real, "tuned"), tmp_path)
    log = read_log(Path(alone))
    assert (log.header.model, log.started, log.header.task) == (None, None, "desk")
    assert "results_" in log.header.notes[0]
    with pytest.raises(Unmet, match="holds lm-eval's results"):
        read_log(next((real / "tuned").glob("results_*.json")))


def test_several_answers_count_as_most_of_them(tmp_path: Path) -> None:
    given_ = {0: "CCI", 1: "CI", 2: "CII", 3: "CNP"}
    held = [sample(i, value, epoch=n) for i, values in given_.items() for n, value in enumerate(values, 1)]
    log = read_log(inspect_log(tmp_path / "log.json", *held))
    assert (states(log), log.answers) == ("ruwu", 3)
    assert reasons(log) == {"q1": "no majority of 2 answers", "q3": "no majority of 3 answers"}


@pytest.mark.parametrize(
    ("value", "state", "reason"),
    [
        ("C", "right", None),
        ("I", "wrong", None),
        ("N", "wrong", None),
        ("P", "unscored", "the tool gives partial credit"),
        ("yes", "unscored", "the score is text"),
        ("1", "unscored", "the score is text"),
        (True, "right", None),
        (0.0, "wrong", None),
        (1, "right", None),
        (0.5, "unscored", "the score is neither 0 nor 1"),
        (float("nan"), "unscored", "the score is no number"),
        (float("inf"), "unscored", "the score is neither 0 nor 1"),
        (None, "unscored", "the log has no score"),
        ([1], "unscored", "the score is a list"),
    ],
)
def test_what_a_score_means(tmp_path: Path, value: Any, state: str, reason: str | None) -> None:
    assert state_of(value) == (state, reason)
    for log in (
        read_log(inspect_log(tmp_path / "log.json", sample(0, value))),
        read_log(lines(tmp_path / "log.jsonl", {"input": "question", "right": value})),
    ):
        assert (log.items[0].state, log.items[0].reason) == (state, reason)


def test_a_scorer_of_several_values_is_several_metrics(tmp_path: Path) -> None:
    path = inspect_log(tmp_path / "log.json", sample(0, {"polite": 1, "short": 0}))
    assert states(read_log(path, metric="exact/short")) == "w"
    with pytest.raises(Unmet, match="exact/polite, exact/short"):
        read_log(path)


def test_filters_of_lm_eval_are_named(tmp_path: Path) -> None:
    def line(i: int, name: str, value: float) -> dict[str, Any]:
        asked = {"gen_args_0": {"arg_0": f"question {i}", "arg_1": {"until": []}}}
        return {
            "doc_id": i,
            "doc": {},
            "target": "a",
            "arguments": asked,
            "filtered_resps": ["a"],
            "filter": name,
            "acc": value,
        }

    path = lines(tmp_path / "s.jsonl", *(line(i, name, i % 2) for name in ("strict", "loose") for i in range(3)))
    with pytest.raises(Unmet, match="acc,loose, acc,strict"):
        read_log(path, metric="acc")
    log = read_log(path, metric="acc,loose")
    assert (states(log), log.answers) == ("wrw", 1)
    path = lines(tmp_path / "s.jsonl", line(0, "none", 1), line(1, "none", float("nan")), line(2, "none", 0.5))
    assert reasons(read_log(path, metric="acc")) == {"1": "the score is no number", "2": "the score is neither 0 nor 1"}


def test_two_answers_to_compare_with_leave_an_item_unscored(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "log.jsonl",
        {"input": "a", "expected": "x", "right": True},
        {"input": "a", "expected": "y", "right": False},
        {"item": "b", "expected": "x", "right": True},
        {"item": "c", "input": "one", "right": True},
        {"item": "c", "input": "another", "right": True},
    )
    twice, two = "the log compares it with two answers", "the log has two questions under its id"
    assert reasons(read_log(path)) == {"#1": twice, "c": two}


def test_a_sample_that_failed_or_was_declared_invalid(tmp_path: Path) -> None:
    held = [
        sample(0, error={"message": "boom"}),
        sample(1, invalidation={"author": "a"}),
        sample(2, scores={}),
        sample(3),
    ]
    log = read_log(inspect_log(tmp_path / "log.json", *held, status="error", invalidated=True))
    assert states(log) == "uuur"
    assert reasons(log)["q0"] == "the sample ended in an error"
    assert log.header.notes == ("Inspect says of this log: error", "samples of this log were declared invalid")


def test_long_texts_that_a_log_keeps_apart_and_choices(tmp_path: Path) -> None:
    chat = [
        {"id": "1", "role": "system", "content": "be short"},
        {"role": "user", "content": [{"type": "text", "text": "q"}]},
    ]
    held = [
        sample(0, input="attachment://ab", attachments={"ab": "a long question"}),
        sample(1, choices=["yes", "no"]),
        sample(2, input=chat, started_at="2026-11-20T10:00:00+00:00"),
    ]
    log = read_log(inspect_log(tmp_path / "log.json", *held))
    system, user = {"role": "system", "content": "be short"}, {"role": "user", "content": "q"}
    assert [one.input for one in log.items] == ["a long question", "question 1\nA) yes\nB) no", [system, user]]
    assert log.started == datetime(2026, 11, 20, 10, tzinfo=UTC), "samples of an earlier run that was taken up again"


# -- bad files ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_log_that_breaks_off_is_refused(real: Path, tmp_path: Path, share: float) -> None:
    for file in (real / "tuned.eval", real / "twice.json", samples(real, "tuned")):
        whole = file.read_bytes()
        path = tmp_path / file.name
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(Unmet) as said:
            read_log(path, metric=None if file.suffix == ".eval" else "exact")
        assert "question" not in str(said.value)


def test_every_fault_is_named_by_its_line_without_its_words(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "log.jsonl",
        {"input": "a", "right": True},
        '{"input": "secret',
        "[1, 2]",
        {"input": "secret"},
        {"input": ["secret"], "right": True},
        '{"input": "a", "right": true, "right": false}',
        '{"input": "\\ud800", "right": true}',
        "[" * 100_000,
        '{"input": "a", "expected": NaN, "right": true}',
    )
    with pytest.raises(Unmet) as said:
        read_log(path)
    text = str(said.value)
    assert [number for number in range(1, 10) if f"log.jsonl:{number}:" in text] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert "secret" not in text
    assert "8 faults" in text
    for nothing in ("", "\n", "no log at all"):
        path.write_text(nothing)
        with pytest.raises(Unmet):
            read_log(path)
    with pytest.raises(Unmet, match="cannot be read"):
        read_log(tmp_path / "none.jsonl")


def test_an_archive_of_frames_of_a_run_that_never_ended(tmp_path: Path) -> None:
    raw = json.dumps(sample(1)).encode()
    parts = {
        "samples/q0_epoch_1.json": packed(raw[:50]) + packed(raw[50:]),
        "_journal/start.json": packed(json.dumps(HEADER).encode()),
    }
    log = read_log(archive(tmp_path / "log.eval", parts))
    assert states(log) == "r"
    stored = {"header.json": json.dumps(HEADER).encode(), "samples/q1_epoch_1.json": raw, "logs/else.json": b"\x00"}
    assert states(read_log(archive(tmp_path / "log.eval", stored, method=0))) == "r"
    with zipfile.ZipFile(tmp_path / "old.eval", "w", zipfile.ZIP_DEFLATED) as old:
        for name, data in stored.items():
            old.writestr(name, data)
    assert states(read_log(tmp_path / "old.eval")) == "r"
    with zipfile.ZipFile(tmp_path / "odd.eval", "w", zipfile.ZIP_LZMA) as odd:
        odd.writestr("header.json", stored["header.json"])
    with pytest.raises(Unmet, match=r"header\.json: is packed in a way that Inspect does not use"):
        read_log(tmp_path / "odd.eval")


def test_a_header_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    for header in ({"plan": {"config": {"top_p": float("nan")}}}, {"eval": {"task": "\ud800"}}):
        with pytest.raises(Unmet, match="cannot be kept"):
            read_log(inspect_log(tmp_path / "log.json", sample(0), **header))


@pytest.mark.fault
def test_damaged_members_are_named(tmp_path: Path) -> None:
    good = {"header.json": packed(json.dumps(HEADER).encode())}
    for name, raw in (("samples/a.json", packed(json.dumps(sample(1)).encode())), ("samples/b.json", packed(b"{"))):
        with pytest.raises(Unmet, match=name):
            read_log(archive(tmp_path / "log.eval", good | {name: raw}, crc=1 if name.endswith("a.json") else None))
    with pytest.raises(Unmet, match="has no header"):
        read_log(archive(tmp_path / "log.eval", {"samples/a.json": packed(json.dumps(sample(1)).encode())}))
    path = archive(tmp_path / "log.eval", good | {"samples/a.json": packed(json.dumps(sample(1)).encode())})
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            assert states(read_log(path)) == "r", "what was changed is no part of what counts"
        except Unmet:
            refused += 1
    assert refused > len(whole) / 7 / 2


WORDS = (
    *("item", "input", "expected", "output", "right", "doc_id", "arguments", "gen_args_0", "arg_0", "target"),
    *("metrics", "filtered_resps", "eval", "samples", "id", "scores", "value", "plan", "config", "role", "content"),
    *("task", "created", "packages", "status", "choices", "metadata", "attachments", "answer", "started_at"),
)
LINE = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(WORDS), LINE, max_size=8), min_size=1, max_size=3), st.booleans())
@settings(deadline=None, max_examples=80)
def test_whatever_a_file_holds_it_is_a_log_or_refused(
    tmp_path_factory: pytest.TempPathFactory, held: list[Any], one: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "drawn.jsonl"
    text: Callable[[Any], str] = lambda value: json.dumps(value) + "\n"  # noqa: E731
    path.write_text(text(HEADER | held[0] | {"samples": held}) if one else "".join(map(text, held)))
    with contextlib.suppress(Unmet):
        assert read_log(path).items
