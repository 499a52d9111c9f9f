"""Does a better score mean a better outcome? The gate's score of each release beside what it did in production."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from whence.evaluate.gates import states
from whence.lineage import resolve
from whence.records import (
    Adapter,
    Evaluation,
    Feedback,
    Finding,
    Json,
    Ref,
    Release,
    Trace,
    Verdict,
)
from whence.stats import Result, reliability, spearman
from whence.store import Store
from whence.store.lines import read_lines

OUTCOME = "outcome.noted"
RATED, RELEASES, LEAST, ALPHA = 20, 5, 0.3, 0.05
"""RATED: answers of a release from which on their mean counts. RELEASES: fewest that can show anything
(`stats.spearman`). LEAST: a correlation below which a score is not worth its gate: what is called medium (J. Cohen,
Statistical Power Analysis, 1988, chapter 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fared:
    """A release: how it scored, and how it did."""

    release: str
    """NAME@N"""
    score: float | None
    """share right of the gate's items that it has in common with the other releases; absent: too few are"""
    value: float
    """its outcome, the more the better"""
    n: int | None = None
    """answers behind it; absent: not said"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Scores beside outcomes."""

    releases: tuple[Fared, ...]
    """as they were made, those with an outcome"""
    items: int
    """on which they are compared"""
    finding: Finding | None
    """what it comes to; absent: no outcome is known"""


def note_outcomes(store: Store, path: Path) -> int:
    """Put the outcomes of a file on record, all or none: ``{"release": "desk@2", "value": 0.83, "n": 1200}`` a line,
    blank lines skipped. The newest of a release counts. Returns how many are new. Raises Unmet that names every bad
    line."""
    form = '{"release": "desk@2", "value": 0.83, "n": 1200}, "n" may be left out,'
    take: Callable[[object, int], tuple[Ref, dict[str, Json]]] = lambda said, _: _outcome(store, said)  # noqa: E731
    found = read_lines(path, object, take, holds="outcome", form=form, then="nothing was kept").values()
    with store.writer("outcomes"):
        known = _noted(store)
        new = [(release, data) for release, data in found if known.get(release) != data]
        store.append_many((OUTCOME, release, data, None, None) for release, data in new)
    return len(new)


def _outcome(store: Store, line: object) -> tuple[Ref, dict[str, Json]]:
    """(release, value and n) of one line. Raises ValueError, NotFound, Unmet."""
    if not isinstance(line, dict) or set(line) - {"release", "value", "n"}:
        raise ValueError("is no object with the members release, value and n")
    value, n = line.get("value"), line.get("n")
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
        raise ValueError("value is missing, or no number")
    if n is not None and (type(n) is not int or n < 1):
        raise ValueError("n is no whole number above 0")
    ref, made = resolve(store, str(line.get("release")))
    if made.name != line["release"]:
        raise ValueError(f"release is {line['release']!r}, which moves; expected a release's own name")
    return ref, {"value": float(value)} | ({"n": n} if n else {})


def _noted(store: Store) -> dict[Ref, dict[str, Any]]:
    """Release → its outcome as somebody noted it."""
    return {Ref(event.about): dict(event.data) for event in store.events(OUTCOME)}


def _outcomes(store: Store) -> dict[Ref, dict[str, Any]]:
    """Release → value and n: as noted, or where nothing was, the mean of what people said of its answers, −1 to 1, an
    answer counting once. The two are not mixed: they need not be of one scale."""
    return _noted(store) or store.memo("outcomes.rated", lambda: _rated(store), "Feedback")


def _rated(store: Store) -> dict[Ref, dict[str, Any]]:
    said, means = defaultdict[str, list[float]](list), defaultdict[Ref, list[float]](list)
    for _, one in store.all(Feedback):
        if one.intent == "rating" and one.value is not None:
            said[one.trace].append(one.value)
    for name, trace in store.named(Trace, said).items():
        if not trace.shadow:
            means[trace.release].append(fmean(said[name]))
    return {release: {"value": fmean(each), "n": len(each)} for release, each in means.items()}


def validity(store: Store, name: str, about: str | None = None) -> Validity:
    """Whether the releases NAME@1, NAME@2 … are in the same order by their gate's score as by their outcome.

    A score is the share right of the items that all of them were scored on; from the newest back, a release whose gate
    shares too little with the others (less than half of the newest's items would be left) is left out, as is one with
    few answers or without a verdict. about: what the finding is about; None: `name`.
    """
    outcomes = _outcomes(store)
    made = [(ref, one) for ref, one in store.all(Release) if one.name.rpartition("@")[0] == name and ref in outcomes]
    right, common = dict[Ref, dict[str, bool]](), set[str]()
    for ref, one in reversed(made):
        if one.verdict is None or (outcomes[ref].get("n", RATED)) < RATED:
            continue
        of = states(store, store.get(store.get(one.verdict, Verdict).candidate, Evaluation))
        scored = {item: state == "right" for item, state in of.items() if state != "unscored"}
        shared = common & scored.keys() if right else set(scored)
        if shared and 2 * len(shared) >= len(next(iter(right.values()), scored)):
            right[ref], common = scored, shared
    items = sorted(common)
    table = {ref: [right[ref][item] for item in items] for ref, _ in made if ref in right}
    releases = tuple(
        Fared(release=one.name, score=fmean(table[ref]) if ref in table else None, **outcomes[ref]) for ref, one in made
    )
    pairs = [(one.score, one.value) for one in releases if one.score is not None]
    found = _finding(about or name, pairs, [*table.values()]) if made else None
    return Validity(releases=releases, items=len(items), finding=found)


def _finding(about: str, pairs: Sequence[tuple[float, float]], right: Sequence[Sequence[bool]]) -> Finding:
    if len(pairs) < RELEASES:
        few = f"the gate's score and an outcome are known of {len(pairs)} releases; {RELEASES} can show the first"
        return Finding(check=CHECK, about=about, verdict="abstain", severity="low", message=few, n=len(pairs))
    told = spearman(*zip(*pairs, strict=True))
    alike = reliability(np.array(right, float)).p if len(right[0]) > 1 else 1.0
    said = verdict_of(told, alike is not None and alike < ALPHA)
    message = (
        f"over {told.n} releases the gate's score and what came of them correlate by {told.statistic:+.2f} "
        f"[{told.low:+.2f}, {told.high:+.2f}] p {told.p:.2g}; so many can show {told.detectable:.2f}"
    )
    if said == "fail":
        message += ": the score does not say how a release will do"
    elif alike is None or alike >= ALPHA:
        message += "; its items do not tell these releases apart"
    return Finding(
        check=CHECK,
        about=about,
        verdict=said,
        severity="low",
        message=message,
        statistic=told.statistic,
        threshold=LEAST,
        n=told.n,
        low=told.low,
        high=told.high,
        p=told.p,
        detectable=told.detectable,
    )


CHECK = "eval.validity"


def verdict_of(told: Result, apart: bool = True) -> Any:
    """Pass: they are shown to move together. Fail: they are shown to move against each other, or the interval rules out
    a correlation of `LEAST`; not where the score cannot tell the releases `apart`, since then it is the number of items
    that is at fault. Else abstain."""
    shown = told.p is not None and told.p < ALPHA
    if shown and told.statistic > 0:
        return "pass"
    return "fail" if apart and (shown or told.high < LEAST) else "abstain"


def valid(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``eval.validity``: the gate's score may not have lost what it says of outcomes in production.

    Over the releases of this adapter's name so far. Silent without outcomes. It informs: by itself it decides
    nothing."""
    made = store.get(thing)
    if isinstance(made, Adapter) and (found := validity(store, made.name, thing).finding):
        yield found
