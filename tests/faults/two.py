"""Two processes that begin one store at once: ``python two.py FOLDER``. It forks before anything has a thread."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import whence.data.rows
from whence.data import Plan, ingest
from whence.govern import admitter, rights_digest
from whence.records import Source
from whence.store import Store

ROWS, BATCH = 300, 75
whence.data.rows.BATCH_ROWS = BATCH


def write(folder: Path, name: str) -> None:
    """A file of rows about people: repeated texts, two bad lines, rows made from others, one of them from a bad one."""
    chance = random.Random(name)
    lines = []
    for n in range(ROWS):
        row = {"id": f"{n}", "text": f"{chance.choice('abc')} {n % 120}", "who": f"p{chance.randrange(9)}"}
        lines.append(json.dumps({**row, "of": [str(n - 1)]} if n % 50 == 1 else row))
    lines[70] = '{"id": "cut'
    lines[200] = "[]"
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def work(folder: Path, store: str, name: str) -> None:
    """One whole ingest."""
    opened = Store.open(folder / store, folder / "whence.key", create=True, actor="two")
    source = Source(name=name, kind="synthetic", location=name, licence="CC0-1.0", consent_basis="consent")
    facts = {"id": "id", "subject": "who", "parents": "of"}
    plan = Plan(source=source, path=folder / f"{name}.jsonl", format="jsonl", map=facts, rights=rights_digest(opened))
    ingest(opened, plan, admitter(opened))


def forked(do: Callable[[], object]) -> int:
    """Do it in a child; returns its pid."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            do()
            code = 0
        finally:
            os._exit(code)
    return pid


def wait(pid: int) -> int:
    """The child's exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def both(folder: Path) -> int:
    """Each ingests a file of its own. How many failed."""
    for name in ("one", "two"):
        write(folder, name)
    pids = [forked(lambda name=name: work(folder, "shared", name)) for name in ("one", "two")]
    return sum(wait(pid) != 0 for pid in pids)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    sys.exit(both(where))
