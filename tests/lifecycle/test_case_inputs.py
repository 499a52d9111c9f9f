"""Cases over what is odd: a key file that is gone, the only subject of a snapshot, trainings that never ended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle.matters import SECRET, Desk
from store.finder import places
from whence.records import Adapter, Damaged, Run, Trace, Unmet
from whence.serve.traces import TraceLog

pytestmark = pytest.mark.tiny


def test_without_its_key_file_nothing_is_guessed(desk: Desk) -> None:
    with desk.open() as w:
        w.rights.case.open("erasure", subject="p3")
    keys = desk.store.keys.path
    keys.rename(keys.with_suffix(".away"))
    with desk.open() as w:
        before = len(w.store.events())
        with pytest.raises(Damaged, match="put the file back from its copy"):
            w.rights.case.act("erasure-1", "erase")
        with pytest.raises(Damaged, match="put the file back from its copy"):
            w.rights.case.open("erasure", subject="p4")
        assert len(w.store.events()) == before
        assert not keys.exists()
    assert places(desk.store.root, SECRET) != []
    keys.with_suffix(".away").rename(keys)
    with desk.open() as w:
        w.rights.case.act("erasure-1", "erase")
        assert w.verify() == []
    assert places(desk.store.root, SECRET) == []


def test_everybody_of_a_snapshot_is_erased(desk: Desk, says: Callable[..., Any]) -> None:
    """Nothing is left to train on: the adapter can be retired only, and no checkpoint of it stays."""
    with desk.open() as w:
        w.rights.case.open("erasure", source="chats")
        assert [one.actions for one in w.rights.case.show("erasure-1").tasks[:2]] == [
            ("erase", "waive"),
            ("retire", "note", "waive"),
        ]
        w.rights.case.act("erasure-1", "erase")
        assert not list((desk.store.root / "runs").glob("*/checkpoint-*"))
        with pytest.raises(Unmet, match="names 0 things that rebuild fits"):
            w.rights.case.act("erasure-1", "rebuild", "desk@1")
        w.rights.case.act("erasure-1", "retire", "desk@1")
        w.rights.case.act("erasure-1", "ended", "desk@1")
        w.rights.case.close("erasure-1", desk.folder)
        assert w.verify() == []
    assert places(desk.store.root, SECRET) == []
    assert "its content was erased" in says("ask", "why", "chats:r3")
    assert "retired (erasure-1)" in says("ask", "why", desk.adapter)
    for history in ((), ("--history",)):
        said = says("ask", "blast-radius", "--source", "chats", *history)
        assert said.startswith("0 live deployments, 1 adapter (1 retired), 30 rows; nothing is left to take down")
    listed = says("model", "list", "--json")
    assert [(one["name"], one["retired"]) for one in listed] == [("desk", True)]
    assert says("model", "list").rstrip().endswith("retired")
    assert says("verify").startswith("the record verifies: 30 rows")


FILE = """\
[project]
name = "desk"
owner = "ada@example.org"

[[sources]]
name = "rows"
path = "rows.jsonl"
kind = "licensed"
licence = "MIT"
consent_basis = "consent"
map = { id = "id", subject = "who" }

