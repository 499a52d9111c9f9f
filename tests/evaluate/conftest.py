"""A store that holds a base, an adapter and the plain prompt."""

from __future__ import annotations

import pytest
from pyroaring import BitMap64
from questions import Desk

from whence.records import Adapter, Base, Closure, Fingerprint, Prompt, Recipe, Run, Snapshot, merkle_root
from whence.store import Store

PRINT = Fingerprint(weights="b3:00", shapes="sha256:00", tokenizer="sha256:00", template="sha256:00")


@pytest.fixture
def desk(store: Store) -> Desk:
    base = store.put(Base(name="tiny", location="bases/tiny", fingerprint=PRINT))
    run = store.put(Run(activity="train", used=(base,)))
    rows = store.put_set(BitMap64())
    snapshot = store.put(Snapshot(name="desk", rows=0, root=merkle_root([]), set=rows, steps=()))
    numbers = {"rank": 8, "alpha": 16, "dropout": 0.0, "learning_rate": 1e-3, "warmup_steps": 0, "weight_decay": 0.0}
    sizes = {"max_length": 64, "batch_rows": 8, "micro_batch_rows": 8, "checkpoint_every": 10, "threads": 1}
    names = {"method": "sft", "target_modules": "all-linear", "lr_schedule": "linear", "dtype": "float32"}
    recipe = store.put(Recipe(**numbers, **sizes, **names, max_grad_norm=1.0, seed=0, epochs=1))
    closure = Closure(
        base=base, snapshot=snapshot, recipe=recipe, code_commit=None, code_clean=None, environment="sha256:00"
    )
    adapter = Adapter(
        name="desk",
        closure=store.put(closure),
        run=run,
        weights="b3:01",
        config="sha256:01",
        base=PRINT,
        location="adapters/desk",
        bytes=1,
    )
    return Desk(store, base, store.put(adapter), store.put(Prompt(template="bare", text="")))
