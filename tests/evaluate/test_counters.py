"""What must not get worse while the gate gets better, and how often a gate's items may be looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

import pytest
from questions import LABELS, Desk, Right, item

from whence.evaluate import Contender, evaluate, fix_gate, judge, put_suite
from whence.lifecycle.counters import counters
from whence.models.backends.scripted import ScriptedModel
from whence.models.port import Request
from whence.records import Adapter, Finding, Item, Ref, Unmet, Verdict


def other(i: int) -> Item:
    """A question of what the gate does not ask."""
    return Item(id=f"o{i}", input=f"other question {i}", expected=LABELS[i % 4])


def found(desk: Desk, n: int, right: Right, **gate: float) -> list[Finding]:
    """A candidate that is right on the gate where the base is not, and on the counter suite where `right` says; the
    base is right there on nine of ten."""
    suite = desk.suite(100)
    fix_gate(desk.store, desk.gate(suite, **gate))
    counter = put_suite(desk.store, "general", "counter", "label", [other(i) for i in range(n)], LABELS)
    desk.evaluated(suite, lambda i: True, tuned=True)
    desk.evaluated(counter, lambda i: i % 10 != 0, tuned=False)
    desk.evaluated(counter, right, tuned=True)
    return list(counters(desk.store, desk.adapter))


@pytest.mark.parametrize(
    ("n", "right", "said"),
    [
        (500, lambda i: i % 10 != 0, "pass"),
        (500, lambda i: i % 10 != 1, "pass"),  # as many, other ones
        (500, lambda i: i % 3 != 0, "fail"),
        (60, lambda i: i % 10 != 1, "abstain"),
        (10, lambda i: i % 3 != 0, "abstain"),
    ],
)
def test_a_loss_elsewhere_is_found_and_none_is_silent(desk: Desk, n: int, right: Right, said: str) -> None:
    (one,) = found(desk, n, right)
    assert (one.check, one.about, one.verdict, one.severity) == ("eval.counter", "general", said, "high")
    assert one.n == n
    assert one.message.startswith("general: ")


def test_no_counter_suite_no_word(desk: Desk) -> None:
    suite = desk.suite(100)
    fix_gate(desk.store, desk.gate(suite))
    desk.evaluated(suite, lambda i: True, tuned=True)
    assert list(counters(desk.store, desk.adapter)) == []


def test_the_gate_that_judges_says_what_may_be_lost_and_not_one_fixed_later(desk: Desk) -> None:
    (one,) = found(desk, 500, lambda i: i % 3 != 0)
    lax = fix_gate(desk.store, desk.gate(desk.suite(100), max_slice_drop=0.9))
    strict = fix_gate(desk.store, desk.gate(desk.suite(100)))
    assert [said.verdict for said in counters(desk.store, desk.adapter, lax)] == ["pass"]
    assert [*counters(desk.store, desk.adapter, strict)] == [one]
    assert one.verdict == "fail"


@pytest.mark.parametrize("role", ["counter", "dev"])
def test_a_suite_that_is_changed_when_it_has_shown_a_loss_passes_nothing(desk: Desk, role: str) -> None:
    assert found(desk, 600, lambda i: i % 3 != 0)[0].verdict == "fail"
    kind = cast(Literal["counter", "dev"], role)
    easy = put_suite(desk.store, "general", kind, "label", [other(i) for i in range(600) if i % 3], LABELS)
    desk.evaluated(easy, lambda i: i % 10 != 0, tuned=False)
    desk.evaluated(easy, lambda i: True, tuned=True)
    said = [(one.verdict, one.severity, "post hoc" in one.message) for one in counters(desk.store, desk.adapter)]
    assert said == [("abstain", "high", True), ("pass", "high", False)][: 2 if role == "counter" else 1]
    other_one = replace(desk, adapter=desk.store.put(replace(desk.store.get(desk.adapter, Adapter), weights="b3:02")))
    other_one.evaluated(easy, lambda i: True, tuned=True)
    assert [one.verdict for one in counters(desk.store, other_one.adapter)] == ["pass"][: role == "counter"]


def test_a_suite_that_grew_where_nothing_was_lost_passes(desk: Desk) -> None:
    assert found(desk, 500, lambda i: i % 10 != 0)[0].verdict == "pass"
    grown = put_suite(desk.store, "general", "counter", "label", [other(i) for i in range(700)], LABELS)
    assert [*counters(desk.store, desk.adapter)] == [], "it was not asked yet"
    desk.evaluated(grown, lambda i: i % 10 != 0, tuned=False)
    desk.evaluated(grown, lambda i: i % 10 != 0, tuned=True)
    assert [(one.verdict, one.n) for one in counters(desk.store, desk.adapter)] == [("pass", 700)]


def test_a_counter_asked_otherwise_is_no_evidence(desk: Desk) -> None:
    suite = desk.suite(100)
    fix_gate(desk.store, desk.gate(suite))
    counter = put_suite(desk.store, "general", "counter", "label", [other(i) for i in range(100)], LABELS)
    desk.evaluated(counter, lambda i: True, tuned=False)
    desk.evaluated(counter, lambda i: True, tuned=True, max_tokens=9)
    with pytest.raises(Unmet, match="the same inputs"):
        list(counters(desk.store, desk.adapter))


def looked(desk: Desk, suite: Ref, count: int) -> Ref:
    """The last of so many adapters scored on a suite: its evaluation."""
    made = desk.store.get(desk.adapter, Adapter)

    def answer(request: Request) -> str:
        return LABELS[int(str(request.messages[-1]["content"]).split()[-1]) % 4]

    for number in range(count):
        ref = desk.store.put(replace(made, name=f"desk{number}", weights=f"b3:{number:02x}"))
        contender = Contender(model=ScriptedModel(answer), base=desk.base, adapter=ref, adapter_name="desk")
        last = evaluate(desk.store, contender, suite, desk.prompt, max_tokens=8)
    return last


@pytest.mark.parametrize(("looks", "said"), [(5, "pass"), (6, "abstain")])
def test_more_looks_at_the_items_than_the_budget_has_decide_nothing(desk: Desk, looks: int, said: str) -> None:
    suite = desk.suite(200)
    baseline = desk.evaluated(suite, lambda i: i % 2 == 0, tuned=False)
    gate = fix_gate(desk.store, desk.gate(suite, budget=5))
    verdict = desk.store.get(judge(desk.store, gate, looked(desk, suite, looks), baseline), Verdict)
    (budget,) = (one for one in verdict.findings if one.check == "eval.budget")
    assert (verdict.outcome, budget.verdict, budget.n) == (said, said, looks)
    fresh = put_suite(desk.store, "desk", "gate", "label", [item(i) for i in range(200, 400)], LABELS)
    baseline = desk.evaluated(fresh, lambda i: i % 2 == 0, tuned=False)
    gate = fix_gate(desk.store, desk.gate(fresh, budget=5))
    assert desk.store.get(judge(desk.store, gate, looked(desk, fresh, 2), baseline), Verdict).outcome == "pass"


def test_a_suite_with_an_item_more_is_the_same_search_and_post_hoc_for_whom_it_knows(desk: Desk) -> None:
    looked(desk, desk.suite(200), 5)
    grown = desk.suite(201)
    baseline = desk.evaluated(grown, lambda i: i % 2 == 0, tuned=False)
    gate = fix_gate(desk.store, desk.gate(grown, budget=5))
    new = desk.evaluated(grown, lambda i: True, tuned=True)
    verdict = desk.store.get(judge(desk.store, gate, new, baseline), Verdict)
    said = {one.check: one for one in verdict.findings}
    assert (said["eval.budget"].verdict, said["eval.budget"].n) == ("abstain", 6)
    assert "× 6 tried" in said["gate.gain"].message
    assert "eval.post_hoc" not in said
    known = judge(desk.store, gate, looked(desk, grown, 1), baseline)  # it was scored on 200 of these before
    assert "eval.post_hoc" in {one.check for one in desk.store.get(known, Verdict).findings}


def test_items_under_other_ids_or_some_of_them_are_the_same_search(desk: Desk) -> None:
    looked(desk, desk.suite(400), 5)
    for made in ([replace(item(i), id=f"x{i}", slices={}) for i in range(400)], [item(i) for i in range(150)]):
        suite = put_suite(desk.store, "desk", "gate", "label", made, LABELS)
        baseline = desk.evaluated(suite, lambda i: i % 2 == 0, tuned=False)
        gate = fix_gate(desk.store, desk.gate(suite, budget=5))
        new = desk.evaluated(suite, lambda i: True, tuned=True)
        said = {one.check: one for one in desk.store.get(judge(desk.store, gate, new, baseline), Verdict).findings}
        assert (said["eval.budget"].verdict, said["eval.budget"].n) == ("abstain", 6)
        assert "× 6 tried" in said["gate.gain"].message


def test_a_budget_of_nothing_is_refused(desk: Desk) -> None:
    with pytest.raises(Unmet, match="budget is 0"):
        fix_gate(desk.store, desk.gate(desk.suite(10), budget=0))
