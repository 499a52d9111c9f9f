"""Did the answers to fixed questions change, beyond what the same model varies by itself?

Each question was answered several times before and several times now. Within a question the answers' distances to one
another are all that is known; which of them are the new ones says nothing unless the model changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb, prod

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from whence.stats.proportion import wilson
from whence.stats.result import Result, finite, reach, scipy_stats

DRAWS = 9_999
"""Random relabellings; with the observed one they make p a multiple of 1/10,000."""


def changed(distances: Sequence[NDArray[np.float64]], before: Sequence[int], alpha: float = 0.05) -> Result:
    """The mean energy distance between answers before and now, over questions, tested by relabelling within questions.

    distances: one square matrix a question, over its answers before and then those now. before: how many of them are
    from before. Statistic: the mean of 2 E d(X, Y) − E d(X, X') − E d(Y, Y') (G. J. Székely and M. L. Rizzo, Journal of
    Statistical Planning and Inference 143, 2013, p. 1249), never negative for distances of negative type, 0 where both
    samples are the same. p: one-sided, (1 + relabellings as far apart) / (1 + relabellings), which holds alpha exactly
    where the answers to a question are exchangeable (B. Phipson and G. K. Smyth, Statistical Applications in Genetics
    and Molecular Biology 9, 2010, article 39). detectable: what the relabellings exceed with probability alpha at most;
    None where so few answers cannot reach alpha at all (`smallest_p`). Interval: percentile bootstrap over questions;
    as the statistic is never negative, an interval above 0 says nothing by itself. Raises ValueError without a
    question, or where a question has no answer on one side.
    """
    sizes = [(n, len(d) - n) for n, d in zip(before, distances, strict=True)]
    if not sizes or min(min(pair) for pair in sizes) < 1:
        raise ValueError("each question needs an answer before and one now")
    random = np.random.default_rng(0)
    observed = np.empty(len(sizes))
    totals = np.zeros(DRAWS)
    for i, ((was, now), d) in enumerate(zip(sizes, distances, strict=True)):
        weights = np.concatenate([np.full(was, 1 / was), np.full(now, -1 / now)])
        observed[i] = -weights @ d @ weights
        drawn = random.permuted(np.tile(weights, (DRAWS, 1)), axis=1)
        totals -= np.einsum("bi,ij,bj->b", drawn, d, drawn, optimize=True)
    drawn_means, statistic = totals / len(sizes), float(observed.mean())
    slack = 1e-12 + 1e-9 * abs(statistic)  # ties in exact arithmetic stay ties
    means = observed[random.integers(len(sizes), size=(DRAWS, len(sizes)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    reached = smallest_p(sizes) <= alpha
    return Result(
        statistic=statistic,
        p=float((1 + np.sum(drawn_means >= statistic - slack)) / (1 + DRAWS)),
        low=float(low),
        high=float(high),
        n=len(sizes),
        detectable=float(np.quantile(drawn_means, 1 - alpha, method="higher")) if reached else None,
        method=f"energy distance within questions, {DRAWS:,} relabellings, one-sided; bootstrap interval, 95 %",
    )


def apart(first: npt.ArrayLike, second: npt.ArrayLike, alpha: float = 0.05) -> Result:
    """How much higher the mean of the first sample is than that of the second; of changes, a difference in differences.

    p: two-sided, by giving the numbers to the samples at random, 9,999 times, or in all ways where these are fewer:
    holds alpha exactly where the samples are alike. Interval: Welch's (Biometrika 34, 1947, p. 28), 95 %. detectable:
    by the t test with Welch's error; None where it is 0. Raises ValueError for fewer than two finite numbers on a side.
    """
    a, b = finite(first), finite(second)
    both, rng, size = np.concatenate([a, b]), np.random.default_rng(0), len(a)
    if comb(len(both), size) <= DRAWS:
        ways = np.array([*combinations(range(len(both)), size)])
        sums, own = both[ways].sum(axis=1), 0
    else:
        sums, own = np.array([rng.permutation(both)[:size].sum() for _ in range(DRAWS)]), 1
    gaps = sums / size - (both.sum() - sums) / len(b)
    gap = float(a.mean() - b.mean())
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    error = float(np.sqrt(va + vb))
    freedom = int((va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))) if error else 1
    half = float(scipy_stats().t.ppf(0.975, max(1, freedom))) * error
    return Result(
        statistic=gap,
        p=float((own + np.sum(abs(gaps) >= abs(gap) - 1e-12)) / (own + len(gaps))),
        low=gap - half,
        high=gap + half,
        n=len(both),
        detectable=reach(max(1, freedom), alpha) * error if error else None,
        method=f"difference of means, given at random {len(gaps):,} times; Welch interval, 95 %",
    )


def told_apart(first: NDArray[np.float64], second: NDArray[np.float64], relabellings: int = 199) -> Result:
    """Can a classifier tell which of two samples a row is from? Its accuracy on rows it was not trained on (D.
    Lopez-Paz and M. Oquab, ICLR 2017), both samples weighing the same: one half where they are alike.

    first, second: (rows, features), rows independent of one another. The classifier is a ridge regression on the label,
    whose five folds are learnt once and its answers to any labels found by a product of matrices. p: one-sided, (1 +
    relabellings told apart as well) / (1 + relabellings), which holds alpha exactly; its least is 1 / (1 +
    relabellings). Interval: of the accuracy, by Wilson, 95 %, approximate. detectable: what relabellings exceed in 5 of
    100. Raises ValueError for fewer than 10 rows on a side.
    """
    if min(len(first), len(second)) < FOLDS * 2:
        raise ValueError(f"{FOLDS * 2} rows or more are needed on each side")
    rng, n = np.random.default_rng(0), len(first) + len(second)
    labels = np.concatenate([np.zeros(len(first)), np.ones(len(second))])
    rows = np.concatenate([first, second]).astype(np.float64)
    rows = (rows - rows.mean(axis=0)) / np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1)
    fold = rng.permutation(n) % FOLDS
    drawn = np.stack([labels, *(rng.permutation(labels) for _ in range(relabellings))], axis=1)
    right = np.zeros((2, 1 + relabellings))
    for one in range(FOLDS):
        known, asked = rows[fold != one], rows[fold == one]
        told, truth = drawn[fold != one], drawn[fold == one] > 0.5
        # Each side weighs one half, or the larger one's label were the best guess.
        share = told.mean(axis=0)
        target = np.where(told > 0.5, 0.5 / share, -0.5 / (1 - share))
        kernel = known @ known.T if known.shape[0] < known.shape[1] else known.T @ known
        ridge = np.trace(kernel) / len(kernel) + 1e-9
        if known.shape[0] < known.shape[1]:
            score = asked @ known.T @ np.linalg.solve(kernel + ridge * np.eye(len(kernel)), target)
        else:
            score = asked @ np.linalg.solve(kernel + ridge * np.eye(len(kernel)), known.T @ target)
        right += [((score <= 0) & ~truth).sum(axis=0), ((score > 0) & truth).sum(axis=0)]
    accuracy = (right[0] / len(first) + right[1] / len(second)) / 2
    share = wilson(round(float(accuracy[0]) * n), n)
    return Result(
        statistic=float(accuracy[0]),
        p=float((1 + np.sum(accuracy[1:] >= accuracy[0] - 1e-12)) / (1 + relabellings)),
        low=share.low,
        high=share.high,
        n=n,
        detectable=float(np.quantile(accuracy[1:], 0.95, method="higher")),
        method=f"two-sample classifier test, ridge, {FOLDS} folds, {relabellings} relabellings",
    )


FOLDS = 5


def smallest_p(sizes: Sequence[tuple[int, int]]) -> float:
    """The smallest p that so many answers (before, now) to each question can give, were all of them to change.

    Of one question's relabellings only the observed one is as far apart, and its mirror image where both sizes are
    equal.
    """
    return prod((2 if was == now else 1) / comb(was + now, was) for was, now in sizes)
