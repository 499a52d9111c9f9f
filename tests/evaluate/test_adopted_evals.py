"""Evaluations that another tool ran: recorded as our own are, paired by what was asked, gated by the same rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from questions import LABELS, Desk, item

from fixtures.other_logs import inspect_log, lines, sample, samples, unpack
from whence.evaluate import Claims, Evidence, adopt_log, fix_gate, items_of, judge, put_suite
from whence.lifecycle.erasing import holding
from whence.lifecycle.exposure import tried
from whence.records import Adapter, Base, Evaluation, Prompt, Ref, Release, Run, Suite, Unmet, Verdict
from whence.store import row_set, verify
from whence.store.suites import current_suites

TUNED = Claims(adapter="desk", model="tuned")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("logs"))


def plain_log(path: Path, n: int, right: Any = True, **more: Any) -> Path:
    """Answers to the desk's first n questions."""
    return lines(
        path, *({"input": f"question {i}", "expected": LABELS[i % 4], "right": right} | more for i in range(n))
    )


def stored(desk: Desk, one: Evidence) -> list[dict[str, Any]]:
    return desk.store.get_lines(desk.store.get(one.evaluation, Evaluation).scores)


@pytest.mark.parametrize("tool", ["inspect", "lm-eval"])
def test_a_log_is_evidence_on_the_suite_that_asks_the_same(desk: Desk, real: Path, tool: str) -> None:
    suite = desk.suite(8)
    base, tuned = (real / f"{m}.eval" if tool == "inspect" else samples(real, m) for m in ("base", "tuned"))
    old = adopt_log(desk.store, base)
    new = adopt_log(desk.store, tuned, TUNED)
    assert [(one.paired, one.items, one.suite, one.new_suite, one.right) for one in (old, new)] == [
        (8, 8, "desk", False, 1),
        (8, 8, "desk", False, 8),
    ]
    made = desk.store.get(new.evaluation, Evaluation)
    assert (made.suite, made.adapter, made.base) == (suite, desk.adapter, desk.base)
    assert stored(desk, new)[3] == {"item": "q3", "state": "right", "output": "pin reset"}
    unknown = desk.store.get(desk.store.get(old.evaluation, Evaluation).base, Base)
    assert (unknown.name, unknown.fingerprint) == ("base", None)
    assert {line.slice for line in made.results} == {"*", "channel=app", "channel=branch"}
    assert [one.name for one in tried(desk.store, "desk")] == ["base", "desk"]
    assert verify(desk.store) == []


def test_the_same_log_twice_is_found_again(desk: Desk, real: Path) -> None:
    first = adopt_log(desk.store, real / "tuned.eval", TUNED)
    head = desk.store.head()
    again = adopt_log(desk.store, real / "tuned.eval", TUNED)
    assert replace(again, fresh=True, new_suite=True) == first
    assert (again.fresh, desk.store.head()) == (False, head)


def test_items_of_no_suite_become_one_and_another_log_pairs_with_them(desk: Desk, real: Path) -> None:
    old = adopt_log(desk.store, real / "base.eval", Claims(slices=["half"]))
    new = adopt_log(desk.store, real / "tuned.eval", TUNED)
    assert (old.new_suite, new.new_suite, old.suite, new.paired) == (True, False, "desk", 8)
    suites = [desk.store.get(one.evaluation, Evaluation).suite for one in (old, new)]
    assert suites[0] == suites[1]
    assert desk.store.get(suites[0], Suite).scorer == "elsewhere"
    assert items_of(desk.store, suites[0])[0].slices == {"half": "true"}
    by_us = desk.evaluated(suites[0], lambda i: True, tuned=True)
    assert {line["reason"] for line in desk.store.get_lines(desk.store.get(by_us, Evaluation).scores)} == {
        "another tool scores this suite"
    }


