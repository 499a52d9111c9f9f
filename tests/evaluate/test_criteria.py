"""Criteria in a gate: what the recorded answers come to is in the verdict; too few answers abstain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from questions import LABELS, Desk, item
from scipy.stats import binom

from whence.evaluate import (
    Contender,
    compiled,
    evaluate,
    fix_gate,
    judge,
    judge_evidence,
    left_out,
    put_suite,
    write_evidence,
)
from whence.evaluate.criteria import needed, power
from whence.models.backends.scripted import ScriptedModel
from whence.records import Criterion, Finding, Ref, Requirement, Verdict, digest, references
from whence.store import verify

CARDS = Requirement(id="cards", text="Answers about cards name them.", owner="ann@example.org")
NAMED = Criterion(
    requirement=Ref(digest(CARDS)),
    id="cards.named",
    statement="An answer names a card, a fee, a transfer or a PIN.",
    slice="*",
    check="regex",
    value="(?i).*(card|fee|transfer|pin).*",
    threshold=0.95,
    tolerance=0.05,
    n=None,
    example=("card lost",),
    counterexample=("I cannot say",),
    defines=(),
    owner="ann@example.org",
)


def verdict(desk: Desk, n: int, criterion: Criterion, bad: int) -> tuple[Verdict, Finding]:
    """Of a candidate that says nothing in `bad` of n answers, under a gate with this criterion."""
    store, suite = desk.store, desk.suite(n)
    baseline = desk.evaluated(suite, lambda i: i % 2 == 0, tuned=False)
    criteria = compiled(store, [(CARDS, [criterion])])
    fixed = fix_gate(store, replace(desk.gate(suite), criteria=criteria))
    model = ScriptedModel(lambda request: _answer(str(request.messages[-1]["content"]), bad))
    tuned = Contender(model=model, base=desk.base, adapter=desk.adapter, adapter_name="desk")
    said = judge(store, fixed, evaluate(store, tuned, suite, desk.prompt, max_tokens=8), baseline)
    assert verify(store) == []
    made = store.get(said, Verdict)
    [found] = [one for one in made.findings if one.check == "spec.held"]
    return made, found


def _answer(question: str, bad: int) -> str:
    i = int(question.split()[-1])
    return "I cannot say" if i < bad else LABELS[i % 4]


@pytest.mark.parametrize(
    ("n", "bad", "said", "outcome"),
    [(400, 4, "pass", "pass"), (400, 60, "fail", "fail"), (400, 34, "abstain", "abstain"), (40, 0, "pass", "abstain")],
)
def test_a_verdict_holds_answers_to_a_criterion(desk: Desk, n: int, bad: int, said: str, outcome: str) -> None:
    made, found = verdict(desk, n, NAMED, bad)
    assert (found.verdict, found.severity, made.outcome) == (said, "high", outcome)
    assert (found.about, found.n, found.statistic, found.threshold) == ("cards.named", n, (n - bad) / n, 0.95)
    assert found.p == pytest.approx(binom.sf(n - bad - 1, n, 0.9))
    assert f"{n - bad} of {n} answers of * pass" in found.message


def test_a_verdict_with_criteria_comes_from_its_evidence_too(desk: Desk, tmp_path: Path) -> None:
    made, found = verdict(desk, 400, NAMED, 4)
    write_evidence(desk.store, Ref(digest(made)), tmp_path / "evidence.json")
    assert judge_evidence(tmp_path / "evidence.json")[0] == made
    assert found in made.findings


def test_fewer_answers_than_were_asked_for_do_not_pass(desk: Desk) -> None:
    _, found = verdict(desk, 400, replace(NAMED, n=500), 0)
    assert found.verdict == "abstain"
    assert found.message.endswith("; 500 are to be looked at")


def test_a_criterion_speaks_of_its_slice_alone_and_right_is_what_the_suite_says(desk: Desk) -> None:
    right = replace(NAMED, check="right", value=None, slice="channel=branch")
    _, found = verdict(desk, 600, right, 100)
    assert (found.n, found.statistic) == (60, 50 / 60)


def test_what_nobody_answered_is_no_pass(desk: Desk) -> None:
    _, found = verdict(desk, 400, replace(NAMED, slice="channel=letter"), 0)
    assert (found.verdict, found.n, found.statistic) == ("abstain", 0, None)


def test_a_gate_names_its_criteria_and_they_their_requirement(desk: Desk) -> None:
    store = desk.store
    half = replace(NAMED, id="cards.half", threshold=None)
    other = replace(CARDS, id="other", text="Answers are friendly.")
    spec = [(CARDS, [NAMED, half]), (other, [])]
    refs = compiled(store, spec)
    assert refs == (digest(NAMED),)
    assert compiled(store, [(other, [])]) is None
    assert [(one.about, one.verdict, one.severity) for one in left_out(spec)] == [
        ("cards", "abstain", "info"),
        ("other", "abstain", "info"),
    ]
    gate = replace(desk.gate(desk.suite(10)), criteria=refs)
    assert refs[0] in {ref for _, ref in references(gate)}
    assert store.get(store.get(refs[0], Criterion).requirement, Requirement) == CARDS
    assert digest(replace(gate, criteria=None)) == digest(desk.gate(desk.suite(10)))


def test_a_criterion_that_comes_after_the_score_is_post_hoc(desk: Desk) -> None:
    suite = put_suite(desk.store, "desk", "gate", "label", [item(i) for i in range(200)], LABELS)
    baseline = desk.evaluated(suite, lambda i: False, tuned=False)
    fix_gate(desk.store, desk.gate(suite))
    candidate = desk.evaluated(suite, lambda i: True, tuned=True)
    late = fix_gate(desk.store, replace(desk.gate(suite), criteria=compiled(desk.store, [(CARDS, [NAMED])])))
    given = desk.store.get(judge(desk.store, late, candidate, baseline), Verdict)
    assert given.outcome == "abstain"
    assert "eval.post_hoc" in [one.check for one in given.findings]


@pytest.mark.parametrize(("threshold", "tolerance"), [(0.95, 0.05), (1.0, 0.05), (0.9, 0.02), (0.6, 0.1)])
def test_power_is_that_of_the_rule_and_so_many_answers_reach_it(threshold: float, tolerance: float) -> None:
    def plain(n: int) -> float:
        passing = next(k for k in range(n + 2) if binom.sf(k - 1, n, threshold - tolerance) <= 0.05)
        return float(binom.sf(passing - 1, n, threshold))

    for n in (20, 60, 150):
        assert power(n, threshold, tolerance, 0.05) == pytest.approx(plain(n))
    n = needed(threshold, tolerance, 0.05)
    assert power(n - 1, threshold, tolerance, 0.05) < 0.8
    assert min(power(m, threshold, tolerance, 0.05) for m in range(n, n + 50)) >= 0.8
