"""The rules on numbers alone: edges of each, and how often chance passes the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from whence.evaluate import Pairing, outcome, rules
from whence.evaluate.rules import gain_outcome, lowest
from whence.records import Finding, Gate, Item, Ref
from whence.stats import mcnemar

ITEMS = [Item(id=str(i), input="q", expected="a", slices={"part": str(i % 8)}) for i in range(400)]
GATE = Gate(
    suite=Ref("sha256:00"),
    min_value=None,
    min_gain=0.0,
    max_slice_drop=0.1,
    alpha=0.05,
    min_items=100,
    min_slice_items=20,
    max_unscored=0.05,
)


def found(new: Sequence[object], old: Sequence[object], gate: Gate = GATE) -> list[Finding]:
    """True is right, False wrong, None unscored."""
    word = {True: "right", False: "wrong", None: "unscored"}
    items = ITEMS[: len(new)]
    sides = [{i.id: word[v if v is None else bool(v)] for i, v in zip(items, side, strict=True)} for side in (new, old)]
    return rules(gate, Pairing.of(items, *sides), candidate="new", baseline="old")


def test_equal_models_pass_no_more_often_than_alpha() -> None:
    rng = np.random.default_rng(11)
    passed = 0
    for _ in range(200):
        draws = rng.random((2, 400)) < 0.7
        passed += outcome(found(*draws)) == "pass"
    assert passed / 200 <= 0.05


def test_a_gain_of_ten_points_passes_mostly_and_a_collapsed_slice_mostly_fails() -> None:
    """Eight slices of 50 items; models agree on four items in five."""
    rng = np.random.default_rng(12)
    outcomes = {"gain": [], "slice": []}
    for _ in range(60):
        old, moved = rng.random(400) < 0.7, rng.random(400)
        new = np.where(old, moved > 0.05, moved < 0.5)
        outcomes["gain"].append(outcome(found(new, old)))
        hurt = np.array([i.slices["part"] == "3" for i in ITEMS])
        outcomes["slice"].append(outcome(found(np.where(hurt, old & (moved > 0.55), new), old)))
    assert outcomes["gain"].count("pass") / 60 >= 0.8
    assert outcomes["slice"].count("fail") / 60 >= 0.8
    assert "fail" not in outcomes["gain"]


def test_unscored_items_are_left_out_of_pairs_and_counted() -> None:
    new, old = [None] * 10 + [True] * 390, [False] * 10 + [True] * 380 + [None] * 10
    by_check = {(f.check, f.about): f for f in found(new, old)}
    assert by_check["gate.items", "new"].statistic == 380
    assert by_check["gate.unscored", "new"].statistic == pytest.approx(10 / 400)
    assert by_check["gate.gain", "new"].n == 380
    assert by_check["gate.gain", "new"].statistic == 0


@pytest.mark.parametrize(("side", "said"), [("new", "fail"), ("old", "abstain")])
def test_too_many_unscored_fail_a_candidate_and_leave_a_baseline_useless(side: str, said: str) -> None:
    whole, holed = [True] * 400, [None] * 30 + [True] * 370
    findings = found(holed, whole) if side == "new" else found(whole, holed)
    verdicts = {f.about: f.verdict for f in findings if f.check == "gate.unscored"}
    assert verdicts == {"new": "pass", "old": "pass"} | {side: said}


def test_nothing_scored_abstains_or_fails_and_never_passes() -> None:
    gate = Gate(**{f: getattr(GATE, f) for f in Gate.__dataclass_fields__} | {"min_value": 0.5, "max_unscored": 1.0})
    findings = found([None] * 400, [True] * 400, gate)
    assert outcome(findings) == "abstain"
    assert {f.check: f.verdict for f in findings}["gate.value"] == "abstain"


@pytest.mark.parametrize(("right", "said"), [(360, "pass"), (350, "abstain"), (320, "fail")])
def test_the_least_value_is_judged_by_share_and_interval(right: int, said: str) -> None:
    gate = Gate(**{f: getattr(GATE, f) for f in Gate.__dataclass_fields__} | {"min_value": 0.9})
    new = [True] * right + [False] * (400 - right)
    assert {f.check: f.verdict for f in found(new, new, gate)}["gate.value"] == said


@pytest.mark.parametrize(
    ("gained", "lost", "n", "least", "said"),
    [
        (40, 10, 400, 0.0, "pass"),
        (40, 10, 400, 0.1, "fail"),  # 400 items suffice for 10 points; 7.5 were seen
        (6, 0, 30, 0.25, "abstain"),  # significant, below 25 points, which 30 items do not suffice for
        (40, 10, 400, 0.2, "fail"),  # the interval lies below
        (25, 15, 400, 0.0, "abstain"),  # 2.5 points seen, 4.6 would show
        (10, 40, 400, 0.0, "fail"),
        (60, 55, 4000, 0.01, "fail"),  # 4,000 items would have shown one point
        (60, 55, 4000, 0.0, "abstain"),  # no number of items shows that there is no gain at all
        (0, 0, 4, 0.0, "abstain"),
        (20, 20, 400, -0.05, "pass"),  # a loss of 5 points is ruled out
        (20, 20, 400, -0.01, "abstain"),
        (10, 40, 400, -0.02, "fail"),  # a significant loss over the limit
        (30, 55, 1000, -0.03, "fail"),  # a loss is shown, and one of 3 points is not ruled out
        (30, 55, 4000, -0.03, "pass"),  # a loss is shown, and it is less than 3 points
        (5, 100, 400, -0.05, "fail"),
    ],
)
def test_the_least_gain_passes_fails_or_abstains(gained: int, lost: int, n: int, least: float, said: str) -> None:
    assert gain_outcome(mcnemar(gained, lost, n), least, 0.05) == said


@pytest.mark.parametrize(("gained", "lost", "tried", "said"), [
    (40, 20, 1, "pass"),
    (40, 20, 9, "abstain"),  # p .013: enough for one, not for the best of nine; no loss is shown
    (60, 10, 9, "pass"),
    (10, 60, 9, "fail"),
])  # fmt: skip
def test_a_gain_has_to_stand_for_the_best_of_those_that_were_tried(
    gained: int, lost: int, tried: int, said: str
) -> None:
    assert gain_outcome(mcnemar(gained, lost, 400), 0.0, 0.05, tried) == said


@pytest.mark.parametrize(("gained", "tried", "said"), [(20, 1, "pass"), (20, 27, "abstain"), (5, 27, "fail")])
def test_an_allowed_loss_is_ruled_out_for_all_that_were_tried(gained: int, tried: int, said: str) -> None:
    low = lowest(gained, 20, 400, 0.05, tried)
    assert gain_outcome(mcnemar(gained, 20, 400), -0.035, 0.05, tried, low) == said


@pytest.mark.parametrize(("alpha", "said"), [(0.2, "pass"), (0.05, "pass"), (0.01, "pass"), (0.001, "abstain")])
def test_a_loss_is_ruled_out_at_the_level_that_the_gate_asks_for(alpha: float, said: str) -> None:
    new, old = [i % 20 != 0 for i in range(400)], [i % 20 != 1 for i in range(400)]
    (gain,) = (f for f in found(new, old, replace(GATE, min_gain=-0.045, alpha=alpha)) if f.check == "gate.gain")
    assert (gain.verdict, gain.statistic) == (said, 0.0)
    assert ("its interval begins at" in gain.message) == (alpha < 0.05)


@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_models_that_are_worse_by_the_allowed_loss_pass_no_more_often_than_alpha(alpha: float) -> None:
    drawn = np.random.default_rng(7).multinomial(1000, [0.035, 0.065, 0.9], 20_000)
    passed = [lowest(int(gained), int(lost), 1000, alpha) >= -0.03 for gained, lost, _ in np.unique(drawn, axis=0)]
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert float(counts[passed].sum()) / 20_000 <= alpha / 2 + 3 * (alpha / 2 / 20_000) ** 0.5


def test_of_models_that_are_one_item_apart_a_gate_says_how_many_would_tell() -> None:
    items = [Item(id=str(i), input="q", expected="a") for i in range(9000)]
    new = {item.id: "right" if at % 20 else "wrong" for at, item in enumerate(items)}
    old = {item.id: "right" if at % 20 != 1 else "wrong" for at, item in enumerate(items)} | {items[20].id: "wrong"}
    told = rules(GATE, Pairing.of(items, old, new), candidate="new", baseline="old")
    told += rules(GATE, Pairing.of(items, new, old), candidate="new", baseline="old")
    gains = [(f.verdict, f.message.partition("asks for ")[2]) for f in told if f.check == "gate.gain"]
    assert gains == [("abstain", ""), ("abstain", "63,505,283 items to show +0.01%")]


def test_a_larger_loss_that_may_be_chance_is_said_and_decides_nothing() -> None:
    old = [True] * 400
    new = [not (i % 8 == 3 and i < 48) for i in range(400)]
    slices = {f.about: f for f in found(new, old) if f.check == "gate.slice"}
    assert (slices["part=3"].verdict, slices["part=3"].severity) == ("abstain", "low")
    assert slices["part=3"].statistic == pytest.approx(-0.12)
    assert slices["part=3"].p > 0.05
    assert {f.verdict for name, f in slices.items() if name != "part=3"} == {"pass"}


def test_what_revocable_rows_teach_and_the_rest_are_held_to_value_and_gain_each() -> None:
    """340 of 400 right passes as a whole; 60 that the revocable rows teach, all of them wrong, do not."""
    new, old = [False] * 60 + [True] * 340, [False] * 400
    gate = replace(GATE, min_value=0.6, min_gain=0.1)
    assert outcome(found(new, old, gate)) == "pass"
    own = replace(gate, own=tuple(str(i) for i in range(60)))
    parts = [f for f in found(new, old, own) if f.check == "gate.part"]
    assert [(f.verdict, f.n) for f in parts] == [("fail", 60), ("fail", 60), ("pass", 340), ("pass", 340)]
    assert outcome(found(new, old, own)) == "fail"
    other = replace(gate, own=tuple(str(i) for i in range(340, 400)))
    said = [f.verdict for f in found(new, old, other) if f.check == "gate.part"]
    assert (said, outcome(found(new, old, other))) == (["pass"] * 4, "pass")
    few = replace(gate, own=("399",))
    [first, *_] = [f for f in found(new, old, few) if f.check == "gate.part"]
    assert (first.verdict, first.severity, outcome(found(new, old, few))) == ("abstain", "high", "abstain")
    most = replace(gate, own=tuple(str(i) for i in range(1, 400)))
    *_, last = [f for f in found(new, old, most) if f.check == "gate.part"]
    assert (last.verdict, last.severity) == ("abstain", "info")
