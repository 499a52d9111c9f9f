"""Facts of public data sets that our own ingest, steps and normalising must reproduce (docs/real-data.md)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from whence.data import CurationPlan, curate
from whence.data.steps import Disjoint, ExactDuplicate, NormalisedDuplicate
from whence.records import RunReport, Snapshot, Step
from whence.store import Store, row_set, to_array
from whence.text import normalise

pytestmark = pytest.mark.real_data
Take = Callable[..., RunReport]


def reasons(store: Store, report: RunReport, step: tuple[str, object], groups: dict | None = None) -> tuple[int, Step]:
    """(rows left, the step's record) after one step over one ingest."""
    plan = CurationPlan(
        name=step[0], ingests=[report.run], steps=[step], withdrawn=row_set([]), groups=groups or {}, inputs={}
    )
    made = store.get(curate(store, plan)[0], Snapshot)
    return made.rows, store.get(made.steps[-1], Step)


def test_banking77(store: Store, take: Take, real_data: Path) -> None:
    """0 raw-exact test items in train, 25 after normalising; inside train 31 extra rows after normalising and one text
    with two labels."""
    files = {name: (real_data / "banking77" / f"{name}.jsonl").read_bytes() for name in ("train", "test")}
    # only the question is the content here; its label stays out, as a slice, so that equal questions meet
    train, test = (take(data, name, id="id", prompt="text", slices=["intent"]) for name, data in files.items())
    assert [r.facts["rows"] for r in (train, test)] == [10003, 3080]
    assert train.facts["quarantined"] == test.facts["quarantined"] == {}
    said: dict[str, dict[str, list[str]]] = {"train": defaultdict(list), "test": defaultdict(list)}
    raw: dict[str, set[str]] = {"train": set(), "test": set()}
    for chunk in store.scan(["source", "content", "slices"]):
        for row in chunk.to_pylist():
            text = json.loads(row["content"])["prompt"]
            raw[row["source"]].add(text)
            said[row["source"]][normalise(text)].append(json.loads(row["slices"])["intent"])
    assert len(raw["train"] & raw["test"]) == 0
    assert sum(len(said["test"][t]) for t in said["test"] if t in said["train"]) == 25
    left, step = reasons(store, train, ("normalised_duplicate", NormalisedDuplicate()))
    assert (step.seen, left, dict(step.reasons)) == (10003, 10003 - 31, {"normalised_duplicate": 31})
    assert sum(len(set(labels)) > 1 for labels in said["train"].values()) == 1
    assert reasons(store, train, ("exact_duplicate", ExactDuplicate()))[0] == len(raw["train"])


def test_multidogo_leaks_between_its_levels(store: Store, take: Take, real_data: Path) -> None:
    """338 of 482 turn-level test conversations are in sentence-level train; inside one level no conversation is."""
    lines = (real_data / "multidogo" / "finance_turn_level.jsonl").read_bytes().splitlines()
    held = {json.loads(line)["conversation"] for line in lines if json.loads(line)["split"] == "test"}
    assert len(held) == 482
    groups = {"group": [(conversation, "turn_level_test") for conversation in held]}
    sentences = (real_data / "multidogo" / "finance_sentence_level.jsonl").read_bytes().splitlines(keepends=True)
    same_level = [line for line in lines if json.loads(line)["split"] == "train"]
    for name, rows, expected in (
        ("sentences", b"".join(line for line in sentences if b'"split": "train"' in line), 338),
        ("turns", b"\n".join(same_level), 0),
    ):
        report = take(rows, name, group="conversation")
        _, step = reasons(store, report, ("disjoint", Disjoint(by="group")), groups)
        gone = row_set(store.get_table(step.removed)["ordinal"].to_numpy())
        conversations = {store_row for chunk in store.scan(["group"], gone) for store_row in chunk["group"].to_pylist()}
        assert len(conversations) == expected
        assert len(to_array(gone)) == sum(step.reasons.values())
