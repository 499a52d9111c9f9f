"""``rights case`` killed at one moment after the other, on a disk that is full from some moment on, twice at once: what
is half done is not called done, the store verifies, and the same command ends it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import whence
from lifecycle.matters import SECRET, Desk, spread
from store.finder import places
from whence.store import Store, verify

pytestmark = [pytest.mark.tiny, pytest.mark.fault]
DYING = Path(__file__).with_name("dying.py")


class Trials:
    """Copies of a desk with an open case, on each of which the same action is tried."""

    def __init__(self, desk: Desk, *action: str) -> None:
        desk.store.close()
        self.desk, self.action, self.place = desk, ("act", "erasure-1", *action), desk.folder.parent / "trial"

    def fresh(self) -> None:
        """A new copy."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.desk.folder, self.place)

    def run(self, moment: int = -1, how: str = "kill") -> tuple[int, str]:
        """(exit code, what it said) of the action, disturbed at a moment; -1: not at all."""
        out = self.place / "moments"
        out.unlink(missing_ok=True)
        words = [sys.executable, str(DYING), how, str(moment), str(out), "rights", "case", *self.action]
        done = subprocess.run(
            words, cwd=self.place, env=self.environment(), start_new_session=True, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        return done.returncode, said

    def twice(self) -> None:
        """The action in two processes at once."""
        words = [sys.executable, "-m", "whence", "rights", "case", *self.action]
        out: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        both = [subprocess.Popen(words, cwd=self.place, env=self.environment(), **out) for _ in range(2)]
        said = [one.communicate()[0] for one in both]
        assert [one.returncode for one in both] == [0, 0], said

    def full(self, passed: list[str], part: str) -> None:
        """The action, on a disk that is full from the first moment of this part on."""
        code, said = self.run(next(n for n, what in enumerate(passed) if what.startswith(part)), "full")
        assert (code, "cannot be written" in said, "do: " in said) == (1, True, True), (part, said)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "WHENCE_ACTOR": "ann@example.org", "WHENCE_STORE": str(self.place / ".whence")}

    def moments(self) -> list[str]:
        """Of the undisturbed action."""
        self.fresh()
        code, said = self.run()
        assert code == 0, said
        return (self.place / "moments").read_text().splitlines()

    def acted(self) -> bool:
        """Whether the chain says that the action was done."""
        with contextlib.closing(Store.open(self.place / ".whence")) as store:
            return bool(store.events("case.acted"))

    def looked_at(self, what: str) -> tuple[Any, list[str]]:
        """(the case's task of this kind, where the secret still lies); the store verifies."""
        root = self.place / ".whence"
        with whence.open(self.place, project=False, actor="ann@example.org") as w:
            task = next(one for one in w.rights.case.show("erasure-1").tasks if one.what == what)
            assert verify(w.store) == []
        return task, places(root, SECRET)


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


def test_a_killed_erasure_is_not_called_done_and_is_ended(desk: Desk) -> None:
    trials = Trials(opened(desk), "erase")
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
    trials = Trials(opened(desk), "retire", "desk@1")
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
    trials = Trials(opened(desk), "rebuild", "desk@1")
    passed = trials.moments()
    training = [n for n, what in enumerate(passed) if what.startswith("progress without the rows")]
    retired = passed.index("after adapter.retired")
    for moment in (training[len(training) // 2], training[-1], retired + 2):
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
    trials = Trials(opened(desk), "erase")
    passed = trials.moments()
    for part in ("before erasure.begun", "after erasure.begun", "progress erase rows 0", "open whence.key",
                 "open .whence/journal/payload", "progress erase blobs 0", "before erasure.done",
                 "before case.acted"):  # fmt: skip
        trials.fresh()
        trials.full(passed, part)
        task, _ = trials.looked_at("content")
        assert task.done is None, part
        code, said = trials.run()
        assert code == 0, (part, said)
        task, left = trials.looked_at("content")
        assert (task.action, task.proof, left) == ("erase", "exact", []), part


def test_a_disk_that_fills_up_while_an_adapter_is_deleted(desk: Desk) -> None:
    trials = Trials(opened(desk), "retire", "desk@1")
    passed = trials.moments()
    for part in ("before adapter.retired", "before case.acted"):
        trials.fresh()
        trials.full(passed, part)
        assert trials.looked_at("adapter")[0].done is None, part
        assert trials.run()[0] == 0
        assert trials.looked_at("adapter")[0].action == "retire"


def test_a_disk_that_fills_up_while_a_dossier_is_written(desk: Desk) -> None:
    with opened(desk).open() as w:
        w.rights.case.act("erasure-1", "erase")
        w.rights.case.act("erasure-1", "retire", "desk@1")
        w.rights.case.act("erasure-1", "ended", "desk@1")
    trials = Trials(desk)
    trials.action = ("close", "erasure-1", "--to", "dossiers")
    passed = trials.moments()
    dossier = trials.place / "dossiers" / "erasure-1.json"
    for part in ("open whence.key", "open dossiers/erasure-1.json", "open dossiers/erasure-1.html",
                 "before case.closed"):  # fmt: skip
        trials.fresh()
        trials.full(passed, part)
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
    trials = Trials(opened(desk), "erase")
    trials.fresh()
    trials.twice()
    task, left = trials.looked_at("content")
    assert (task.action, task.proof, left) == ("erase", "exact", [])
    trials.action = ("act", "erasure-1", "retire", "desk@1")
    trials.twice()
    task, _ = trials.looked_at("adapter")
    assert (task.action, task.proof) == ("retire", "exact")


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
