"""The fault set of ``bench.faults`` in small: the same code, fewer trials."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import FIXTURES, ROOT, unpack

sys.path.insert(0, str(ROOT))

Rows = dict[str, list[int]]


@pytest.fixture
def broken() -> Callable[..., list[Rows]]:
    """``broken("kills", "--total", 9, …)`` runs a part of the fault set, which must find nothing lost; for each of its
    tables: name of a row → the numbers in it."""

    def run(*words: object) -> list[Rows]:
        command = [sys.executable, "-m", "bench.faults", *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
        print(done.stdout)
        assert done.returncode == 0, done.stdout + done.stderr
        tables: list[Rows] = []
        for line in done.stdout.splitlines():
            if line.startswith("# "):
                tables.append({})
            elif line.startswith("| ") and not line.startswith("| ---"):
                name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
                numbers = [int(n) for cell in cells for n in re.findall(r"\d+", cell)]
                tables[-1] |= {name: numbers} if numbers else {}
        return tables

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose store an earlier version wrote, with something of everything in it."""
    return unpack(FIXTURES[-1], tmp_path / "project")
