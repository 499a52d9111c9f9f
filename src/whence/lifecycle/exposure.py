"""What happened to evaluation items, and whether models do better on those that somebody has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import fmean
from typing import Any, Literal

import pyarrow.compute as pc

from whence.data import looked, noted
from whence.evaluate import by_another_tool, scored
from whence.lifecycle.discriminating import Answered
from whence.records import Adapter, Evaluation, Finding, Ref, Release, Run, Suite
from whence.stats import Result, apart, widening
from whence.store import Store
from whence.store.suites import CURRENT, current_suites

State = Literal["sealed", "scored", "inspected", "derived-from", "retired"]
STATES: tuple[State, ...] = ("sealed", "scored", "inspected", "derived-from", "retired")
"""What became of an item, from least to most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """The items of a suite."""

    suite: str
    """its name"""
    states: Mapping[str, State]
    """item → the most that became of it: nobody scored a model on it; models were scored; somebody looked at it; rows
    were made after it; it is in no version that counts"""
    before: Ref | None = None
    """the evaluation that the meter compares with; absent: there are not two"""
    after: Ref | None = None
    """the newest"""
    meter: Result | None = None
    """how much more a model gained on items that were seen than on the others, between the two; absent: fewer than two
    of either"""
    seen: float | None = None
    """mean change on items that were seen, −1 to 1"""
    unseen: float | None = None
    """on the others"""
    models: int = 0
    """that were scored on its items as they are now"""
    tells: Mapping[str, float] = field(default_factory=dict)
    """item → its correlation over models with the rest of the suite, −1 to 1, where it is known"""
    lost: Result | None = None
    """the share of the suite's power to tell models apart that leaves with the items that were seen; absent: nobody has
    seen one, or too few models were scored, or the suite does not tell them apart"""


def exposure(store: Store, name: str, power: bool = True) -> Exposure:
    """What became of each item that a suite of this name ever had, and what the newest adapter gained on items that
    were seen beyond what it gained on the others, against the first adapter (or, if there is one only, the base).
    power: also how the items tell models apart. Raises NotFound."""
    ref, _ = current_suites(store)[name]
    every = [one for _, one in scored(store, ref)]
    states = _states(store, name, bool(every))
    tuned = [one for one in every if one.adapter]
    tool = [store.get(one.run, Run).inputs.get("tool") for one in every]
    if tuned:  # what another tool scored is no measure of what we did
        every = [one for one, by in zip(every, tool, strict=True) if by == tool[every.index(tuned[-1])]]
        tuned = [one for one in every if one.adapter]
    others = [one for one in tuned if one.adapter != tuned[-1].adapter] or [one for one in every if not one.adapter][
        -1:
    ]
    found = Exposure(suite=name, states=states)
    if power:
        answered, seen_by = Answered.of(store, ref), {item for item, state in states.items() if state in EXPOSED}
        found = replace(found, models=len(answered.right), tells=answered.item_rest(), lost=answered.lost(seen_by))
    if not tuned or not others:
        return found
    first, last = others[0], tuned[-1]
    old, new = (_right(store, one) for one in (first, last))
    moved = [(states.get(item) in EXPOSED, float(new[item] - old[item])) for item in sorted(old.keys() & new.keys())]
    seen, unseen = ([change for known, change in moved if known == side] for side in (True, False))
    refs = {one: ref for ref, one in store.all(Evaluation)}
    return replace(
        found,
        before=refs[first],
        after=refs[last],
        meter=apart(seen, unseen) if min(len(seen), len(unseen)) > 1 else None,
        seen=fmean(seen) if seen else None,
        unseen=fmean(unseen) if unseen else None,
    )


def _states(store: Store, name: str, measured: bool) -> dict[str, State]:
    """Of each item of any version. measured: a model was scored on those that count."""
    versions = [(ref, suite) for ref, suite in store.all(Suite) if suite.name == name]
    items = {ref: {str(item["id"]) for item in store.get_lines(suite.items)} for ref, suite in versions}
    now, known, made_after = items[current_suites(store)[name][0]], looked(store, name), derived(store, name)
    came, all_of = _came(store, items), known.by.get(None, ())
    used = measured or any(one.suite == name and one.purpose == "score" for one in noted(store))

    def state(item: str) -> State:
        if item not in now:
            return "retired"
        if item in made_after:
            return "derived-from"
        if item in known.by or any(item not in came or at >= came[item] for _, at in all_of):
            return "inspected"
        return "scored" if used else "sealed"

    return {item: state(item) for item in sorted(set().union(*items.values()))}


def _came(store: Store, items: Mapping[Ref, set[str]]) -> dict[str, datetime]:
    """When items came that the first version did not have: who had looked at all before then has not seen these."""
    came, known = dict[str, datetime](), set(next(iter(items.values())))
    for event in store.events(CURRENT):
        new = items.get(Ref(event.about), set()) - known
        came |= dict.fromkeys(new, event.recorded_at)
        known |= new
    return came


EXPOSED = ("inspected", "derived-from")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A model that was scored on a suite's items."""

    evaluation: Ref
    """the Evaluation"""
    adapter: Ref | None
    """the Adapter; absent: the base alone"""
    name: str
    """of the adapter, or of the base"""
    value: float | None
    """share right; absent: nothing was scored"""
    by: str
    """who scored it"""
    at: datetime
    """when"""
    released: str | None
    """the first release made of it"""


