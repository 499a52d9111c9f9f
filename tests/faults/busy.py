"""Writes rows, rights and feedback into a project's store until it is killed: ``python busy.py PROJECT``."""

from __future__ import annotations

import sys
from pathlib import Path

from whence import data, feedback, govern
from whence.records import Source
from whence.store import Store


def turn(store: Store, folder: Path, number: int) -> None:
    """A source of some rows, a withdrawal, a comment."""
    name = f"more-{number}"
    path = folder / f"{name}.jsonl"
    path.write_bytes(b"\n".join((folder / "tickets.jsonl").read_bytes().splitlines()[:11]))
    source = Source(name=name, kind="synthetic", location=path.name, licence="CC0-1.0", consent_basis="consent")
    mapping = {"id": "id", "prompt": "text", "completion": "intent"}
    plan = data.Plan(source=source, path=path, format="jsonl", map=mapping, rights="none")
    data.ingest(store, plan, govern.admitter(store))
    govern.change(store, f"source:{name}", "withdraw", reason="a letter")
    feedback.send(store, "chatcmpl-0-True", surface="api", actor="user", intent="comment", text=f"no. {number}")


if __name__ == "__main__":
    where = Path(sys.argv[1])
    opened = Store.open(where / ".whence", actor="ada@example.org")
    for number in range(100_000):
        turn(opened, where, number)
        print(number, flush=True)