def test_another_version_of_a_suite_is_refused_and_says_how_far_they_agree(desk: Desk, tmp_path: Path) -> None:
    desk.suite(10)
    path = plain_log(tmp_path / "log.jsonl", 6)
    lines(path, *path.read_text().splitlines(), {"input": "a new one", "expected": "x", "right": True})
    claims = Claims(model="m")
    with pytest.raises(Unmet, match="has 7 items: 6 are items of suite desk, 1 are not, and 4 of its 10 are missing"):
        adopt_log(desk.store, path, claims)
    apart = adopt_log(desk.store, path, replace(claims, suite="apart"))
    assert (apart.suite, apart.new_suite, apart.items) == ("apart", True, 7)
    other = lines(tmp_path / "other.jsonl", {"input": "else", "expected": "x", "right": True})
    with pytest.raises(Unmet, match=r"no item of .* is one of suite desk"):
        adopt_log(desk.store, other, replace(claims, suite="desk"))
    relabelled = lines(tmp_path / "new.jsonl", {"input": "question 1", "expected": "another label", "right": True})
    with pytest.raises(Unmet, match="no item of"):
        adopt_log(desk.store, relabelled, replace(claims, suite="desk"))
    with pytest.raises(Unmet, match="a name for its own"):
        adopt_log(desk.store, relabelled, claims)


def test_items_that_a_log_lacks_are_unscored(desk: Desk, tmp_path: Path) -> None:
    suite = desk.suite(10)
    told = adopt_log(desk.store, plain_log(tmp_path / "log.jsonl", 6), TUNED)
    assert (told.paired, told.items, told.n, told.unscored) == (6, 10, 6, {"not in the log": 4})
    baseline = adopt_log(desk.store, plain_log(tmp_path / "old.jsonl", 10, right=False), Claims(model="base"))
    gate = fix_gate(desk.store, desk.gate(suite, min_items=5))
    verdict = desk.store.get(judge(desk.store, gate, told.evaluation, baseline.evaluation), Verdict)
    assert verdict.outcome == "fail"
    assert [f.check for f in verdict.findings if f.verdict == "fail"] == ["gate.unscored"]


def test_items_that_both_logs_lack_may_have_been_left_out_for_what_became_of_them(desk: Desk, tmp_path: Path) -> None:
    gate = fix_gate(desk.store, desk.gate(desk.suite(200), min_items=50))
    for n, said in ((150, "abstain"), (196, "pass")):
        new = adopt_log(desk.store, plain_log(tmp_path / f"new{n}.jsonl", n), TUNED)
        old = adopt_log(desk.store, plain_log(tmp_path / f"old{n}.jsonl", n, right=False), Claims(model=f"base{n}"))
        verdict = desk.store.get(judge(desk.store, gate, new.evaluation, old.evaluation), Verdict)
        assert verdict.outcome == said
        found = [one for one in verdict.findings if one.check == "eval.lacking"]
        assert [(one.verdict, one.severity, one.statistic) for one in found] == [("abstain", "high", 0.25)][: n == 150]
    silent = [
        lines(tmp_path / f"{n}.jsonl", *({"item": f"q{i}", "right": None if i < 5 else n == 1} for i in range(200)))
        for n in (0, 1)
    ]
    old, new = (
        adopt_log(desk.store, path, who).evaluation
        for path, who in zip(silent, (Claims(model="b"), TUNED), strict=True)
    )
    assert desk.store.get(judge(desk.store, gate, new, old), Verdict).outcome == "abstain"
    spared = {f"q{i}" for i in range(150, 200)}
    new, old = (Ref(str(one)) for one in list(dict(desk.store.all(Evaluation)))[:2])
    verdict = desk.store.get(judge(desk.store, gate, new, old, left=spared), Verdict)
    assert "eval.lacking" not in {one.check for one in verdict.findings}


def test_items_by_name_and_items_that_are_alike(desk: Desk, tmp_path: Path) -> None:
    desk.suite(4)
    named = lines(tmp_path / "log.jsonl", *({"item": f"q{i}", "right": i < 2} for i in range(4)))
    assert adopt_log(desk.store, named, TUNED).right == 2
    silent = lines(tmp_path / "silent.jsonl", *({"input": f"question {i}", "right": i < 3} for i in range(4)))
    assert adopt_log(desk.store, silent, TUNED).right == 3, "what it was compared with is not said"
    gold = lines(tmp_path / "gold.jsonl", {"item": "q0", "expected": "another", "right": True})
    assert list(adopt_log(desk.store, gold, TUNED).unscored) == [
        "not in the log",
        "the log compares it with another answer than the suite",
    ]
    put_suite(desk.store, "other", "gate", "label", [item(i) for i in range(4)], LABELS)
    with pytest.raises(Unmet, match="suites desk, other"):
        adopt_log(desk.store, named, replace(TUNED, metric="right"))
    alike = [replace(item(0), id=name) for name in ("a", "b")]
    put_suite(desk.store, "alike", "gate", "label", alike, LABELS)
    held = [sample(0, value, id=name) for name, value in (("b", "I"), ("a", "C"))]
    told = adopt_log(desk.store, inspect_log(tmp_path / "log.json", *held), replace(TUNED, suite="alike"))
    assert [(line["item"], line["state"]) for line in stored(desk, told)] == [("a", "right"), ("b", "unscored")]
    assert told.unscored == {"item a asks the same": 1}, "as in our own evaluations"


