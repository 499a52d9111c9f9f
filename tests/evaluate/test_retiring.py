"""Items that somebody knows leave: they judge nothing, a fresh one of their kind takes their place, and what the suite
loses by it is said."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from questions import LABELS, Desk

from whence.data import note_accesses, read_accesses
from whence.evaluate import (
    Contender,
    evaluate,
    fix_gate,
    items_of,
    judge,
    judge_evidence,
    known_since,
    put_suite,
    write_evidence,
)
from whence.lifecycle.exposure import derived, exposed, exposure
from whence.lifecycle.retiring import retire
from whence.models.backends.scripted import ScriptedModel
from whence.models.port import Request
from whence.project import Project, read_project
from whence.records import Adapter, Finding, Ref, RunReport, Unmet, Verdict
from whence.store import verify

FILE = """\
[project]
name = "desk"
owner = "ada@example.org"

[[sources]]
name = "rows"
path = "rows.jsonl"
kind = "human_annotation"
licence = "CC-BY-4.0"
consent_basis = "consent"

[[suites]]
name = "desk"
role = "gate"
path = "gate.jsonl"
scorer = "label"
map = { slices = "channel" }

[[suites]]
name = "dev"
role = "dev"
path = "dev.jsonl"
scorer = "label"

[base]
path = "org/model"
"""
WORDS = [
    a + b + c
    for a in ("lo", "mi", "ka", "tu")
    for b in ("ren", "dal", "vis", "mok")
    for c in "abcdefghijklmnopqrstuvwxyz"
]
FAILED = [i for i in range(200) if i % 10 in (3, 6, 9)][:12]


def asked(number: int) -> dict[str, Any]:
    """Question of this number, as a line of a suite: fourteen words of its own."""
    draw = random.Random(number)
    text = " ".join(draw.choices(WORDS, k=14))
    return {
        "id": f"q{number}",
        "input": text,
        "expected": LABELS[number % 4],
        "channel": "app" if number % 5 else "branch",
    }


def lines(path: Path, of: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in of))
    return path


def reworded(text: str) -> str:
    """Two words in a clause of their own, the others in order."""
    words = text.split()
    return " ".join([*words[2:], "that", "is", *words[:2]])


class Work:
    """200 questions on record, twelve of which failed, were looked at by ann and written down anew by her."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk, self.store, self.folder = desk, desk.store, folder
        lines(folder / "gate.jsonl", map(asked, range(200)))
        lines(folder / "rows.jsonl", [{"id": "r", "prompt": "a", "completion": "b"}])
        lines(folder / "dev.jsonl", [asked(999)])
        (folder / "whence.toml").write_text(FILE)
        self.suite = self.put()

    @property
    def project(self) -> Project:
        return read_project(self.folder)

    def put(self) -> Ref:
        part, _ = self.project.file.suites
        return put_suite(self.store, "desk", "gate", "label", self.project.items(part), LABELS)

    def inspect(self, items: Iterable[int], by: str = "ann") -> None:
        line = {"suite": "desk", "by": by, "at": "2026-01-01T00:00:00Z", "purpose": "inspect"}
        path = lines(self.folder / "seen.jsonl", [line | {"items": [f"q{i}" for i in items]}])
        note_accesses(self.store, read_accesses(self.store, path))

    def scored(self, right: Callable[[int], bool], name: str | None = None, suite: Ref | None = None) -> Ref:
        """The evaluation of the base, or of an adapter of this name, that is right where `right` says of the number."""
        of = {asked(n)["input"]: n for n in range(400)}

        def say(request: Request) -> str:
            n = of[str(request.messages[-1]["content"])]
            return LABELS[(n if right(n) else n + 1) % 4]

        adapter: dict[str, Any] = {}
        if name:
            made = replace(self.store.get(self.desk.adapter, Adapter), name=name, weights=f"b3:{name}")
            adapter = {"adapter": self.store.put(made), "adapter_name": name}
        contender = Contender(model=ScriptedModel(say), base=self.desk.base, **adapter)
        return evaluate(self.store, contender, suite or self.suite, self.desk.prompt, max_tokens=8)


@pytest.fixture
def work(desk: Desk, tmp_path: Path) -> Work:
    return Work(desk, tmp_path)


def after(items: Iterable[int], start: int = 0) -> list[dict[str, Any]]:
    """A row after each of these questions."""
    return [
        {"id": f"r{start + n}", "prompt": reworded(asked(i)["input"]), "completion": "x", "after": [f"desk:q{i}"]}
        for n, i in enumerate(items)
    ]


