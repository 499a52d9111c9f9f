"""The statistics: published examples, properties, and simulations of what each method promises."""

from __future__ import annotations

import sys
from functools import cache
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.records import Unmet
from whence.stats import Result, adjusted, mcnemar, smallest_detectable, wilson
from whence.stats.paired import tango

counts = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)).filter(lambda c: sum(c) > 0)


@cache
def p_of(gained: int, lost: int) -> float:
    """McNemar's p, which the agreeing pairs do not move."""
    p = mcnemar(gained, lost, 150).p
    assert p is not None
    return p


def test_wilson_gives_the_published_intervals() -> None:
    """Newcombe, Statistics in Medicine 17, 1998, p. 857, table I, method 3."""
    for right, n, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]:
        found = wilson(right, n)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_share_and_mirrors(case: tuple[int, int]) -> None:
    right, n = case
    found, mirrored = wilson(right, n), wilson(n - right, n)
    assert 0 <= found.low <= found.statistic <= found.high <= 1
    assert found.low < found.high
    assert (1 - found.high, 1 - found.low) == pytest.approx((mirrored.low, mirrored.high))


@pytest.mark.parametrize(("right", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_proportion(right: int, n: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(right, n)


def test_mcnemar_and_tango_give_the_published_example() -> None:
    """Airway hyper-responsiveness of 21 children: Fagerland, Lydersen and Laake 2014, table I."""
    found = mcnemar(gained=1, lost=7, n=21)
    assert found.p == pytest.approx(0.0703, abs=5e-5)
    assert (found.statistic, found.low, found.high) == pytest.approx((-6 / 21, -0.517, -0.026), abs=5e-4)


@settings(max_examples=60, deadline=None)
@given(counts)
def test_mcnemar_is_the_binomial_tail_and_mirrors(case: tuple[int, int, int]) -> None:
    gained, lost, _ = case
    n, pairs = sum(case), gained + lost
    found, mirrored = mcnemar(gained, lost, n), mcnemar(lost, gained, n)
    tail = sum(comb(pairs, i) for i in range(min(gained, lost) + 1)) / 2**pairs
    assert found.p == pytest.approx(min(1.0, 2 * tail))
    assert found.p == mirrored.p
    assert -1 <= found.low <= found.statistic <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-8)


def test_the_exact_size_of_mcnemar_never_exceeds_alpha() -> None:
    """Summed over every outcome, not simulated: the worst case over discordant counts is what alpha bounds."""
    for pairs in range(1, 60):
        chance = sum(comb(pairs, g) for g in range(pairs + 1) if p_of(g, pairs - g) <= 0.05) / 2**pairs
        assert chance <= 0.05


def test_mcnemar_raises_few_false_alarms_and_tango_covers() -> None:
    rng = np.random.default_rng(7)
    alarms = covered = 0
    gained, lost, _ = rng.multinomial(150, [0.1, 0.1, 0.8], size=1500).T
    for g, b in zip(gained, lost, strict=True):
        low, high = tango(int(g), int(b), 150)
        alarms += p_of(int(g), int(b)) < 0.05
        covered += low <= 0 <= high
    assert alarms / 1500 <= 0.05
    assert covered / 1500 == pytest.approx(0.95, abs=0.02)
    shifted = rng.multinomial(60, [0.25, 0.05, 0.7], size=1500)
    inside = [low <= 0.2 <= high for low, high in (tango(int(g), int(b), 60) for g, b, _ in shifted)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("n", "discordance"), [(60, 0.3), (400, 0.1), (40, 0.05)])
def test_the_smallest_detectable_change_is_seen_four_times_in_five(n: int, discordance: float) -> None:
    change = smallest_detectable(n, discordance)
    assert change is not None
    rate = max(discordance, change)
    rng = np.random.default_rng(n)
    draws = rng.multinomial(n, [(rate + change) / 2, (rate - change) / 2, 1 - rate], size=1500)
    seen = [p_of(int(g), int(b)) < 0.05 and g > b for g, b, _ in draws]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.04)


def test_the_smallest_detectable_change_shrinks_with_n_and_is_absent_for_five_items() -> None:
    found = [smallest_detectable(n, 0.1) for n in (50, 200, 1000, 5000)]
    assert found == sorted(found, reverse=True)
    assert smallest_detectable(5, 1.0) is None
    assert smallest_detectable(400, 0.1) == pytest.approx(0.0456, abs=1e-4)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_adjusted_is_the_step_up_rule(p_values: list[float]) -> None:
    found, m = adjusted(p_values), len(p_values)
    order = sorted(range(m), key=p_values.__getitem__)
    last = max((i for i, at in enumerate(order, 1) if p_values[at] <= 0.05 * i / m), default=0)
    by_rule = {at for i, at in enumerate(order, 1) if i <= last}
    assert {i for i, p in enumerate(found) if p < 0.05 - 1e-12} <= by_rule
    assert by_rule <= {i for i, p in enumerate(found) if p <= 0.05 + 1e-12}
    assert all(p <= q <= 1 for p, q in zip(p_values, found, strict=True))


def test_adjusted_controls_the_false_discovery_rate() -> None:
    """40 slices, 10 of them changed, exact p-values of real counts: the mean false share stays at 5 %."""
    rng = np.random.default_rng(3)
    shares, hits = [], 0
    for _ in range(400):
        null = rng.multinomial(40, [0.06, 0.06, 0.88], size=30)
        changed = rng.multinomial(40, [0.02, 0.32, 0.66], size=10)
        found = np.array(adjusted([p_of(int(g), int(b)) for g, b, _ in [*null, *changed]])) < 0.05
        shares.append(found[:30].sum() / max(found.sum(), 1))
        hits += found[30:].sum()
    assert np.mean(shares) <= 0.05
    assert hits / 4000 > 0.5


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(Unmet, match=r"\.\[checks\]"):
        adjusted([0.5])
    assert isinstance(wilson(3, 4), Result)