def test_a_log_of_another_model_is_refused(desk: Desk, real: Path, tmp_path: Path) -> None:
    with pytest.raises(Unmet, match="openai-api/whence/tuned, which is none of the names of desk"):
        adopt_log(desk.store, real / "tuned.eval", Claims(adapter="desk"))
    with pytest.raises(Unmet, match="is of the model openai-api/whence/base"):
        adopt_log(desk.store, real / "base.eval", Claims(model="tuned"))
    with pytest.raises(Unmet, match="does not say which model"):
        adopt_log(desk.store, plain_log(tmp_path / "log.jsonl", 2))
    release = desk.store.put(Release(name="tuned@3", adapter=desk.adapter, verdict=None))
    assert adopt_log(desk.store, real / "tuned.eval", Claims(adapter="desk")).model == "desk", "tuned@3 is tuned"
    assert adopt_log(desk.store, real / "tuned.eval", Claims(adapter=release)).fresh is False
    with pytest.raises(Unmet, match="is no adapter"):
        adopt_log(desk.store, real / "tuned.eval", Claims(adapter=desk.base))


# -- the gate ----------------------------------------------------------------------------------------------------------


def gated(desk: Desk, real: Path, clock: Any) -> tuple[Ref, Ref, Ref]:
    """(gate, candidate, baseline): fixed weeks before the tools ran."""
    suite = desk.suite(8)
    gate = fix_gate(desk.store, desk.gate(suite, min_items=8))
    clock.skip(days=30)
    old = adopt_log(desk.store, real / "base.eval")
    return gate, adopt_log(desk.store, real / "tuned.eval", TUNED).evaluation, old.evaluation


def test_two_logs_are_judged_like_our_own(desk: Desk, real: Path, clock: Any) -> None:
    gate, new, old = gated(desk, real, clock)
    verdict = desk.store.get(judge(desk.store, gate, new, old), Verdict)
    [gain] = [one for one in verdict.findings if one.check == "gate.gain"]
    assert verdict.outcome == "pass"
    assert (gain.statistic, gain.n) == (0.875, 8)
    assert gain.p == pytest.approx(2 * 0.5**7)
    assert {one.check for one in verdict.findings} == {"gate.items", "gate.unscored", "gate.gain", "gate.slice"}
    worse = judge(desk.store, gate, old, new)
    assert desk.store.get(worse, Verdict).outcome == "fail"


def test_a_log_that_began_before_the_gate_was_fixed_is_post_hoc(desk: Desk, real: Path, clock: Any) -> None:
    suite = desk.suite(8)
    old = adopt_log(desk.store, real / "base.eval")
    clock.skip(days=30)
    gate = fix_gate(desk.store, desk.gate(suite, min_items=8))
    new = adopt_log(desk.store, real / "tuned.eval", TUNED)
    verdict = desk.store.get(judge(desk.store, gate, new.evaluation, old.evaluation), Verdict)
    [said] = [one for one in verdict.findings if one.check == "eval.post_hoc"]
    assert verdict.outcome == "abstain"
    assert "2026-11-22 14:47:02 UTC, as its log says" in said.message


