"""Rows → snapshot: the steps in order, each accounting for what it did not keep, then the freeze."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import monotonic, process_time

from whence.data.ingest import finished
from whence.data.steps import STEPS, CurationStep, Removal, Rows
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


def curate(store: Store, plan: CurationPlan, progress: Progress = lambda *_: None) -> tuple[Ref, bool]:
    """Make the snapshot. Returns (its digest, whether anything was done)."""
    started, began, cpu = store.clock(), monotonic(), process_time()
    declared = sha256(encode([[name, step.version, asdict(step)] for name, step in plan.steps]))
    inputs = {**plan.inputs, "steps": declared, "name": plan.name}
    run = store.put(Run(activity="curate", used=tuple(plan.ingests), inputs=inputs))
    done = store.events("run.finished", about=run)
    if done:
        return Ref(done[-1].data["snapshot"]), False
    rows = row_set([])
    for ingest in plan.ingests:
        report = finished(store, ingest)
        rows |= store.get_set(report.set) if report and report.set else row_set([])
    with store.writer("curate"):
        left, steps = rows, []
        for name, step in [("rights", _Rights(plan.withdrawn, plan.disputed)), *plan.steps]:
            left, record = _step(store, name, step, left, plan, progress)
            steps.append(record)
        set_blob, root = store.put_set(left), store.root_of(left)
        with store.transaction():
            refs = tuple(store.put_many(steps))
            snapshot = store.put(
                Snapshot(
                    name=plan.name, rows=len(left), root=root, set=set_blob, steps=refs, parents=tuple(plan.ingests)
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


def _step(
    store: Store, name: str, step: CurationStep, left: RowSet, plan: CurationPlan, progress: Progress
) -> tuple[RowSet, Step]:
    total = len(left)
    removal = step.remove(Rows(store, left, plan.groups, lambda done: progress(name, done, total)))
    kept = left - row_set(removal.rows)
    params = asdict(step) if name in STEPS else {}
    record = Step(
        name=name,
        version=step.version,
        params=params,
        seen=total,
        kept=len(kept),
        reasons=dict(Counter(reason for reason, _ in removal.rows.values())),
        removed=store.put_table(removal.table()),
    )
    return kept, record
