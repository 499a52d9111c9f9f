"""What a curation step is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import pyarrow as pa

from whence.records import Snapshot, Step
from whence.store import RowSet, Store, row_set

Decisions = dict[int, tuple[str, int | None]]
"""Ordinal → (reason code, ordinal of the row that it is because of)."""


@dataclass(slots=True)
class Removal:
    """What a step decides: rows that it does not keep, and rows that are to be fed less often."""

    rows: Decisions = field(default_factory=dict)
    lowered: Decisions = field(default_factory=dict)
    weights: dict[int, float] = field(default_factory=dict)
    """of each row that is lowered"""
    alike: dict[int, float] = field(default_factory=dict)
    """of rows of either kind, the Jaccard index with the one that it is because of"""

    def drop(self, ordinal: int, reason: str, because: int | None = None) -> None:
        """This row goes."""
        self.rows[ordinal] = (reason, because)

    def lower(self, ordinal: int, reason: str, because: int, weight: float) -> None:
        """This row stays and is fed in this share of the epochs, on average."""
        self.lowered[ordinal], self.weights[ordinal] = (reason, because), weight

    def but(self, stays: RowSet) -> Removal:
        """The same, with nothing done to these rows."""
        kept = lambda of: {ordinal: one for ordinal, one in of.items() if ordinal not in stays}  # noqa: E731
        return Removal(kept(self.rows), kept(self.lowered), kept(self.weights), kept(self.alike))


def table(decisions: Decisions, **more: Mapping[int, float]) -> pa.Table:
    """Columns ordinal (uint64), reason (string), because (uint64 or null), and numbers by ordinal, if any."""
    ordinals = sorted(decisions)
    columns = {
        "ordinal": pa.array(ordinals, pa.uint64()),
        "reason": pa.array([decisions[o][0] for o in ordinals], pa.string()),
        "because": pa.array([decisions[o][1] for o in ordinals], pa.uint64()),
    }
    for name, numbers in more.items():
        if numbers:
            columns[name] = pa.array([numbers.get(o) for o in ordinals], pa.float64())
    return pa.table(columns)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that earlier steps left, read as a step needs them."""

    store: Store
    left: RowSet
    groups: Mapping[str, Iterable[tuple[str, str]]]
    """what suites hold: ``group``, ``subject`` or ``text`` → (value, suite name)"""
    told: Callable[[int], None] = lambda _: None

    def columns(self, *names: str) -> Iterator[tuple[object, ...]]:
        """(ordinal, *values) of each row, in the order of the row file."""
        done = 0
        for chunk in self.store.scan(["ord", *names], self.left):
            yield from zip(*(chunk[name].to_pylist() for name in ("ord", *names)), strict=True)
            done += chunk.num_rows
            self.told(done)


def given(store: Store, snapshot: Snapshot) -> Iterator[tuple[Step, RowSet]]:
    """Each step of a snapshot and the rows that it was given, the last step first."""
    rows = store.snapshot_rows(snapshot)
    for ref in reversed(snapshot.steps):
        step = store.get(ref, Step)
        rows = rows | row_set(store.get_table(step.removed)["ordinal"].to_pylist())
        yield step, rows


class CurationStep(Protocol):
    """What `curate` asks of a step."""

    version: ClassVar[int]

    def remove(self, rows: Rows) -> Removal:
        """The rows that go."""


def answer_of(content: dict[str, object]) -> str | None:
    """The text that the model is to learn to say: the completion, or the last assistant turn."""
    turns = content.get("messages", content.get("completion"))
    if isinstance(turns, list):
        said = [t.get("content") for t in turns if t.get("role") == "assistant"]
        return said[-1] if said else None
    return turns if isinstance(turns, str) else None


def question_of(content: dict[str, object]) -> str:
    """The text that the model is asked: the prompt, or the last user turn."""
    turns = content.get("messages", content.get("prompt"))
    if isinstance(turns, list):
        turns = next((t.get("content") for t in reversed(turns) if t.get("role") == "user"), None)
    return turns if isinstance(turns, str) else ""