def test_a_log_without_a_time_says_so_and_one_adopted_before_is_post_hoc(desk: Desk, tmp_path: Path) -> None:
    suite = desk.suite(8)
    old = adopt_log(desk.store, plain_log(tmp_path / "old.jsonl", 8, right=False), Claims(model="base"))
    gate = fix_gate(desk.store, desk.gate(suite, min_items=8))
    new = adopt_log(desk.store, plain_log(tmp_path / "new.jsonl", 8), TUNED)
    verdict = desk.store.get(judge(desk.store, gate, new.evaluation, old.evaluation), Verdict)
    assert verdict.outcome == "pass"
    assert [one.severity for one in verdict.findings if one.check == "eval.undated"] == ["low"]
    early = inspect_log(tmp_path / "early.json", *(sample(i, target=LABELS[i % 4]) for i in range(8)))
    dreamt = adopt_log(desk.store, early, TUNED)
    same = judge(desk.store, gate, dreamt.evaluation, dreamt.evaluation)
    said = [one.message for one in desk.store.get(same, Verdict).findings if one.check == "eval.undated"]
    assert said == ["the log says that it began after it came here: whether the gate stood by then nobody can tell"]
    later = fix_gate(desk.store, desk.gate(suite, min_items=8, min_gain=0.1))
    again = desk.store.get(judge(desk.store, later, new.evaluation, old.evaluation), Verdict)
    assert "eval.post_hoc" in {one.check for one in again.findings}


def test_adapters_that_other_tools_scored_count_as_tried(desk: Desk, tmp_path: Path) -> None:
    suite = desk.suite(8)
    gate = fix_gate(desk.store, desk.gate(suite, min_items=8))
    old = adopt_log(desk.store, plain_log(tmp_path / "old.jsonl", 8, right=False), Claims(model="base"))
    made = [adopt_log(desk.store, plain_log(tmp_path / "desk.jsonl", 8), TUNED)]
    for i in range(7):
        desk.store.put(replace(desk.store.get(desk.adapter, Adapter), name=f"other{i}", weights=f"b3:1{i}"))
        path = plain_log(tmp_path / f"{i}.jsonl", 8, seed=i)
        made.append(adopt_log(desk.store, path, Claims(adapter=f"other{i}")))
    verdict = desk.store.get(judge(desk.store, gate, made[-1].evaluation, old.evaluation), Verdict)
    [gain] = [one for one in verdict.findings if one.check == "gate.gain"]
    assert "× 8 tried" in gain.message
    assert gain.verdict == "abstain", "p of 0.008 is one of eight"


def test_what_was_scored_in_another_way_is_not_compared(desk: Desk, real: Path, tmp_path: Path, clock: Any) -> None:
    gate, new, old = gated(desk, real, clock)
    suite = desk.store.get(new, Evaluation).suite
    ours = desk.evaluated(suite, lambda i: False, tuned=False)
    by_lm_eval = adopt_log(desk.store, samples(real, "base")).evaluation
    held = [sample(i, target=LABELS[i % 4]) for i in range(8)]
    hot = inspect_log(tmp_path / "hot.json", *held, plan={"config": {"temperature": 0.7}})
    for other in (ours, by_lm_eval, adopt_log(desk.store, hot, TUNED).evaluation):
        with pytest.raises(Unmet, match="the same inputs"):
            judge(desk.store, gate, new, other)
    run = desk.store.get(desk.store.get(old, Evaluation).run, Run)
    assert run.inputs["log"].startswith("sha256:")
    assert run.inputs["sampling"] == '{"temperature":0.0}'


def test_what_a_person_said_is_found_in_an_adopted_log_when_it_is_to_be_erased(
    desk: Desk, tmp_path: Path, take: Any
) -> None:
    secret = "my card was stolen in front of the library"
    take([{"id": "1", "text": secret}])
    path = lines(tmp_path / "log.jsonl", {"input": "say it", "expected": "x", "output": secret, "right": False})
    lines(path, path.read_text().strip(), {"input": secret, "expected": "y", "right": True})
    told = adopt_log(desk.store, path, Claims(model="m", suite="said"))
    made = desk.store.get(told.evaluation, Evaluation)
    found = holding(desk.store, row_set([0]))
    assert {made.scores, desk.store.get(made.suite, Suite).items} <= found.blobs.keys()
    assert not [name for name in desk.store.blobs.names() if secret.encode() in desk.store.blobs.get(name)
                and name not in found.blobs]  # fmt: skip


def test_a_suite_made_of_a_log(desk: Desk, real: Path) -> None:
    told = adopt_log(desk.store, real / "base.eval")
    assert current_suites(desk.store)[told.suite][1].role == "gate"
    prompt = desk.store.get(desk.store.get(told.evaluation, Evaluation).prompt, Prompt)
    assert (prompt.template, prompt.text) == ("inspect", "desk")
