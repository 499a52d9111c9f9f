"""From a leak to a snapshot without it, and back, at the door that people use."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FILE = """\
[project]
name = "desk"
owner = "ada@example.org"

[[sources]]
name = "rows"
path = "rows.jsonl"
kind = "licensed"
licence = "CC-BY-4.0"
consent_basis = "not-personal"
map = { id = "id" }

[[suites]]
name = "gate"
role = "gate"
path = "gate.jsonl"
scorer = "exact"

[[suites]]
name = "dev"
role = "dev"
path = "dev.jsonl"
scorer = "exact"

[base]
path = "org/model"
"""
WORDS = [a + b + c for a in ("lo", "mi", "ka", "tu") for b in ("ren", "dal", "vis", "mok") for c in "abcdefgh"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHENCE_ACTOR", "ann@example.org")
    draw = random.Random(1)
    items = [" ".join(draw.choices(WORDS, k=14)) for _ in range(30)]
    texts = [*(" ".join(draw.choices(WORDS, k=14)) for _ in range(100)), items[3].upper(), items[8]]
    rows = ({"id": f"r{n}", "text": text} for n, text in enumerate(texts))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = ({"id": f"i{n}", "input": text, "expected": "yes"} for n, text in enumerate(items))
    (tmp_path / "gate.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "dev.jsonl").write_text('{"id": "d0", "input": "none of these", "expected": "yes"}\n')
    (tmp_path / "whence.toml").write_text(FILE)
    return tmp_path


def leaking(says: Callable[..., Any]) -> list[str]:
    """What is said of leaks; none of these rows names a person, so of people nothing is known (exit code 4)."""
    found = says("data", "leaks", "--json", code=4)
    assert {one["verdict"] for one in found if one["check"] == "data.kin"} == {"abstain"}
    return [one["message"] for one in found if one["verdict"] == "fail"]


def test_a_leak_is_told_dropped_and_brought_back(desk: Path, says: Callable[..., Any]) -> None:
    said = " ".join(says("run", "--to", "curate").split())
    assert "of 30 items 2 stand in rows whole" in said
    assert "do: whence data drop --leaks" in said
    assert "rows:r100 item i3, normalised" in said
    assert "rows:r101 item i8, exact" in said
    found = says("data", "leaks", "--json", code=2)[0]
    checked = says("check", "data.leaks", "--json", code=2)[0]
    assert (found["check"], found["verdict"], found["severity"], found["statistic"]) == (
        "data.leaks",
        "fail",
        "high",
        2,
    )
    assert checked == found
    says("data", "drop", "--leaks", "--reason", "gate items, pasted in")
    assert not leaking(says)
    gone = says("data", "removed", "--step", "dropped", "--json")
    assert {(one["row"], one["reason"]) for one in gone} == {("rows:r100", "by_a_person"), ("rows:r101", "by_a_person")}
    assert "no row is to go" in says("data", "drop", "--leaks", code=1)
    says("data", "undo", "dropped", "rows:r101")
    found = says("data", "leaks", "--json", code=2)[0]
    assert found["statistic"] == 1
    says("data", "drop", "rows:r101")
    assert not leaking(says)
    assert "nothing in the record is called 'rows:none'" in says("data", "drop", "rows:none", code=1)
    says("verify")


def test_accesses_are_listed_and_a_document_is_looked_in(desk: Path, says: Callable[..., Any]) -> None:
    says("run", "--to", "curate")
    assert "nobody is on record" in says("eval", "access")
    one = {
        "suite": "gate",
        "by": "bob@example.org",
        "at": "2026-01-02T10:00:00Z",
        "purpose": "inspect",
        "items": ["i3"],
    }
    (desk / "looked.jsonl").write_text(json.dumps(one))
    assert "bob@example.org" in says("eval", "access", "looked.jsonl")
    [kept] = says("eval", "access", "--json")
    assert "inspected" in says("eval", "items")
    assert "inspected" in says("eval", "items", kept["suite"], "--json")["states"].values()
    assert says("eval", "tried", "--json") == []
    assert "known: " in says("eval", "tried", "none", "--json", code=1)["message"]
    assert (kept["by"], kept["items"], kept["purpose"]) == ("bob@example.org", ["i3"], "inspect")
    (desk / "book.txt").write_text(
        "\n".join(["Chapter one", json.loads((desk / "gate.jsonl").read_text().split("\n")[5])["input"]])
    )
    found = says("data", "leaks", "--document", "book.txt", "--json", code=2)[0]
    assert "1 stand in prompts or documents word for word" in found["message"]
    assert "cannot be read" in says("data", "leaks", "--document", "none.txt", code=1)


@pytest.mark.fault
def test_a_full_disk_is_said_and_the_next_time_it_is_looked_for_again(desk: Path, says: Callable[..., Any]) -> None:
    says("run", "--to", "curate")
    (desk / "book.txt").write_text("nothing that an item asks")  # not looked in before

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    words = [sys.executable, "-m", "whence", "data", "leaks", "--document", "book.txt"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=full)
    assert (done.returncode, "cannot be written" in done.stderr, "do: " in done.stderr) == (1, True, True), done.stderr
    says("verify")
    assert says("data", "leaks", "--document", "book.txt", "--json", code=2)[0]["verdict"] == "fail"
