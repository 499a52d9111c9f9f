"""Ingests in processes that are killed. It forks before anything has a thread, so that a kill costs no new imports.

``python breaker.py kill FOLDER ROUNDS`` · ``python breaker.py both FOLDER`` · ``python breaker.py hold FOLDER``
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import whence.data.rows
from whence.data import Plan, ingest
from whence.govern import admitter, rights_digest
from whence.records import Conflict, Source
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
    opened = Store.open(folder / store, folder / "whence.key", create=True, actor="breaker")
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


def kill(folder: Path, rounds: int) -> dict[str, int]:
    """Begin ingest after ingest and kill each at a random point; what is unfinished is finished by those after it. In
    another store they are done undisturbed."""
    names = [f"source-{n}" for n in range(rounds)]
    for name in names:
        write(folder, name)
    chance, told = random.Random(), {"kills": 0, "ended before the kill": 0, "failed": 0}

    def ingests(store: str, some: list[str]) -> int:
        return forked(lambda: [work(folder, store, name) for name in some])

    started = time.monotonic()
    told["failed"] += wait(ingests("calm", names[:1])) != 0
    took = time.monotonic() - started
    told["failed"] += wait(ingests("calm", names)) != 0
    for number in range(rounds):
        pid = ingests("killed", names[: number + 1])
        time.sleep(chance.uniform(0, 1.5 * took))
        os.kill(pid, signal.SIGKILL)
        told["kills" if wait(pid) == -signal.SIGKILL else "ended before the kill"] += 1
    told["failed"] += wait(ingests("killed", names)) != 0
    return told


def both(folder: Path) -> dict[str, int]:
    """Two processes begin one store, at once, each with a file of its own."""
    for name in ("one", "two"):
        write(folder, name)
    pids = [forked(lambda name=name: work(folder, "shared", name)) for name in ("one", "two")]
    return {"failed": sum(wait(pid) != 0 for pid in pids)}


def hold(folder: Path) -> dict[str, object]:
    """A child holds the writer's lock and is killed; what a second writer is told before and after."""
    Store.open(folder / "held", folder / "whence.key", create=True)
    ready, tell = os.pipe()

    def holder() -> None:
        with Store.open(folder / "held", folder / "whence.key").writer("a long ingest"):
            os.write(tell, b"x")
            signal.pause()

    pid = forked(holder)
    os.read(ready, 1)
    store = Store.open(folder / "held", folder / "whence.key")
    try:
        with store.writer("second", wait_s=0):
            said = "nothing"
    except Conflict as error:
        said = str(error)
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    with store.writer("third", wait_s=0):
        return {"said": said, "holder": pid, "after": "written"}


if __name__ == "__main__":
    where = Path(sys.argv[2])
    print(json.dumps(kill(where, int(sys.argv[3])) if sys.argv[1] == "kill" else globals()[sys.argv[1]](where)))
