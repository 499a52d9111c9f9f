"""Gates: planted gains, losses and cheats get the verdict they deserve; controls stay silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from questions import LABELS, Desk, answering, item

from whence.evaluate import Contender, evaluate, fix_gate, judge, put_suite
from whence.models.backends.scripted import ScriptedModel
from whence.models.port import OnText, Reply, Request
from whence.records import Adapter, Damaged, Evaluation, Finding, Item, Prompt, Ref, Suite, Unmet, Verdict
from whence.register import release
from whence.store import verify

Rewritten = Callable[[list[Item]], list[Item]]


def some(share: float, shift: int = 0) -> object:
    """Right on this share of the questions; `shift` moves which."""
    return lambda i: (i * 37 + shift) % 100 < 100 * share


def verdict(desk: Desk, n: int, new: object, old: object, findings: tuple[Finding, ...] = (), **gate: float) -> Verdict:
    """Baseline, gate, candidate, verdict, in the order that honesty asks for."""
    suite = desk.suite(n)
    baseline = desk.evaluated(suite, old, tuned=False)
    fixed = fix_gate(desk.store, desk.gate(suite, **gate))
    ref = judge(desk.store, fixed, desk.evaluated(suite, new, tuned=True), baseline, findings)
    assert judge(desk.store, fixed, desk.evaluated(suite, new, tuned=True), baseline, findings) == ref
    assert len(desk.store.events("verdict.given")) == 1
    assert verify(desk.store) == []
    return desk.store.get(ref, Verdict)


def of(found: Verdict, check: str) -> Iterator[Finding]:
    return (f for f in found.findings if f.check == check)


def test_a_real_gain_of_ten_points_passes_with_its_numbers(desk: Desk) -> None:
    found = verdict(desk, 400, some(0.8), some(0.7), min_gain=0.02, min_value=0.75)
    assert found.outcome == "pass"
    (gain,) = of(found, "gate.gain")
    assert (gain.statistic, gain.threshold, gain.n) == (pytest.approx(0.1), 0.02, 400)
    assert gain.p < 1e-6
    assert 0.05 < gain.low < 0.1 < gain.high < 0.15
    assert "can show 4.6%" in gain.message
    (value,) = of(found, "gate.value")
    assert (value.statistic, value.verdict) == (pytest.approx(0.8), "pass")


def test_equal_models_do_not_pass(desk: Desk) -> None:
    found = verdict(desk, 400, some(0.7, shift=50), some(0.7))
    assert found.outcome == "abstain"
    assert next(of(found, "gate.gain")).statistic == pytest.approx(0)


def test_enough_items_and_no_gain_fails(desk: Desk) -> None:
    """2,000 items would have shown the 5 points asked for."""
    assert verdict(desk, 2000, some(0.7, shift=10), some(0.7), min_gain=0.05).outcome == "fail"


class Silent(ScriptedModel):
    """Of every so many questions it times out on one."""

    every = 1

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        told = [int(str(one.messages[-1]["content"]).split()[-1]) for one in requests]
        replies = zip(told, super().generate(requests, on_text), strict=True)
        return [r if n % self.every else replace(r, finish="error", reason="timed out") for n, r in replies]


@pytest.mark.parametrize(("every", "said"), [(5, "abstain"), (100, "pass")])
def test_questions_that_neither_side_answers_may_not_be_many(desk: Desk, every: int, said: str) -> None:
    """Those that both time out on may be those that one of them gets wrong."""
    suite, sides = desk.suite(400), []
    fixed = fix_gate(desk.store, desk.gate(suite))
    for share, adapter in ((0.7, {}), (0.8, {"adapter": desk.adapter, "adapter_name": "desk"})):
        model = Silent(answering(some(share)))
        model.every = every
        sides.append(
            evaluate(desk.store, Contender(model=model, base=desk.base, **adapter), suite, desk.prompt, max_tokens=8)
        )
    found = desk.store.get(judge(desk.store, fixed, sides[1], sides[0]), Verdict)
    assert found.outcome == said
    messages = [one.message for one in of(found, "eval.lacking")]
    assert len(messages) == (said == "abstain")
    assert all(one.startswith("80 of 400 items have a score on neither side") for one in messages)


def test_a_collapsed_slice_fails_by_name_while_the_whole_rises(desk: Desk) -> None:
    def right(i: int, branch: int, app: int) -> bool:
        return (i // 10) % 20 < branch if i % 10 == 0 else (i // 10) % 20 < app

    found = verdict(desk, 1000, lambda i: right(i, 9, 17), lambda i: right(i, 15, 14))
    assert found.outcome == "fail"
    (gain,) = of(found, "gate.gain")
    assert (gain.verdict, gain.statistic) == ("pass", pytest.approx(0.105))
    assert [(f.about, f.verdict) for f in of(found, "gate.slice")] == [
        ("channel=app", "pass"),
        ("channel=branch", "fail"),
    ]
    branch = list(of(found, "gate.slice"))[1]
    assert (branch.statistic, branch.n) == (pytest.approx(-0.3), 100)
    assert branch.p < 1e-6


def test_the_same_gain_without_the_collapse_passes(desk: Desk) -> None:
    assert verdict(desk, 1000, some(0.85), some(0.7)).outcome == "pass"


def test_twenty_items_abstain_and_a_small_slice_decides_nothing(desk: Desk) -> None:
    found = verdict(desk, 20, lambda i: True, some(0.3))
    assert found.outcome == "abstain"
    assert {f.verdict for f in of(found, "gate.items")} == {"abstain"}
    assert next(of(found, "gate.gain")).verdict == "abstain"
    assert next(of(found, "gate.gain")).p < 0.05
    assert [(f.about, f.verdict, f.severity) for f in of(found, "gate.slice")][1] == (
        "channel=branch",
        "abstain",
        "info",
    )


def test_a_gate_fixed_after_the_score_says_so_and_passes_nothing(desk: Desk) -> None:
    suite = desk.suite(200)
    baseline = desk.evaluated(suite, some(0.6), tuned=False)
    strict = fix_gate(desk.store, desk.gate(suite, min_gain=0.5))
    candidate = desk.evaluated(suite, some(0.8), tuned=True)
    late = fix_gate(desk.store, desk.gate(suite))
    given = desk.store.get(judge(desk.store, late, candidate, baseline), Verdict)
    (marked,) = of(given, "eval.post_hoc")
    assert (given.outcome, next(of(given, "gate.gain")).verdict, marked.severity) == ("abstain", "pass", "high")
    assert "post hoc: the candidate was scored on these items at event" in marked.message
    assert not list(of(desk.store.get(judge(desk.store, strict, candidate, baseline), Verdict), "eval.post_hoc"))
    assert desk.store.get(judge(desk.store, strict, candidate, baseline), Verdict).outcome == "fail"
    assert fix_gate(desk.store, desk.gate(suite, min_gain=0.5)) == strict
    assert len(desk.store.events("gate.fixed")) == 2


def test_a_renamed_suite_or_another_run_does_not_hide_the_first_score(desk: Desk) -> None:
    """The candidate saw the items under another name of the suite before the gate; a second look changes nothing."""
    store, items = desk.store, [item(i) for i in range(200)]
    desk.evaluated(put_suite(store, "first look", "gate", "label", items, LABELS), some(0.8), tuned=True)
    suite = desk.suite(200)
    baseline = desk.evaluated(suite, some(0.6), tuned=False)
    fixed = fix_gate(store, desk.gate(suite))
    given = store.get(judge(store, fixed, desk.evaluated(suite, some(0.8), tuned=True), baseline), Verdict)
    assert [one.verdict for one in of(given, "eval.post_hoc")] == ["abstain"]


@pytest.mark.parametrize(
    "made",
    [
        lambda items: [replace(one, id=f"x{one.id}") for one in items],
        lambda items: [replace(one, slices={}) for one in items],
        lambda items: [replace(one, input=[{"role": "user", "content": one.input}]) for one in items],
        lambda items: [replace(one, expected=LABELS[0]) for one in items],
        lambda items: items[:150],  # those that suit it
    ],
)
def test_other_ids_slices_or_labels_and_a_choice_of_items_do_not_hide_it_either(desk: Desk, made: Rewritten) -> None:
    store, items = desk.store, [item(i) for i in range(400)]
    desk.evaluated(put_suite(store, "first look", "gate", "label", items, LABELS), some(0.8), tuned=True)
    suite = put_suite(store, "desk", "gate", "label", made(items), LABELS)
    baseline = desk.evaluated(suite, some(0.6), tuned=False)
    fixed = fix_gate(store, desk.gate(suite))
    given = store.get(judge(store, fixed, desk.evaluated(suite, some(0.8), tuned=True), baseline), Verdict)
    assert [one.verdict for one in of(given, "eval.post_hoc")] == ["abstain"]


def test_a_baseline_that_is_asked_otherwise_when_the_score_is_known_passes_nothing(desk: Desk) -> None:
    store, suite = desk.store, desk.suite(400)
    strong = desk.evaluated(suite, some(0.8), tuned=False)
    fixed = fix_gate(store, desk.gate(suite))
    new = desk.evaluated(suite, some(0.7), tuned=True)
    assert store.get(judge(store, fixed, new, strong), Verdict).outcome == "fail"
    other = replace(desk, prompt=store.put(Prompt(template="instructed", text="Answer.")))
    weak = other.evaluated(suite, some(0.5), tuned=False)
    given = store.get(judge(store, fixed, new, weak), Verdict)
    assert (given.outcome, next(of(given, "gate.gain")).verdict) == ("abstain", "pass")
    (late,) = of(given, "eval.post_hoc")
    assert (late.about, late.severity) == (other.prompt, "high")
    made = store.put(replace(store.get(desk.adapter, Adapter), weights="b3:02"))
    later = replace(desk, adapter=made).evaluated(suite, some(0.7), tuned=True)
    for baseline, said in ((weak, "pass"), (strong, "fail")):  # both were there before this one
        assert store.get(judge(store, fixed, later, baseline), Verdict).outcome == said


def test_a_score_on_less_than_half_of_the_questions_is_no_score_on_these(desk: Desk) -> None:
    store = desk.store
    few = [item(i) for i in range(190, 589)]
    desk.evaluated(put_suite(store, "first look", "gate", "label", few, LABELS), some(0.8), tuned=True)
    suite = put_suite(store, "desk", "gate", "label", [item(i) for i in range(390)], LABELS)
    assert store.get(suite, Suite).n == 390
    baseline = desk.evaluated(suite, some(0.6), tuned=False)
    fixed = fix_gate(store, desk.gate(suite))
    seen = store.get(judge(store, fixed, desk.evaluated(suite, some(0.8), tuned=True), baseline), Verdict)
    assert [one.verdict for one in of(seen, "eval.post_hoc")] == ["abstain"], "200 of 390"
    suite = put_suite(store, "desk", "gate", "label", [item(i) for i in range(800, 1200)] + few[:-1], LABELS)
    baseline = desk.evaluated(suite, some(0.6), tuned=False)
    fixed = fix_gate(store, desk.gate(suite))
    unseen = store.get(judge(store, fixed, desk.evaluated(suite, some(0.8), tuned=True), baseline), Verdict)
    assert not [*of(unseen, "eval.post_hoc")], "398 of 798"


def test_other_questions_other_inputs_and_no_gate_are_refused(desk: Desk) -> None:
    suite, other = desk.suite(200), desk.suite(120)
    gate = desk.gate(suite)
    fixed, unfixed = fix_gate(desk.store, gate), desk.store.put(desk.gate(suite, alpha=0.01))
    candidate = desk.evaluated(suite, some(0.8), tuned=True)
    elsewhere = desk.evaluated(other, some(0.6), tuned=False)
    with pytest.raises(Unmet, match="baseline was evaluated on suite"):
        judge(desk.store, fixed, candidate, elsewhere)
    with pytest.raises(Unmet, match="candidate was evaluated on suite"):
        judge(desk.store, fixed, elsewhere, candidate)
    baseline = desk.evaluated(suite, some(0.6), tuned=False)
    with pytest.raises(Unmet, match="never fixed"):
        judge(desk.store, Ref(unfixed), candidate, baseline)
    longer = desk.evaluated(suite, some(0.6), tuned=False, max_tokens=99)
    with pytest.raises(Unmet, match="the baseline with"):
        judge(desk.store, fixed, candidate, longer)


@pytest.mark.parametrize(
    ("severity", "said", "outcome"),
    [("high", "fail", "fail"), ("high", "abstain", "abstain"), ("low", "fail", "pass"), ("high", "pass", "pass")],
)
def test_findings_of_checks_count_by_severity(desk: Desk, severity: str, said: str, outcome: str) -> None:
    extra = Finding(check="rights.withdrawn", about="desk", verdict=said, severity=severity, message="planted")
    found = verdict(desk, 400, some(0.8), some(0.7), (extra,))
    assert (found.outcome, found.findings[-1]) == (outcome, extra)


def test_every_number_of_a_gate_out_of_range_is_named(desk: Desk) -> None:
    wrong = desk.gate(desk.suite(10, "dev"), alpha=5.0, min_gain=3.0, max_slice_drop=-0.1, min_items=0)
    with pytest.raises(Unmet) as caught:
        fix_gate(desk.store, wrong)
    for part in ("dev suite", "alpha", "min_gain", "max_slice_drop", "min_items"):
        assert part in caught.value.found
    assert desk.store.events("gate.fixed") == []


def test_scores_of_the_evaluations_are_the_ones_judged(desk: Desk) -> None:
    """A damaged scores blob is an error, never a verdict."""
    suite = desk.suite(200)
    baseline = desk.evaluated(suite, some(0.6), tuned=False)
    fixed = fix_gate(desk.store, desk.gate(suite))
    candidate = desk.evaluated(suite, some(0.8), tuned=True)
    path = Path(desk.store.blobs.path(desk.store.get(candidate, Evaluation).scores))
    path.write_bytes(path.read_bytes().replace(b'"wrong"', b'"right"', 1))
    with pytest.raises(Damaged):
        judge(desk.store, fixed, candidate, baseline)


def variants(desk: Desk, suite: Ref, count: int, share: float) -> dict[Ref, float]:
    """Evaluation → share right, of adapters that are right on so many of the questions, each drawn by itself."""
    made, found = desk.store.get(desk.adapter, Adapter), {}
    for number in range(count):
        adapter = desk.store.put(replace(made, name=f"v{number}", weights=f"b3:{number:02}"))
        right = np.random.default_rng(number).random(10_000) < share
        ref = replace(desk, adapter=adapter).evaluated(suite, lambda i, right=right: bool(right[i]), tuned=True)
        found[ref] = desk.store.get(ref, Evaluation).results[0].value
    return found


def test_the_best_of_27_equal_models_is_corrected_and_does_not_pass(desk: Desk) -> None:
    suite = desk.suite(200)
    same = np.random.default_rng(99).random(10_000) < 0.7
    baseline = desk.evaluated(suite, lambda i: bool(same[i]), tuned=False)
    gate = fix_gate(desk.store, desk.gate(suite))
    found = variants(desk, suite, 27, 0.7)
    best = max(found, key=found.__getitem__)
    given = desk.store.get(judge(desk.store, gate, best, baseline), Verdict)
    (chosen,), (gain,) = of(given, "gate.chosen"), of(given, "gate.gain")
    assert given.outcome != "pass"
    assert chosen.threshold == pytest.approx(found[best])
    assert found[best] > 0.75
    assert chosen.statistic == pytest.approx(0.7, abs=0.015)
    assert (chosen.verdict, chosen.severity) == ("fail", "low")
    assert "× 27 tried" in gain.message


def test_a_gain_that_is_real_passes_though_many_were_tried_and_later_ones_start_anew(desk: Desk) -> None:
    suite = desk.suite(400)
    baseline = desk.evaluated(suite, some(0.7), tuned=False)
    gate = fix_gate(desk.store, desk.gate(suite))
    variants(desk, suite, 9, 0.7)
    good = desk.evaluated(suite, some(0.85), tuned=True)
    verdict_ref = judge(desk.store, gate, good, baseline)
    given = desk.store.get(verdict_ref, Verdict)
    (chosen,) = of(given, "gate.chosen")
    assert (given.outcome, chosen.verdict) == ("pass", "pass")
    assert chosen.statistic == pytest.approx(0.85, abs=0.02)
    release(desk.store, "desk", desk.adapter, verdict_ref)
    assert judge(desk.store, gate, good, baseline) == verdict_ref, "what a release rests on stays what it was"
    made = desk.store.put(replace(desk.store.get(desk.adapter, Adapter), name="next", weights="b3:ff"))
    after = replace(desk, adapter=made).evaluated(suite, some(0.9), tuned=True)
    assert not list(of(desk.store.get(judge(desk.store, gate, after, baseline), Verdict), "gate.chosen"))
