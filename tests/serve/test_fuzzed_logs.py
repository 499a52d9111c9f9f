"""A few hundred mutated lines of each kind of log: none breaks the import, none is lost without a reason, and the whole
lines between them are all taken in."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.mutate import mutated, value

from serve.logs import exported, generation, pair, score, span
from serve.shelf import paper_adapter, paper_base, shelve
from whence.lifecycle.traces import import_traces
from whence.records import Feedback, Trace
from whence.store import Store, verify

LINES = 400


def whole(number: int) -> dict[str, Any]:
    made = pair(number)
    made["response"]["id"] = f"whole-{number}"
    return made


MAKERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "openai": lambda n: pair(n, feedback={"rating": "up", "comment": "good"}),
    "langfuse": lambda n: {
        "id": f"tr{n}", "timestamp": "2026-09-21T10:00:00Z", "userId": "anna", "observations": [generation(n)],
        "scores": [score(n, comment="good")], "tags": [],
    },
    "otel": lambda n: exported(span(n), span(n + 10_000)),
}  # fmt: skip


def places(held: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value below its top."""
    for key, inner in held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


def changed(rng: random.Random, record: Any) -> Any:
    """The record with another value in one or two of its places."""
    for _ in range(rng.randint(1, 2)):
        *above, key = rng.choice(list(places(record)))
        inside = record
        for step in above:
            inside = inside[step]
        inside[key] = value(rng)
    return record


@pytest.mark.parametrize("kind", MAKERS)
def test_mutated_logs(store: Store, tmp_path: Path, kind: str) -> None:
    shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    rng, lines = random.Random(11), []
    for number in range(LINES):
        record = MAKERS[kind](number)
        if number % 2:
            lines.append(mutated(rng, json.dumps(record).encode()))
        else:
            lines.append(json.dumps(changed(rng, record)).encode())
        if number % 20 == 0:
            lines.append(json.dumps(whole(number)).encode())
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    said = import_traces(store, [path], "desk@1", scale=(0, 1))
    kept = {trace.id for _, trace in store.all(Trace)}
    assert {f"whole-{number}" for number in range(0, LINES, 20)} <= kept
    assert said.traces == len(kept) > LINES // 5
    assert said.feedback == store.count(Feedback)
    assert sum(said.left.values()) > LINES // 8
    assert len(said.left) > 5
    records = sum(not line.isspace() for line in path.read_bytes().split(b"\n") if line)
    assert abs(said.records - records) <= 3, "a mutation may hold a carriage return alone"
    assert said.traces + said.known + sum(said.left.values()) >= said.records
    assert verify(store) == []
    again = import_traces(store, [path], "desk@1", scale=(0, 1))
    assert (again.traces, again.feedback, store.count(Trace)) == (0, 0, len(kept))
    assert again.left == said.left
