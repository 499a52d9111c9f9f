"""The peers of `bench.blast`: ConsentML on its kind of question, DuckDB on ours, each beside us, answers compared."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.blast import LAYOUTS, SNAPSHOTS, Layout
from bench.machine import alone, describe

RUNS, EACH, ASKED = 20, 50_000, 300
"""ConsentML: as many runs of as many people; as many people are asked about."""


def table(rows: int) -> None:
    """Print both comparisons."""
    print(f"\n# beside the peers ({describe()})")
    with tempfile.TemporaryDirectory() as tmp:
        mine = alone("bench.blast", "--one", "runs-ours", f"{tmp}/ours", str(rows))
        peer = alone("bench.blast", "--one", "runs-consentml", f"{tmp}/theirs", str(rows))
    if mine.pop("answers") != peer.pop("answers"):
        raise SystemExit("whence and ConsentML name different runs")
    print(f"which runs used a person's rows, {RUNS} runs of {EACH:,} people, {ASKED} asked, answers equal")
    for name, one in (("whence", mine), ("ConsentML 0.2.0", peer)):
        print(f"| {name} | p50 {one['p50_ms']:.3f} ms | p95 {one['p95_ms']:.3f} ms |")
    print(f"ratio of p50: {peer['p50_ms'] / mine['p50_ms']:.1f}")
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as tmp:
            alone("bench.blast", "--one", "build", tmp, str(rows), layout)
            mine = alone("bench.blast", "--one", "closure-ours", tmp, str(rows), layout)
            peer = alone("bench.blast", "--one", "closure-duckdb", tmp, str(rows), layout)
        if mine.pop("answers") != peer.pop("answers"):
            raise SystemExit("whence and DuckDB name different adapters or numbers of rows")
        print(f"a licence over a hundredth of {rows:,} rows, all of {SNAPSHOTS:,} snapshots, {layout}, answers equal")
        for name, one in (("whence", mine), ("DuckDB, recursive join", peer)):
            print(f"| {name} | p50 {one['p50_ms']:,.1f} ms | p95 {one['p95_ms']:,.1f} ms |")
        print(f"ratio of p50: {peer['p50_ms'] / mine['p50_ms']:.1f}", flush=True)


def measure(what: str, folder: Path, rows: int, layout: str = "") -> dict[str, Any]:
    """One side of one comparison, in this process."""
    if what == "runs-ours":
        return _runs_ours(folder)
    if what == "runs-consentml":
        return _runs_consentml(folder)
    if what == "closure-ours":
        return _closure_ours(folder, rows, layout)
    return _closure_duckdb(rows, layout)


def _people(run: int) -> list[str]:
    drawn = np.random.default_rng(run).permutation(2 * EACH)[:EACH]
    return [f"p{person}" for person in np.sort(drawn)]


def _asked() -> list[str]:
    return [f"p{person}" for person in np.random.default_rng(99).integers(0, 2 * EACH, ASKED)]


def _times(took: list[float]) -> dict[str, float]:
    later = sorted(took[10:])
    return {"p50_ms": statistics.median(later), "p95_ms": later[round(0.95 * (len(later) - 1))]}


def _runs_ours(folder: Path) -> dict[str, Any]:
    import pyarrow as pa

    import whence
    from bench.blast import _named
    from whence.store import Store
    from whence.store.index import Index
    from whence.store.sets import PackedSets, row_set

    store = Store.open(folder / ".whence", create=True, actor="bench@example.org")
    store.keys.pseudonym("somebody")
    count = 2 * EACH
    store.append("rows.appended", "source:all", {"first": 0, "rows": count, "facts": "b3:0"})
    names = sorted((store.keys.pseudonym(f"p{n}"), n) for n in range(count))
    sets = PackedSets(
        pa.array([name for name, _ in names], pa.large_string()),
        pa.array([row_set([n]).serialize() for _, n in names], pa.large_binary()),
    )
    none, empty = np.zeros(0, np.uint64), PackedSets.empty()
    index = Index(
        count, none, np.zeros((0, 24), np.uint8), none, none, none, np.zeros(count + 1, np.int64), none,
        {"source": empty, "licence": empty, "subject": sets, "slice": empty, "generator": empty},
    )  # fmt: skip
    index.save(folder / ".whence" / "index")
    for run in range(RUNS):
        _named(store, run, store.put_set(row_set([int(name[1:]) for name in _people(run)])))
    store.close()
    answers, took = [], []
    with whence.open(folder / ".whence", actor="bench@example.org") as w:
        for person in _asked():
            began = time.perf_counter()
            found = w.ask.blast_radius(subject=person, what_if=True, history=True)
            took.append((time.perf_counter() - began) * 1e3)
            answers.append(sorted(one.name for one in found.adapters))
    return {**_times(took), "answers": answers}


def _runs_consentml(folder: Path) -> dict[str, Any]:
    import pandas as pd
    from consentml import revoke, track
    from consentml.sources import DataFrameSource

    folder.mkdir()
    path = folder / "lineage.db"
    for run in range(RUNS):
        source = DataFrameSource(pd.DataFrame({"id": _people(run)}), subject_id_col="id")
        track(model_name=f"m{run}", source=source, db_path=path)(lambda _: "a model")()
    answers, took = [], []
    for person in _asked():
        began = time.perf_counter()
        found = revoke(subject_id=person, db_path=path, dry_run=True)
        took.append((time.perf_counter() - began) * 1e3)
        answers.append(sorted(one.model_name for one in found.affected_models))
    return {**_times(took), "answers": answers}


LICENCES = range(12)


def _closure_ours(folder: Path, rows: int, layout: str) -> dict[str, Any]:
    import whence

    answers, took = [], []
    with whence.open(folder / ".whence", actor="bench@example.org") as w:
        for number in (*LICENCES, *LICENCES):
            began = time.perf_counter()
            found = w.ask.blast_radius(licence=f"LicenseRef-s{number:03d}", what_if=True, history=True)
            took.append((time.perf_counter() - began) * 1e3)
            fed = {one.name: one.rows for one in found.adapters if one.rows}
            answers.append([found.rows, sorted(fed.items())])
    return {**_times(took), "answers": answers[len(LICENCES) :]}


def _closure_duckdb(rows: int, layout: str) -> dict[str, Any]:
    import duckdb
    import pyarrow as pa

    from bench.blast import _ordinals

    made, db = Layout(rows, layout), duckdb.connect()
    db.execute("SET threads = 1")
    numbers = np.arange(rows, dtype=np.uint64)
    db.register(
        "held_in", pa.table({"row": _ordinals(made, numbers), "licence": (numbers // made.each).astype(np.int32)})
    )
    parents, children = (_ordinals(made, side) for side in made.edges())
    db.register("edges_in", pa.table({"parent": parents, "child": children}))
    db.execute("CREATE TABLE held AS SELECT * FROM held_in ORDER BY licence, row")
    db.execute("CREATE TABLE edges AS SELECT * FROM edges_in ORDER BY parent")
    db.execute("CREATE TABLE members (row UBIGINT, snapshot INTEGER)")
    for number in range(SNAPSHOTS):
        ordinals = made.snapshot(number)
        db.register("part", pa.table({"row": ordinals, "snapshot": np.full(len(ordinals), number, np.int32)}))
        db.execute("INSERT INTO members SELECT * FROM part")
    reached = """
        WITH RECURSIVE reached(row) AS (
            SELECT row FROM held WHERE licence = ? UNION SELECT child FROM reached JOIN edges ON parent = reached.row
        )
    """
    asked = f"{reached} SELECT snapshot, count(*) FROM members SEMI JOIN reached USING (row) GROUP BY snapshot"  # noqa: S608
    counted = f"{reached} SELECT count(*) FROM reached"  # noqa: S608
    answers, took = [], []
    for number in (*LICENCES, *LICENCES):
        began = time.perf_counter()
        found = db.execute(asked, [number]).fetchall()
        total = db.execute(counted, [number]).fetchall()[0][0]
        took.append((time.perf_counter() - began) * 1e3)
        answers.append([total, sorted([f"m{snapshot}", n] for snapshot, n in found)])
    return {**_times(took), "answers": answers[len(LICENCES) :]}
