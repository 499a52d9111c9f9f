"""Items that somebody has seen, and whether a model gains more on them than on the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from questions import LABELS, Desk, item

from whence.data import note_accesses, read_accesses
from whence.evaluate import put_suite
from whence.lifecycle.exposure import exposed, exposure, pools, tried
from whence.records import Adapter, Finding, Ref, RunReport

WRONG = [i for i in range(200) if i % 10 in (3, 6, 9)]


def seen(desk: Desk, folder: Path, items: list[int], purpose: str = "inspect") -> None:
    line = {"suite": "desk", "by": "ann", "at": "2026-01-01T00:00:00Z", "purpose": purpose}
    (folder / "seen.jsonl").write_text(json.dumps(line | {"items": [f"q{i}" for i in items]}))
    note_accesses(desk.store, read_accesses(desk.store, folder / "seen.jsonl"))


def after(desk: Desk, suite: Ref, better: set[int]) -> tuple[Ref, list[Finding]]:
    """A second adapter, right where the first was and on these; and what the check says of it."""
    desk.evaluated(suite, lambda i: i not in WRONG, tuned=True)
    second = desk.store.put(replace(desk.store.get(desk.adapter, Adapter), name="second", weights="b3:02"))
    replace(desk, adapter=second).evaluated(suite, lambda i: i not in WRONG or i in better, tuned=True)
    return second, list(exposed(desk.store, second))


def test_a_model_that_learnt_the_twelve_that_were_looked_at_is_told(desk: Desk, tmp_path: Path) -> None:
    suite = desk.suite(200)
    seen(desk, tmp_path, WRONG[:12])
    second, [found] = after(desk, suite, {*WRONG[:5], *WRONG[20:22]})
    one = exposure(desk.store, "desk")
    assert (one.seen, one.unseen) == (pytest.approx(5 / 12), pytest.approx(2 / 188))
    assert list(one.states.values()).count("inspected") == 12
    assert list(one.states.values()).count("scored") == 188
    assert (found.verdict, found.severity, found.about) == ("fail", "low", second)
    assert found.p is not None
    assert found.p < 0.001
    assert not list(exposed(desk.store, desk.adapter)), "of the first adapter nothing is said"


@pytest.mark.parametrize(
    ("looked", "better", "said"),
    [
        (WRONG[:12], {*WRONG[0:60:15]}, ["pass"]),
        (WRONG[:12], set(), ["pass"]),
        (WRONG[:1], set(WRONG[:1]), ["abstain"]),
        ([], set(WRONG[:12]), []),
    ],
)
def test_what_is_gained_everywhere_or_by_few_is_not(
    desk: Desk, tmp_path: Path, looked: list[int], better: set[int], said: list[str]
) -> None:
    suite = desk.suite(200)
    if looked:
        seen(desk, tmp_path, looked)
    _, found = after(desk, suite, better)
    assert [one.verdict for one in found] == said


def test_to_score_is_not_to_see_and_items_that_are_gone_are_retired(desk: Desk, tmp_path: Path) -> None:
    desk.suite(220)
    assert set(exposure(desk.store, "desk").states.values()) == {"sealed"}
    suite = desk.suite(200)
    seen(desk, tmp_path, [1, 2, 3], purpose="score")
    _, found = after(desk, suite, set(WRONG))
    assert found == []
    states = exposure(desk.store, "desk").states
    assert {state: list(states.values()).count(state) for state in set(states.values())} == {
        "scored": 200,
        "retired": 20,
    }


def test_every_model_that_was_scored_is_listed(desk: Desk) -> None:
    suite = desk.suite(200)
    desk.evaluated(suite, lambda i: i < 100, tuned=False)
    after(desk, suite, set())
    told = tried(desk.store, "desk")
    assert [(one.name, one.adapter is None, one.value, one.released) for one in told] == [
        ("tiny", True, 0.5, None),
        ("desk", False, 0.7, None),
        ("second", False, 0.7, None),
    ]


def cycle(desk: Desk, number: int, gate: float, fresh: float, n: int = 400) -> list[Finding]:
    """An adapter, scored on the gate and on items that nobody knew; what the check says."""
    adapter = desk.store.put(
        replace(desk.store.get(desk.adapter, Adapter), name=f"week{number}", weights=f"b3:{number}")
    )
    new = [item(n * (number + 1) + i) for i in range(n)]
    other = put_suite(desk.store, "fresh", "fresh", "label", new, LABELS)
    one = replace(desk, adapter=adapter)
    one.evaluated(desk.suite(n), lambda i: i < gate * n, tuned=True)
    one.evaluated(other, lambda i: i % n < fresh * n, tuned=True)
    return list(pools(desk.store, adapter))


def test_a_gate_that_rises_while_fresh_items_stay_raises_an_alarm(desk: Desk) -> None:
    said = [cycle(desk, week, 0.5 + 0.1 * week, 0.5)[0] for week in range(4)]
    assert [one.verdict for one in said] == ["abstain", "abstain", "fail", "fail"]
    assert said[2].statistic == pytest.approx(0.1, abs=0.005)
    assert "gate 50.0% → 70.0%, fresh 50.0% → 50.0%" in said[2].message


def test_an_honest_gain_raises_none_and_few_items_say_nothing(desk: Desk) -> None:
    said = [cycle(desk, week, 0.5 + 0.1 * week, 0.5 + 0.1 * week, 800)[0].verdict for week in range(4)]
    assert said == ["abstain", "abstain", "abstain", "pass"]


def test_without_fresh_items_nothing_is_said(desk: Desk) -> None:
    desk.evaluated(desk.suite(100), lambda i: True, tuned=True)
    assert not list(pools(desk.store, desk.adapter))


def test_items_that_rows_were_made_after_are_derived_from(desk: Desk, take: Callable[..., RunReport]) -> None:
    desk.suite(200)
    row = {"id": "r0", "prompt": "said in other words", "completion": "fee query", "after": ["desk:q7", "other:q8"]}
    take([row], id="id", inspired_by="after")
    states = exposure(desk.store, "desk").states
    assert [item for item, state in states.items() if state == "derived-from"] == ["q7"]
