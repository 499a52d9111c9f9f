"""The other statistics: published examples, plain twins, refusals; and a slice of their simulations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product
from math import exp, log
from typing import Any

import numpy as np
import pytest
from bench.validity import Case, cases, simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from whence import stats
from whence.stats.paired import tango

SMALL = st.lists(st.integers(-4, 4), min_size=2, max_size=9)
PAIRS = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 60)).filter(lambda c: sum(c) > 0)


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.name}: {case.setting}")
def test_what_is_claimed_holds_where_it_is_simulated(case: Case) -> None:
    line = simulate(case, 100)
    assert line.faults() == []
    if case.power and line.power is not None:
        assert line.power > case.power - 0.2


@settings(deadline=None, max_examples=40)
@given(PAIRS, st.sampled_from([0.01, 0.05, 0.3]))
def test_a_model_is_not_inferior_where_the_interval_says_so(counts: tuple[int, int, int], margin: float) -> None:
    gained, lost, n = counts[0], counts[1], sum(counts)
    low, high = tango(gained, lost, n, 0.9)
    one, both = stats.noninferior(gained, lost, n, margin), stats.equivalent(gained, lost, n, margin)
    assert one.p is not None
    assert both.p is not None
    assert (one.p < 0.05) == (low > -margin) or abs(low + margin) < 1e-6
    assert (both.p < 0.05) == (low > -margin and high < margin) or min(abs(low + margin), abs(high - margin)) < 1e-6
    assert both.p >= one.p


@settings(deadline=None, max_examples=60)
@given(SMALL)
def test_pseudo_medians_are_those_of_all_pairs(values: list[int]) -> None:
    d = sorted(values)
    walsh = [(a + b) / 2 for i, a in enumerate(d) for b in d[i:]]
    found = stats.wilcoxon(values)
    assert found.statistic == pytest.approx(float(np.median(walsh)), abs=1e-9)
    assert found.low <= found.statistic <= found.high
    assert found.p == (pytest.approx(scipy_stats.wilcoxon(values, zero_method="pratt").pvalue) if any(d) else 1.0)


@settings(deadline=None, max_examples=40)
@given(SMALL)
def test_signs_of_few_differences_are_all_turned(values: list[int]) -> None:
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, values, strict=True)))
        for signs in product((1, -1), repeat=len(values))
    ]
    wanted = sum(one >= abs(sum(values)) for one in sums) / len(sums)
    assert stats.paired_mean(values, 99).p == wanted


def test_the_bootstrap_is_that_of_scipy() -> None:
    values = np.random.default_rng(2).exponential(1, 60)
    found = stats.paired_mean(values, 40_000)
    theirs = scipy_stats.bootstrap((values,), np.mean, n_resamples=40_000, rng=1).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_the_best_of_several_equal_ones_is_none_and_one_that_is_better_stays() -> None:
    off, flagged = list[float](), 0
    for seed in range(100):
        right = np.random.default_rng(seed).random((27, 200)) < 0.7
        found, shown = stats.best_of(right), right.mean(axis=1).max()
        off.append(abs(found.statistic - 0.7))
        flagged += shown - found.statistic > (found.detectable or 1)
    assert np.mean(np.array(off) <= 0.015) >= 0.9
    assert flagged >= 90
    better = np.random.default_rng(0).random((27, 2000)) < np.repeat([0.85, 0.7], (1, 26))[:, None]
    assert stats.best_of(better).statistic == pytest.approx(better[0].mean(), abs=0.005)
    one = stats.best_of(better[:1])
    assert (one.statistic, one.detectable) == (pytest.approx(better[0].mean()), None)


def test_holm_gives_the_published_example() -> None:
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert stats.holm([]) == ()


def test_bounds_of_planned_looks_are_those_of_lan_and_demets() -> None:
    """Five looks, O'Brien and Fleming's spending, two-sided 5 %: 4.877, 3.357, 2.680, 2.290, 2.031."""
    found = scipy_stats.norm.isf(np.array(stats.planned_looks([0.2, 0.4, 0.6, 0.8, 1.0])) / 2)
    assert found == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=0.008)
    assert stats.planned_looks([1.0]) == pytest.approx((0.05,), abs=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=6))
def test_p_at_any_time_is_the_largest_ratio_so_far(steps: list[tuple[int, int, int]]) -> None:
    gained, lost, more = (np.cumsum(one).tolist() for one in zip(*steps, strict=True))
    n = [g + x + m for g, x, m in zip(gained, lost, more, strict=True)]
    found = stats.at_any_time(gained, lost, n)
    ratios = [
        2 ** (g + x) * exp(scipy_stats.beta(1, 1).logpdf(0.5)) * _beta(g, x) for g, x in zip(gained, lost, strict=True)
    ]
    assert found.p == pytest.approx(min(1.0, 1 / max(ratios)))
    assert found.low <= found.statistic <= found.high
    if len(n) > 1:
        before = stats.at_any_time(gained[:-1], lost[:-1], n[:-1])
        assert (found.p or 0) <= (before.p or 0)


def _beta(gained: int, lost: int) -> float:
    grid = (np.arange(20_000) + 0.5) / 20_000
    return float(np.mean(grid**gained * (1 - grid) ** lost))


def test_a_trend_that_always_rises_has_the_least_exact_p() -> None:
    found = stats.mann_kendall([1.0, 2.0, 4.0, 5.0])
    assert (found.p, found.statistic) == (pytest.approx(2 / 24), pytest.approx(4 / 3, abs=0.1))
    assert stats.mann_kendall([3.0] * 8).p == 1.0


def test_a_change_is_dated_and_nothing_is_found_on_the_other_side() -> None:
    values = np.random.default_rng(0).standard_normal(60) + np.repeat([0, 2.0], (40, 20))
    up, down = stats.cusum(values, 0, 1), stats.cusum(values, 0, 1, rising=False)
    assert up.p is not None
    assert down.p is not None
    assert up.p < 0.001 < 0.1 < down.p
    assert up.statistic == pytest.approx(2, abs=0.5)
    assert int(up.method.rsplit(" ", 1)[1]) in range(36, 44)


def test_a_gate_that_rises_while_fresh_items_do_not_is_told_by_the_third_week() -> None:
    """1.5 points a week on 12,000 items, answered exactly as often as is true; and an honest improvement on both."""
    gate, fresh, n = [0.7 + 0.015 * week for week in range(6)], [0.7] * 6, 12_000

    def told(one: list[float], other: list[float], weeks: int) -> stats.Result:
        return stats.widening(*([(round(n * share), n) for share in side[:weeks]] for side in (one, other)))

    assert [(told(gate, fresh, weeks).p or 0) < 0.05 for weeks in (3, 4, 5, 6)] == [True] * 4
    assert all(told(gate, gate, weeks).p == 1.0 for weeks in range(2, 7))
    assert (told(gate, fresh, 3).detectable or 1) < 0.015


def test_remissions_of_freireich_1963() -> None:
    """21 patients under 6-mercaptopurine, as in every textbook: S(10) .753, S(23) .448."""
    times = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    ended = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    for at, share in ((10, 0.7529), (23, 0.4482)):
        found = stats.kaplan_meier(times, ended, at)
        assert found.statistic == pytest.approx(share, abs=5e-5)
        assert found.low < share < found.high
    assert (stats.kaplan_meier(times, ended, 99).low, stats.kaplan_meier(times, ended, 99).high) == (0.0, 1.0)
    assert stats.kaplan_meier(times, ended, 2).statistic == 1.0
    assert 0 < stats.kaplan_meier([5.0] * 9, [False] * 9, 3).low < 1
    none = stats.kaplan_meier([1.0, 2.0, 3.0, 3.0], [True] * 4, 3)
    assert (none.statistic, none.low, none.n) == (0.0, 0.0, 2)
    assert none.high == pytest.approx(1 - 0.025**0.5)


def test_agreement_gives_published_examples() -> None:
    first, second = [1] * 20 + [1] * 5 + [0] * 10 + [0] * 15, [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert stats.kappa(first, second).statistic == pytest.approx(0.4)
    judges = [
        "12332141 2...",
        "123322412 5.3".replace(" ", ""),
        ".33323422 51.".replace(" ", ""),
        "123324412 51.".replace(" ", ""),
    ]
    units = [
        [None if one == "." else one for one in unit]
        for unit in zip(*(j.replace(" ", "") for j in judges), strict=True)
    ]
    assert stats.krippendorff(units).statistic == pytest.approx(0.743, abs=5e-4)
    same = stats.kappa(["a"] * 9, ["a"] * 9)
    assert (same.statistic, same.low, same.high) == (0.0, -1.0, 1.0), "that nobody says anything else is no agreement"


def test_calibration_of_a_model_that_is_sure_and_wrong() -> None:
    found = stats.calibration_error([0.9] * 100, [True] * 50 + [False] * 50)
    assert found.statistic == pytest.approx(0.4)
    assert found.p == pytest.approx(1e-4)
    assert stats.brier([0.9] * 100, [True] * 50 + [False] * 50).statistic == pytest.approx((0.01 + 0.81) / 2)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-1, 1), min_size=2, max_size=4), st.lists(st.integers(-1, 1), min_size=2, max_size=5))
def test_few_changes_are_given_to_both_sides_in_all_ways(first: list[int], second: list[int]) -> None:
    both, size = [*first, *second], len(first)
    gaps = []
    for chosen in combinations(range(len(both)), size):
        one = [both[i] for i in chosen]
        gaps.append(sum(one) / size - (sum(both) - sum(one)) / len(second))
    wanted = sum(abs(gap) >= abs(np.mean(first) - np.mean(second)) - 1e-12 for gap in gaps) / len(gaps)
    assert stats.apart(first, second).p == pytest.approx(wanted)


@pytest.mark.parametrize(
    "refused",
    [
        lambda: stats.noninferior(3, 3, 5, 0.1),
        lambda: stats.equivalent(3, 3, 10, 0),
        lambda: stats.paired_mean([1.0]),
        lambda: stats.paired_mean([1.0, float("nan")]),
        lambda: stats.wilcoxon([float("inf"), 1.0]),
        lambda: stats.holm([1.2]),
        lambda: stats.planned_looks([0.5, 0.4]),
        lambda: stats.at_any_time([3, 2], [0, 0], [5, 9]),
        lambda: stats.bounded_mean([2.0], 0, 1),
        lambda: stats.mann_kendall([1.0, 2.0, 3.0]),
        lambda: stats.cusum([1.0], 0, 0),
        lambda: stats.widening([(1, 2)], [(1, 2)]),
        lambda: stats.widening([(1, 2), (0, 0)], [(1, 2), (1, 2)]),
        lambda: stats.kaplan_meier([-1.0], [True], 1),
        lambda: stats.brier([1.5, 0.2], [True, False]),
        lambda: stats.kappa([1], [1, 2]),
        lambda: stats.krippendorff([[1, None]]),
        lambda: stats.dawid_skene([[1, 2], [1]]),
        lambda: stats.told_apart(np.zeros((3, 2)), np.zeros((30, 2))),
        lambda: stats.items_needed(0, 0.1),
    ],
)
def test_what_makes_no_sense_is_refused(refused: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        refused()


def test_items_needed_show_what_they_are_needed_for() -> None:
    n = stats.items_needed(0.05, 0.2)
    assert stats.smallest_detectable(n, 0.2) == pytest.approx(0.05, abs=0.003)
    assert log(n) > 0


@pytest.mark.parametrize(
    ("difference", "rate"), [(1 / 1000, 0.101), (1 / 3000, 0.1), (1 / 20_000, 0.1), (1 / 100_000, 0.3)]
)
def test_a_difference_of_one_item_asks_for_as_many_as_the_normal_approximation(difference: float, rate: float) -> None:
    assert 7.84 < stats.items_needed(difference, rate) * difference**2 / rate < 8


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9)), min_size=4, max_size=12))
def test_a_slope_is_that_of_least_squares(rows: list[tuple[int, int, int]]) -> None:
    y, x, held = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    if np.linalg.matrix_rank(np.stack([x, held], axis=1)) < 2:
        with pytest.raises(ValueError, match="none of them made of the others"):
            stats.slope(y, x, held)
        return
    found = stats.slope(y, x, held)
    best = np.linalg.lstsq(np.stack([x, held], axis=1), y, rcond=None)[0]
    assert found.statistic == pytest.approx(best[0], abs=1e-9)
    assert found.low <= found.statistic <= found.high
    assert (found.p or 0) <= 0.05 or found.low - 1e-9 <= 0 <= found.high + 1e-9


def test_a_judge_that_says_what_people_say_favours_nobody() -> None:
    rng = np.random.default_rng(1)
    truth, own = rng.choice([-1, 0, 1], 300), rng.choice([-1, 0, 1], 300)
    same = stats.favour(truth, truth, own)
    assert same.low <= 0 <= same.high
    assert same.p is not None
    assert same.p > 0.05
    always = stats.favour(np.where(own, own, truth), truth, own)
    assert (always.statistic > 0.8, always.low > 0.5, always.n) == (True, True, int((own != 0).sum()))
    with pytest.raises(ValueError, match="pairs without it"):
        stats.favour(truth, truth, np.ones(300))


def test_a_mean_is_a_slope_on_ones_with_an_error_a_little_larger() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 50)
    found, t = stats.slope(values, np.ones(50)), scipy_stats.ttest_1samp(values, 0)
    low, high = t.confidence_interval()
    assert found.statistic == pytest.approx(values.mean())
    assert (found.high - found.low) / (high - low) == pytest.approx(1, abs=0.02)
    assert stats.slope([0.8, 1.6, 0.4], [1, 2, 0.5]).p == 0.0
    assert (stats.slope(np.zeros(9), np.ones(9)).p, stats.slope(np.zeros(9), np.ones(9)).high) == (1.0, 0.0)
