"""What curation did to each slice: how much of it is left, and whether that is worse than chance."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from whence.data.near import Rules, label_of, said, slices_of
from whence.data.removal import given, question_of
from whence.data.topics import Topics
from whence.records import Finding, Json, Ref, Snapshot, Step
from whence.stats import adjusted, few_kept
from whence.store import RowSet, Store
from whence.store.suites import current_suites

LEAST = 0.001
"""Adjusted p below which a slice did not shrink by chance."""
ENOUGH = 30
"""Rows; a slice that has as many left may shrink: boilerplate of a large slice is no loss."""
NOT_CHOSEN = ("rights", "left_out")
"""Steps that leave rows out because somebody may not use them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """A slice before and after one step."""

    step: str
    """its name"""
    slice: str
    """``field=value``; ``answer=…`` of rows whose answer is a label"""
    before: int
    """rows"""
    after: float
    """rows that are left, each by its weight"""
    p: float
    """of as few or fewer, had the step left as many rows out by lot; adjusted over the slices of the step"""
    items: int
    """of suites that have this slice, or ask for this answer"""

    @property
    def starved(self) -> bool:
        """Whether it shrank more than by chance, to few rows."""
        return self.p < LEAST and self.after < ENOUGH


Named = Callable[[Json], tuple[str, ...]]
"""content → slices that no field says"""


def survival(store: Store, snapshot: Snapshot, topics: bool = False) -> list[Survived]:
    """Every slice that a step made smaller, the steps in order, the least likely first. topics: with slices that are
    found by clustering. Raises Unmet without the extra ``checks``."""
    steps = [*given(store, snapshot)]
    named = _named(store, steps, rules_of(store, snapshot), topics)
    found, asked = list[Survived](), evaluated(store, named)
    for step, rows in steps:
        lost = dict.fromkeys(store.get_table(step.removed)["ordinal"].to_pylist(), 1.0)
        lost |= {ordinal: 1 - weight for ordinal, weight in store.get_weights(step.lowered).items()}
        if step.name not in NOT_CHOSEN and lost:
            found = [*_survived(store, step.name, rows, lost, asked, named), *found]
    return found


def _named(store: Store, steps: Sequence[tuple[Step, RowSet]], rules: Named, topics: bool) -> Named:
    """By rules, and by topics of all rows that the steps were given."""
    if not topics or not steps:
        return rules
    rows = (text for part in store.scan(["content"], steps[-1][1]) for text in part["content"].to_pylist())
    suites = current_suites(store).values()
    items = ({"prompt": item.get("input")} for _, suite in suites for item in store.get_lines(suite.items))
    found = Topics([_subject(json.loads(text)) for text in rows if text], [question_of(item) for item in items])
    return lambda content: (*rules(content), *found.of(_subject(content)))


def _subject(content: Json) -> str:
    """What a content is about: without its answer, where this is a label."""
    return question_of(content) if "prompt" in content or label_of(content) else said(content)


def _survived(
    store: Store, name: str, rows: RowSet, lost: Mapping[int, float], asked: Mapping[str, int], named: Named
) -> list[Survived]:
    before, less = Counter[str](), defaultdict[str, float](float)
    for ordinal, names in slices(store, rows, named):
        before.update(names)
        for one in names if ordinal in lost else ():
            less[one] += lost[ordinal]
    total, left = len(rows), len(rows) - sum(lost.values())
    smaller = sorted(less)
    ps = adjusted([few_kept(before[one] - less[one], before[one], left, total) for one in smaller])
    found = [
        Survived(step=name, slice=one, before=before[one], after=before[one] - less[one], p=p, items=asked.get(one, 0))
        for one, p in zip(smaller, ps, strict=True)
    ]
    return sorted(found, key=lambda one: (one.p, one.after / one.before))


def rules_of(store: Store, snapshot: Snapshot) -> Named:
    """The slices that the snapshot's steps made by rules."""
    steps = [store.get(ref, Step) for ref in snapshot.steps]
    rules = Rules(dict.fromkeys(rule for step in steps for rule in step.params.get("rules", ())))
    return lambda content: rules.of(said(content))


def slices(store: Store, rows: RowSet, more: Named) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(ordinal, its slices) of each row."""
    for batch in store.scan(["ord", "content", "slices"], rows):
        for ordinal, text, sliced in zip(*(batch[n].to_pylist() for n in ("ord", "content", "slices")), strict=True):
            content = json.loads(text) if text else {}
            named = slices_of(json.loads(sliced) if sliced else {}, label_of(content))
            yield ordinal, (*named, *more(content))


def evaluated(store: Store, named: Named) -> Counter[str]:
    """Slice, or ``answer=…`` → items of all suites."""
    found = Counter[str]()
    for _, suite in current_suites(store).values():
        for item in store.get_lines(suite.items):
            found.update(f"{field}={value}" for field, value in item.get("slices", {}).items())
            found[f"answer={item.get('expected')}"] += 1
            found.update(named({"prompt": item.get("input")}))
    return found


def starved(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``data.survival``: no curation step may starve a slice."""
    snapshot = store.get(thing)
    if not isinstance(snapshot, Snapshot):
        return
    found = survival(store, snapshot)
    bad = [one for one in found if one.starved]
    for one in bad:
        seen = f"{one.items} items ask about it" if one.items else "no item of any suite asks about it"
        yield Finding(
            check="data.survival",
            about=thing,
            verdict="fail",
            severity="high",
            message=f"{one.step} left {one.after:.3g} of {one.before} rows of {one.slice}; {seen}",
            statistic=one.after,
            threshold=float(min(ENOUGH, one.before)),
            n=one.before,
            p=one.p,
        )
    if not bad:
        blind = [one.slice for one in found if not one.items and one.after < one.before / 2]
        missed = f"; no item asks about {', '.join(blind[:5])}, of which less than half is left" if blind else ""
        yield Finding(
            check="data.survival",
            about=thing,
            verdict="pass",
            severity="low",
            message=f"no slice starved: {len(found)} were made smaller{missed}",
            n=snapshot.rows,
        )
