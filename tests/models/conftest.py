"""Two adapters on the tiny base."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.makers import make_adapter


@pytest.fixture(scope="session")
def adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {"one@1": make_adapter(tiny_base, folder / "one", 1), "two@1": make_adapter(tiny_base, folder / "two", 2)}
