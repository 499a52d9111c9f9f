"""Ingests killed with SIGKILL at random points, two at once, and a lock whose holder dies: real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from whence.data import finished
from whence.records import Run, Source
from whence.store import Store, verify

pytestmark = pytest.mark.fault
ROUNDS = 15
KEPT = 297
"""of 300 lines two are bad, and one is made from a bad one"""


def breaker(*args: str | Path) -> dict[str, Any]:
    script = Path(__file__).with_name("breaker.py")
    done = subprocess.run([sys.executable, script, *args], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def rows(store: Store) -> dict[tuple[str, str], tuple[Any, ...]]:
    """(source, record) → everything about the row but its ordinal; parents by their ids."""
    table = [row for chunk in store.scan([*FIELDS, "parents"]) for row in chunk.to_pylist()]
    ids = {row["ord"]: row["id"] for row in table}
    return {
        (row["source"], row["record"]): (*(row[f] for f in FIELDS), [ids[p] for p in row["parents"]]) for row in table
    }


FIELDS = ("id", "source", "record", "shape", "content", "content_digest", "subject", "licence")


def quarantined(store: Store) -> dict[str, list[tuple[int, str]]]:
    """Source → its quarantined (line, reason)."""
    found = {}
    for ref, run in store.all(Run):
        report = finished(store, ref)
        assert report
        table = store.get_table(report.removed).to_pylist()
        found[store.get(run.used[0], Source).name] = [(row["line"], row["reason"]) for row in table]
    return found


def test_killed_ingests_end_as_if_nothing_had_happened(tmp_path: Path) -> None:
    told = breaker("kill", tmp_path, str(ROUNDS))
    assert told["failed"] == 0
    calm, killed = (Store.open(tmp_path / name, tmp_path / "whence.key") for name in ("calm", "killed"))
    assert rows(killed) == rows(calm)
    assert len(rows(calm)) == calm.committed() == killed.committed() == ROUNDS * KEPT
    assert quarantined(killed) == quarantined(calm)
    assert verify(calm) == verify(killed) == []
    went_on = sum(0 < finished(killed, ref).facts["new"] < KEPT for ref, _ in killed.all(Run))
    kills, ended = told["kills"], told["ended before the kill"]
    print(f"kill -9 in ingest: {kills} killed, {ended} ended before, {went_on} went on from rows that were there")
    print(f"{killed.committed():,} rows: none lost, none twice")


def test_two_processes_begin_one_store_at_once(tmp_path: Path) -> None:
    assert breaker("both", tmp_path) == {"failed": 0}
    store = Store.open(tmp_path / "shared", tmp_path / "whence.key")
    found = rows(store)
    for name in ("one", "two"):
        assert sum(source == name for source, _ in found) == KEPT
    assert store.committed() == len(found) == 2 * KEPT
    assert verify(store) == []


def test_the_lock_of_a_killed_writer_is_free_and_of_a_living_one_is_not(tmp_path: Path) -> None:
    told = breaker("hold", tmp_path)
    assert str(told["holder"]) in told["said"]
    assert "a long ingest" in told["said"]
    assert told["after"] == "written"
