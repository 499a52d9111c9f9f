"""Every trainer of TRL: the rows that the record has are the rows that were given and fed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.hooks.conftest import fed_rows, jsonl

from whence.lineage import blast_radius
from whence.records import Adapter, Base, Closure, ForeignRecipe, Json
from whence.store import Store

pytestmark = pytest.mark.tiny


def given(kind: str) -> list[Json]:
    """Rows for this kind of trainer."""
    from tests.hooks import trainings

    if kind in ("dpo", "orpo", "reward"):
        return trainings.pairs(6)
    if kind in ("grpo", "rloo"):
        return trainings.prompts(6)
    return trainings.rated(6) if kind == "kto" else trainings.chats(6)


def content(row: Json) -> Json:
    """A given row without its facts."""
    return {k: v for k, v in row.items() if k not in ("id", "customer")}


def same(stored: Json, row: Json) -> bool:
    """Whether a stored row's content is that of a given one."""
    return {k: v for k, v in stored.items() if k != "shape"} == content(row)


@pytest.mark.parametrize("kind", ["sft", "dpo", "kto", "reward", "grpo", "rloo"])
def test_rows_recorded_are_the_rows_given(kind: str, trained: Callable, adopted: Callable, store: Store) -> None:
    rows = given(kind)
    came, report = adopted(trained(kind, rows))
    found = {row.record: row for row in fed_rows(store, report)}
    assert found.keys() == {row["id"] for row in rows}
    for row in rows:
        assert same(found[row["id"]].content, row), (found[row["id"]].content, row)
        assert "customer" not in row or found[row["id"]].subject == store.keys.pseudonym(row["customer"])
    assert report.facts["rows_fed_known"] == "exact"
    assert report.facts["rows_decoded"] == 0
    adapter = store.get(came.adapter, Adapter)
    closure = store.get(adapter.closure, Closure)
    assert store.get(closure.base, Base).fingerprint is not None
    assert adapter.base == store.get(closure.base, Base).fingerprint
    assert store.get(closure.recipe, ForeignRecipe).lora["r"] == 4
    blast = blast_radius(store, store.index().sets["source"].get("desk-fed"))
    assert {ref: one.rows for ref, one in blast.adapters.items()} == {came.adapter: len(rows)}


@pytest.mark.parametrize("kind", ["sft", "dpo", "kto", "orpo", "reward", "grpo", "rloo"])
def test_rows_are_found_in_the_file_that_they_came_from(
    kind: str, trained: Callable, adopted: Callable, store: Store, tmp_path: Path
) -> None:
    rows = given(kind)
    file = jsonl(tmp_path / "train.jsonl", rows)
    told: dict[str, Any] = {"data": file, "licence": "CC-BY-4.0", "consent_basis": "contract"}
    _, report = adopted(trained(kind, rows[:4], told=told))
    assert report.facts["files"] == {"train.jsonl": {"rows": 6, "whole": 4, "cut": 0}}
    assert {(row.source, row.record) for row in fed_rows(store, report)} == {("train", f"t{i}") for i in range(4)}
