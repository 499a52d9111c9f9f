"""Criteria in a gate: what the candidate's recorded answers come to, and how many answers can tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from whence.evaluate.checkers import passes
from whence.evaluate.scorers import ENDED, Unusable
from whence.records import Criterion, Finding, Item, Json, Ref, Requirement
from whence.records.judgement import Outcome
from whence.stats import wilson
from whence.stats.paired import POWER
from whence.stats.result import scipy_stats
from whence.store import Store

MOST = 1 << 17
"""answers beyond which no number is looked for"""


def complete(criterion: Criterion) -> bool:
    """Whether answers can be held to it: it has a population, a check and a threshold."""
    return None not in (criterion.slice, criterion.check, criterion.threshold)


def compiled(store: Store, spec: Sequence[tuple[Requirement, Sequence[Criterion]]]) -> tuple[Ref, ...] | None:
    """Put requirements on record, and return the criteria that a gate is to hold answers to; None: there are none."""
    refs = []
    for requirement, criteria in spec:
        store.put(requirement)
        refs += [store.put(one) for one in criteria if complete(one)]
    return tuple(refs) or None


def left_out(spec: Sequence[tuple[Requirement, Sequence[Criterion]]]) -> Iterator[Finding]:
    """What no answer is held to, one finding a requirement."""
    for requirement, criteria in spec:
        lacking = [one.id for one in criteria if not complete(one)]
        if lacking or not criteria:
            what = ", ".join(lacking) or "it has no criterion"
            message = f"{requirement.id}: no answer is held to it ({what}); `whence eval lint` says what is missing"
            yield Finding(check="spec.held", about=requirement.id, verdict="abstain", severity="info", message=message)


def population(criterion: Criterion, items: Iterable[Item]) -> list[Item]:
    """The items that a criterion speaks of."""
    field, _, value = (criterion.slice or "").partition("=")
    return [item for item in items if criterion.slice == "*" or item.slices.get(field) == value]


def held(criterion: Criterion, items: Sequence[Item], lines: Sequence[Json], alpha: float) -> Finding:
    """What the candidate's answers to the criterion's population come to.

    lines: of the Evaluation's scores. An answer counts that the model ended; for the check ``right``, one that was
    scored. With share p, threshold t and tolerance d, pass: p ≤ t − d is rejected, exact binomial, one-sided, at alpha,
    and n answers were looked at. Fail: p ≥ t − d is. Else abstain. All criteria of a gate must pass, so that
    alpha holds for the whole without correction (R. L. Berger, Technometrics 24, 1982, p. 295).
    """
    asked = {item.id for item in population(criterion, items)}
    looked = [_passed(criterion, line) for line in lines if line["item"] in asked]
    n, k, t, least = len(looked) - looked.count(None), looked.count(True), criterion.threshold, _least(criterion)
    ask = f"needs {t:.1%}, let through from {least:.1%} on"
    given = Finding(
        check="spec.held",
        about=criterion.id,
        verdict="abstain",
        severity="high",
        message=f"{criterion.id}: no answer of {criterion.slice} was looked at; {ask}",
        threshold=t,
        n=n,
    )
    if n == 0:
        return given
    binom, share = scipy_stats().binom, wilson(k, n)
    p = float(binom.sf(k - 1, n, least))
    enough = n >= (criterion.n or 1)
    said: Outcome = "pass" if p <= alpha and enough else "fail" if binom.cdf(k, n, least) <= alpha else "abstain"
    few = "" if enough else f"; {criterion.n} are to be looked at"
    seen = f"{k} of {n} answers of {criterion.slice} pass [{share.low:.1%}, {share.high:.1%}]"
    given = replace(given, statistic=share.statistic, low=share.low, high=share.high, p=p)
    return replace(given, verdict=said, message=f"{criterion.id}: {seen}; {ask}{few}")


def _least(criterion: Criterion) -> float:
    """The share from which on nothing is let through any more."""
    assert criterion.threshold is not None
    return criterion.threshold - criterion.tolerance


def _passed(criterion: Criterion, line: Json) -> bool | None:
    """Whether the answer of a line passes; None: it says nothing."""
    if criterion.check == "right":
        return None if line["state"] == "unscored" else bool(line["state"] == "right")
    answer = line.get("output")
    if answer is None or line.get("reason", "").startswith(ENDED):
        return None
    try:
        return passes(criterion, answer)
    except Unusable:
        return None


def power(n: int, threshold: float, tolerance: float, alpha: float) -> float:
    """The chance that n answers pass a criterion whose true share is the threshold (see `held`)."""
    return float(_powers(np.array([n]), threshold, tolerance, alpha)[0])


@lru_cache(maxsize=256)
def needed(threshold: float, tolerance: float, alpha: float) -> int | None:
    """The fewest answers from which on such a criterion passes with power 0.8; None: more than `MOST`. The power of an
    exact test rises in teeth, so that some number below may do."""
    most = 64
    while most <= MOST:
        short = np.flatnonzero(_powers(np.arange(1, most + 1), threshold, tolerance, alpha) < POWER)
        if short[-1] < most // 2:
            return int(short[-1]) + 2
        most *= 2
    return None


def _powers(n: NDArray[np.int64], threshold: float, tolerance: float, alpha: float) -> NDArray[np.float64]:
    binom = scipy_stats().binom
    k = binom.isf(alpha, n, threshold - tolerance)  # the most right answers that still may be chance
    return np.asarray(binom.sf(k, n, threshold))
