"""A verdict without a model: the same from a file, or none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from questions import Desk

from whence.evaluate import fix_gate, judge, judge_evidence, write_evidence
from whence.lifecycle.verdicts import Line, lines_of, tell
from whence.records import Finding, Ref, Unmet, Verdict
from whence.store import verify

WITHDRAWN = Finding(
    check="rights.withdrawn", about="sha256:00", verdict="fail", severity="low", message="one | row\x07", n=3
)


def judged(desk: Desk, share: int = 80) -> Ref:
    suite = desk.suite(400)
    baseline = desk.evaluated(suite, lambda i: i % 100 < 70, tuned=False)
    gate = fix_gate(desk.store, desk.gate(suite, min_value=0.5))
    candidate = desk.evaluated(suite, lambda i: i % 100 < share, tuned=True)
    return judge(desk.store, gate, candidate, baseline, [WITHDRAWN])


@pytest.mark.parametrize("share", [80, 70, 50])
def test_a_file_comes_to_the_same_verdict_and_holds_no_words(desk: Desk, tmp_path: Path, share: int) -> None:
    ref = judged(desk, share)
    write_evidence(desk.store, ref, tmp_path / "evidence.json")
    made, baseline = judge_evidence(tmp_path / "evidence.json")
    assert made == desk.store.get(ref, Verdict)
    assert baseline == pytest.approx(0.7)
    text = (tmp_path / "evidence.json").read_text()
    assert "question" not in text
    assert "card lost" not in text
    assert verify(desk.store) == []


def test_whoever_changes_a_file_gets_no_verdict_from_it(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    write_evidence(desk.store, judged(desk, 50), path)
    whole = path.read_text()
    said = json.loads(whole)
    for wrong in (
        said | {"gate": said["gate"] | {"min_gain": -0.5}},
        said | {"candidate": said["candidate"] | {"states": dict.fromkeys(said["candidate"]["states"], "right")}},
        said | {"findings": []},
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(Unmet, match="not to the verdict"):
            judge_evidence(path)
    for broken, message in (
        (whole[:-9], "is no evidence"),
        ("[]", "is no evidence"),
        ("[" * 100_000, "is no evidence: RecursionError"),
        ('{"form": "x"}', "is of form 'x'"),
    ):
        path.write_text(broken)
        with pytest.raises(Unmet, match=message):
            judge_evidence(path)
    with pytest.raises(Unmet, match="cannot be read"):
        judge_evidence(tmp_path / "none.json")


def test_a_verdict_as_junit_and_markdown(desk: Desk, tmp_path: Path) -> None:
    verdict = desk.store.get(judged(desk, 50), Verdict)
    for _ in range(2):
        tell(verdict, 0.7, tmp_path / "junit.xml", tmp_path / "summary.md")
    suite = ET.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == (str(len(verdict.findings)), "3")
    failed = {case.get("classname") for case in suite.iter("testcase") if case.find("failure") is not None}
    assert failed == {"gate.gain", "gate.slice"}
    [withdrawn] = [case for case in suite.iter("testcase") if case.get("classname") == "rights.withdrawn"]
    assert withdrawn.find("skipped") is not None, "it decides nothing"
    text = (tmp_path / "summary.md").read_text()
    assert text.count("## whence: fail") == 2, "what a job wrote before stays"
    assert "| gate.gain | fail | -20.0% |" in text
    assert "| -28.6% | 400 | +0.0% |" in text


def test_points_and_relative_change_stand_side_by_side(desk: Desk) -> None:
    lines = lines_of(desk.store.get(judged(desk), Verdict), 0.7)
    assert lines[0].finding.severity == "high"
    [gain] = [line for line in lines if line.finding.check == "gate.gain"]
    assert gain.relative == pytest.approx(0.1 / 0.7)
    cells = gain.cells()
    assert cells[2:5] == ("+10.0%", "+7.4 to +13.3%", "+14.3%")
    assert cells[7] == "4.6%"
    [low] = [
        line for line in lines_of(desk.store.get(judged(desk), Verdict), 0.05) if line.finding.check == "gate.gain"
    ]
    assert low.relative is None, "a change of so little is no measure"


NUMBERS = {"statistic": 0.632, "threshold": 0.6, "low": 0.5, "high": 0.75, "n": 60}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"check": "model.no_op"}, ("model.no_op", "–", "–", "–")),
        ({"check": "rights.licences", "about": "CC-BY-4.0"}, ("rights.licences CC-BY-4.0", "–", "–", "–")),
        ({"check": "gate.chosen"}, ("gate.chosen", "63.2%", "50.0 to 75.0%", "–")),
        ({"check": "gate.unscored"}, ("gate.unscored what is said", "63.2%", "50.0 to 75.0%", "≤ 60.0%")),
        ({"check": "gate.part"}, ("gate.part what is said", "63.2%", "50.0 to 75.0%", "60.0%")),
        ({"check": "gate.part", "p": 0.1}, ("gate.part what is said, gain", "+63.2%", "+50.0 to +75.0%", "+60.0%")),
        ({"check": "eval.counter", "about": "b", "p": 0.1}, ("eval.counter b", "+63.2%", "+50.0 to +75.0%", "+60.0%")),
    ],
)
def test_shares_alone_are_shown_and_what_they_are_about(given: dict[str, Any], shown: tuple[str, ...]) -> None:
    usual = {"about": "sha256:00", "verdict": "pass", "severity": "high", "message": "what is said: more", **NUMBERS}
    cells = Line(finding=Finding(**usual | given)).cells()
    assert (cells[0], cells[2], cells[3], cells[6]) == shown


def test_a_sentence_says_what_it_rests_on() -> None:
    finding = replace(WITHDRAWN, message="gone", evidence=(f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"))
    assert Line(finding=finding).sentence() == "gone (rests on 11111111, 22222222)"
