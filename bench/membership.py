"""Memberships (this row was in this run) recorded per CPU second, and bytes each on disk, beside ConsentML.

    python -m bench.membership [--rows 1000000] [--runs 3]

Each run takes `rows` rows out of a store of twice as many. Ours is the whole path that makes the membership durable:
the rows are frozen into a snapshot (row set, Merkle root over the rows' ids, records, event) and the training run's
report names the rows that were fed; for "by id" the run is handed 32-byte row ids and finds the rows in the index
first. ConsentML's is its decorator around a function that trains nothing. Before the clock starts each side has seen
every row once: ours in its row file, ConsentML's as the subjects of a first run. Each way is a process of its own, ends
with its files closed, and a fresh process is then asked whether every membership is there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import alone, describe

Members = np.ndarray
"""Sorted ordinals of one run's rows."""


def random_rows(rows: int, run: int) -> Members:
    """Every second row, drawn."""
    return np.sort(np.random.default_rng(run).permutation(2 * rows)[:rows]).astype(np.uint64)


def sparse_rows(rows: int, run: int) -> Members:
    """Every twentieth row, drawn: the most bytes that a row costs."""
    return random_rows(rows, run)[np.random.default_rng(run).random(rows) < 0.1]


def clustered_rows(rows: int, run: int) -> Members:
    """Twenty stretches of the store, as sources and dates make them."""
    starts = np.sort(np.random.default_rng(run).permutation(40)[:20]) * (rows // 20)
    return np.concatenate([np.arange(s, s + rows // 20, dtype=np.uint64) for s in starts])


SHAPES: dict[str, Callable[[int, int], Members]] = {
    "random": random_rows,
    "sparse": sparse_rows,
    "clustered": clustered_rows,
}


def row_ids(rows: int) -> np.ndarray:
    """Ids of the store's rows by ordinal; shape (2 rows, 32)."""
    return np.frombuffer(np.random.default_rng(0).bytes(64 * rows), np.uint8).reshape(-1, 32)


def fill(store: Any, rows: int) -> None:
    """Rows with these ids and next to no content."""
    import pyarrow as pa

    from whence.store.rows import SCHEMA

    ids = row_ids(rows)
    for first in range(0, len(ids), 1 << 19):
        part = ids[first : first + (1 << 19)]
        count = len(part)
        columns = {field.name: pa.nulls(count, field.type) for field in list(SCHEMA)[1:]}
        columns["id"] = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), count, [None, pa.py_buffer(part)])
        columns["record"] = pa.array([str(n) for n in range(first, first + count)])
        for name, value in (("source", "rows"), ("shape", "text")):
            columns[name] = pa.array([value]).take(pa.array(np.zeros(count, np.int8)))
        with store.writer("bench"):
            store.add_rows(pa.table(columns, schema=pa.schema(list(SCHEMA)[1:])), "rows")
            store.settle()


def ours(folder: Path, shape: str, rows: int, runs: int, by_id: bool = False) -> dict[str, float]:
    """Freeze and report `runs` runs."""
    from whence.data import CurationPlan, curate
    from whence.records import Run, RunReport, Snapshot
    from whence.store import Store, row_set

    store = Store.open(folder / ".whence", create=True, actor="bench@example.org")
    fill(store, rows)
    ids, took, count = row_ids(rows), 0.0, 0

    def record(run: int, asked: np.ndarray) -> None:
        chosen = row_set(store.index().find(asked) if by_id else asked)
        chose = store.put(Run(activity="ingest", used=(), inputs={"run": str(run)}))
        now = store.clock()
        store.put(RunReport(run=chose, started_at=now, duration_s=0.0, cpu_s=0.0, set=store.put_set(chosen)))
        plan = CurationPlan(name="all", ingests=[chose], steps=[], withdrawn=row_set([]), groups={}, inputs={})
        frozen, _ = curate(store, plan)
        trained = store.put(Run(activity="train", used=(frozen,), inputs={}))
        fed = store.put_set(store.snapshot_rows(store.get(frozen, Snapshot)))
        with store.transaction():
            store.put(RunReport(run=trained, started_at=now, duration_s=0.0, cpu_s=0.0, set=fed))
            store.append("run.finished", trained, {"rows": len(chosen)})

    record(-1, ids[:9] if by_id else np.arange(9, dtype=np.uint64))
    store.close()
    before, store = size(folder), Store.open(folder / ".whence", actor="bench@example.org")
    store.index()
    for run in range(runs):
        members = SHAPES[shape](rows, run)
        asked = ids[members.astype(np.int64)] if by_id else members
        started = time.process_time()
        record(run, asked)
        took, count = took + time.process_time() - started, count + len(members)
    store.close()
    return {"cpu_s": took, "memberships": count, "bytes": size(folder) - before}


def ours_there(folder: Path, shape: str, rows: int, runs: int) -> bool:
    """Whether a fresh process reads every run's rows, and the roots are right."""
    from whence.records import RunReport, Snapshot
    from whence.store import Store, to_array

    store = Store.open(folder / ".whence")
    frozen = [s for _, s in store.all(Snapshot)][1:]
    fed = [r.set for _, r in store.all(RunReport) if r.facts is None][2:]
    expected = [SHAPES[shape](rows, run) for run in range(runs)]
    kept = [to_array(store.snapshot_rows(s)) for s in frozen]
    return (
        len(kept) == runs
        and all(np.array_equal(k, e) for k, e in zip(kept, expected, strict=True))
        and all(store.root_of(store.snapshot_rows(s), s.root) == s.root for s in frozen)
        and {s.set for s in frozen} == set(fed)
    )


def theirs(folder: Path, shape: str, rows: int, runs: int) -> dict[str, float]:
    """The same through ConsentML's decorator, a row id as the subject."""
    import pandas as pd
    from consentml import track
    from consentml.sources import DataFrameSource

    names, took, count = [i.tobytes().hex() for i in row_ids(rows)], 0.0, 0

    def record(run: int, members: list[str]) -> None:
        frame = pd.DataFrame({"id": members})
        trained = track(
            model_name=f"run-{run}", source=DataFrameSource(frame, subject_id_col="id"), db_path=folder / "lineage.db"
        )(lambda _: "a model")
        trained()

    record(-1, names)
    before = size(folder)
    for run in range(runs):
        members = [names[i] for i in SHAPES[shape](rows, run)]
        started = time.process_time()
        record(run, members)
        took, count = took + time.process_time() - started, count + len(members)
    return {"cpu_s": took, "memberships": count, "bytes": size(folder) - before}


def theirs_there(folder: Path, shape: str, rows: int, runs: int) -> bool:
    """Whether a fresh process counts every run's subjects."""
    from consentml.store import open_store

    store = open_store(db_path=folder / "lineage.db")
    latest = [store.latest_run_for_model(f"run-{run}") for run in range(runs)]
    counts = [store.subject_count_for_run(run["run_id"]) for run in latest if run]
    return counts == [len(SHAPES[shape](rows, run)) for run in range(runs)]


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def measure(way: str, what: str, folder: Path, shape: str, rows: int, runs: int) -> None:
    """One way's recording, or the look at what it left, in this process."""
    if what == "there":
        print(json.dumps((theirs_there if way == "ConsentML" else ours_there)(folder, shape, rows, runs)))
    elif way == "ConsentML":
        print(json.dumps(theirs(folder, shape, rows, runs)))
    else:
        print(json.dumps(ours(folder, shape, rows, runs, by_id=way == "whence, by id")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        way, what, folder, shape, rows, runs = args.one
        measure(way, what, Path(folder), shape, int(rows), int(runs))
        return
    print(f"# membership: {args.runs} runs out of {2 * args.rows:,} rows ({describe()})")
    print(f"{'way':<14} {'rows of a run':<14} {'memberships':>12} {'CPU s':>8} {'a CPU s':>12} {'bytes each':>11}")
    tasks = [(way, shape) for way in ("whence", "whence, by id") for shape in SHAPES] + [("ConsentML", "random")]
    rates: dict[str, tuple[float, float]] = {}
    for way, shape in tasks:
        with tempfile.TemporaryDirectory() as tmp:
            given = (tmp, shape, str(args.rows), str(args.runs))
            took = alone("bench.membership", "--one", way, "record", *given)
            if not alone("bench.membership", "--one", way, "there", *given):
                raise SystemExit(f"{way}: memberships are missing")
        rate, each = took["memberships"] / took["cpu_s"], took["bytes"] / took["memberships"]
        rates.setdefault(way, (rate, each))
        print(
            f"{way:<14} {shape:<14} {took['memberships']:>12,} {took['cpu_s']:>8.2f} {rate:>12,.0f} {each:>11.2f}",
            flush=True,
        )
    (rate, each), (slow, large) = rates["whence"], rates["ConsentML"]
    print(f"\nwhence / ConsentML on random rows: {rate / slow:,.0f} times as fast, {each / large:.3f} of the bytes")


if __name__ == "__main__":
    main()
