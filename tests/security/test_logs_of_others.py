"""Logs that another tool, or somebody else, made: archives that inflate, and keys that would go along."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from fixtures.other_logs import HEADER, archive, packed, sample
from whence.evaluate import Endpoint, harness, inspect_log, run_harness
from whence.evaluate.elsewhere import read_log
from whence.records import Unmet


def test_a_log_that_inflates_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"header.json": packed(json.dumps(HEADER).encode())}
    one, many = packed(b" " * (8 << 20)), packed(json.dumps(sample(0)).encode())
    path = archive(tmp_path / "bomb.eval", header | {"samples/a.json": one * 64})
    assert path.stat().st_size < 64 << 10
    tracemalloc.start()
    with pytest.raises(Unmet, match=r"samples/a.json: is larger than 64 MiB"):
        read_log(path)
    assert tracemalloc.get_traced_memory()[1] < 160 << 20, "512 MiB would be held"
    tracemalloc.stop()
    monkeypatch.setattr(inspect_log, "MAX_TOTAL", 10_000)
    path = archive(tmp_path / "bomb.eval", header | {f"samples/{i}.json": many for i in range(100)})
    with pytest.raises(Unmet, match="inflates to more than"):
        read_log(path)


def test_a_key_of_the_surroundings_does_not_go_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inspect").write_text(
        '#!/bin/sh\necho "$WHENCE_API_KEY $OPENAI_API_KEY $HF_HUB_OFFLINE" > said\nexit 1\n'
    )
    (tmp_path / "inspect").chmod(0o755)
    (tmp_path / "lm_eval").write_bytes((tmp_path / "inspect").read_bytes())
    (tmp_path / "lm_eval").chmod(0o755)
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.chdir(tmp_path)
    for name in ("WHENCE_API_KEY", "OPENAI_API_KEY", "DESK_KEY"):
        monkeypatch.setenv(name, f"secret of {name}")
    said = {}
    for tool in ("inspect", "lm-eval"):
        for key in (None, "DESK_KEY"):
            with pytest.raises(harness.BackendFailed):
                run_harness(
                    tool, "t", Endpoint(url="http://127.0.0.1:9", model="m", key=key), tmp_path / f"{tool}{key}"
                )
            said[tool, key] = (tmp_path / "said").read_text().split("\n")[0]
    assert said["inspect", None] == "none none 1"
    assert said["lm-eval", None] == "none none 1"
    assert said["inspect", "DESK_KEY"] == "secret of DESK_KEY none 1"
    assert said["lm-eval", "DESK_KEY"] == "none secret of DESK_KEY 1"
    with pytest.raises(Unmet, match="unencrypted"):
        run_harness("inspect", "t", Endpoint(url="http://example.org", model="m", key="DESK_KEY"), tmp_path / "no")
