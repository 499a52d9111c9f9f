"""The writer's lock: left by a dead process or another host, filled with rubbish, held by a stopped process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from whence.records import Conflict
from whence.store import Store

pytestmark = pytest.mark.fault

HOLDER = """
import sys, signal
from pathlib import Path
from whence.store import Store
with Store.open(Path(sys.argv[1])).writer("a long ingest"):
    print("held", flush=True)
    signal.pause()
"""
STALE = {
    "a dead process": json.dumps({"pid": 2**22 + 1, "host": "here", "purpose": "ingest"}).encode(),
    "another host": json.dumps({"pid": 1, "host": "elsewhere", "purpose": "ingest"}).encode(),
    "another kind": b"[1, 2]",
    "rubbish": b"\xff\xfe{not json",
    "nothing": b"",
}


@pytest.fixture
def holder(store: Store) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(store.root)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.wait()


@pytest.mark.parametrize("left", STALE)
def test_a_lock_that_was_left_behind_holds_nobody_up(store: Store, left: str) -> None:
    (store.root / "lock").write_bytes(STALE[left])
    with store.writer("after it", wait_s=0):
        store.append("a", "x")
    assert json.loads((store.root / "lock").read_bytes())["pid"] == os.getpid()


def test_rubbish_in_a_lock_that_is_held_names_no_holder(store: Store, holder: subprocess.Popen[str]) -> None:
    (store.root / "lock").write_bytes(b"[1, 2]")
    with pytest.raises(Conflict, match="is being written by another process"), store.writer("second", wait_s=0):
        pass


def test_a_holder_that_was_stopped_is_waited_for_and_named(store: Store, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGSTOP)
    told: list[str] = []
    with (
        pytest.raises(Conflict, match=rf"process {holder.pid} on .* \(a long ingest\)\n  do: wait"),
        store.writer("second", wait_s=0.3, say=told.append),
    ):
        pass
    assert told
    assert str(holder.pid) in told[0]
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with store.writer("third", wait_s=5):
        store.append("a", "x")
