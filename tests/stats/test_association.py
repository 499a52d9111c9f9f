"""Ranks and items: published numbers, plain twins, and what is said where nothing can be."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from whence.stats import item_rest, power_lost, reliability, spearman

numbers = st.lists(st.integers(-5, 5), min_size=4, max_size=5)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_ranks_correlate_as_all_orders_say(data: st.DataObject) -> None:
    a = data.draw(numbers)
    b = data.draw(st.lists(st.integers(-5, 5), min_size=len(a), max_size=len(a)))
    told = spearman(a, b)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert (told.statistic, told.p, told.low, told.high) == (0, 1, -1, 1)
        return
    rho = lambda y: float(np.corrcoef(scipy_stats.rankdata(a), scipy_stats.rankdata(y))[0, 1])  # noqa: E731
    every = [abs(rho(y)) for y in permutations(b)]
    assert told.statistic == pytest.approx(rho(b))
    assert told.p == pytest.approx(np.mean([one >= abs(rho(b)) - 1e-9 for one in every]))
    assert -1 <= told.low <= told.statistic <= told.high <= 1


def test_five_in_order_are_the_fewest_that_show_it() -> None:
    for n, p in ((4, 1 / 12), (5, 1 / 60), (6, 1 / 360)):
        told = spearman(range(n), range(n))
        assert (told.statistic, told.p) == (pytest.approx(1), pytest.approx(p))
        assert (told.detectable is None) == (n < 5)
    wide = spearman(range(40), [*range(1, 40), 0])
    assert wide.p is not None
    assert wide.p <= 0.001
    assert wide.low > 0.5
    for wrong in ([1, 2], [1, 2, float("nan")]):
        with pytest.raises(ValueError, match="finite"):
            spearman(wrong, wrong)
    with pytest.raises(ValueError, match="as many"):
        spearman([1, 2, 3], [1, 2, 3, 4])


tables = st.integers(3, 6).flatmap(
    lambda m: st.lists(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=m, max_size=m), min_size=2, max_size=6)
)


@settings(deadline=None)
@given(tables)
def test_an_item_is_held_against_the_others_alone(columns: list[list[float]]) -> None:
    x = np.array(columns).T
    found = item_rest(x)
    for i in range(x.shape[1]):
        pairs = []
        for model in x:
            rest = [value for j, value in enumerate(model) if j != i and not np.isnan(value)]
            if rest and not np.isnan(model[i]):
                pairs.append((model[i], np.mean(rest)))
        a, b = (np.array(side) for side in zip(*pairs, strict=True)) if pairs else (np.zeros(0), np.zeros(0))
        if len(pairs) < 3 or np.ptp(a) == 0 or np.ptp(b) < 1e-9:
            assert np.isnan(found[i])
        else:
            assert found[i] == pytest.approx(np.corrcoef(a, b)[0, 1])


def able(models: int, items: int, seed: int = 0) -> np.ndarray:
    """Models of unlike ability, all of whose items tell them apart alike."""
    rng = np.random.default_rng(seed)
    return (rng.random((models, items)) < np.linspace(0.2, 0.8, models)[:, None]).astype(float)


def test_alpha_is_the_ratio_of_variances() -> None:
    x = able(12, 40)
    n, told = x.shape[1], reliability(x)
    plain = n / (n - 1) * (1 - x.var(axis=0, ddof=1).sum() / x.sum(axis=1).var(ddof=1))
    assert told.statistic == pytest.approx(plain)
    assert told.p is not None
    assert told.p < 1e-6
    assert told.low < plain < told.high
    assert reliability(np.array([[0.0, 1.0], [0.0, 1.0]])).p == 1
    with pytest.raises(ValueError, match="two models"):
        reliability(x[:1])


def test_items_alike_take_their_share_and_the_only_one_that_tells_takes_all() -> None:
    x = np.mean([[power_lost(able(10, 100, seed), np.arange(100) < 25).statistic] for seed in range(40)])  # type: ignore[union-attr]
    assert x == pytest.approx(0.25, abs=0.02)
    rng = np.random.default_rng(1)
    noise = (rng.random((10, 60)) < 0.5).astype(float)
    both = np.concatenate([able(10, 40), noise], axis=1)
    telling, silent = (power_lost(both, np.isin(np.arange(100), some)) for some in (range(40), range(40, 100)))
    assert telling is not None
    assert telling.low > 0.5
    assert silent is not None
    assert silent.statistic < 0, "without noise the sum tells more"


def test_nothing_is_said_of_few_models_or_of_a_suite_that_tells_nothing() -> None:
    gone = np.arange(100) < 12
    assert power_lost(able(4, 100), gone) is None
    assert power_lost(able(5, 100), gone) is not None
    alike = (np.random.default_rng(0).random((8, 100)) < 0.7).astype(float)
    assert power_lost(alike, gone) is None
    assert power_lost(able(5, 100), np.ones(100, bool)) is None
    missing = able(6, 100)
    missing[0, :30] = np.nan
    told = power_lost(missing, gone)
    assert told is not None
    assert told.statistic == 0, "the items that leave were not asked of all"
    for wrong in ([[0.5, 1]], [0, 1]):
        with pytest.raises(ValueError, match="table"):
            item_rest(wrong)
    with pytest.raises(ValueError, match="each leaving or not"):
        power_lost(able(5, 10), [True])
