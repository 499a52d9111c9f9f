"""Two processes that begin one store at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from whence.store import Store, verify

pytestmark = pytest.mark.fault
KEPT = 297
"""of 300 lines two are bad, and one is made from a bad one"""


def test_two_processes_begin_one_store_at_once(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, Path(__file__).with_name("two.py"), tmp_path], check=False, timeout=300)
    assert done.returncode == 0
    store = Store.open(tmp_path / "shared", tmp_path / "whence.key")
    rows = [row for batch in store.scan(["source", "record"]) for row in batch.to_pylist()]
    assert len({(row["source"], row["record"]) for row in rows}) == len(rows) == store.committed() == 2 * KEPT
    for name in ("one", "two"):
        assert sum(row["source"] == name for row in rows) == KEPT
    assert verify(store) == []
