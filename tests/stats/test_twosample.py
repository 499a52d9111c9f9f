"""The two-sample change test: against every relabelling on small samples, its false alarms, what it cannot reach."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from whence.stats import changed, smallest_p

Matrix = NDArray[np.float64]


def between(values: NDArray[np.float64]) -> Matrix:
    return np.abs(values[:, None] - values[None, :])


def energy(d: Matrix, was: tuple[int, ...]) -> float:
    """2 E d(X, Y) − E d(X, X') − E d(Y, Y'), written out."""
    now = [i for i in range(len(d)) if i not in was]
    return float(2 * d[np.ix_(was, now)].mean() - d[np.ix_(was, was)].mean() - d[np.ix_(now, now)].mean())


def enumerated(distances: list[Matrix], before: list[int]) -> tuple[float, float]:
    """(statistic, p) over every relabelling."""
    each = [[energy(d, was) for was in combinations(range(len(d)), n)] for d, n in zip(distances, before, strict=True)]
    observed = float(np.mean([values[0] for values in each]))
    means = np.array([np.mean(values) for values in product(*each)])
    return observed, float(np.mean(means >= observed - 1e-12))


@pytest.mark.parametrize(
    "sizes", [[(3, 3)], [(2, 3), (4, 2)], [(3, 3), (2, 2), (3, 2)], [(1, 1)] * 5], ids=["one", "two", "three", "single"]
)
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_it_is_what_every_relabelling_gives(sizes: list[tuple[int, int]], shift: float) -> None:
    random = np.random.default_rng(len(sizes))
    drawn = [np.concatenate([random.normal(size=m), random.normal(size=n) + shift]) for m, n in sizes]
    distances, before = [between(values) for values in drawn], [m for m, _ in sizes]
    statistic, p = enumerated(distances, before)
    found = changed(distances, before)
    assert found.statistic == pytest.approx(statistic)
    assert found.p == pytest.approx(p, abs=4 * (p * (1 - p) / 9_999) ** 0.5 + 1e-3)
    assert found.p is not None
    assert found.p >= 1 / 10_000


@pytest.mark.parametrize(
    ("sizes", "smallest"), [([(5, 5)], 2 / 252), ([(2, 3)], 1 / 10), ([(3, 3), (2, 2)], 4 / 120), ([(1, 1)] * 4, 1.0)]
)
def test_the_smallest_p_is_what_a_whole_change_gives(sizes: list[tuple[int, int]], smallest: float) -> None:
    distances = [between(np.repeat([0.0, 1.0], pair)) for pair in sizes]
    assert smallest_p(sizes) == pytest.approx(smallest)
    assert enumerated(distances, [m for m, _ in sizes])[1] == pytest.approx(smallest)


def test_too_few_answers_reach_no_alpha_and_say_so() -> None:
    few = changed([between(np.array([0.0, 0.0, 9.0, 9.0]))] * 2, [2, 2], alpha=0.05)
    assert (few.detectable, smallest_p([(2, 2)] * 2)) == (None, pytest.approx(1 / 9))
    enough = changed([between(np.array([0.0, 0.0, 9.0, 9.0]))] * 4, [2] * 4, alpha=0.05)
    assert enough.detectable is not None
    assert enough.statistic > enough.detectable
    assert enough.p is not None
    assert enough.p <= 0.05


def test_answers_that_never_vary_are_no_change() -> None:
    found = changed([np.zeros((10, 10))] * 16, [5] * 16, alpha=0.01)
    assert (found.statistic, found.p) == (0.0, 1.0)


def test_the_same_data_gives_the_same_answer() -> None:
    distances = [between(np.random.default_rng(3).normal(size=10)) for _ in range(4)]
    assert changed(distances, [5] * 4) == changed(distances, [5] * 4)


@pytest.mark.parametrize(("distances", "before"), [([], []), ([np.zeros((3, 3))], [3]), ([np.zeros((3, 3))], [0])])
def test_a_side_without_an_answer_is_refused(distances: list[Matrix], before: list[int]) -> None:
    with pytest.raises(ValueError, match="one now"):
        changed(distances, before)


def test_false_alarms_stay_at_alpha_and_a_change_is_seen() -> None:
    """The same source twice: within alpha, up to what 200 runs can tell; a source moved by one deviation: always."""
    random = np.random.default_rng(5)

    def p(shift: float) -> float:
        drawn = [np.concatenate([random.normal(size=3), random.normal(size=3) + shift]) for _ in range(6)]
        found = changed([between(values) for values in drawn], [3] * 6).p
        assert found is not None
        return found

    alarms = sum(p(0.0) <= 0.1 for _ in range(200))
    assert alarms <= 33  # 0.1 × 200, and three standard errors
    assert all(p(2.0) <= 0.1 for _ in range(20))
