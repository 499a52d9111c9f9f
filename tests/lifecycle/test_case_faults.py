"""``rights case`` killed at one moment after the other, on a disk that is full from some moment on, twice at once: what
is half done is not called done, the store verifies, and the same command ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest

import whence
from lifecycle.matters import SECRET, Desk, spread
from lifecycle.trials import Trials
from store.finder import places
from whence.store import Store, verify

pytestmark = [pytest.mark.tiny, pytest.mark.fault]


def chosen(passed: list[str]) -> list[int]:
    """Once each event is in the chain, and at a few other moments; with WHENCE_EVERY_MOMENT=1 at every one."""
    if os.environ.get("WHENCE_EVERY_MOMENT"):
        return list(range(len(passed)))
    events = [n for n, what in enumerate(passed) if what.startswith("after")]
    removed = [n for n, what in enumerate(passed) if what.startswith(("os.remove", "os.rmdir"))]
    rest = [n for n in range(events[0], events[-1]) if n not in removed]
    return sorted({*events, removed[len(removed) // 2], *rest[:: max(1, len(rest) // 4)]})


def opened(desk: Desk) -> Desk:
    spread(desk)
    with desk.open() as w:
        w.rights.case.open("erasure", subject="p3")
    return desk


def tried(desk: Desk, *action: str) -> Trials:
    desk.store.close()
    return Trials(desk.folder, *action)


def test_a_killed_erasure_is_not_called_done_and_is_ended(desk: Desk) -> None:
    trials = tried(opened(desk), "erase")
    passed = trials.moments()
    assert {"before erasure.begun", "after erasure.done", "after case.acted"} <= set(passed)
    for moment in chosen(passed):
        trials.fresh()
        code, _ = trials.run(moment)
        assert code == -signal.SIGKILL
        task, left = trials.looked_at("content")
        assert (task.done is not None) == trials.acted(), passed[moment]
        if task.done or task.why.endswith("; 5 erased"):
            assert left == [], (passed[moment], task.why)
        trials.run()
        task, left = trials.looked_at("content")
        assert (task.action, task.proof, left) == ("erase", "exact", []), passed[moment]
        with contextlib.closing(Store.open(trials.place / ".whence")) as store:
            facts = store.events("case.acted")[0].data
            assert (facts["rows"], facts["blobs"], facts["words"]) == (5, 1, facts["words"])
            assert facts["words"] >= 4, passed[moment]
            assert len(store.events("erasure.begun")) == len(store.events("erasure.done"))


def test_a_killed_retirement_is_not_called_done_and_is_ended(desk: Desk) -> None:
    trials = tried(opened(desk), "retire", "desk@1")
    passed = trials.moments()
    for moment in chosen(passed):
        trials.fresh()
        trials.run(moment)
        task, _ = trials.looked_at("adapter")
        assert (task.done is not None) == trials.acted(), passed[moment]
        trials.run()
        task, _ = trials.looked_at("adapter")
        assert (task.action, task.proof) == ("retire", "exact"), passed[moment]
        assert not list((trials.place / ".whence" / "runs").glob("*/adapter"))


def test_a_killed_rebuild_is_not_called_done_and_is_ended(desk: Desk) -> None:
    trials = tried(opened(desk), "rebuild", "desk@1")
    passed = trials.moments()
    training = [n for n, what in enumerate(passed) if what.startswith("progress without the rows")]
    retired = passed.index("after adapter.retired")
    for moment in (training[len(training) // 2], retired + 2):
        trials.fresh()
        code, _ = trials.run(moment)
        task, _ = trials.looked_at("adapter")
        if code == 0:  # it had fewer signs of progress this time
            continue
        assert (task.done is not None) == trials.acted(), passed[moment]
        trials.run()
        task, _ = trials.looked_at("adapter")
        assert (task.action, task.proof) == ("rebuild", "exact"), passed[moment]
        with contextlib.closing(Store.open(trials.place / ".whence")) as store:
            made = store.events("case.acted", last=True)[0].data
            assert made["outcome"] == "made"
            assert (store.root / store.get(made["adapter"]).location / "adapter_model.safetensors").exists()


def test_a_disk_that_fills_up_during_an_erasure(desk: Desk) -> None:
    """In each of its parts: rows, keys, words, blobs, the catalogue. It says so, and ends once there is space."""
    trials = tried(opened(desk), "erase")
    for part in ("before erasure.begun", "after erasure.begun", "progress erase rows 0", "open whence.key",
                 "open .whence/journal/payload", "progress erase blobs 0", "before erasure.done",
                 "before case.acted"):  # fmt: skip
        trials.fresh()
        trials.full(part)
        task, _ = trials.looked_at("content")
        assert task.done is None, part
        code, said = trials.run()
        assert code == 0, (part, said)
        task, left = trials.looked_at("content")
        assert (task.action, task.proof, left) == ("erase", "exact", []), part


def test_a_disk_that_fills_up_while_an_adapter_is_deleted(desk: Desk) -> None:
    trials = tried(opened(desk), "retire", "desk@1")
    for part in ("before adapter.retired", "before case.acted"):
        trials.fresh()
        trials.full(part)
        assert trials.looked_at("adapter")[0].done is None, part
        assert trials.run()[0] == 0
        assert trials.looked_at("adapter")[0].action == "retire"


def test_a_disk_that_fills_up_while_a_dossier_is_written(desk: Desk) -> None:
    with opened(desk).open() as w:
        w.rights.case.act("erasure-1", "erase")
        w.rights.case.act("erasure-1", "retire", "desk@1")
        w.rights.case.act("erasure-1", "ended", "desk@1")
    trials = tried(desk)
    trials.action = ("close", "erasure-1", "--to", "dossiers")
    dossier = trials.place / "dossiers" / "erasure-1.json"
    for part in ("open whence.key", "open dossiers/erasure-1.json", "open dossiers/erasure-1.html",
                 "before case.closed"):  # fmt: skip
        trials.fresh()
        trials.full(part)
        with whence.open(trials.place, project=False) as w:
            assert w.rights.case.show("erasure-1").closed is None
            assert w.verify() == []
        code, said = trials.run()
        assert code == 0, (part, said)
        with whence.open(trials.place, project=False) as w:
            assert w.rights.case.check(dossier) is None
            assert w.rights.case.show("erasure-1").closed is not None
            assert w.verify() == []


def test_two_processes_act_on_one_case_at_once(desk: Desk) -> None:
    trials = tried(opened(desk), "erase")
    trials.fresh()
    trials.twice()
    task, left = trials.looked_at("content")
    assert (task.action, task.proof, left) == ("erase", "exact", [])
    trials.action = ("act", "erasure-1", "retire", "desk@1")
    trials.twice()
    task, _ = trials.looked_at("adapter")
    assert (task.action, task.proof) == ("retire", "exact")


def test_two_processes_rebuild_at_once(desk: Desk) -> None:
    trials = tried(opened(desk), "rebuild", "desk@1")
    trials.fresh()
    trials.twice()
    task, _ = trials.looked_at("adapter")
    assert (task.action, task.proof) == ("rebuild", "exact")
    with contextlib.closing(Store.open(trials.place / ".whence")) as store:
        acted = store.events("case.acted")
        assert len({event.data["adapter"] for event in acted}) == 1
        assert len(store.events("adapter.retired")) == 1


def test_what_killed_processes_left_is_swept(desk: Desk) -> None:
    """A line that nobody noted, a torn one, half a blob, rows without their event: the finder finds each before."""
    opened(desk)
    done = subprocess.run([sys.executable, "-c", LEFT, str(desk.store.root), SECRET], check=False)
    assert done.returncode == -signal.SIGKILL
    root = desk.store.root
    assert verify(desk.store) == []
    found = places(root, f"{SECRET} left") + places(root, f"{SECRET} torn")
    assert {place.split("/")[0].partition(":")[0] for place in found} == {"journal", "blobs", "rows.lance"}
    assert len([place for place in found if place.startswith("journal")]) == 2
    with desk.open() as w:
        w.rights.case.act("erasure-1", "erase")
        assert w.verify() == []
    assert places(root, SECRET) == []


LEFT = """
import os, signal, sys
from pathlib import Path
from whence.store import Store
from whence.store.rows import batch

store, text = Store.open(Path(sys.argv[1])), f"{sys.argv[2]} left"
store.journal("feedback").append({"text": text})
torn = store.journal("payload")
torn.append({"text": "whole"})
os.write(torn._fd, ('{"salt":"' + f"{sys.argv[2]} torn").encode())
row = (b"1" * 32, "chats", "x", "text", '{"shape":"text","text":"' + text + '"}', b"2" * 32)
store.rows.append(batch([[value] for value in (*row, None, None, None, None, None, None)]), store.committed())
store.blobs._fs.mv = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store.blobs.put(text.encode())
"""
