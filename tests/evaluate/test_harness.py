"""Other tools as processes of their own: the real ones where they are installed, and what is said where not."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from questions import answering

import whence
from fixtures.make_logs import LABELS, write_tasks
from serve.shelf import paper_adapter, paper_base, shelve
from whence.evaluate import Endpoint, harness, run_harness
from whence.evaluate.harness import TOOLS
from whence.models import ScriptedModel
from whence.records import BackendFailed, Evaluation, Run, Unmet
from whence.serve import Gateway, Settings

AT = Endpoint(url="http://127.0.0.1:9", model="desk")
NEEDS = {"lm-eval": ("lm_eval", "tenacity"), "inspect": ("inspect_ai",)}


def there(tool: str) -> bool:
    """Whether it is installed with all that it needs here, or lies on the path."""
    module, commands, _ = TOOLS[tool]
    return all(map(find_spec, NEEDS[tool])) or (not find_spec(module) and any(map(shutil.which, commands)))


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[whence.Session, str]]:
    """A project's session, and the address of a real gateway that serves its release desk@1."""
    monkeypatch.chdir(tmp_path)
    write_tasks(tmp_path)
    with contextlib.closing(whence.open(tmp_path, create=True, project=False)) as session:
        shelve(session.store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "desk")})
        model = ScriptedModel(answering(lambda i: i < 6))
        with Gateway(session.store, ["desk"], Settings(port=0), model_factory=lambda *_: model) as url:
            yield session, url


@pytest.mark.parametrize("tool", TOOLS)
def test_a_real_tool_against_a_real_gateway(
    tool: str, gateway: tuple[whence.Session, str], capfd: pytest.CaptureFixture[str]
) -> None:
    if not there(tool):
        pytest.skip(f"{tool} is not installed: {TOOLS[tool][2]}")
    session, url = gateway
    task, more = ("desk", ("--include_path", ".")) if tool == "lm-eval" else ("desk.py", ("--temperature", "0"))
    [told] = session.eval.harness(tool, task, *more, at=url, model="desk", adapter="desk@1")
    assert (told.tool, told.model, told.right, told.n, told.fresh) == (tool, "desk@1", 6, 8, True)
    made = session.store.get(told.evaluation, Evaluation)
    assert made.adapter is not None
    assert {line["output"] for line in session.store.get_lines(made.scores)} == set(LABELS)
    run = session.store.get(made.run, Run)
    assert (run.inputs["tool"], run.inputs["task"]) == (tool, "desk")
    said = capfd.readouterr()
    assert said.out == ""
    assert "desk" in said.err
    assert session.verify() == []


def test_a_tool_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    for tool, (_, _, install) in TOOLS.items():
        with pytest.raises(Unmet, match=f"{tool} is not installed") as said:
            run_harness(tool, "desk", AT, tmp_path / "logs")
        assert install in str(said.value)
    with pytest.raises(Unmet, match="no tool that can be run"):
        run_harness("helm", "desk", AT, tmp_path / "logs")
    with pytest.raises(Unmet, match="cannot be asked"):
        run_harness("inspect", "desk", Endpoint(url="ftp://x", model="m"), tmp_path / "logs")


def test_a_tool_that_fails_or_leaves_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "bin", "echo half a word; exit 3")
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(BackendFailed, match="inspect ended with 3"):
        run_harness("inspect", "desk", AT, tmp_path / "one")
    stand_in(tmp_path / "bin", "exit 0")
    with pytest.raises(BackendFailed, match="left no log"):
        run_harness("inspect", "desk", AT, tmp_path / "two")


def stand_in(folder: Path, script: str) -> None:
    """A command called inspect."""
    folder.mkdir(exist_ok=True)
    (folder / "inspect").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "inspect").chmod(0o755)