def tried(store: Store, name: str) -> list[Tried]:
    """Every model that was ever scored on the items of the suite of this name as it is now, as they came. Raises
    NotFound."""
    ref, _ = current_suites(store)[name]
    refs = {one: at for at, one in store.all(Evaluation)}
    events = {event.seq: event for event in store.events("run.finished")}
    releases = {made.adapter: made.name for _, made in reversed(list(store.all(Release)))}
    found = list[Tried]()
    for seq, one in scored(store, ref, alike=True):
        value = one.results[0].value if one.results else None
        event = events[seq]
        named = store.get(one.adapter, Adapter).name if one.adapter else store.get(one.base).name
        found.append(
            Tried(
                evaluation=refs[one],
                adapter=one.adapter,
                name=named,
                value=value,
                by=event.actor,
                at=event.recorded_at,
                released=releases.get(one.adapter) if one.adapter else None,
            )
        )
    return found


def exposed(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``eval.exposed``: an adapter may not have gained more on gate items that somebody has seen than on the
    others.

    Silent where nobody has seen one. It informs: by itself it decides nothing."""
    if not isinstance(store.get(thing), Adapter):
        return
    for name, (_, suite) in current_suites(store).items():
        if suite.role != "gate":
            continue
        one = exposure(store, name, power=False)
        seen = sum(state in EXPOSED for state in one.states.values())
        if not seen or one.after is None or store.get(one.after, Evaluation).adapter != thing:
            continue
        if one.meter is None or one.seen is None or one.unseen is None:
            few = f"{name}: {seen} items were seen by somebody; too few are scored twice to compare with the others"
            yield Finding(check="eval.exposed", about=thing, verdict="abstain", severity="low", message=few, n=seen)
            continue
        told = one.meter
        yield Finding(
            check="eval.exposed",
            about=thing,
            verdict="fail" if _higher(told) else "pass",
            severity="low",
            message=f"{name}: {one.seen:+.1%} on {seen} items that somebody has seen, {one.unseen:+.1%} on the others; "
            f"{told.statistic:+.1%} more [{told.low:+.1%}, {told.high:+.1%}] p {told.p:.2g}",
            **_numbers(told),
            evidence=tuple(ref for ref in (one.before, one.after) if ref),
        )


def pools(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``eval.pools``: the gate may not rise from adapter to adapter while items that nobody knew do not.

    A cycle is an adapter that was scored on the gate and on a suite of the role ``fresh``, which has other items each
    time. Silent without such a suite. It informs: by itself it decides nothing."""
    if not isinstance(store.get(thing), Adapter):
        return
    suites, cycles = dict(store.all(Suite)), dict[Ref, dict[str, tuple[int, int]]]()
    for _, made in store.all(Evaluation):
        suite = suites[made.suite]
        run = store.get(made.run, Run)
        if "via" in run.inputs or by_another_tool(run):
            continue  # asked or scored in another way than the fresh items
        if made.adapter and made.results and suite.role in ("gate", "fresh") and "/" not in suite.name:
            cycles.setdefault(made.adapter, {})[suite.role] = (made.results[0].right, made.results[0].n)
    both = {adapter: one for adapter, one in cycles.items() if len(one) == 2}
    if thing not in both:
        return
    until = [*both][: [*both].index(thing) + 1]
    series = [[both[adapter][role] for adapter in until] for role in ("gate", "fresh")]
    if len(until) < 3:
        few = f"{len(until)} adapters were scored on the gate and on fresh items; three tell the first of a trend"
        yield Finding(check="eval.pools", about=thing, verdict="abstain", severity="low", message=few, n=len(until))
        return
    told = widening(*series)
    shown = ", ".join(
        f"{role} {one[0][0] / one[0][1]:.1%} → {one[-1][0] / one[-1][1]:.1%}"
        for role, one in zip(("gate", "fresh"), series, strict=True)
    )
    alarm = _higher(told)
    blind = not alarm and told.detectable is not None and told.detectable > LEAST
    yield Finding(
        check="eval.pools",
        about=thing,
        verdict="fail" if alarm else "abstain" if blind else "pass",
        severity="low",
        message=f"over {len(until)} adapters {shown}: the gate rises {told.statistic:+.1%} more a cycle "
        f"[{told.low:+.1%}, {told.high:+.1%}] p {told.p:.2g}; so many can show {told.detectable:.1%} a cycle",
        **_numbers(told),
    )


ALPHA, LEAST = 0.05, 0.05
"""LEAST: points a cycle that must be shown, or a pass says nothing."""


def _higher(told: Result) -> bool:
    return told.statistic > 0 and told.p is not None and told.p < ALPHA


def _numbers(told: Result) -> dict[str, Any]:
    """Of a Finding, where anything above 0 is too much."""
    names = ("statistic", "n", "low", "high", "p", "detectable")
    return {"threshold": 0.0} | {name: getattr(told, name) for name in names}


def _right(store: Store, evaluation: Evaluation) -> dict[str, int]:
    lines = store.get_lines(evaluation.scores)
    return {line["item"]: int(line["state"] == "right") for line in lines if line["state"] != "unscored"}


def derived(store: Store, name: str, as_of: datetime | None = None) -> set[str]:
    """Items of a suite, or of a part of it (``NAME/PART``), that rows were made after: they judge nothing any more.
    as_of: rows that were there then; those that come when a candidate's score is known spare it nothing."""
    name = name.partition("/")[0]
    found, there = set[str](), store.committed(as_of)
    for batch in store.scan(["ord", "inspired_by"]):
        batch = batch.filter(pc.less(batch["ord"], there))
        if batch["inspired_by"].null_count < len(batch):
            found.update(pc.list_flatten(batch["inspired_by"]).drop_null().to_pylist())
    return {item.removeprefix(f"{name}:") for item in found if item.startswith(f"{name}:")}
