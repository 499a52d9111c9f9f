"""A small project: tickets of six people, twice the same question, one line that is none; no model in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

TOML = """\
[project]
name = "desk"
owner = "owner@example.org"

[[sources]]
name = "tickets"
path = "tickets.jsonl"
kind = "production_log"
licence = "CC-BY-4.0"
consent_basis = "consent"
map = { id = "id", subject = "customer", prompt = "text", completion = "intent" }

[[curate]]
step = "exact_duplicate"

[base]
path = "./base"
"""


def fill(folder: Path, rows: int = 12) -> Path:
    """Write the project into `folder`."""
    (folder / "base").mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"id": f"t-{i}", "customer": f"c-{i % 6}", "text": f"question {i}", "intent": "card"})
        for i in range(rows)
    ]
    lines += [lines[0].replace("t-0", "t-again"), '{"id": "t-cut", "text": "cut']
    (folder / "tickets.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "whence.toml").write_text(TOML)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return fill(tmp_path / "desk")


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    return lambda name, rows=12: fill(tmp_path / name, rows)
