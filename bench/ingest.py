"""Rows per CPU second and peak memory of ingest, beside `datasets.load_dataset("json")` and a bare read-and-write.

    python -m bench.ingest [--rows 10000 100000 1000000]

Every measurement is a process of its own. The floor parses each line with `json` and writes the same text to Lance,
without ids, digests, rights, quarantine or index: what is above it is the price of the record.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.machine import alone, describe, peak_kib


def write_rows(path: Path, count: int) -> None:
    """Short rows, about 120 bytes each, as JSONL."""
    rng = random.Random(count)
    words = [
        "card",
        "payment",
        "transfer",
        "refund",
        "balance",
        "app",
        "branch",
        "limit",
        "fee",
        "currency",
        "account",
        "pin",
        "still",
        "waiting",
        "please",
    ]
    with path.open("w") as file:
        for i in range(count):
            row = {"id": f"q-{i}", "text": " ".join(rng.choices(words, k=9)) + "?", "intent": rng.choice(words)}
            file.write(json.dumps(row) + "\n")


def ours(path: Path, work: Path) -> int:
    """Ingest through the product."""
    from whence.data import Plan, ingest
    from whence.records import Source
    from whence.store import Store

    store = Store.open(work / ".whence", create=True)
    source = Source(name="rows", kind="human_annotation", location=path.name, licence="MIT")
    mapping = {"id": "id", "prompt": "text", "completion": "intent"}
    plan = Plan(source=source, path=path, format="jsonl", map=mapping, rights="none")
    ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects))
    return store.committed()


def floor(path: Path, work: Path) -> int:
    """Parse and write, nothing else."""
    import lance
    import pyarrow as pa

    count, batch = 0, []

    def write() -> None:
        table = pa.table({"content": pa.array(batch, pa.large_string())})
        lance.write_dataset(table, str(work / "floor.lance"), mode="append" if count else "create")

    with path.open() as file:
        for line in file:
            record = json.loads(line)
            batch.append(json.dumps({"prompt": record["text"], "completion": record["intent"]}))
            if len(batch) == 65_536:
                write()
                count += len(batch)
                batch.clear()
    write()
    return count + len(batch)


def datasets(path: Path, work: Path) -> int:
    """Hugging Face datasets' own reader, into its Arrow cache."""
    os.environ["HF_DATASETS_CACHE"] = str(work / "cache")
    from datasets import load_dataset
    from datasets.utils import logging

    logging.disable_progress_bar()
    return len(load_dataset("json", data_files=str(path), split="train", cache_dir=str(work / "cache")))


WAYS: dict[str, Callable[[Path, Path], int]] = {"whence": ours, "floor": floor, "datasets": datasets}


def measure(way: str, path: str) -> None:
    """One measurement, in this process: imports are done before the clock starts."""
    with tempfile.TemporaryDirectory() as tmp:
        small = Path(tmp) / "warm.jsonl"
        write_rows(small, 100)
        (Path(tmp) / "warm").mkdir()
        WAYS[way](small, Path(tmp) / "warm")
        started, wall = time.process_time(), time.monotonic()
        rows = WAYS[way](Path(path), Path(tmp))
        took = {"rows": rows, "cpu_s": time.process_time() - started, "wall_s": time.monotonic() - wall}
    peak = peak_kib()
    print(json.dumps({**took, "peak_bytes": peak * 1024}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(*args.one)
        return
    print(f"# ingest of short JSONL rows ({describe()})")
    print(f"{'rows':>10} {'way':<9} {'rows/CPU s':>12} {'CPU s':>8} {'wall s':>8} {'peak MiB':>9} {'CPU ours/it':>12}")
    with tempfile.TemporaryDirectory() as tmp:
        for count in args.rows:
            path = Path(tmp) / "rows.jsonl"
            write_rows(path, count)
            took = {way: alone("bench.ingest", "--one", way, str(path)) for way in WAYS}
            for way, t in took.items():
                rate, peak = t["rows"] / t["cpu_s"], t["peak_bytes"] / 2**20
                times = (
                    f"{t['cpu_s']:>8.2f} {t['wall_s']:>8.2f} {peak:>9.0f} {took['whence']['cpu_s'] / t['cpu_s']:>12.2f}"
                )
                print(f"{count:>10,} {way:<9} {rate:>12,.0f} {times}")


if __name__ == "__main__":
    main()
