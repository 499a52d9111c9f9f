"""How the cost of ingest, freeze, verify and ask grows with the number of rows.

    python -m bench.growth [--from 10000] [--to 10000000]

Each station is a process of its own on the store that the ones before it left: CPU seconds, wall seconds and peak
memory, from 10^4 rows in steps of ten. The exponent is the slope of log CPU over log rows, over the last step and over
all of them: 1 is proportional, 2 quadratic. Imports are done, and every path taken once on a small store, before the
clock starts. A tenth of the rows were made from another row, a person stands behind twenty; freeze removes exact
duplicates and records a training run on what is left; ask is the lineage of one row both ways and the blast radius of
one person, a licence and the source, down to the adapter.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.machine import alone, describe, peak_kib


def write_rows(path: Path, count: int) -> None:
    """Short rows, about 170 bytes each, as JSONL."""
    rng = random.Random(count)
    words = ["card", "payment", "transfer", "refund", "balance", "app", "branch", "limit", "fee", "currency", "account"]
    with path.open("w") as file:
        for i in range(count):
            row = {"id": f"q-{i}", "text": " ".join(rng.choices(words, k=9)) + "?", "intent": rng.choice(words)}
            row |= {"person": f"p-{i % max(1, count // 20)}", "channel": ("chat", "mail")[i % 2]}
            if i % 10 == 9:
                row["from"] = f"q-{i - 9}"
            file.write(json.dumps(row) + "\n")


def ingest(folder: Path) -> None:
    """The file becomes rows."""
    from whence import data
    from whence.records import Source

    source = Source(name="rows", kind="human_annotation", location="rows.jsonl", licence="MIT", consent_basis="consent")
    mapping = {"id": "id", "prompt": "text", "completion": "intent", "subject": "person", "parents": "from"}
    plan = data.Plan(
        source=source,
        path=folder / "rows.jsonl",
        format="jsonl",
        map=mapping | {"slices": ["channel"]},
        rights="none",
    )
    data.ingest(_store(folder), plan, lambda _, subjects, *__: [None] * len(subjects))


def freeze(folder: Path) -> None:
    """Rows become a snapshot without exact duplicates, and a training run is recorded that was fed all of it."""
    from whence.data import STEPS, CurationPlan, curate
    from whence.records import Adapter, Base, Closure, Fingerprint, Run, RunReport, Snapshot
    from whence.store import row_set

    store = _store(folder)
    ingests = [ref for ref, run in store.all(Run) if run.activity == "ingest"]
    steps = [("exact_duplicate", STEPS["exact_duplicate"]())]
    plan = CurationPlan(name="all", ingests=ingests, steps=steps, withdrawn=row_set([]), groups={}, inputs={})
    frozen, _ = curate(store, plan)
    seen = Fingerprint(weights="b3:0", shapes="sha256:0", tokenizer="sha256:0", template="sha256:0")
    base = store.put(Base(name="base", location="base", fingerprint=seen))
    run = store.put(Run(activity="train", used=(base, frozen), inputs={}))
    fed = store.put_set(store.snapshot_rows(store.get(frozen, Snapshot)))
    store.put(RunReport(run=run, started_at=store.clock(), duration_s=0.0, cpu_s=0.0, set=fed))
    adapter = {"name": "all", "weights": "b3:0", "config": "sha256:0", "location": "runs/0", "bytes": 0}
    made = {"recipe": None, "code_commit": None, "code_clean": None, "environment": None}  # nothing was trained
    closure = store.put(Closure(base=base, snapshot=frozen, **made))
    store.put(Adapter(closure=closure, run=run, base=seen, **adapter))


def verify(folder: Path) -> None:
    """The whole record again."""
    from whence.store import verify

    found = verify(_store(folder))
    if found:
        raise SystemExit(f"verify found damage where there is none: {found[0].message}")


def ask(folder: Path) -> None:
    """Lineage of a row by id and by record, both ways; who is downstream of a person, a licence, a source."""
    from whence.lineage import blast_radius, find, walk

    store = _store(folder)
    middle = store.row(store.committed() // 20 * 10)
    for name in (middle.id, f"{middle.source}:{middle.record}"):
        at = find(store, name)
        if not walk(store, at, "up") or not any(node.kind == "Snapshot" for node in walk(store, at, "down")):
            raise SystemExit(f"the record does not say where row {name} came from and went")
    sets = store.index().sets
    for kind, name in (("subject", str(middle.subject)), ("licence", "MIT"), ("source", "rows")):
        blast = blast_radius(store, sets[kind].get(name))
        if not blast.direct or len(blast.snapshots) != 1 or len(blast.adapters) != 1:
            raise SystemExit(f"the blast radius of {kind} misses its rows, its snapshot or its adapter")


STATIONS: dict[str, Callable[[Path], None]] = {"ingest": ingest, "freeze": freeze, "verify": verify, "ask": ask}


def _store(folder: Path) -> Any:
    from whence.store import Store

    return Store.open(folder / ".whence", create=True, actor="bench@example.org")


def measure(station: str, folder: Path) -> None:
    """One measurement, in this process."""
    with tempfile.TemporaryDirectory() as tmp:
        write_rows(Path(tmp) / "rows.jsonl", 200)
        for name, take in STATIONS.items():
            take(Path(tmp))
            if name == station:
                break
    cpu, wall = time.process_time(), time.monotonic()
    STATIONS[station](folder)
    took = {"cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - wall}
    peak = peak_kib() * 1024
    print(json.dumps({**took, "peak_bytes": peak}))


def exponent(points: list[tuple[int, float]]) -> float:
    """Least-squares slope of log cost over log rows."""
    x, y = [math.log(n) for n, _ in points], [math.log(cost) for _, cost in points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    rise = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return rise / sum((a - mean_x) ** 2 for a in x)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="start", type=int, default=10_000)
    parser.add_argument("--to", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=2, metavar=("STATION", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(args.one[0], Path(args.one[1]))
        return
    print(f"# growth ({describe()})")
    print(f"{'rows':>11} {'station':<8} {'CPU s':>9} {'wall s':>9} {'us/row':>8} {'peak MiB':>9}")
    costs: dict[str, list[tuple[int, float]]] = {station: [] for station in STATIONS}
    with tempfile.TemporaryDirectory() as tmp:
        count = args.start
        while count <= args.to:
            folder = Path(tmp) / str(count)
            folder.mkdir()
            write_rows(folder / "rows.jsonl", count)
            for station in STATIONS:
                took = alone("bench.growth", "--one", station, str(folder))
                costs[station].append((count, took["cpu_s"]))
                each, peak = took["cpu_s"] / count * 1e6, took["peak_bytes"] / 2**20
                print(
                    f"{count:>11,} {station:<8} {took['cpu_s']:>9.2f} {took['wall_s']:>9.2f} {each:>8.2f} {peak:>9.0f}",
                    flush=True,
                )
            shutil.rmtree(folder)
            count *= 10
    print(f"\n{'station':<8} {'exponent, last step':>20} {'overall':>8}")
    for station, points in costs.items():
        if len(points) > 1:
            print(f"{station:<8} {exponent(points[-2:]):>20.2f} {exponent(points):>8.2f}")


if __name__ == "__main__":
    main()