def test_twelve_that_failed_and_were_trained_on_leave_and_twelve_fresh_ones_come(
    work: Work, take: Callable[..., RunReport], tmp_path: Path
) -> None:
    old = work.scored(lambda n: n % 10 not in (3, 6, 9), "first")
    gate = fix_gate(work.store, replace(work.desk.gate(work.suite, min_gain=0.0), max_slice_drop=1.0))
    work.inspect(FAILED)
    take(after(FAILED), "ann", id="id", inspired_by="after")
    bob = [{"id": f"b{n}", "prompt": asked(1000 + n)["input"], "completion": "x"} for n in range(12)]
    take(bob, "bob", id="id")
    new = work.scored(lambda n: n % 10 not in (3, 6, 9) or n in (*FAILED[:5], 53, 56), "second")

    told = exposure(work.store, "desk")
    assert (told.seen, told.unseen) == (pytest.approx(5 / 12), pytest.approx(2 / 188))
    [finding] = exposed(work.store, work.store.get(new).adapter)
    assert finding.verdict == "fail"
    assert {item for item, state in told.states.items() if state == "derived-from"} == {f"q{i}" for i in FAILED}

    left = derived(work.store, "desk")
    by_all, by_rest = (work.store.get(judge(work.store, gate, new, old, left=some), Verdict) for some in ((), left))
    assert {one.check: one.n for one in by_all.findings if one.check == "gate.gain"} == {"gate.gain": 200}
    gain = next(one for one in by_rest.findings if one.check == "gate.gain")
    assert (gain.n, gain.statistic) == (188, pytest.approx(2 / 188))
    [gone] = [one for one in by_rest.findings if one.check == "gate.left"]
    assert (gone.n, gone.verdict, gone.severity) == (12, "pass", "info")
    assert "12 of 200 items left the gate: rows were made after them; on them +41.7%" in gone.message
    assert not [one for one in by_all.findings if one.check == "gate.left"]

    pool = lines(tmp_path / "pool.jsonl", [asked(1003), *map(asked, range(200, 320)), asked(3) | {"id": "again"}])
    found = retire(work.store, work.project, "desk", pool, tmp_path / "new.jsonl")
    assert (len(found.left), None in found.left.values(), found.lost) == (12, False, None)
    assert set(found.known) == {"q1003", "again"}, "one stands in bob's rows, one in the suite"
    written = [json.loads(line) for line in (tmp_path / "new.jsonl").read_text().splitlines()]
    assert len(written) == 200
    for n, line in enumerate(written):
        if n in FAILED:
            assert line["id"] == found.left[f"q{n}"]
            assert {k: line[k] for k in ("expected", "channel")} == {k: asked(n)[k] for k in ("expected", "channel")}
        else:
            assert line == asked(n)

    (tmp_path / "whence.toml").write_text(FILE.replace("gate.jsonl", "new.jsonl"))
    suite = work.put()
    states = exposure(work.store, "desk").states
    assert [item for item, state in states.items() if state == "retired"] == sorted(f"q{i}" for i in FAILED)
    assert {states[str(one)] for one in found.left.values()} == {"sealed"}
    again = work.scored(lambda n: n % 10 not in (3, 6, 9), "second", suite)
    assert work.store.get(again).results[0].n == 200
    assert verify(work.store) == []


def test_a_row_that_comes_when_the_score_is_known_spares_a_candidate_nothing(
    work: Work, take: Callable[..., RunReport]
) -> None:
    take(after(FAILED[:3]), "ann", id="id", inspired_by="after")
    new = work.scored(lambda n: n not in FAILED, "second")
    take(after(FAILED[3:], start=3), "later", id="id", inspired_by="after")
    assert derived(work.store, "desk") == {f"q{i}" for i in FAILED}
    assert derived(work.store, "desk", known_since(work.store, new)) == {f"q{i}" for i in FAILED[:3]}
    desk = replace(work.desk, adapter=work.store.get(new).adapter)
    contender = Contender(
        model=ScriptedModel(lambda _: "x"), base=desk.base, adapter=desk.adapter, adapter_name="x", via="merged"
    )
    part = put_suite(work.store, "desk/served", "gate", "label", items_of(work.store, work.suite)[:20], LABELS)
    asked_merged = evaluate(work.store, contender, part, desk.prompt, max_tokens=8)
    assert known_since(work.store, asked_merged) == known_since(work.store, new)
    only = replace(contender, adapter=work.desk.adapter)
    assert known_since(work.store, evaluate(work.store, only, part, desk.prompt, max_tokens=8)) > known_since(
        work.store, new
    )
    next_one = work.scored(lambda n: n not in FAILED, "third")
    assert derived(work.store, "desk", known_since(work.store, next_one)) == {f"q{i}" for i in FAILED}


