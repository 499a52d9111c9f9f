"""Rows → snapshot: the steps in order, each accounting for what it did not keep, then the freeze."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import monotonic, process_time

import pyarrow as pa

from whence.data.decisions import DROP
from whence.data.ingest import finished
from whence.data.removal import CurationStep, Removal, Rows, table
from whence.data.steps import STEPS
from whence.records import Ref, Run, RunReport, Snapshot, Step, encode, sha256
from whence.store import RowSet, Store, row_set

Progress = Callable[[str, int, int], None]
"""(step, rows done, rows in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationPlan:
    """What a snapshot is made from."""

    name: str
    ingests: Sequence[Ref]
    """finished ingest runs"""
    steps: Sequence[tuple[str, CurationStep]]
    withdrawn: RowSet
    """rows that may not be used (any more)"""
    disputed: RowSet = field(default_factory=lambda: row_set([]))
    """of these, rows whose right is contested and did not end"""
    groups: Mapping[str, Iterable[tuple[str, str]]]
    """``group``, ``subject`` or ``text`` → (value, name of the suite that holds it)"""
    inputs: Mapping[str, str]
    """digests of rights and suites, for the run's identity"""
    undone: Mapping[str, RowSet] = field(default_factory=dict)
    """step → rows to which it does nothing, for somebody said so"""
    dropped: RowSet = field(default_factory=lambda: row_set([]))
    """rows that somebody said are to go"""


def curate(store: Store, plan: CurationPlan, progress: Progress = lambda *_: None) -> tuple[Ref, bool]:
    """Make the snapshot. Returns (its digest, whether anything was done)."""
    started, began, cpu = store.clock(), monotonic(), process_time()
    declared = sha256(encode([[name, step.version, asdict(step)] for name, step in plan.steps]))
    inputs = {**plan.inputs, "steps": declared, "name": plan.name}
    for name, stays in plan.undone.items():
        inputs[f"undone {name}"] = sha256(stays.serialize())
    first: list[tuple[str, CurationStep]] = [("rights", _Rights(plan.withdrawn, plan.disputed))]
    if plan.dropped:
        inputs[DROP] = sha256(plan.dropped.serialize())
        first.append((DROP, _Dropped(plan.dropped)))
    run = store.put(Run(activity="curate", used=tuple(plan.ingests), inputs=inputs))
    done = store.events("run.finished", about=run)
    if done:
        return Ref(done[-1].data["snapshot"]), False
    rows = row_set([])
    for ingest in plan.ingests:
        report = finished(store, ingest)
        rows |= store.get_set(report.set) if report and report.set else row_set([])
    with store.writer("curate"):
        left, steps, weights = rows, [], dict[int, float]()
        for name, step in (*first, *plan.steps):
            left, record, lowered = _step(store, name, step, left, plan, progress)
            steps.append(record)
            weights |= {ordinal: weight * weights.get(ordinal, 1.0) for ordinal, weight in lowered.items()}
        set_blob, root = store.put_set(left), store.root_of(left)
        with store.transaction():
            refs = tuple(store.put_many(steps))
            snapshot = store.put(
                Snapshot(
                    name=plan.name,
                    rows=len(left),
                    root=root,
                    set=set_blob,
                    steps=refs,
                    parents=tuple(plan.ingests),
                    lowered=_weights(store, weights, left),
                )
            )
            facts = {"rows_in": len(rows), "rows": len(left), "snapshot": snapshot}
            store.put(
                RunReport(
                    run=run,
                    started_at=started,
                    duration_s=monotonic() - began,
                    cpu_s=process_time() - cpu,
                    facts=facts,
                )
            )
            store.append("run.finished", run, {"snapshot": snapshot})
    return snapshot, True


@dataclass(frozen=True, slots=True)
class _Rights:
    """Rows whose right to be used was withdrawn, or is disputed, go first, always."""

    withdrawn: RowSet
    disputed: RowSet
    version = 1

    def remove(self, rows: Rows) -> Removal:
        out = Removal()
        for ordinal in rows.left & self.withdrawn:
            out.drop(ordinal, "disputed" if ordinal in self.disputed else "withdrawn")
        return out


@dataclass(frozen=True, slots=True)
class _Dropped:
    """Rows that a person dropped."""

    rows: RowSet
    version = 1

    def remove(self, rows: Rows) -> Removal:
        out = Removal()
        for ordinal in rows.left & self.rows:
            out.drop(ordinal, "by_a_person")
        return out


def _step(
    store: Store, name: str, step: CurationStep, left: RowSet, plan: CurationPlan, progress: Progress
) -> tuple[RowSet, Step, dict[int, float]]:
    """(the rows that it keeps, its record, weights of those that it lowers)."""
    total = len(left)
    removal = step.remove(Rows(store, left, plan.groups, lambda done: progress(name, done, total)))
    if stays := plan.undone.get(name):
        removal = removal.but(stays)
    kept = left - row_set(removal.rows)
    params = asdict(step) if name in STEPS else {}
    lowered = table(removal.lowered, jaccard=removal.alike, weight=removal.weights) if removal.lowered else None
    record = Step(
        name=name,
        version=step.version,
        params=params,
        seen=total,
        kept=len(kept),
        reasons=dict(Counter(reason for reason, _ in removal.rows.values())),
        removed=store.put_table(table(removal.rows, jaccard={} if removal.lowered else removal.alike)),
        lowered=None if lowered is None else store.put_table(lowered),
        lowers=len(removal.lowered) or None,
    )
    return kept, record, removal.weights


def _weights(store: Store, weights: Mapping[int, float], rows: RowSet) -> str | None:
    """Blob: the weights of the rows that are left."""
    ordinals = sorted(ordinal for ordinal in weights if ordinal in rows)
    if not ordinals:
        return None
    columns = {"ordinal": pa.array(ordinals, pa.uint64()), "weight": [weights[ordinal] for ordinal in ordinals]}
    return store.put_table(pa.table(columns))
