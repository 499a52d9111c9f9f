"""Sources in: each record of a file becomes a row, or a line in quarantine with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from time import process_time

from whence.data.doors import Progress, opened
from whence.data.plan import Admit, Plan
from whence.data.readers import read
from whence.data.rows import Work
from whence.records import Ref, Run, RunReport, encode_parsed
from whence.store import Store, erased, in_bulk


def ingest(store: Store, plan: Plan, admit: Admit, progress: Progress = lambda *_: None) -> tuple[Ref, bool]:
    """Read the source into rows. Returns (run, whether anything was done): the same bytes under the same mapping and
    rights are read once. Safe to kill at any moment; the next call goes on."""
    started, cpu = store.clock(), process_time()
    mapping = {k: v if isinstance(v, str) else list(v) for k, v in plan.map.items()}
    with opened(plan.path, store.root, progress) as source:
        inputs = {
            "file": source.digest,
            "format": plan.format,
            "map": encode_parsed(mapping),
            "rights": plan.rights,
        }
        run = store.put(Run(activity="ingest", used=(store.put(plan.source),), inputs=inputs))
        if finished(store, run):
            return run, False
        with store.writer(f"ingest {plan.source.name}"), in_bulk():
            store.journal("quarantine").drop_all_but(store.noted_segments("quarantine"))  # of one that did not end
            work = Work(store, plan, admit, _bad_before(store, plan, inputs) if erased(store).rows else None)
            for number, record in read(source.what, plan.format, source.size, lambda done: progress(done, source.size)):
                work.take(number, record)
            work.flush(last=True)
            source.check()
            report = work.report(run, started, process_time() - cpu)
            with store.transaction():
                store.put(report)
                store.append("run.finished", run, {"rows": report.facts["rows"]})
            store.settle()
        progress(source.size, source.size)
    return run, True


def _bad_before(store: Store, plan: Plan, inputs: Mapping[str, str]) -> set[int] | None:
    """Lines of this file that went into quarantine the last time that it was read, None where it never was."""
    same = ("file", "format", "map")
    for ref, run in reversed(list(store.all(Run))):
        if run.activity == "ingest" and all(run.inputs[name] == inputs[name] for name in same):
            report = finished(store, ref)
            if report and report.removed and report.facts["source"] == plan.source.name:
                return set(store.get_table(report.removed)["line"].to_pylist())
    return None


def finished(store: Store, run: Ref) -> RunReport | None:
    """The report of a finished run, or None."""
    for source, kind, _ in store.downstream([run]):
        if kind == "run":
            record = store.get(source)
            if isinstance(record, RunReport):
                return record
    return None
