"""Rows, a snapshot of them, a recipe of a few seconds, and a worker that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pyarrow as pa

from whence.records import Json, Recipe, Ref, Snapshot, content_digest, encode, row_id
from whence.store import Store, batch, row_set
from whence.train.run import environment


def talk(question: str, answer: str) -> Json:
    return {
        "shape": "chat",
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
    }


def talks(count: int) -> list[Json]:
    """Questions of differing length with one of three answers."""
    answers = ("card arrival", "lost card", "exchange rate")
    return [talk(f"please tell me about my card number {i}" + " again" * (i % 5), answers[i % 3]) for i in range(count)]


def add(store: Store, source: str, contents: Sequence[Json], parents: Sequence[list[int]] | None = None) -> list[int]:
    """Write rows of one source, made from those of these ordinals; their own ordinals."""
    key = store.keys.get(f"source:{source}")
    rows = []
    for number, content in enumerate(contents):
        content_key = content_digest(key, content)
        name = row_id(key, source, f"r{number}", content_key)
        text = encode(content).decode()
        above = parents[number] if parents else None
        rows.append(
            (name, source, f"r{number}", content["shape"], text, content_key, None, None, None, None, above, None)
        )
    with store.writer("test"):
        first = store.add_rows(batch(list(zip(*rows, strict=True))), source)
    return list(range(first, first + len(contents)))


def freeze(
    store: Store, ordinals: Sequence[int], name: str = "desk", weights: Mapping[int, float] | None = None
) -> Ref:
    """A snapshot of these rows; ordinal → its weight where that is not 1."""
    rows = row_set(ordinals)
    lowered = {"ordinal": pa.array(weights or (), pa.uint64()), "weight": list((weights or {}).values())}
    snapshot = Snapshot(
        name=name,
        rows=len(rows),
        root=store.root_of(rows),
        set=store.put_set(rows),
        steps=(),
        lowered=store.put_table(pa.table(lowered)) if weights else None,
    )
    return store.put(snapshot)


def recipe(**changes: Json) -> Recipe:
    """12 steps of about 4 rows."""
    settled = {
        "method": "sft",
        "rank": 4,
        "alpha": 8,
        "dropout": 0.1,
        "target_modules": "all-linear",
        "learning_rate": 4e-3,
        "lr_schedule": "linear",
        "warmup_steps": 2,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "seed": 7,
        "max_length": 64,
        "batch_rows": 4,
        "micro_batch_rows": 3,
        "checkpoint_every": 2,
        "threads": 1,
        "dtype": "float32",
        "epochs": 2,
    }
    return Recipe(**settled | changes)


def start(store: Store, run: str) -> subprocess.Popen[str]:
    """The worker as `train` starts it, for a test to kill."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "whence.train.worker", run],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(store, recipe()),
        text=True,
    )


def steps(worker: subprocess.Popen[str]) -> list[int]:
    """Read the worker's lines to their end; the steps that it told."""
    said = [json.loads(line) for line in worker.stdout]
    return [line["done"] for line in said if line.get("stage") == "training"]
