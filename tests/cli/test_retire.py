"""From a row made after a failed item to a suite without that item, at the door that people use."""

from __future__ import annotations

import json
import random
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
kind = "human_annotation"
licence = "CC-BY-4.0"
consent_basis = "not-personal"
map = { id = "id", prompt = "ask", completion = "say", inspired_by = "after" }

[[suites]]
name = "gate"
role = "gate"
path = "gate.jsonl"
scorer = "label"

[[suites]]
name = "dev"
role = "dev"
path = "dev.jsonl"
scorer = "label"

[base]
path = "org/model"
"""


def line(number: int) -> dict[str, Any]:
    letters = random.Random(number)
    words = ("".join(letters.choices("abdegiklmnoprstu", k=6)) for _ in range(14))
    return {"id": f"i{number}", "input": " ".join(words), "expected": ("card", "fee")[number % 2]}


def lines(path: Path, of: Any) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in of))


def test_a_suite_is_written_anew_and_the_next_version_has_no_item_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines(tmp_path / "gate.jsonl", map(line, range(30)))
    lines(tmp_path / "dev.jsonl", map(line, range(900, 905)))
    rows = [{"id": f"r{n}", "ask": line(100 + n)["input"], "say": "card", "after": []} for n in range(50)]
    rows += [{"id": f"s{n}", "ask": f"other words {n}", "say": "fee", "after": [f"gate:i{n}"]} for n in (3, 4, 5)]
    lines(tmp_path / "rows.jsonl", rows)
    lines(tmp_path / "pool.jsonl", map(line, [101, 201, 202]))
    (tmp_path / "whence.toml").write_text(FILE)
    says("data", "curate")
    text = says("eval", "items")
    assert "derived-from" in text
    assert "retiring the 3 that somebody has seen takes a share" in text
    words = ("eval", "retire", "--fresh", "pool.jsonl", "--write", "new.jsonl")
    assert "--fresh" in says(*words[:2], code=3)
    told = says(*words, "--json")
    assert told["left"] == {"i3": "i201", "i4": "i202", "i5": None}
    assert (told["known"], told["models"], told["lost"]) == (["i101"], 0, None)
    assert len((tmp_path / "new.jsonl").read_text().splitlines()) == 29
    assert "is there already" in says(*words, code=1)
    (tmp_path / "whence.toml").write_text(FILE.replace("gate.jsonl", "new.jsonl"))
    says("data", "curate")
    states = says("eval", "items", "--json")["states"]
    assert [item for item, state in states.items() if state == "retired"] == ["i3", "i4", "i5"]
    text = says(*words[:-1], "newer.jsonl")
    assert "nothing was written: no item has to leave" in text
    lines(tmp_path / "outcomes.jsonl", [{"release": "desk@1", "value": 1}])
    assert "no outcome is known" in says("eval", "validity", code=4)
    assert "no alias or release is called 'desk@1'" in says("eval", "validity", "outcomes.jsonl", code=1)
