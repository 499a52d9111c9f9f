"""A check of somebody else's that cannot be loaded is named, and with it the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from whence.project import load_checks
from whence.records import Unmet


def test_a_check_that_cannot_be_loaded_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "their_checks-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: their-checks\nVersion: 1\n")
    (told / "entry_points.txt").write_text('[whence.checks]\n"their.check" = their_gone_module:check\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Unmet, match=r"their\.check.*cannot be loaded") as refused:
        load_checks()
    assert "their-checks" in str(refused.value)
