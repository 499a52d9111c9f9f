"""Many revocations in one file: CPU seconds to check and record them, and to answer afterwards.

    python -m bench.revocations [--counts 10000 100000]

Each line withdraws the right of one person behind a row of a store of twice as many rows, with a reason. One process a
size; the store is verified afterwards, its chain included.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from bench.machine import alone, describe, peak_kib


def record(folder: Path, count: int) -> dict[str, float]:
    """Record them, ask, verify."""
    import whence
    from whence.data import Plan, ingest
    from whence.records import Source

    rows, file = folder / "rows.jsonl", folder / "gone.jsonl"
    with rows.open("w") as out:
        for n in range(2 * count):
            out.write(json.dumps({"id": str(n), "text": f"a question, number {n}", "who": f"person-{n}"}) + "\n")
    with file.open("w") as out:
        for n in range(count):
            line = {"what": "withdraw", "subject": f"person-{2 * n}", "reason": "a letter"}
            out.write(json.dumps(line) + "\n")
    took = {}
    with whence.open(folder, create=True, project=False, actor="bench@example.org") as w:
        source = Source(name="rows", kind="human_annotation", location="rows.jsonl", licence="MIT")
        plan = Plan(source=source, path=rows, format="jsonl", map={"id": "id", "subject": "who"}, rights="none")
        ingest(w.store, plan, lambda _, subjects, *__: [None] * len(subjects))
        for name, act in (
            ("record", lambda: w.rights.record(file)),
            ("ask", lambda: w.ask.blast_radius(history=True)),
            ("verify", w.verify),
        ):
            began = time.process_time()
            found = act()
            took[name] = time.process_time() - began
            if name == "ask":
                assert found.rows == count, found.rows
    return took | {"peak_gib": peak_kib() / (1 << 20)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(record(Path(args.one[0]), int(args.one[1]))))
        return
    print(f"# revocations in one file ({describe()})")
    print("| revocations | recorded, CPU s | µs each | asked for everything, s | verified, s | peak GiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in args.counts:
        with tempfile.TemporaryDirectory() as tmp:
            one = alone("bench.revocations", "--one", tmp, str(count))
            print(
                f"| {count:,} | {one['record']:.1f} | {one['record'] / count * 1e6:.0f} | {one['ask']:.2f} | "
                f"{one['verify']:.1f} | {one['peak_gib']:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