def test_evidence_comes_to_the_same_verdict_without_them(work: Work, tmp_path: Path) -> None:
    old, gate = work.scored(lambda n: n < 140), fix_gate(work.store, work.desk.gate(work.suite))
    new = work.scored(lambda n: n < 170, "tuned")
    left = [f"q{n}" for n in range(140, 160)]
    ref = judge(work.store, gate, new, old, left=[*left, "none"])
    write_evidence(work.store, ref, tmp_path / "evidence.json")
    made, _ = judge_evidence(tmp_path / "evidence.json")
    assert made == work.store.get(ref, Verdict)
    said = json.loads((tmp_path / "evidence.json").read_text())
    assert said["left"] == sorted(left)
    for wrong in ([], left[:10]):
        (tmp_path / "evidence.json").write_text(json.dumps(said | {"left": wrong}))
        with pytest.raises(Unmet, match="not to the verdict"):
            judge_evidence(tmp_path / "evidence.json")


def found(work: Work, gate: Ref, new: Ref, old: Ref, left: Iterable[str]) -> dict[str, Finding]:
    verdict = work.store.get(judge(work.store, gate, new, old, left=[*left]), Verdict)
    return {one.check: one for one in verdict.findings}


def test_too_few_that_stay_abstain_and_whom_it_suits_that_items_leave_is_told(work: Work) -> None:
    old = work.scored(lambda n: True)
    gate = fix_gate(work.store, work.desk.gate(work.suite, min_gain=-0.03, min_items=150))
    new = work.scored(lambda n: n >= 40, "forgetful")
    said = found(work, gate, new, old, [])
    assert said["gate.gain"].verdict == "fail"
    said = found(work, gate, new, old, [f"q{n}" for n in range(40)])
    assert (said["gate.gain"].verdict, said["gate.items"].verdict) == ("pass", "pass")
    assert (said["gate.left"].verdict, said["gate.left"].severity) == ("fail", "low")
    said = found(work, gate, new, old, [f"q{n}" for n in range(60)])
    assert (said["gate.gain"].verdict, said["gate.items"].verdict) == ("abstain", "abstain")
    said = found(work, gate, new, old, [f"q{n}" for n in range(200)])
    assert (said["gate.items"].verdict, said["gate.left"].n) == ("abstain", 200)


def test_what_leaves_with_items_is_measured_over_five_models(work: Work) -> None:
    work.inspect(range(50))
    for n in range(5):
        told = exposure(work.store, "desk")
        assert (told.models, told.lost) == (n, None)
        work.scored(lambda i, n=n: random.Random(i).random() < 0.2 + 0.15 * n, f"m{n}")  # type: ignore[misc]
    told = exposure(work.store, "desk")
    assert told.models == 5
    assert told.lost is not None
    assert told.lost.statistic == pytest.approx(0.25, abs=0.1)
    assert all(-1 <= value <= 1 for value in told.tells.values())
    assert len(told.tells) < 200, "of items that all have right nothing is known"


def test_inspected_ones_leave_where_asked_and_those_without_a_sibling_all_the_same(work: Work, tmp_path: Path) -> None:
    work.inspect([0, 5, 7])
    pool = lines(
        tmp_path / "pool.jsonl",
        [asked(207), asked(211) | {"input": asked(207)["input"]}, asked(225) | {"expected": None}],
    )
    nothing = retire(work.store, work.project, "desk", pool, tmp_path / "new.jsonl")
    assert (nothing.file, nothing.left) == (None, {})
    assert not (tmp_path / "new.jsonl").exists()
    told = retire(work.store, work.project, "desk", pool, tmp_path / "new.jsonl", inspected=True)
    assert told.left == {"q0": None, "q5": None, "q7": "q207"}
    assert len((tmp_path / "new.jsonl").read_text().splitlines()) == 198
    for to, message in (("new.jsonl", "is there already"), ("gate.jsonl", "is there already")):
        with pytest.raises(Unmet, match=message):
            retire(work.store, work.project, "desk", pool, tmp_path / to, inspected=True)
    bad = lines(tmp_path / "bad.jsonl", [{"id": "x"}])
    with pytest.raises(Unmet, match=r"bad\.jsonl:1"):
        retire(work.store, work.project, "desk", bad, tmp_path / "other.jsonl")


def test_who_looked_at_all_has_not_seen_what_came_later(work: Work, tmp_path: Path) -> None:
    line = {"suite": "desk", "by": "ann", "at": "2026-01-01T00:00:00Z", "purpose": "export"}
    note_accesses(work.store, read_accesses(work.store, lines(tmp_path / "seen.jsonl", [line])))
    assert set(exposure(work.store, "desk").states.values()) == {"inspected"}
    lines(tmp_path / "gate.jsonl", map(asked, range(190, 210)))
    work.put()
    states = exposure(work.store, "desk").states
    assert {states[f"q{n}"] for n in range(190, 200)} == {"inspected"}
    assert {states[f"q{n}"] for n in range(200, 210)} == {"sealed"}
