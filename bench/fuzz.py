"""Fuzzed files through every reader and the whole way into rows or quarantine.

    python -m bench.fuzz [--lines 1000000] [--seed 1] [--readers jsonl csv.gz …]
    python -m bench.fuzz --coverage-guided SECONDS

Lines of real shapes, of which most are mutated, in files of a few thousand; each reader in a process of its own with
bounded memory. Of every file it is checked that nothing but whence's own errors is raised, that each line is exactly
once a row, a blank or in quarantine with its number, a code and a reason, and that the words of a sample can be read;
of every store that `verify` finds nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.machine import describe, peak_kib
from bench.mutate import WILD, arrow_file, csv_file, damaged, json_file, jsonl_file, saved_folder
from whence.data import Plan, ingest
from whence.data.ingest import finished
from whence.data.readers import read
from whence.data.values import Fault
from whence.records import RunReport, Source, WhenceError
from whence.store import Store, verify

MAP = {"id": "id", "subject": "who", "group": "conv", "licence": "lic", "slices": ["lang"], "parents": "of",
       "generator": "by"}  # fmt: skip
FILE_LINES, STORE_FILES, MEMORY_BYTES = 4000, 12, 8 << 30
WIDTHS = (6, 9, 8, 6, 10, 8, 10)
Found = list[tuple[int, Any]]


class Wrong(AssertionError):
    """A promise that was not kept."""


def promise(holds: bool, what: str) -> None:
    """Raise Wrong where it does not hold."""
    if not holds:
        raise Wrong(what)


# -- files, and what must become of their lines ------------------------------------------------------------------------


def jsonl_lines(data: bytes, found: Found) -> int:
    """Each line that is not blank is found once; returns how many are blank."""
    held = data.split(b"\n")
    held = held if held[-1] else held[:-1]
    expected = [n for n, line in enumerate(held, 1) if line and not line.isspace()]
    promise([n for n, _ in found] == expected, "a line of JSON is lost, or found twice")
    return len(held) - len(expected)


def csv_lines(data: bytes, found: Found) -> int:
    """Each line belongs to one record, to the header, or is blank."""
    held, blank = data.splitlines(keepends=True) if b"\r" not in data else _split(data), 0
    at = 2
    for number, record in [*found, (len(held) + 1, {})]:
        for line in held[at - 1 : number - 1]:
            promise(not line.strip(b"\r\n"), f"line {at} of CSV is in no record")
            blank += 1
        raw = (
            record.raw.removesuffix(b"\n") if isinstance(record, Fault) else b"".join(map(str.encode, record.values()))
        )
        at = number + raw.count(b"\n") + 1
    promise(all(a < b for (a, _), (b, _) in itertools.pairwise(found)), "a line of CSV is found twice")
    return blank


def _split(data: bytes) -> list[bytes]:
    held = [line + b"\n" for line in data.split(b"\n")]
    return held if held[-1] != b"\n" else held[:-1]


def json_elements(data: bytes, found: Found) -> int:
    """Elements are counted one by one, and those before the wild ones are all there."""
    promise(len(found) >= data.count(b",\n") + 1 - 2 * WILD, "an element of a JSON array is lost")
    return in_order(data, found)


def in_order(data: bytes, found: Found) -> int:
    """Records are counted one by one; no text tells how many there are of a mutated array or a damaged file."""
    promise([n for n, _ in found] == list(range(1, len(found) + 1)), "records are not counted one by one")
    return 0


def some_lines(data: bytes, found: Found) -> int:
    """Of a damaged file, the last line says that it breaks off."""
    numbers = [n for n, _ in found]
    promise(sorted(set(numbers)) == numbers, "a line is found twice")
    return 0


def parquet_lines(data: bytes, found: Found) -> int:
    """Of a damaged file, a fault may stand for the rows of a group."""
    return some_lines(data, found)


def zstd(data: bytes) -> bytes:
    """One frame."""
    return pa.Codec("zstd").compress(data, asbytes=True)


Make = Callable[[random.Random, int], bytes]
Check = Callable[[bytes, Found], int]
TEXTS: dict[str, tuple[Make, Check]] = {
    "jsonl": (jsonl_file, jsonl_lines), "csv": (csv_file, csv_lines), "json": (json_file, json_elements),
}  # fmt: skip
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "zst": zstd}
READERS = [
    *TEXTS, *(f"{text}.{packer}" for text in TEXTS for packer in PACKERS), "damaged.gz", "damaged.zst", "parquet",
    "datasets",
]  # fmt: skip


def made(reader: str, rng: random.Random, folder: Path) -> tuple[Path, str, Callable[[Found], int]]:
    """(file or folder, format, check) of one fuzzed source."""
    name, _, packer = reader.partition(".")
    if name == "datasets":
        return saved_folder(rng, folder, FILE_LINES // 8), name, lambda found: in_order(b"", found)
    path = folder / "source"
    if name == "parquet":
        path.write_bytes(arrow_file(rng, FILE_LINES // 8))
        return path, name, lambda found: parquet_lines(b"", found)
    make, check = TEXTS["jsonl" if name == "damaged" else name]
    data = make(rng, FILE_LINES)
    packed = PACKERS[packer](data) if packer else data
    if name == "damaged":
        path.write_bytes(damaged(rng, packed))
        return path, "jsonl", lambda found: some_lines(b"", found)
    path.write_bytes(packed)
    return path, name, lambda found: check(data, found)


# -- one process a reader ----------------------------------------------------------------------------------------------


def one_file(store: Store, number: int, place: tuple[Path, str, Callable[[Found], int]], count: Counter[str]) -> None:
    """Read a source, then take it in; add to `count`."""
    path, format, check = place
    with contextlib.ExitStack() as stack:
        what = path if path.is_dir() else stack.enter_context(path.open("rb"))
        found = list(read(what, format))  # type: ignore[arg-type]
    blank = check(found)
    source = Source(name=f"s{number}", kind="scraped", location="fuzz", licence="MIT", consent_basis="consent")
    plan = Plan(source=source, path=path, format=format, map=MAP, rights="none")
    run, _ = ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects))
    report = finished(store, run)
    assert isinstance(report, RunReport)
    facts, table = report.facts, store.get_table(report.removed).to_pylist()
    numbers = {n for n, _ in found}
    promise(facts["lines"] == len(found), "not every record was taken")
    promise(facts["rows"] + len(table) == len(found), "a record is neither row nor in quarantine, or both")
    promise(len({row["line"] for row in table}) == len(table), "a line is in quarantine twice")
    promise(all(row["line"] in numbers and row["reason"] for row in table), "quarantine names no line or no code")
    for row in table[:: max(1, len(table) // 20)]:
        promise(bool(store.words(row["words"])["reason"]), "quarantine gives no reason")
    count.update(files=1, blank=blank, rows=facts["rows"], quarantined=len(table), records=len(found))
    count.update(f"code {row['reason']}" for row in table)


def one_reader(reader: str, lines: int, seed: int) -> dict[str, Any]:
    """Fuzz one reader until so many lines were accounted for."""
    rng, count, started = random.Random(f"{reader} {seed}"), Counter[str](), time.process_time()
    kept: list[str] = []
    while count["records"] + count["blank"] + count["refused"] * FILE_LINES // 8 < lines and len(kept) < 5:
        with tempfile.TemporaryDirectory() as tmp:
            store = Store.open(Path(tmp) / ".whence", create=True, actor="fuzz@example.org")
            for number in range(STORE_FILES):
                place = made(reader, rng, Path(tmp))
                try:
                    one_file(store, number, place, count)
                except WhenceError:
                    count["refused"] += 1
                except Exception:  # noqa: BLE001  (what is looked for)
                    count["tracebacks"] += 1
                    kept.append(keep(place[0], reader, count["tracebacks"]) + "\n" + traceback.format_exc()[-1500:])
            if verify(store):
                kept.append(f"verify: {verify(store)[:3]}")
                count["tracebacks"] += 1
            store.close()
    peak = peak_kib() >> 10
    return {"count": count, "kept": kept, "cpu_s": time.process_time() - started, "peak_mib": peak}


def keep(path: Path, reader: str, number: int) -> str:
    """Copy a source that broke a promise, to be looked at."""
    kept = Path(tempfile.gettempdir()) / f"whence-fuzz-{reader}-{number}"
    if path.is_file():
        kept.write_bytes(path.read_bytes())
    return str(kept)


# -- the table ---------------------------------------------------------------------------------------------------------


def rows_of(readers: list[str], lines: int, seed: int) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Run each reader; what it counted, or how its process died."""
    for reader in readers:
        args = [sys.executable, "-m", "bench.fuzz", "--one", reader, str(lines), str(seed)]
        done = subprocess.run(args, capture_output=True, text=True, check=False)
        died = f"died with {done.returncode}:\n{done.stderr[-2000:]}"
        yield reader, died if done.returncode else json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Print the table; the exit code is 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="in all, shared out over the readers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readers", nargs="+", default=READERS, choices=READERS)
    parser.add_argument("--coverage-guided", type=int, metavar="SECONDS")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.coverage_guided:
        command = [sys.executable, "-m", "bench.guided", str(args.coverage_guided)]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    if args.one:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        print(json.dumps(one_reader(args.one[0], int(args.one[1]), int(args.one[2]))))
        return
    print(f"# at least {args.lines:,} fuzzed lines, seed {args.seed} ({describe()})")
    head = ("files", "lines", "rows", "blank", "quarantine", "refused", "tracebacks")
    cells = " ".join(f"{name:>{w}}" for name, w in zip(head, WIDTHS, strict=True))
    print(f"{'reader':<12} {cells} {'CPU s':>7} {'peak MiB':>8}")
    codes, broken = Counter[str](), []
    for reader, said in rows_of(args.readers, -(-args.lines // len(args.readers)), args.seed):
        if isinstance(said, str):
            broken.append(f"{reader} {said}")
            continue
        c = Counter(said["count"])
        lines = c["rows"] + c["blank"] + c["quarantined"]
        shown = (c["files"], lines, c["rows"], c["blank"], c["quarantined"], c["refused"], c["tracebacks"])
        cells = " ".join(f"{n:>{w},}" for n, w in zip(shown, WIDTHS, strict=True))
        print(f"{reader:<12} {cells} {said['cpu_s']:>7.1f} {said['peak_mib']:>8,}", flush=True)
        codes.update({k.removeprefix("code "): n for k, n in c.items() if k.startswith("code ")})
        broken += said["kept"]
    print("in quarantine: " + ", ".join(f"{code} {n:,}" for code, n in codes.most_common()))
    print("\n".join(broken))
    raise SystemExit(1 if broken else 0)


if __name__ == "__main__":
    main()
