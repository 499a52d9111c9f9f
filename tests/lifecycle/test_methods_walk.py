"""A walk with a method whose adapter does not answer: it trains, says what came of it, and ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import whence

pytestmark = pytest.mark.tiny

TOML = """\
[project]
name = "ranker"
owner = "owner@example.org"

[[sources]]
name = "pairs"
path = "pairs.jsonl"
kind = "human_annotation"
licence = "CC-BY-4.0"
consent_basis = "not-personal"

[base]
path = {base}

[recipe]
method = "reward"
epochs = 1
batch_rows = 4
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_base: Path) -> Path:
    rows = [{"prompt": f"where is card {n}", "chosen": "lost card", "rejected": "exchange rate"} for n in range(12)]
    rows.append({"prompt": "is it there", "completion": "yes"})
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "whence.toml").write_text(TOML.format(base=json.dumps(str(tiny_base))))
    return tmp_path


def test_a_reward_model_is_trained_and_the_walk_ends(folder: Path) -> None:
    with whence.open(folder, create=True) as w:
        first = w.run()
        again = w.run("release")
    assert [stage.name for stage in first.stages] == ["ingest", "curate", "train"]
    assert first.outcome is None
    fed, _, told, limits = first.stages[-1].lines
    assert fed.startswith("12 of 13 rows fed (not fed: shape 1), 3 steps")
    assert "of the pairs it was trained on" in limits
    assert told.startswith("its trainer says of the last steps: ")
    assert limits.endswith("a model that scores is not served, so the walk ends here")
    assert [stage.fresh for stage in again.stages] == [False, False, False]
    assert again.adapter == first.adapter
