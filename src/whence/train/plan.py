"""Which row is trained in which step: a keyed hash of the row's id alone, so that removing rows never moves the others.

Occurrence j of a row (j = 0 … epochs − 1) has a window of steps: epoch j for an ordinary row, the j-th of `epochs`
equal parts of the tier for a row whose source has one. Its step is the window's first step plus the hash modulo the
window's width. Steps count from 0 over all epochs together; nothing is computed from the rows that are present.
"""

from __future__ import annotations

import hashlib
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
    for tier in schedule.tiers:
        if tier.source == source:
            first = tier.steps * occurrence // schedule.epochs
            after = tier.steps * (occurrence + 1) // schedule.epochs
            return tier.first_step + first, after - first
    return occurrence * schedule.steps_per_epoch, schedule.steps_per_epoch


def step_of(schedule: Schedule, row_id: str, occurrence: int, source: str | None = None) -> int:
    """The 0-based step in which this occurrence of a row (id in hex) is trained."""
    first, width = window(schedule, source, occurrence)
    return first + hashed(schedule.key, row_id, occurrence) % width


def plan(row_ids: Sequence[str], schedule: Schedule, sources: Sequence[str] | None = None) -> list[list[str]]:
    """The ids of each step, sorted; ``epochs * steps_per_epoch`` lists, some possibly empty.

    row_ids: ids in hex, in any order, each once. sources: the source of each row, in the same order; needed where the
    schedule has tiers. Raises Unmet for a repeated id, a tier that does not fit, or tiers without sources.
    """
    check(schedule)
    if len(set(row_ids)) != len(row_ids):
        raise Unmet(f"{len(row_ids) - len(set(row_ids))} row ids occur more than once", "each row once", "")
    if schedule.tiers and sources is None:
        raise Unmet("the schedule has tiers but the rows' sources are not given", "a source for each row", "")
    order = sorted(range(len(row_ids)), key=row_ids.__getitem__)
    steps = steps_of(schedule, [row_ids[i] for i in order], [sources[i] for i in order] if sources else None)
    by_step = np.argsort(steps.T.reshape(-1), kind="stable")
    counts = np.bincount(steps.reshape(-1), minlength=schedule.epochs * schedule.steps_per_epoch)
    parts = np.split(by_step % max(len(order), 1), np.cumsum(counts)[:-1])
    return [sorted(row_ids[order[int(i)]] for i in part) for part in parts]


def steps_of(schedule: Schedule, ids: Sequence[str], sources: Sequence[str] | None) -> npt.NDArray[np.int64]:
    """The step of each occurrence; shape (rows, epochs). ids and sources: see `plan`."""
    tiered = {tier.source for tier in schedule.tiers}
    labels = [s if s in tiered else None for s in sources] if sources else [None] * len(ids)
    kinds: list[str | None] = [None, *sorted(tiered)]
    which = np.fromiter((kinds.index(label) for label in labels), np.int64, len(ids))
    out = np.empty((len(ids), schedule.epochs), np.int64)
    for j in range(schedule.epochs):
        hashes = np.fromiter((hashed(schedule.key, i, j) for i in ids), np.uint64, len(ids))
        windows = np.array([window(schedule, kind, j) for kind in kinds], np.uint64)
        out[:, j] = windows[which, 0] + hashes % windows[which, 1]
    return out


def check(schedule: Schedule) -> None:
    """Raises Unmet where a schedule cannot be followed."""
    total = schedule.epochs * schedule.steps_per_epoch
    if schedule.epochs < 1 or schedule.steps_per_epoch < 1:
        raise Unmet(f"{schedule.epochs} epochs of {schedule.steps_per_epoch} steps", "at least one of each", "")
    if not schedule.divisor >= 1:
        raise Unmet(f"divisor {schedule.divisor}", "at least one trained token or row a step", "")
    for tier in schedule.tiers:
        if not (tier.first_step >= 0 and tier.first_step + tier.steps <= total and tier.steps >= schedule.epochs):
            raise Unmet(
                f"tier of {tier.source}: steps {tier.first_step} to {tier.first_step + tier.steps} in {schedule.epochs}"
                " parts",
                f"a stretch within the {total} steps, at least one step an epoch",
                "correct the tier",
            )
    if len({tier.source for tier in schedule.tiers}) != len(schedule.tiers):
        raise Unmet("a source has two tiers", "one tier a source", "join them")
