"""Erasing: CPU seconds of ``case act erase`` by rows erased and rows in the store, words in the journal among them.

    python -m bench.erasing [--rows 10000 100000] [--erased 10 1000] [--words 1000]

Rows of about 150 bytes are written straight into a store, one person behind the rows that go, others behind the rest;
beside them a journal of words, of which every hundredth holds a text of those rows. One process a line; the store is
verified afterwards, and no text of the rows is left in the file of rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.machine import alone, describe, peak_kib

BATCH = 50_000


def fill(store: Any, rows: int, gone: int, words: int) -> str:
    """The rows and the words; the pseudonym of who goes."""
    from whence.records import Source, encode, keyed, row_id
    from whence.store.rows import batch

    store.put(Source(name="rows", kind="synthetic", location="rows.jsonl", licence="MIT", consent_basis="consent"))
    leaving = store.keys.pseudonym("leaving")
    others = [store.keys.pseudonym(f"person-{n}") for n in range(rows // 100 + 1)]
    every = rows // gone

    def one(n: int) -> tuple[Any, ...]:
        who = leaving if n % every == 0 and n // every < gone else others[n // 100]
        key = store.keys.get(f"subject:{who}")
        content = {"shape": "text", "text": text(n)}
        body = encode(content)
        digest = keyed(key, body)
        return (row_id(key, "rows", str(n), digest), "rows", str(n), "text", body.decode(), digest, who,
                None, "MIT", None, None, None)  # fmt: skip

    with store.writer("bench"):
        for first in range(0, rows, BATCH):
            held = [one(n) for n in range(first, min(first + BATCH, rows))]
            store.add_rows(batch(list(zip(*held, strict=True))), "rows")
        store.settle()
        journal = store.journal("feedback")
        kept = (f"about this: {text(n // 100 % gone * every)}" if n % 100 == 0 else f"a word, number {n}" * 3
                for n in range(words))  # fmt: skip
        entries = [journal.append({"text": said}) for said in kept]
        journal.sync()
        store.note_words("feedback", entries)
    return leaving


def text(n: int) -> str:
    """A row's text."""
    return f"the question with the number {n} of somebody who asks about their card, which did not come by post yet"


def measure(folder: Path, rows: int, gone: int, words: int) -> dict[str, float]:
    """Fill, open a case, erase, verify."""
    import whence

    with whence.open(folder, create=True, project=False, actor="bench@example.org") as w:
        leaving = fill(w.store, rows, gone, words)
        w.rights.case.open("erasure", subject=leaving)
        began, wall = time.process_time(), time.monotonic()
        done = w.rights.case.act("erasure-1", "erase")
        took, waited = time.process_time() - began, time.monotonic() - wall
        assert done.facts["rows"] == gone, done.facts
        assert done.facts["words"] == -(-words // 100), done.facts
        assert w.verify() == []
    assert not list(left(folder / ".whence" / "rows.lance", text(0).encode()))
    return {"cpu": took, "wall": waited, "peak_mib": peak_kib() / (1 << 10)}


def left(folder: Path, said: bytes) -> Iterator[Path]:
    """Files that hold these bytes."""
    return (path for path in folder.rglob("*") if path.is_file() and said in path.read_bytes())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--erased", type=int, nargs="+", default=[10, 1000])
    parser.add_argument("--words", type=int, default=10_000)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(Path(args.one[0]), *map(int, args.one[1:]))))
        return
    print(f"# erasing, {args.words:,} words in the journal ({describe()})")
    print("| rows in the store | erased | CPU s | rows erased / CPU s | µs a row of the store | s | peak MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for rows in args.rows:
        for gone in args.erased:
            with tempfile.TemporaryDirectory() as tmp:
                one = alone("bench.erasing", "--one", tmp, str(rows), str(gone), str(args.words))
            print(
                f"| {rows:,} | {gone:,} | {one['cpu']:.2f} | {gone / one['cpu']:,.0f} | "
                f"{one['cpu'] / rows * 1e6:.1f} | {one['wall']:.1f} | {one['peak_mib']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
