"""Sources in: each record of a file becomes a row, or a line in quarantine with its reason."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time

from blake3 import blake3

from whence.data.readers import read
from whence.data.rows import Admit, Plan, Work
from whence.records import Ref, Run, RunReport, encode_parsed
from whence.store import Store

Progress = Callable[[int, int], None]
"""(bytes read, bytes in all)."""


def file_digest(path: Path) -> str:
    """``b3:`` of a file's bytes."""
    hasher = blake3(max_threads=1)
    hasher.update_mmap(path)
    return "b3:" + hasher.hexdigest()


def ingest(store: Store, plan: Plan, admit: Admit, progress: Progress = lambda *_: None) -> tuple[Ref, bool]:
    """Read the file into rows. Returns (run, whether anything was done): the same file under the same mapping and
    rights is done once. Safe to kill at any moment; the next call goes on."""
    started, cpu = store.clock(), process_time()
    mapping = {k: v if isinstance(v, str) else list(v) for k, v in plan.map.items()}
    source = store.put(plan.source)
    inputs = {
        "file": file_digest(plan.path),
        "format": plan.format,
        "map": encode_parsed(mapping),
        "rights": plan.rights,
    }
    run = Run(activity="ingest", used=(source,), inputs=inputs)
    name = store.put(run)
    if finished(store, name):
        return name, False
    with store.writer(f"ingest {plan.source.name}"), _no_collector():
        work = Work(store, plan, admit)
        size = plan.path.stat().st_size
        for number, record in read(plan.path, plan.format, lambda done: progress(done, size)):
            work.take(number, record)
        work.flush(last=True)
        report = work.report(name, started, process_time() - cpu)
        with store.transaction():
            store.put(report)
            store.append("run.finished", name, {"rows": report.facts["rows"]})
        store.settle()
    progress(size, size)
    return name, True


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without Python's cycle collector: rows hold no cycles, and looking for some costs a sixth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def finished(store: Store, run: Ref) -> RunReport | None:
    """The report of a finished run, or None."""
    for source, kind, _ in store.downstream([run]):
        if kind == "run":
            record = store.get(source)
            if isinstance(record, RunReport):
                return record
    return None
