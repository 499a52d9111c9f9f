"""A store with something of everything, made once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from full import fill

from whence.store import Store


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("full") / "copy"


@pytest.fixture
def full(
    request: pytest.FixtureRequest, made_once: Path, store: Store, take: Callable[..., Any], tmp_path: Path
) -> Store:
    if not made_once.exists() or request.config.getoption("--postgres"):
        fill(store, take)
        if made_once.exists():
            return store
        shutil.copytree(tmp_path, made_once)
        return store
    store._engine.dispose()
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return Store.open(tmp_path / ".whence", clock=store.clock, actor=store.actor)
