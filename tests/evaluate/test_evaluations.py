"""Evaluations: what is recorded, that it is found again, and that the best prompt is chosen on dev only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from questions import LABELS, Desk, answering

from whence.evaluate import Contender, best_prompt, evaluate, items_of
from whence.models.backends.scripted import ScriptedModel
from whence.models.port import OnText, Reply, Request
from whence.records import BackendFailed, Evaluation, Prompt, RunReport, Unmet
from whence.store import verify


class Failing(ScriptedModel):
    """Every fifth request ends in an error; gives one reply too few where `short`."""

    def __init__(self, short: bool = False) -> None:
        super().__init__(answering(lambda i: i % 2 == 0))
        self._short = short

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        replies = super().generate(requests, on_text)
        failed = [replace(r, finish="error") if i % 5 == 0 else r for i, r in enumerate(replies)]
        return failed[1:] if self._short else failed


def test_an_evaluation_records_every_item_and_is_found_again(desk: Desk) -> None:
    suite, calls, seen = desk.suite(100), [], []

    def answer(request: Request) -> str:
        calls.append(request)
        return answering(lambda i: i % 10 != 0)(request)

    contender = Contender(model=ScriptedModel(answer), base=desk.base, adapter=desk.adapter, adapter_name="desk")
    ref = evaluate(desk.store, contender, suite, desk.prompt, max_tokens=8, on_progress=lambda *at: seen.append(at))
    found = desk.store.get(ref, Evaluation)
    assert [(r.slice, r.right, r.n) for r in found.results] == [
        ("*", 90, 100),
        ("channel=app", 90, 90),
        ("channel=branch", 0, 10),
    ]
    assert found.results[0].low < 0.9 < found.results[0].high
    assert (found.adapter, found.unscored, {c.adapter for c in calls}) == (desk.adapter, 0, {"desk"})
    lines = desk.store.get_lines(found.scores)
    assert lines[0] == {"item": "q0", "state": "wrong", "output": LABELS[1]}
    assert len(lines) == 100
    assert seen == [(64, 100), (100, 100)]
    (_, report), (finished,) = desk.store.all(RunReport)[0], desk.store.events("run.finished")
    assert (report.run, report.facts["items"], report.duration_s > 0) == (found.run, 100, True)
    assert (finished.about, finished.data["evaluation"]) == (found.run, ref)
    assert evaluate(desk.store, contender, suite, desk.prompt, max_tokens=8) == ref
    assert (len(calls), desk.store.count(Evaluation)) == (100, 1)
    assert evaluate(desk.store, contender, suite, desk.prompt, max_tokens=9) != ref
    assert verify(desk.store) == []


def test_failed_answers_are_unscored_and_missing_ones_an_error(desk: Desk) -> None:
    suite = desk.suite(50)
    found = desk.store.get(
        evaluate(desk.store, Contender(model=Failing(), base=desk.base), suite, desk.prompt, max_tokens=8)
    )
    assert (found.unscored, found.results[0].n) == (10, 40)
    with pytest.raises(BackendFailed, match="49 replies to 50"):
        evaluate(desk.store, Contender(model=Failing(short=True), base=desk.base), suite, desk.prompt, max_tokens=9)
    assert desk.store.count(Evaluation) == 1


def test_an_adapter_without_its_loaded_name_is_refused(desk: Desk) -> None:
    with pytest.raises(ValueError, match="go together"):
        Contender(model=ScriptedModel({}), base=desk.base, adapter=desk.adapter)


def liking(template: str, shots: int) -> ScriptedModel:
    """Right under one template and number of shots, else right on odd questions only."""

    def answer(request: Request) -> str:
        turns = request.messages
        system = turns[0]["role"] == "system"
        kind = ("instructed" if system else "bare", (len(turns) - system) // 2)
        return answering(lambda i: kind == (template, shots) or i % 2 == 1)(request)

    return ScriptedModel(answer)


@pytest.mark.parametrize(("template", "shots"), [("instructed", 2), ("bare", 4), ("instructed", 0)])
def test_the_best_prompt_is_found_and_every_try_is_recorded(desk: Desk, template: str, shots: int) -> None:
    dev, seen = desk.suite(40, "dev"), []
    ref = best_prompt(
        desk.store,
        Contender(model=liking(template, shots), base=desk.base),
        dev,
        max_tokens=8,
        on_progress=lambda *at: seen.append(at),
    )
    best = desk.store.get(ref, Prompt)
    assert (best.template, len(best.shots)) == (template, shots)
    assert desk.store.count(Evaluation) == 6
    assert seen[-1] == (240, 240)
    shown = {s.item for s in best.shots}
    for _, tried in desk.store.all(Evaluation):
        prompt = desk.store.get(tried.prompt, Prompt)
        held = {s.item for s in prompt.shots}
        unscored = {s["item"] for s in desk.store.get_lines(tried.scores) if s["state"] == "unscored"}
        assert unscored == held
        assert tried.results[0].n == 40 - len(held)
    assert shown <= {i.id for i in items_of(desk.store, dev)}


def test_a_tie_goes_to_no_shots_and_bare(desk: Desk) -> None:
    """Every prompt is as good as another on the items that are compared; shots themselves do not count."""
    contender = Contender(model=ScriptedModel(answering(lambda i: i % 3 == 0)), base=desk.base)
    best = desk.store.get(best_prompt(desk.store, contender, desk.suite(40, "dev"), max_tokens=8), Prompt)
    assert best == Prompt(template="bare", text="")


def test_no_prompt_is_chosen_on_a_gate_suite_or_without_a_scored_answer(desk: Desk) -> None:
    with pytest.raises(Unmet, match="gate suite"):
        best_prompt(desk.store, Contender(model=Failing(), base=desk.base), desk.suite(40), max_tokens=8)
    assert desk.store.count(Evaluation) == 0

    class Dead(ScriptedModel):
        def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
            return [replace(r, finish="error") for r in super().generate(requests, on_text)]

    with pytest.raises(BackendFailed, match="no item"):
        best_prompt(desk.store, Contender(model=Dead({}), base=desk.base), desk.suite(40, "dev"), max_tokens=8)
