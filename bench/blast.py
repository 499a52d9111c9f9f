"""Blast radius at scale: a licence over a hundredth of all rows, 5,000 people at once, one person; and the peers.

    python -m bench.blast [--rows 100000 1000000 10000000] [--peers 1000000] [--keep FOLDER]

A store of 1,000 snapshots, each of a hundredth to a tenth of all rows, each with a training run, an adapter and a
release; every tenth is deployed. A person behind every twenty rows; three in twenty rows are made from others, up to
three deep; three adapters wrote a source each. Two layouts: *as ingested* (sources lie together, a snapshot is some
sources of which a tenth was dropped) and *shuffled* (snapshots and sources are drawn at random). Catalogue, index and
row sets are real and written by our own code; the row file, which this question never opens, is left out, and so are
ids. 10^8 rows on demand: about 8 GB of disk and 20 minutes a layout, most of it making them.

Each figure is from a process of its own: the first question cold (a new process; files may be in the page cache), then
each asked again, wall-clock milliseconds, p50 and p95. `--peers` asks ConsentML its kind of question (which runs used
this person's rows) and DuckDB ours (a recursive join over the same tables), and compares the answers.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import alone, describe, peak_kib

SNAPSHOTS, SOURCES, PER_PERSON, LIVE = 1_000, 100, 20, 10
LAYOUTS = ("as ingested", "shuffled")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Layout:
    """Where the rows of each source lie, which are in each snapshot, and what was made from what."""

    def __init__(self, rows: int, layout: str) -> None:
        self.rows, self.layout = rows, layout
        self.each = rows // SOURCES
        self.step = next(n for n in (7_919, 7_907, 7_901) if rows % n)
        """coprime to the number of rows: number n lies at n × step mod rows where the rows are shuffled"""

    def placed(self, numbers: np.ndarray) -> np.ndarray:
        """The ordinals of these rows, by their number in the order in which they were made; sorted."""
        if self.layout == "as ingested":
            return numbers.astype(np.uint64)
        return np.sort(numbers.astype(np.uint64) * np.uint64(self.step) % np.uint64(self.rows))

    def source(self, number: int) -> np.ndarray:
        return self.placed(np.arange(number * self.each, (number + 1) * self.each))

    def snapshot(self, number: int) -> np.ndarray:
        """Between a hundredth and a tenth of all rows."""
        chance = np.random.default_rng(number)
        share = 10 ** chance.uniform(-2, -1)
        if self.layout == "shuffled":
            gaps = chance.geometric(share, int(self.rows * share * 1.02) + 100)
            found = np.cumsum(gaps) - 1
            return found[found < self.rows].astype(np.uint64)
        count = max(1, round(share * SOURCES))
        parts = [self.source(s)[chance.random(self.each) >= 0.1] for s in np.sort(chance.permutation(SOURCES)[:count])]
        return np.concatenate(parts)

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """(parents, children) by number: sources 85 … 99 are made from earlier ones, three deep."""
        parents, children = [], []
        for source in range(85, SOURCES):
            made = np.arange(source * self.each, (source + 1) * self.each)
            above = source - 85 if source < 90 else source - 5
            parents.append(np.arange(above * self.each, (above + 1) * self.each))
            children.append(made)
        return np.concatenate(parents), np.concatenate(children)


def build(folder: Path, rows: int, layout: str) -> dict[str, float]:
    """Write the store."""
    import pyarrow as pa

    from whence.store import Store
    from whence.store.index import Index
    from whence.store.sets import PackedSets, row_set

    started, made = time.monotonic(), Layout(rows, layout)
    store = Store.open(folder / ".whence", create=True, actor="bench@example.org")
    store.keys.pseudonym("somebody")
    store.append("rows.appended", "source:all", {"first": 0, "rows": rows, "facts": "b3:0"})

    def packed(named: Iterable[tuple[str, np.ndarray]]) -> PackedSets:
        pairs = sorted((name, row_set(ordinals).serialize()) for name, ordinals in named)
        names, sets = zip(*pairs, strict=True)
        return PackedSets(pa.array(names, pa.large_string()), pa.array(sets, pa.large_binary()))

    sources = [(f"s{n:03d}", made.source(n)) for n in range(SOURCES)]
    people = _people(made)
    parents, children = made.edges()
    parents, children = _ordinals(made, parents), _ordinals(made, children)
    order = np.lexsort((children, parents))
    offsets = np.zeros(rows + 1, np.int64)
    offsets[1:] = np.cumsum(np.bincount(parents.astype(np.int64), minlength=rows))
    none = np.zeros(0, np.uint64)
    index = Index(
        rows, none, np.zeros((0, 24), np.uint8), none, none, none, offsets, children[order],
        {
            "source": packed(sources),
            "licence": packed((f"LicenseRef-{name}", ordinals) for name, ordinals in sources),
            "subject": people,
            "slice": PackedSets.empty(),
            "generator": packed((f"m{n}@1", made.source(80 + n)) for n in range(3)),
        },
    )  # fmt: skip
    del sources, people
    index.save(folder / ".whence" / "index")
    for number in range(SNAPSHOTS):
        _named(store, number, store.put_set(row_set(made.snapshot(number))))
    store.close()
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return {"minutes": (time.monotonic() - started) / 60, "gb": size / 1e9, "peak_gib": peak_kib() / (1 << 20)}


def _ordinals(made: Layout, numbers: np.ndarray) -> np.ndarray:
    if made.layout == "as ingested":
        return numbers.astype(np.uint64)
    return numbers.astype(np.uint64) * np.uint64(made.step) % np.uint64(made.rows)


def _people(made: Layout) -> Any:
    """A person behind every twenty rows in a line, as numbers go."""
    import pyarrow as pa

    from whence.store.sets import PackedSets, row_set

    names, sets = [], []
    for person in range(made.rows // PER_PERSON):
        ordinals = _ordinals(made, np.arange(person * PER_PERSON, (person + 1) * PER_PERSON))
        names.append(f"subject-{person:012d}")
        sets.append(row_set(np.sort(ordinals)).serialize())
    return PackedSets(pa.array(names, pa.large_string()), pa.array(sets, pa.large_binary()))


def _named(store: Any, number: int, blob: str) -> None:
    """Snapshot, run, adapter, release; every tenth is deployed."""
    from whence.records import Adapter, Closure, Deployment, Release, Run, RunReport, Snapshot
    from whence.store import RowSet

    held = len(RowSet.deserialize(store.blobs.get(blob)))
    snapshot = store.put(Snapshot(name=f"s{number}", rows=held, root=f"sha256:{number}", set=blob, steps=()))
    run = store.put(Run(activity="train", used=(snapshot,), inputs={"number": str(number)}))
    store.put(RunReport(run=run, started_at=NOW, duration_s=1.0, cpu_s=1.0, set=blob))
    closure = Closure(base=None, snapshot=snapshot, recipe=None, code_commit=None, code_clean=None, environment=None)
    adapter = store.put(
        Adapter(
            name=f"m{number}", closure=store.put(closure), run=run, weights=f"b3:{number}", config="sha256:c",
            base=None, location=f"adapters/{number}", bytes=1,
        )
    )  # fmt: skip
    release = store.put(Release(name=f"m{number}@1", adapter=adapter, verdict=None))
    if number % (SNAPSHOTS // (SNAPSHOTS // LIVE)) == 0:
        made = store.put(Deployment(release=release, endpoint=f"http://{number}", started_at=NOW, lease_s=None))
        store.append("deployment.declared", made, {"release": release})


QUESTIONS: dict[str, Callable[[Layout, int], dict[str, Any]]] = {
    "a licence over a hundredth": lambda made, n: {"licence": f"LicenseRef-s{n % 80:03d}"},
    "5,000 people": lambda made, n: {"subject": _drawn(made, n, 5_000)},
    "one person": lambda made, n: {"subject": _drawn(made, n, 1)},
}


def _drawn(made: Layout, seed: int, count: int) -> list[str]:
    people = made.rows // PER_PERSON
    drawn = np.random.default_rng(seed).integers(0, people, min(count, people))
    return [f"subject-{person:012d}" for person in drawn]


def ask(folder: Path, rows: int, layout: str, question: str, history: bool, times: int) -> dict[str, float]:
    """Milliseconds of the first question and of each after it, in this process."""
    import whence

    made, took = Layout(rows, layout), []
    began = time.perf_counter()
    with whence.open(folder / ".whence", actor="bench@example.org") as w:
        for number in range(times + 1):
            asked = QUESTIONS[question](made, number)
            started = began if number == 0 else time.perf_counter()
            found = w.ask.blast_radius(**asked, history=history, what_if=True)
            took.append((time.perf_counter() - started) * 1e3)
            if number == 0:
                gc.freeze()
    later = sorted(took[1:])
    return {
        "cold_ms": took[0],
        "p50_ms": statistics.median(later),
        "p95_ms": later[min(len(later) - 1, round(0.95 * len(later)))],
        "peak_gib": peak_kib() / (1 << 20),
        "rows": found.rows,
        "adapters": len(found.adapters),
        "live": len(found.live),
    }


def table(rows: list[int], layouts: list[str], keep: Path | None, times: int) -> None:
    """Print growth, one line a question and size."""
    print(f"# blast radius ({describe()})")
    print("| layout | rows | question | looked at | cold ms | p50 ms | p95 ms | peak GiB | reached |")
    print("| --- | ---: | --- | --- | ---: | ---: | ---: | ---: | --- |")
    for layout in layouts:
        for count in rows:
            with tempfile.TemporaryDirectory(dir=keep) as tmp:
                folder = Path(tmp)
                made = alone("bench.blast", "--one", "build", str(folder), str(count), layout)
                for question in QUESTIONS:
                    for history in (False, True):
                        n = times * 20 if question == "one person" else times
                        words = ("ask", str(folder), str(count), layout, question, str(int(history)), str(n))
                        one = alone("bench.blast", "--one", *words)
                        looked = "all" if history else "live"
                        print(
                            f"| {layout} | {count:,} | {question} | {looked} | {one['cold_ms']:,.0f} | "
                            f"{one['p50_ms']:,.2f} | {one['p95_ms']:,.2f} | {one['peak_gib']:.2f} | "
                            f"{one['rows']:,} rows, {one['adapters']} adapters, {one['live']} live |",
                            flush=True,
                        )
                print(
                    f"made in {made['minutes']:.1f} minutes, {made['gb']:.1f} GB, {made['peak_gib']:.1f} GiB",
                    flush=True,
                )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--layouts", nargs="*", default=list(LAYOUTS), choices=LAYOUTS)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--peers", type=int, default=0, metavar="ROWS")
    parser.add_argument("--keep", type=Path, help="where the stores are made (default: the temporary folder)")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        what, folder, rows, *more = args.one
        if what == "build":
            print(json.dumps(build(Path(folder), int(rows), more[0])))
        elif what == "ask":
            layout, question, history, times = more
            print(json.dumps(ask(Path(folder), int(rows), layout, question, history == "1", int(times))))
        else:
            from bench import blast_peers

            print(json.dumps(blast_peers.measure(what, Path(folder), int(rows), *more)))
        return
    if args.rows:
        table(args.rows, args.layouts, args.keep, args.times)
    if args.peers:
        from bench import blast_peers

        blast_peers.table(args.peers)


if __name__ == "__main__":
    main()
