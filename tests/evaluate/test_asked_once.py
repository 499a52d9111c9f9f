"""Nothing is asked twice: not by an evaluation that was killed, not of items that another evaluation put to the same
model. What an endpoint does wrong leaves single items unscored, with the reason."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from questions import LABELS, Desk, answering, item

from models.hosted import completion, server
from whence.evaluate import Contender, evaluate, put_suite
from whence.evaluate.answers import KIND
from whence.models.backends import openai_http
from whence.models.backends.openai_http import OpenAIModel
from whence.models.backends.scripted import ScriptedModel
from whence.models.port import Request
from whence.records import BackendFailed, Conflict, Evaluation, Item, Ref, RunReport
from whence.store import Store, verify

RIGHT = answering(lambda i: i % 3 != 0)


def counting(calls: list[Request]) -> ScriptedModel:
    def answer(request: Request) -> str:
        calls.append(request)
        return RIGHT(request)

    return ScriptedModel(answer)


def asked(desk: Desk, suite: Ref, calls: list[Request], max_tokens: int = 8) -> Evaluation:
    contender = Contender(model=counting(calls), base=desk.base)
    return desk.store.get(evaluate(desk.store, contender, suite, desk.prompt, max_tokens=max_tokens), Evaluation)


def facts(desk: Desk, made: Evaluation) -> tuple[int, int]:
    """(asked, known before)."""
    (report,) = (one for _, one in desk.store.all(RunReport) if one.run == made.run)
    return report.facts["asked"], report.facts["known"]


def _child(root: Path, base: Ref, suite: Ref, prompt: Ref, batches: int, barrier: Callable[[], object] | None) -> None:
    """Evaluate; where `batches` is not 0, die without a word after so many."""

    def told(done: int, total: int) -> None:
        if batches and done >= batches * 64:
            os.kill(os.getpid(), signal.SIGKILL)

    with_store = Store.open(root, actor="tester@example.org")
    if barrier:
        barrier()
    contender = Contender(model=ScriptedModel(RIGHT), base=base)
    evaluate(with_store, contender, suite, prompt, max_tokens=8, on_progress=told)


@pytest.mark.fault
def test_an_evaluation_that_is_killed_goes_on_where_it_was(desk: Desk) -> None:
    suite, fork = desk.suite(300), multiprocessing.get_context("spawn")
    for batches in (2, 3):  # killed twice: 128, then 64 more
        child = fork.Process(target=_child, args=(desk.store.root, desk.base, suite, desk.prompt, batches, None))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert verify(desk.store) == []
    assert len(list(desk.store.stray_words())) == 3
    calls: list[Request] = []
    made = asked(desk, suite, calls)
    assert (len(calls), facts(desk, made)) == (108, (108, 192))
    assert desk.store.journal(KIND).segments() == []
    whole = desk.suite(300, "dev")  # the same questions, asked of another store's worth of nothing
    other = evaluate(
        desk.store,
        Contender(model=ScriptedModel(RIGHT), base=desk.base),
        whole,
        desk.prompt,
        max_tokens=9,
    )
    assert desk.store.get(other, Evaluation).scores == made.scores
    assert verify(desk.store) == []


@pytest.mark.fault
def test_a_torn_or_changed_line_of_a_killed_evaluation_is_asked_again(desk: Desk) -> None:
    suite, fork = desk.suite(300), multiprocessing.get_context("spawn")
    child = fork.Process(target=_child, args=(desk.store.root, desk.base, suite, desk.prompt, 3, None))
    child.start()
    child.join()
    (left,) = (desk.store.root / "journal" / KIND).glob("*.jsonl")
    lines = left.read_bytes().splitlines(keepends=True)
    lines[0] = lines[0].replace(b"output", b"0utput")
    left.write_bytes(b"".join(lines)[:-7])
    calls: list[Request] = []
    assert asked(desk, suite, calls).results[0].n == 300
    assert len(calls) == 300 - 64


@pytest.mark.fault
def test_two_processes_that_evaluate_the_same_make_one_evaluation(desk: Desk) -> None:
    suite, fork = desk.suite(300), multiprocessing.get_context("spawn")
    barrier = fork.Barrier(2)
    both = [
        fork.Process(target=_child, args=(desk.store.root, desk.base, suite, desk.prompt, 0, barrier.wait))
        for _ in range(2)
    ]
    for child in both:
        child.start()
    for child in both:
        child.join()
    assert [child.exitcode for child in both] == [0, 0]
    assert desk.store.count(Evaluation) == len(desk.store.events("run.finished")) == 1
    assert verify(desk.store) == []


def test_whoever_began_later_and_ends_later_finds_what_the_first_made(desk: Desk) -> None:
    """The second knows the lines that the first kept until then, and takes away when it is done."""
    suite, made = desk.suite(300), list[Ref]()
    contender = Contender(model=ScriptedModel(RIGHT), base=desk.base)
    other = Store.open(desk.store.root, actor="tester@example.org")

    def first(done: int, total: int) -> None:
        if done == 128:
            made.append(evaluate(other, contender, suite, desk.prompt, max_tokens=8))

    made.append(evaluate(desk.store, contender, suite, desk.prompt, max_tokens=8, on_progress=first))
    assert made[0] == made[1]
    assert desk.store.count(Evaluation) == desk.store.count(RunReport) == len(desk.store.events("run.finished")) == 1
    assert desk.store.journal(KIND).segments() == []
    assert verify(desk.store) == []


def test_items_that_another_suite_had_are_not_asked_again(desk: Desk) -> None:
    calls: list[Request] = []
    first = asked(desk, desk.suite(100), calls)
    grown = put_suite(desk.store, "desk", "gate", "label", [item(i) for i in range(20, 130)], LABELS)
    second = asked(desk, grown, calls)
    assert (len(calls), facts(desk, second)) == (130, (30, 80))
    lines = {line["item"]: line for made in (first, second) for line in desk.store.get_lines(made.scores)}
    assert len(lines) == 130
    assert second.results[0].right == sum(i % 3 != 0 for i in range(20, 130))
    asked(desk, grown, calls, max_tokens=9)  # another sampling is another question
    assert len(calls) == 240


def test_other_expected_values_are_scored_anew_and_not_asked(desk: Desk) -> None:
    calls: list[Request] = []
    asked(desk, desk.suite(40), calls)
    mended = [replace(item(i), expected=LABELS[(i + 1) % 4]) for i in range(40)]
    made = asked(desk, put_suite(desk.store, "desk", "gate", "label", mended, LABELS), calls)
    assert (len(calls), made.results[0].right) == (40, sum(i % 3 == 0 for i in range(40)))


def test_items_that_ask_the_same_count_once_and_with_two_golds_not_at_all(desk: Desk) -> None:
    items = [item(i) for i in range(30)]
    items += [replace(item(3), id="again"), replace(item(4), id="other", expected=LABELS[1])]
    calls: list[Request] = []
    made = asked(desk, put_suite(desk.store, "desk", "gate", "label", items, LABELS), calls)
    reasons = {line["item"]: line["reason"] for line in desk.store.get_lines(made.scores) if "reason" in line}
    assert reasons == {
        "again": "item q3 asks the same",
        "q4": "item other asks the same and expects otherwise",
        "other": "item q4 asks the same and expects otherwise",
    }
    assert (len(calls), made.unscored, made.results[0].n) == (29, 3, 29)


@pytest.mark.fault
def test_what_an_erasure_takes_while_it_runs_is_said_and_asked_again(desk: Desk) -> None:
    suite, calls = desk.suite(200), list[Request]()

    def told(done: int, total: int) -> None:
        if done == 128 and len(calls) < 200:
            (left,) = (desk.store.root / "journal" / KIND).glob("*.jsonl")
            journal = desk.store.journal(KIND)
            journal.blank(next([entry] for entry, _ in journal.scan(left.name)))

    contender = Contender(model=counting(calls), base=desk.base)
    with pytest.raises(Conflict, match="taken away while it ran"):
        evaluate(desk.store, contender, suite, desk.prompt, max_tokens=8, on_progress=told)
    evaluate(desk.store, contender, suite, desk.prompt, max_tokens=8)
    assert len(calls) == 200 + 64


def hosted(desk: Desk, url: str, suite: Ref) -> list[dict[str, str]]:
    model = OpenAIModel(url, "tiny", known_as=("tiny",))
    made = evaluate(desk.store, Contender(model=model, base=desk.base), suite, desk.prompt, max_tokens=8)
    return desk.store.get_lines(desk.store.get(made, Evaluation).scores)


@pytest.mark.fault
def test_each_failure_of_an_endpoint_leaves_its_own_item_unscored(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_http, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(openai_http, "WAIT_S", 0.01)

    def answer(body: dict[str, object], _: int) -> object:
        i = int(str(body["messages"][-1]["content"]).split()[-1])  # type: ignore[index]
        if i == 3:
            return 429, b"slow down"
        if i == 5:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + completion(LABELS[1])[1]
        if i == 7:
            time.sleep(0.7)
            return None
        status, raw = completion(LABELS[i % 4])
        return status, raw.replace(b'"tiny"', b'"huge"') if i == 9 else raw

    with server(answer) as seen:
        lines = hosted(desk, seen.url, desk.suite(20))
    why = {line["item"]: line["reason"] for line in lines if line["state"] == "unscored"}
    assert set(why) == {"q3", "q5", "q7", "q9"}
    assert "answered 429: slow down" in why["q3"]
    assert "IncompleteRead" in why["q5"]
    assert "imed out" in why["q7"] or "Timeout" in why["q7"]
    assert "tiny was asked and 'huge' answered" in why["q9"]
    assert sum(line["state"] == "right" for line in lines) == 16


@pytest.mark.fault
def test_an_endpoint_that_dies_ends_the_evaluation_and_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_http, "WAIT_S", 0.01)
    suite, dead = desk.suite(150), True

    def answer(body: dict[str, object], _: int) -> object:
        i = int(str(body["messages"][-1]["content"]).split()[-1])  # type: ignore[index]
        return (503, b"gone") if dead and i >= 64 else completion(LABELS[i % 4])

    with server(answer) as seen:
        with pytest.raises(BackendFailed, match="answered 503: gone"):
            hosted(desk, seen.url, suite)
        assert verify(desk.store) == []
        before, dead = len(seen.bodies), False
        assert sum(line["state"] == "right" for line in hosted(desk, seen.url, suite)) == 150
        assert len(seen.bodies) - before == 150 - 64


def test_a_failed_answer_is_asked_again_by_the_next_suite(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_http, "WAIT_S", 0.01)
    broken = True

    def answer(body: dict[str, object], _: int) -> object:
        i = int(str(body["messages"][-1]["content"]).split()[-1])  # type: ignore[index]
        return (500, b"oops") if broken and i == 2 else completion(LABELS[i % 4])

    with server(answer) as seen:
        hosted(desk, seen.url, desk.suite(10))
        before, broken = len(seen.bodies), False
        grown: list[Item] = [item(i) for i in range(12)]
        hosted(desk, seen.url, put_suite(desk.store, "desk", "gate", "label", grown, LABELS))
        assert len(seen.bodies) - before == 3
