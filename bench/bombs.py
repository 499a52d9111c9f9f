"""Files that are small and inflate, and lines that never end: what is kept, and in how much memory.

    python -m bench.bombs [--gib 10] [--line-mb 200]

Each file is taken in by a process of its own, whose memory is limited.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.machine import alone, describe, peak_kib

LIMIT_BYTES = 12 << 30
"""Address space of the process that reads; much of it is reserved and never touched."""
NEIGHBOURS = 10
"""rows before, and as many after"""
BLOCK = 1 << 20
PACKED = {"": None, ".gz": "gzip", ".zst": "zstd"}
FRAMES = {
    "jsonl": (b"", b'{"text": "row %d"}', b"\n", b'{"text": "', b'"}', b"\n"),
    "csv": (b"text,more\n", b"row %d,x", b"\n", b'"', b'",x', b"\n"),
    "json": (b"[", b'{"text": "row %d"}', b",", b'{"text": "', b'"}', b"]"),
}
"""Format → head, a row, what stands between two, the long row's beginning and end, the end of the file."""
FILLS = {"x": b"x", "brackets": b"[", "spaces": b" "}


def pieces(format: str, size: int, fill: bytes) -> Iterator[bytes]:
    """A file of neighbours with one row of `size` bytes of `fill` in the middle."""
    head, row, between, opening, closing, end = FRAMES[format]
    around = [between.join(row % (n + at) for n in range(NEIGHBOURS)) for at in (0, NEIGHBOURS)]
    yield head + around[0] + between + opening
    for _ in range(-(-size // BLOCK)):
        yield fill * BLOCK
    yield closing + between + around[1] + end


def write(path: Path, format: str, packer: str, size: int, fill: bytes = b"x") -> None:
    """Such a file, packed as its ending says."""
    codec = PACKED[packer]
    with pa.CompressedOutputStream(str(path), codec) if codec else pa.OSFile(str(path), "wb") as out:
        for piece in pieces(format, size, fill):
            out.write(piece)


def write_columns(path: Path, size: int) -> None:
    """The same as Parquet, or as a saved data set where the path has no ending."""
    texts = (
        [f"row {n}" for n in range(NEIGHBOURS)] + ["x" * size] + [f"row {n}" for n in range(NEIGHBOURS, 2 * NEIGHBOURS)]
    )
    table = pa.table({"text": texts})
    if path.suffix:
        pq.write_table(table, path, compression="zstd")
        return
    path.mkdir()
    (path / "state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    with pa.ipc.new_stream(str(path / "data.arrow"), table.schema) as writer:
        writer.write_table(table)


def take(path: Path, format: str) -> dict[str, Any]:
    """Take the file in, in this process; what became of it and what it cost."""
    from whence.data import Plan, finished, ingest
    from whence.records import Source, WhenceError
    from whence.store import Store, verify

    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    told: list[int] = []
    with tempfile.TemporaryDirectory() as tmp:
        store = Store.open(Path(tmp) / ".whence", create=True, actor="bench@example.org")
        source = Source(name="bomb", kind="scraped", location=path.name, licence="MIT")
        plan = Plan(source=source, path=path, format=format, map={}, rights="none")
        before, cpu = peak_kib(), time.process_time()
        facts: dict[str, Any] = {}
        try:
            run, _ = ingest(
                store, plan, lambda _, subjects, *__: [None] * len(subjects), lambda done, _: told.append(done)
            )
            report = finished(store, run)
            facts = dict(report.facts) if report else {}
        except WhenceError as error:
            facts = {"refused": str(error).splitlines()[0]}
        facts["cpu_s"] = time.process_time() - cpu
        facts["damaged"] = len(verify(store))
        store.close()
    peak = peak_kib()
    return {**facts, "told": len(told), "peak_mib": peak >> 10, "more_mib": (peak - before) >> 10}


def one(format: str, packer: str, size: int, fill: str) -> dict[str, Any]:
    """Write one file and take it in, each in a process of its own: a child's peak begins at its parent's."""
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp) / ("saved" if format == "datasets" else f"bomb.{format}{packer}")
        held = alone("bench.bombs", "--write", str(path), format, packer, str(size), fill)
        return {"file_bytes": held, **alone("bench.bombs", "--take", str(path), format)}


def make(path: Path, format: str, packer: str, size: int, fill: str) -> int:
    """Write one file; returns its bytes."""
    if format in FRAMES:
        write(path, format, packer, size, FILLS[fill])
    else:
        write_columns(path, size)
    return sum(p.stat().st_size for p in (path.iterdir() if path.is_dir() else [path]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=10, help="what a bomb inflates to")
    parser.add_argument("--line-mb", type=int, default=200)
    parser.add_argument("--write", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--take", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        path, format, packer, size, fill = args.write
        print(make(Path(path), format, packer, int(size), fill))
    elif args.take:
        print(json.dumps(take(Path(args.take[0]), args.take[1])))
    else:
        table(args.line_mb * 1_000_000, int(args.gib * 2**30))


def table(line: int, bomb: int) -> None:
    """Print what became of a long line and of a bomb in each format."""
    cases = [(f, p, line, "x") for f in FRAMES for p in PACKED]
    cases += [("parquet", "", line, "x"), ("datasets", "", line, "x")]
    cases += [(f, p, bomb, "x") for f in FRAMES for p in (".gz", ".zst")]
    cases += [("jsonl", ".zst", bomb, "brackets"), ("csv", ".zst", bomb, "spaces"), ("json", ".zst", bomb, "brackets")]
    print(f"# one record that does not end, between {NEIGHBOURS} rows and {NEIGHBOURS} rows ({describe()})")
    print(
        f"{'file':<14} {'of':<8} {'MB':>7} {'inflates to':>12} {'rows':>5} {'quarantine':<12} "
        f"{'peak MiB':>8} {'CPU s':>7}"
    )
    for format, packer, size, fill in cases:
        said = one(format, packer, size, fill)
        held = ", ".join(f"{code} {n}" for code, n in said.get("quarantined", {}).items()) or said.get("refused", "")
        cells = f"{said['file_bytes'] / 1e6:>7.1f} {size / 1e6:>9,.0f} MB {said.get('rows', 0):>5} {held:<12}"
        print(f"{format + packer:<14} {fill:<8} {cells} {said['peak_mib']:>8,} {said['cpu_s']:>7.1f}", flush=True)


if __name__ == "__main__":
    main()
