"""``rights case act`` killed at one moment after the other: what is half done is not called done, the store verifies,
and the same command ends it."""

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
        self.desk, self.action, self.place = desk, action, desk.folder.parent / "trial"

    def fresh(self) -> None:
        """A new copy."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.desk.folder, self.place)

    def run(self, moment: int) -> tuple[int, list[str]]:
        """(exit code, moments that were passed) of the action, killed at a moment; -1: not killed."""
        out = self.place / "moments"
        out.unlink(missing_ok=True)
        words = [sys.executable, str(DYING), str(moment), str(out), "rights", "case", "act", "erasure-1", *self.action]
        env = {**os.environ, "WHENCE_ACTOR": "ann@example.org", "WHENCE_STORE": str(self.place / ".whence")}
        done = subprocess.run(
            words, cwd=self.place, env=env, start_new_session=True, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
        return done.returncode, out.read_text().splitlines()

    def moments(self) -> list[str]:
        """Of the undisturbed action."""
        self.fresh()
        code, passed = self.run(-1)
        assert code == 0
        return passed

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
        trials.run(-1)
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
        trials.run(-1)
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
        trials.run(-1)
        task, _ = trials.looked_at("adapter")
        assert (task.action, task.proof) == ("rebuild", "exact"), passed[moment]
        with contextlib.closing(Store.open(trials.place / ".whence")) as store:
            made = store.events("case.acted", last=True)[0].data
            assert made["outcome"] == "made"
            assert (store.root / store.get(made["adapter"]).location / "adapter_model.safetensors").exists()
