"""What near-duplicates at each threshold would cost: how many rows are left, and how much of the worst slice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from whence.data.near import REASON, NearDuplicate, Pool, comparing, decided, kinds, ranks
from whence.data.removal import Rows, given
from whence.records import Snapshot
from whence.store import RowSet, Store

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One threshold."""

    threshold: float
    """Jaccard index from which rows are near-duplicates"""
    left: float
    """share of the rows that is left, each by its weight"""
    slice: str | None
    """the slice of which the least is left; None: no slice is smaller"""
    slice_before: int
    """its rows"""
    slice_left: float
    """share of it that is left"""


def sweep(store: Store, snapshot: Snapshot, told: Callable[[int], None] = lambda _: None) -> list[Swept]:
    """The rows that the snapshot's step `near_duplicate` was given, or all of a snapshot without one, at thresholds
    from .5 on; with the step's other options. Nothing is changed. Raises Unmet without the extra ``checks``."""
    step, rows = asked(store, snapshot)
    pool = Pool.read(Rows(store, rows, {}, told), step.apart, step.rules)
    alike, groups, order = comparing(pool, THRESHOLDS[0]), kinds(pool), ranks(pool, step.protect)
    before, out = Counter(name for names in pool.slices for name in names), list[Swept]()
    for threshold in THRESHOLDS:
        made = decided(pool, replace(step, threshold=threshold), *alike.behind(groups, order, threshold))
        lost = dict.fromkeys(made.rows, 1.0) | {ordinal: 1 - weight for ordinal, weight in made.weights.items()}
        less = defaultdict[str, float](float)
        for ordinal, names in zip(pool.ordinals, pool.slices, strict=True):
            for name in names if ordinal in lost else ():
                less[name] += lost[ordinal]
        left = {name: 1 - gone / before[name] for name, gone in less.items()}
        worst = min(left, key=lambda name: (left[name], before[name], name), default=None)
        out.append(
            Swept(
                threshold=threshold,
                left=1 - float(np.sum(list(lost.values()))) / max(1, len(pool.ordinals)),
                slice=worst,
                slice_before=before[worst] if worst else 0,
                slice_left=left[worst] if worst else 1.0,
            )
        )
    return out


def asked(store: Store, snapshot: Snapshot) -> tuple[NearDuplicate, RowSet]:
    """(the step as the snapshot has it, or as it is by default; the rows that it was given)."""
    for step, rows in given(store, snapshot):
        if step.name == REASON:
            params = {name: tuple(v) if isinstance(v, list) else v for name, v in step.params.items()}
            return NearDuplicate(**params), rows
    return NearDuplicate(), store.snapshot_rows(snapshot)
