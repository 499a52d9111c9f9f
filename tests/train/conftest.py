"""The tiny base as a record, and runs over a store of 24 rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lessons import add, freeze, recipe, talks

from whence.models import fingerprint
from whence.records import Base, Ref
from whence.store import Store
from whence.train import prepare


@pytest.fixture(scope="session")
def base(tiny_base: Path) -> Base:
    return Base(name="tiny", location=str(tiny_base), fingerprint=fingerprint(tiny_base))


@pytest.fixture
def prepared(store: Store, base: Base) -> Callable[..., Ref]:
    """``prepared(attempt=1, seed=8)``: a run over 24 chat rows."""
    snapshot = freeze(store, add(store, "desk", talks(24)))
    base_ref = store.put(base)
    return lambda attempt=0, **changes: prepare(store, base_ref, snapshot, recipe(**changes), attempt=attempt)
