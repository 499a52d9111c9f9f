"""A process that ingests lines into a store: ``python writer.py STORE KEYS NAME LINES``. Ends with 3 where whence
says why it cannot, after saying so."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import whence.data.rows
from whence.data import Plan, ingest
from whence.govern import admitter, rights_digest
from whence.records import Source, WhenceError
from whence.store import Store

whence.data.rows.BATCH_ROWS = 50


def work(root: Path, keys: Path, name: str, lines: int) -> None:
    store = Store.open(root, keys, actor=f"{name}@example.org")
    source = Source(name=name, kind="synthetic", location=name, licence="CC0-1.0", consent_basis="consent")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.jsonl"
        rows = ({"id": f"{n}", "text": f"{name} says {n}", "who": f"p{n % 9}"} for n in range(lines))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        facts = {"id": "id", "subject": "who"}
        plan = Plan(source=source, path=path, format="jsonl", map=facts, rights=rights_digest(store))
        ingest(store, plan, admitter(store))


if __name__ == "__main__":
    try:
        work(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    except WhenceError as error:
        print(error)
        sys.exit(3)