[base]
path = "org/model"
"""


def test_a_project_whose_only_person_is_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: Callable[..., Any]
) -> None:
    """Reading again brings nothing back, curating says that no row is left, and asking goes on."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whence.toml").write_text(FILE)
    lines = [{"id": str(n), "text": f"{SECRET} {n}", "who": "ada"} for n in range(9)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    says("run", "--to", "curate")
    says("rights", "case", "open", "erasure", "--subject", "ada")
    assert "all done" in says("rights", "case", "act", "erasure-1", "erase")
    assert places(tmp_path / ".whence", SECRET) == []
    for _ in range(2):
        said = says("run", "--to", "curate")
        assert "no row is left" in said
    assert "its content was erased" in says("ask", "why", "rows:3")
    assert says("ask", "blast-radius").startswith("9 rows, and no adapter in the record was trained on them")
    assert says("verify").startswith("the record verifies: 9 rows")
    says("rights", "case", "close", "erasure-1")
    assert places(tmp_path / ".whence", SECRET) == []


def test_a_training_that_never_ended_is_swept_too(desk: Desk) -> None:
    """Its checkpoints and the adapter that it was about to record had seen the rows, and no case names them."""
    from train.lessons import freeze, recipe
    from whence.train import prepare
    from whence.train.job import freeze as plan
    from whence.train.job import job

    store, made = desk.store, desk.store.get(desk.adapter, Adapter)
    base = store.get(made.run, Run).used[0]
    run = prepare(store, base, freeze(store, range(20), "half"), recipe(batch_rows=3, checkpoint_every=1))
    plan(store, job(store, run), ["chats"] * 20, np.ones(20), 20, desk.folder)
    folder = job(store, run).folder
    shutil.copytree(store.root / made.location, folder / "adapter")
    for step in (0, 19):
        (folder / f"checkpoint-{step}").mkdir()
    with desk.open() as w:
        w.rights.case.open("erasure", subject="p3")
        w.rights.case.act("erasure-1", "erase")
        assert w.verify() == []
    assert [path.name for path in folder.iterdir()] == ["checkpoint-0"]


def test_a_trace_that_a_gateway_has_not_recorded_yet(desk: Desk) -> None:
    """It is recorded by the erasure, its words go, and the gateway brings nothing back."""
    store = desk.store
    log = TraceLog(store)
    trace = Trace(id="t9", deployment=desk.served, release=desk.release, at=store.clock(), duration_s=None,
                  prompt_tokens=None, completion_tokens=None, finish=None, consent="none",
                  subject=store.keys.pseudonym("p3"), content="")  # fmt: skip
    log.keep(trace, {"request": {"messages": [{"role": "user", "content": "my lilac kite"}]}})
    other = replace(trace, id="t10", subject=None)
    log.keep(other, {"request": {"messages": [{"role": "user", "content": "of somebody else"}]}})
    with desk.open() as w:
        w.rights.case.open("erasure", subject="p3")
        w.rights.case.act("erasure-1", "erase")
        assert places(store.root, "my lilac kite") == []
        log.flush()
        assert w.verify() == []
        w.rights.case.open("erasure", subject="p4")
        w.rights.case.act("erasure-2", "erase")
        assert w.verify() == []
    assert sorted(one.id for _, one in store.all(Trace)) == ["t10", "t9"]
    assert len(places(store.root, "of somebody else")) == 1


def test_what_another_case_took_away_counts_once_nothing_is_left(desk: Desk) -> None:
    """An end of life deletes the weights and leaves checkpoints: for a takedown of their rows something is to do."""
    with desk.open() as w:
        w.rights.case.open("end-of-life", base="tiny")
        w.rights.case.act("end-of-life-1", "retire", "desk@1")
        w.rights.case.open("takedown", subject="p3")
        assert [one.what for one in w.rights.case.show("takedown-1").open] == ["adapter", "deployment"]
        w.rights.case.act("takedown-1", "retire", "desk@1")
        w.rights.case.open("takedown", subject="p3")
        assert [one.what for one in w.rights.case.show("takedown-2").open] == ["deployment"]


def test_an_approximate_method_is_noted_and_settles_nothing(desk: Desk, says: Callable[..., Any]) -> None:
    says("rights", "case", "open", "takedown", "--row", "chats:r5")
    act = ("rights", "case", "act", "takedown-1")
    assert "nothing is said of the method" in says(*act, "note", "desk@1", code=1)
    said = says(*act, "note", "desk@1", "--reason", "gradient ascent, 3 steps; membership AUC .71 to .52")
    assert "proof: approximate" in said
    assert "2 of 2 to do" in said
    shown = says("rights", "case", "show", "takedown-1", code=2)
    assert "approximate, never exact: event" in shown
    assert "gradient ascent" not in shown
    with desk.open() as w:
        with pytest.raises(Unmet, match="2 of 2 are open"):
            w.rights.case.close("takedown-1")
        w.rights.case.act("takedown-1", "retire", "desk@1")
        w.rights.case.act("takedown-1", "ended", "desk@1")
        paths = w.rights.case.close("takedown-1", desk.folder)
        assert w.verify() == []
    one = json.loads(paths[0].read_text())["dossier"]["affected"][0]
    assert (one["done"], one["proof"]) == ("retire", "exact")
    assert one["approximate"][0]["method"].startswith("gradient ascent")
    assert "approximate, never exact: gradient ascent" in paths[1].read_text()
    assert places(desk.store.root, "gradient ascent")[0].startswith("journal/")
    assert len(places(desk.store.root, "gradient ascent")) == 1
