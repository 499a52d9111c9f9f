"""Which row is trained in which step: a keyed hash of the row's id alone, so that removing rows never moves the others.

Occurrence j of a row (j = 0 … epochs − 1) has a window of steps: epoch j for an ordinary row, the j-th of `epochs`
equal parts of the tier for a row whose source has one. Its step is the window's first step plus the hash modulo the
window's width. A row that was learnt before a tier may be fed once more in it (rehearsal), by another hash of its id.
Steps count from 0 over all epochs and tiers together; nothing is computed from the rows that are present. A row of a
weight below 1 is fed in those of its occurrences that another hash of its id draws.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from whence.records import Schedule, Unmet

HASH_BYTES = 8


def hashed(key: str, *parts: object) -> int:
    """BLAKE2b of key and parts as an unsigned 64-bit number."""
    text = ":".join([key, *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=HASH_BYTES).digest(), "big")


def window(schedule: Schedule, source: str | None, occurrence: int) -> tuple[int, int]:
    """(first step, width in steps) of one occurrence of a row of this source."""
    number = _tier(schedule, source)
    if number is None:
        return occurrence * schedule.steps_per_epoch, schedule.steps_per_epoch
    first, steps = _stretches(schedule)[number]
    start, after = (steps * j // schedule.epochs for j in (occurrence, occurrence + 1))
    return first + start, after - start


def step_of(schedule: Schedule, row_id: str, occurrence: int, source: str | None = None) -> int:
    """The 0-based step in which this occurrence of a row (id in hex) is trained."""
    first, width = window(schedule, source, occurrence)
    return first + hashed(schedule.key, row_id, occurrence) % width


def _tier(schedule: Schedule, source: str | None) -> int | None:
    return next((n for n, tier in enumerate(schedule.tiers) if source in tier.sources), None)


def _stretches(schedule: Schedule) -> list[tuple[int, int]]:
    """(first step, steps) of each tier."""
    return [(tier.first_step or 0, tier.steps or 0) for tier in schedule.tiers]


def plan(
    row_ids: Sequence[str],
    schedule: Schedule,
    sources: Sequence[str] | None = None,
    weights: npt.NDArray[np.float64] | None = None,
) -> list[list[str]]:
    """The ids of each step, sorted; one list a step, some possibly empty.

    row_ids: ids in hex, in any order, each once. sources: the source of each row, in the same order; needed where the
    schedule has tiers. weights: of each row, 1 where absent. Raises Unmet for a repeated id, a tier that does not fit,
    or tiers without sources.
    """
    check(schedule)
    if len(set(row_ids)) != len(row_ids):
        raise Unmet(f"{len(row_ids) - len(set(row_ids))} row ids occur more than once", "each row once", "")
    if schedule.tiers and sources is None:
        raise Unmet("the schedule has tiers but the rows' sources are not given", "a source for each row", "")
    which, steps = steps_of(schedule, row_ids, sources, weights)
    by_step = which[np.argsort(steps, kind="stable")]
    parts = np.split(by_step, np.cumsum(np.bincount(steps, minlength=schedule.steps))[:-1])
    return [sorted(row_ids[int(i)] for i in part) for part in parts]


Numbers = npt.NDArray[np.int64]


def steps_of(
    schedule: Schedule,
    ids: Sequence[str],
    sources: Sequence[str] | None,
    weights: npt.NDArray[np.float64] | None = None,
) -> tuple[Numbers, Numbers]:
    """Every occurrence as (which row, in which step), both of shape (occurrences,). ids, sources, weights: see
    `plan`."""
    which, steps = _every(schedule, ids, sources)
    if weights is None or (weights == 1).all():
        return which, steps
    fed, less = np.ones(len(which), bool), np.flatnonzero(weights[which] < 1)
    drawn = _hashes(schedule.key, [f"{ids[which[i]]}:{steps[i]}" for i in less], "weight")
    fed[less] = drawn < (weights[which[less]] * (2**64 - 2**12)).astype(np.uint64)
    return which[fed], steps[fed]


def passes(schedule: Schedule, ids: Sequence[str], sources: Sequence[str], weights: npt.NDArray[np.float64]) -> Numbers:
    """How often each row is fed over all epochs; shape (rows,). 0 where its weight drew none."""
    return np.bincount(steps_of(schedule, ids, sources, weights)[0], minlength=len(ids))


def _every(schedule: Schedule, ids: Sequence[str], sources: Sequence[str] | None) -> tuple[Numbers, Numbers]:
    """As if every row had the weight 1."""
    numbers = {source: _tier(schedule, source) for source in set(sources or ())}
    tiers = np.array([-1 if (n := numbers[s]) is None else n for s in sources] if sources else [-1] * len(ids), int)
    rows, steps, every = list[Numbers](), list[Numbers](), np.arange(len(ids))
    kinds = [None, *(tier.sources[0] for tier in schedule.tiers)]
    for j in range(schedule.epochs):
        windows = np.array([window(schedule, kind, j) for kind in kinds], np.uint64)[tiers + 1]
        rows.append(every)
        steps.append((windows[:, 0] + _hashes(schedule.key, ids, j) % windows[:, 1]).astype(np.int64))
    for number, (tier, (first, length)) in enumerate(zip(schedule.tiers, _stretches(schedule), strict=True)):
        again = [ids[i] for i in np.flatnonzero(tiers < number)] if tier.rehearsal else []
        drawn = _hashes(schedule.key, again, f"rehearsed in {number}") < np.uint64(tier.rehearsal * (2**64 - 2**12))
        rows.append(np.flatnonzero(tiers < number)[drawn] if again else every[:0])
        fed = [name for name, yes in zip(again, drawn, strict=True) if yes]
        steps.append(first + (_hashes(schedule.key, fed, f"step in {number}") % np.uint64(length)).astype(np.int64))
    return np.concatenate(rows), np.concatenate(steps)


def _hashes(key: str, ids: Sequence[str], what: object) -> npt.NDArray[np.uint64]:
    return np.fromiter((hashed(key, i, what) for i in ids), np.uint64, len(ids))


def check(schedule: Schedule) -> None:
    """Raises Unmet where a schedule cannot be followed."""
    if schedule.epochs < 1 or schedule.steps_per_epoch < 1:
        raise Unmet(f"{schedule.epochs} epochs of {schedule.steps_per_epoch} steps", "at least one of each", "")
    if not schedule.divisor >= 1:
        raise Unmet(f"divisor {schedule.divisor}", "at least one trained token or row a step", "")
    after = 0
    for tier, (first, steps) in zip(schedule.tiers, _stretches(schedule), strict=True):
        named = ", ".join(tier.sources) or "no source"
        if first < after or steps < schedule.epochs or not tier.sources:
            raise Unmet(
                f"tier of {named}: steps {first} to {first + steps} in {schedule.epochs} parts",
                f"a stretch from step {after} on, at least one step an epoch, for some source",
                "correct the tier",
            )
        if not (0 <= tier.rehearsal <= 1 and (tier.peak is None or tier.peak > 0)):
            raise Unmet(f"tier of {named}: rehearsal {tier.rehearsal}, peak {tier.peak}", "0 to 1; above 0", "")
        after = first + steps
    if sum(len(tier.sources) for tier in schedule.tiers) > len({s for tier in schedule.tiers for s in tier.sources}):
        raise Unmet("a source has two tiers", "one tier a source", "join them")


def rate(schedule: Schedule, shape: str, warmup: int, step: int) -> float:
    """The learning rate of a 0-based step as a share of the recipe's: over each stretch that has a peak, and over the
    steps before it, it rises for `warmup` steps and then stays (constant) or falls to 0 (linear, cosine)."""
    begins = [(0, 1.0), *((tier.first_step or 0, tier.peak) for tier in schedule.tiers if tier.peak is not None)]
    ends = [*(first for first, _ in begins[1:]), schedule.steps]
    (first, peak), end = next(
        (one, end) for one, end in zip(begins, ends, strict=True) if step < end or end == ends[-1]
    )
    done, length = step - first, end - first
    warmup = min(warmup, length // 2)
    if done < warmup:
        return peak * done / warmup
    left = max(0.0, (length - done) / max(1, length - warmup))
    return peak * {"linear": left, "cosine": 0.5 * (1 - math.cos(math.pi * left)), "constant": 1.0}[shape]
