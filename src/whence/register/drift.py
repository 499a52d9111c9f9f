"""Two looks at one model → has it changed? An adapter's effect now and then → does it still do anything? Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whence.models import Guess, Scored
from whence.records import Finding
from whence.stats import changed

TOLERANCE = 1e-3
"""Nats. The same float32 weights differ by at most 6e-6 between threads and instruction sets; see docs/canaries.md."""
COARSE = 0.3
"""The same for weights of less than 32 bits, whose rounding differs between processors; 0.09 was seen."""
ALPHA = 0.01
"""Chance of a false alarm at each comparison of a hosted model; one that is asked daily raises one in three months."""
REPEATS = 5
"""Answers to each question of a hosted model: with 5 a change in one question alone reaches `ALPHA` (p = 2/252)."""
NOTHING = 1e-4
"""Nats. An adapter that does less and changes no answer does nothing; see docs/canaries.md."""
BAND = (0.5, 2.0)
"""Effect now over effect then; what the same adapter on the same base stays far within."""

Answers = Sequence[Sequence[Scored]]
"""For each question, as often as it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How much an adapter changes what its base says."""

    divergence: float
    """mean Kullback-Leibler divergence of the next token's distribution with it from that without, nats"""
    moved: float
    """share of questions, 0 to 1, whose greedy answer is another"""
    n: int
    """questions"""

    def __str__(self) -> str:
        return f"{round(self.moved * self.n)} of {self.n} answers differ from the base's, KL {self.divergence:.3f}"


def no_op(about: str, now: Effect, then: Effect | None, evidence: tuple[str, ...] = ()) -> Finding:
    """Finding ``model.no_op``: the adapter changes its base's answers as much as when that was recorded."""
    idle = now.divergence < NOTHING and now.moved == 0
    threshold = NOTHING
    if not math.isfinite(now.divergence):
        verdict, message = "fail", "with the adapter the model gives no numbers (NaN): its factors are broken"
    elif idle:
        was = f" against {then.divergence:.3f} when it was recorded" if then and then.divergence >= NOTHING else ""
        verdict, message = "fail", f"the adapter changes almost nothing: {now}{was}"
    elif then is None:
        verdict, message = "abstain", f"{now}; how much it was in training nobody recorded"
    else:
        low, high = (edge * then.divergence for edge in BAND)
        threshold = low if now.divergence < low else high
        inside = low <= now.divergence <= high
        verdict = "pass" if inside else "fail"
        rate = "as much as" if inside else "less than half of what" if now.divergence < low else "more than twice what"
        message = f"the adapter changes {rate} it did: {now}, {then.divergence:.3f} when it was recorded"
    return Finding(
        check="model.no_op",
        about=about,
        verdict=verdict,  # type: ignore[arg-type]
        severity="high",
        message=message,
        statistic=now.divergence if math.isfinite(now.divergence) else None,
        threshold=threshold,
        n=now.n,
        evidence=evidence,
    )


def exactly(
    about: str, then: Answers, now: Answers, evidence: tuple[str, ...] = (), tolerance: float = TOLERANCE
) -> Finding:
    """Finding ``model.canaries`` for a model in this process, which answers the same every time unless it changed.

    Statistic: the largest difference of a token's log-probability, over positions that the same tokens lead to.
    """
    worst = max(difference(a[0], b[0]) for a, b in zip(then, now, strict=True))
    other = sum(a[0].text != b[0].text for a, b in zip(then, now, strict=True))
    same = worst <= tolerance
    moved = f"a log-probability moved by {worst:.3g}" if math.isfinite(worst) else "some beyond any number of"
    shown = f"log-probabilities within {worst:.1g}" if same else moved
    verb = "answers as it did" if same else "answers otherwise than it did"
    return Finding(
        check="model.canaries",
        about=about,
        verdict="pass" if same else "fail",
        severity="high",
        message=f"{verb}: {other} of {len(now)} answers differ, {shown} nats (tolerance {tolerance:g})",
        statistic=worst if math.isfinite(worst) else None,
        threshold=tolerance,
        n=len(now),
        evidence=evidence,
    )


def difference(then: Scored, now: Scored) -> float:
    """The largest difference of a log-probability, nats, up to the first token that differs; infinite where one holds
    no numbers, ends earlier, or spells the same tokens otherwise. A token that only one of them lists was at most as
    likely as the last one that the other lists."""
    worst = 0.0
    for was, is_ in zip(then.steps, now.steps, strict=False):
        tokens = dict.fromkeys(_key(g) for g in (*was, *is_))
        moved = np.abs(_vector(was, tokens) - _vector(is_, tokens))
        worst = max(worst, float(moved.max()) if np.isfinite(moved).all() else math.inf)
        if _key(was[0]) != _key(is_[0]):
            return worst  # a tie where nothing moved; what follows another token is not comparable
    return worst if len(then.steps) == len(now.steps) and then.text == now.text else math.inf


def by_sample(about: str, then: Answers, now: Answers, evidence: tuple[str, ...] = ()) -> Finding:
    """Finding ``model.canaries`` for a hosted model, whose answers vary by themselves: `stats.changed` at `ALPHA`."""
    distances = [distances_of([*was, *is_]) for was, is_ in zip(then, now, strict=True)]
    result = changed(distances, [len(was) for was in then], ALPHA)
    assert result.p is not None
    told = all(answer.steps for given in (*then, *now) for answer in given)
    by = "texts and log-probabilities" if told else "texts alone, it tells no log-probabilities"
    if result.detectable is None:
        verdict, message = "abstain", f"{len(now)} questions, {len(now[0])} answers each: too few for alpha {ALPHA:g}"
    else:
        verdict = "fail" if result.p <= ALPHA else "pass"
        said = "answers otherwise than it did" if verdict == "fail" else "no change is seen"
        message = f"{said}: distance {result.statistic:.3g}, p {result.p:.2g} (alpha {ALPHA:g}), by {by}"
    return Finding(
        check="model.canaries",
        about=about,
        verdict=verdict,  # type: ignore[arg-type]
        severity="high",
        message=message,
        statistic=result.statistic,
        threshold=result.detectable,
        n=result.n,
        low=result.low,
        high=result.high,
        p=result.p,
        evidence=evidence,
    )


def distances_of(answers: Sequence[Scored]) -> NDArray[np.float64]:
    """(answers, answers): Jaccard distance of their runs of three characters, and the mean difference of the first
    token's log-probabilities, nats, where all tell them. Both are of negative type, and so is their sum."""
    n = len(answers)
    found = np.zeros((n, n))
    grams = [_grams(answer.text) for answer in answers]
    for i in range(n):
        for j in range(i):
            both = grams[i] | grams[j]
            found[i, j] = found[j, i] = 1 - len(grams[i] & grams[j]) / len(both) if both else 0.0
    if all(answer.steps for answer in answers):
        tokens = dict.fromkeys(_key(g) for answer in answers for g in answer.steps[0])
        first = np.stack([_vector(answer.steps[0], tokens) for answer in answers])
        found += np.abs(first[:, None] - first[None, :]).mean(axis=2)
    return found


def _grams(text: str) -> set[str]:
    padded = f" {text} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def _key(guess: Guess) -> object:
    return guess.text if guess.id is None else guess.id


def _vector(step: Sequence[Guess], tokens: dict[object, None]) -> NDArray[np.float64]:
    """(tokens,): log-probabilities, those that are not listed at the lowest that is."""
    listed = {_key(g): g.logprob for g in step}
    floor = min(listed.values())
    return np.array([listed.get(token, floor) for token in tokens])
