"""Evidence from elsewhere at the command line: adopted, gated by whence.toml, with the exit codes of `whence ship`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from questions import LABELS

import whence
from fixtures.other_logs import lines, samples, unpack
from whence.evaluate import fix_gate
from whence.records import Gate

TOML = """\
[project]
name = "desk"
owner = "owner@example.org"

[[sources]]
name = "tickets"
path = "tickets.jsonl"
kind = "production_log"
licence = "CC-BY-4.0"
consent_basis = "consent"

[base]
path = "./base"

[[suites]]
name = "gate"
path = "gate.jsonl"
role = "gate"
scorer = "label"

[[suites]]
name = "dev"
path = "dev.jsonl"
role = "dev"
scorer = "label"

[gate]
min_items = 8
"""
Says = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "whence.toml").write_text(TOML)
    lines(tmp_path / "dev.jsonl", {"id": "d1", "input": "another question", "expected": LABELS[0]})
    lines(tmp_path / "tickets.jsonl", {"text": "a ticket"})
    lines(
        tmp_path / "gate.jsonl",
        *({"id": f"q{i}", "input": f"question {i}", "expected": LABELS[i % 4]} for i in range(8)),
    )
    return unpack(tmp_path)


def scored(path: Path, right: bool, n: int = 8) -> str:
    lines(path, *({"item": f"q{i}", "right": right} for i in range(n)))
    return path.name


def test_logs_are_adopted_and_judged_by_the_project_s_gate(folder: Path, says: Says) -> None:
    text = says("adopt", "evals", "base.eval", "tuned.eval")
    assert (
        "inspect 0.3.285 desk: openai-api/whence/tuned, exact adopted\n  8 of 8 right, 100.0% [67.6%, 100.0%]" in text
    )
    assert "suite gate: 8 of its 8 items are in the log" in text
    assert "was there" in says("adopt", "evals", "tuned.eval")
    old, new = (one["evaluation"][7:15] for one in says("adopt", "evals", "base.eval", "tuned.eval", "--json"))
    assert old in says("eval", "list")
    assert says("eval", "tried", "gate").count("tester@example.org") == 2
    assert says("eval", "items", "gate", "--json")["states"] == {f"q{i}": "scored" for i in range(8)}
    told = says("ship", "judge", new, old, "--junit", "v.xml", "--summary", "v.md", code=4)
    assert "ABSTAIN" in told
    head, *_, last = told.splitlines()
    assert head.endswith("] (post hoc)")
    assert max(map(len, told.splitlines())) <= 100
    assert "abstain  eval.post_hoc: post hoc: the candidate was scored" in told
    assert last.startswith(" "), "a sentence that goes on"
    digest = head.partition("[")[2].partition("]")[0]
    assert says("ship", "evidence", "e.json", digest).strip() == f"wrote e.json: verdict {digest}"
    assert says("ship", "--evidence", "e.json", code=4) == told
    for listed in (says("eval", "list"), says("eval", "tried", "gate")):
        assert max(map(len, listed.splitlines())) <= 100
    assert "eval.post_hoc" in (folder / "v.md").read_text()
    assert ET.parse(folder / "v.xml").getroot().get("failures") == "0"
    assert says("verify") is not None


def test_a_gate_is_fixed_before_and_says_since_when(folder: Path, says: Says) -> None:
    [old] = says("adopt", "evals", scored(folder / "old.jsonl", False), "--model", "base", "--json")
    assert "is fixed now" in says("ship", "gate")
    assert "stands since" in says("ship", "gate")
    [new] = says("adopt", "evals", scored(folder / "new.jsonl", True), "--model", "tuned", "--json")
    refs = [one["evaluation"] for one in (new, old)]
    said = says("ship", "judge", *refs, "--json")
    assert said["outcome"] == "pass"
    assert {one["check"] for one in said["findings"]} >= {"gate.gain", "eval.undated"}
    assert "FAIL" in says("ship", "judge", *reversed(refs), code=2)
    [few] = says("adopt", "evals", scored(folder / "few.jsonl", True, 5), "--model", "few", "--json")
    assert (few["paired"], few["unscored"]) == (5, {"not in the log": 3})
    assert "FAIL" in says("ship", "judge", few["evaluation"], refs[1], code=2)
    assert "no release" not in says("model", "list")
    assert "no suite is called 'none'" in says("ship", "gate", "none", code=1)
    assert "is no evaluation" in says("ship", "judge", said["gate"], refs[1], code=1)
    assert not (folder / "whence.lock").exists(), "nothing was released"


def test_the_gate_that_ship_fixed_stands(folder: Path, says: Says) -> None:
    """It also says which items ask what revocable rows teach."""
    says("ship", "gate")
    with whence.open(folder, actor="tester@example.org") as w:
        (event,) = w.store.events("gate.fixed")
        mine = replace(w.store.get(event.about, Gate), own=("q1", "q2"))
        fixed = fix_gate(w.store, mine)
        assert w.ship.gate().about == fixed
        assert len(w.store.events("gate.fixed")) == 2


def test_logs_come_in_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: Says) -> None:
    monkeypatch.chdir(tmp_path)
    path = samples(unpack(tmp_path), "tuned")
    text = says("adopt", "evals", str(path), "--slice", "half", "--suite", "help")
    assert "lm-eval 0.4.13 desk: tuned, exact_match,none adopted" in text
    assert "suite help: made of this log" in text
    scored(tmp_path / "none.jsonl", True)
    refused = says("adopt", "evals", "none.jsonl", "--model", "m", "--suite", "new", code=1)
    assert "names 8 items without their question" in refused
    lines(tmp_path / "text.jsonl", {"input": "a", "right": "fine"})
    nothing = says("adopt", "evals", "text.jsonl", "--model", "m", "--suite", "new", code=4)
    assert "1 unscored: the score is text 1" in nothing
    assert "log.jsonl:2: is not JSON" in says("adopt", "evals", half(tmp_path), "--model", "m", code=1)


def half(folder: Path) -> str:
    """A log whose last line was cut."""
    (folder / "log.jsonl").write_text('{"input": "a", "right": true}\n{"input": "b", "rig')
    return "log.jsonl"
