"""Suites that a judge scores: what is right, what is compared with what, and what an audit has to do with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench.judges import Planted, judging, labelled
from questions import Desk

from models.hosted import completion, server
from whence.cli import main
from whence.evaluate import Contender, Judging, evaluate, fix_gate, judge, keep_audit, put_suite
from whence.evaluate.scorers import Unusable, fits
from whence.lifecycle.judging import project_judge
from whence.models import Request, ScriptedModel
from whence.project import read_project
from whence.records import Evaluation, Finding, Item, Judge, Ref, Run, RunReport, Unmet, Verdict, digest
from whence.store import verify

SURE = judging("grade", Planted(noise=0.0))


def suite(desk: Desk, n: int = 120) -> Ref:
    items = [Item(id=f"q{i}", input=f"question {i}", expected="The reference, worth +0.00.") for i in range(n)]
    return put_suite(desk.store, "talk", "gate", "judge", items)


def evaluated(desk: Desk, on: Ref, better: float, judging: Judging | None, tuned: bool = False) -> Evaluation:
    """The evaluation of a model whose answers are worth more than the reference on this share of the questions."""

    def answer(request: Request) -> str:
        i = int(str(request.messages[-1]["content"]).split()[-1])
        return f"An answer, worth {'+1.00' if i % 100 < 100 * better else '-1.00'}."

    adapter = {"adapter": desk.adapter, "adapter_name": "desk"} if tuned else {}
    contender = Contender(model=ScriptedModel(answer), base=desk.base, **adapter)
    return desk.store.get(evaluate(desk.store, contender, on, desk.prompt, max_tokens=16, judging=judging), Evaluation)


def refs(desk: Desk) -> dict[Evaluation, Ref]:
    return {one: ref for ref, one in desk.store.all(Evaluation)}


def verdict(desk: Desk, found: list[Finding] | None) -> Verdict:
    """Of a good candidate, with a judge whose audit found this; None: it had none."""
    on = suite(desk)
    old = evaluated(desk, on, 0.3, SURE)
    gate = fix_gate(desk.store, desk.gate(on))
    new = evaluated(desk, on, 0.8, SURE, tuned=True)
    if found is not None:
        keep_audit(desk.store, SURE.judge, labelled(1, 3), found)
    known = refs(desk)
    made = desk.store.get(judge(desk.store, gate, known[new], known[old]), Verdict)
    assert verify(desk.store) == []
    return made


def test_an_answer_is_right_that_the_judge_holds_for_as_good_as_the_reference(desk: Desk) -> None:
    made = evaluated(desk, suite(desk), 0.3, SURE)
    assert (made.results[0].right, made.results[0].n, made.unscored) == (30 + 20, 120, 0)
    assert desk.store.get(Ref(desk.store.get(made.run, Run).inputs["judge"]), Judge) == SURE.judge


@pytest.mark.parametrize(("audit", "outcome"), [(None, "abstain"), ("pass", "pass"), ("fail", "fail")])
def test_a_verdict_counts_on_a_judge_as_far_as_its_audit_does(desk: Desk, audit: str | None, outcome: str) -> None:
    found = [Finding(check="judge.constant", about="x", verdict=audit, severity="high", message="…")] if audit else None  # type: ignore[arg-type]
    made = verdict(desk, found)
    assert made.outcome == outcome
    [said] = [one for one in made.findings if one.check == "judge.audited"]
    assert (said.verdict, "whence eval judges" in said.message) == (outcome, outcome != "pass")


def test_what_other_judges_scored_is_not_compared_and_no_model_is_asked_twice(desk: Desk) -> None:
    on, other = suite(desk), Judging(model=SURE.model, judge=replace(SURE.judge, rubric="The shorter, the better."))
    old, again = evaluated(desk, on, 0.3, SURE), evaluated(desk, on, 0.3, other)
    gate = fix_gate(desk.store, desk.gate(on))
    new = evaluated(desk, on, 0.8, SURE, tuned=True)
    known = refs(desk)
    with pytest.raises(Unmet, match="the same inputs"):
        judge(desk.store, gate, known[new], known[again])
    judge(desk.store, gate, known[new], known[old])
    asked = {report.run: report.facts["asked"] for _, report in desk.store.all(RunReport)}
    assert [asked[one.run] for one in (old, again, new)] == [120, 0, 120]


def test_a_judge_that_was_chosen_when_another_had_scored_is_post_hoc(desk: Desk) -> None:
    on, other = suite(desk), Judging(model=SURE.model, judge=replace(SURE.judge, rubric="The shorter, the better."))
    old, gate = evaluated(desk, on, 0.3, SURE), fix_gate(desk.store, desk.gate(on))
    evaluated(desk, on, 0.8, other, tuned=True)
    new = evaluated(desk, on, 0.8, SURE, tuned=True)
    keep_audit(desk.store, SURE.judge, labelled(1, 3), [])
    made = desk.store.get(judge(desk.store, gate, refs(desk)[new], refs(desk)[old]), Verdict)
    assert made.outcome == "abstain"
    assert [one.check for one in made.findings if one.verdict == "abstain" and one.severity == "high"] == [
        "eval.post_hoc"
    ]


def test_a_judge_in_words_leaves_items_unscored_with_the_reason(desk: Desk) -> None:
    made = evaluated(desk, suite(desk), 0.3, judging("pair", Planted(prose=1.0)))
    assert (made.unscored, made.results) == (120, ())
    [reason] = {line["reason"] for line in desk.store.get_lines(made.scores)}
    assert reason == "answered in words, not with A, B or tie"


def test_without_a_judge_nothing_is_scored(desk: Desk) -> None:
    with pytest.raises(Unmet, match="scored by a judge, and none is named"):
        evaluated(desk, suite(desk), 0.3, None)
    with pytest.raises(Unusable, match="for a judge to say"):
        fits("judge", "reference", "answer")


# -- in the project file -----------------------------------------------------------------------------------------------

HEAD = """[project]
name = "desk"
owner = "ann@example.org"
[base]
path = "./base"
[[sources]]
name = "rows"
path = "rows.jsonl"
kind = "human_annotation"
"""
SUITE = '[[suites]]\nname = "talk"\nrole = "gate"\npath = "talk.jsonl"\nscorer = "judge"\n[[suites]]\nname = "dev"\n'
SUITE += 'role = "dev"\npath = "talk.jsonl"\n'


def written(folder: Path, more: str) -> Path:
    (folder / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (folder / "talk.jsonl").write_text('{"id": "q1", "input": "a", "expected": "b"}\n')
    (folder / "rubric.txt").write_text("The shorter, the better.\n")
    (folder / "whence.toml").write_text(HEAD + more)
    return folder


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (SUITE, "asks for a judge, and there is no [judge]"),
        ("[judge]\nkind = 'grade'\n", "should name one of at"),
        ("[judge]\nbase = 'x'\nat = 'http://localhost/v1'\nmodel = 'm'\n", "should name one of at"),
        ("[judge]\nat = 'http://localhost/v1'\n", "judge.model: goes with at"),
        ("[judge]\nbase = 'x'\nkey = 'KEY'\n", "judge.key: goes with at"),
        ("[judge]\nbase = 'x'\nrubric = 'gone.txt'\n", "judge.rubric"),
        ("[judge]\nbase = 'x'\nkind = 'score'\n", "judge.kind"),
    ],
)
def test_faults_of_the_project_file_are_named(tmp_path: Path, more: str, fault: str) -> None:
    with pytest.raises(Unmet) as error:
        read_project(written(tmp_path, more))
    assert fault in str(error.value)


def test_the_judge_of_the_project_file_is_the_one_that_is_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], desk: Desk
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"id": "1", "question": "q", "a": "x", "b": "y", "chosen": "a"}))
    with server(lambda body, _: completion("A")) as seen:
        more = f'{SUITE}[judge]\nat = "{seen.url}"\nmodel = "judge-1"\nrubric = "rubric.txt"\n'
        project = read_project(written(tmp_path, more))
        named = project_judge(project, desk.store)
        assert named is not None
        assert (named.judge.called, named.judge.rubric) == ("judge-1", "The shorter, the better.")
        assert main(["eval", "judges", "pairs.jsonl", "--json"]) == 4
        about = {one["about"] for one in json.loads(capsys.readouterr().out)}
    assert about == {digest(named.judge)}
