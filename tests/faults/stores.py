"""Projects whose stores earlier versions wrote, and the command line in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIXTURES = sorted((ROOT / "tests" / "fixtures").glob("store-*.tar.gz"))


def unpack(packed: Path, folder: Path) -> Path:
    """A fixture as a project in `folder`."""
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def whence(folder: Path, *words: str, **env: str) -> tuple[int, str]:
    """One command line in a process of its own: (exit code, what it said)."""
    command = [sys.executable, "-m", "whence", "-C", str(folder), *words]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr
