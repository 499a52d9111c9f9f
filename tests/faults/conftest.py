"""The fault set of ``bench.faults`` in small: the same code, fewer trials."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("store-*.tar.gz"))
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
                tables[-1][name] = [int(n) for cell in cells for n in re.findall(r"\d+", cell)]
        return tables

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose store an earlier version wrote, with something of everything in it."""
    folder = tmp_path / "project"
    with tarfile.open(FIXTURES[-1]) as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.fixture
def whence() -> Callable[..., tuple[int, str]]:
    """``whence(folder, "ask", …)`` in a process of its own: (exit code, what it said)."""

    def run(folder: Path, *words: str, **env: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "whence", "-C", str(folder), *words]
        done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    return run


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
