"""The same action of a case, tried on copies of a folder: killed at a moment, on a full disk, twice at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import whence
from lifecycle.matters import SECRET
from store.finder import places
from whence.store import Store, verify

DYING = Path(__file__).with_name("dying.py")


class Trials:
    """Copies of a desk with an open case, on each of which the same action is tried."""

    def __init__(self, folder: Path, *action: str, case: str = "erasure-1") -> None:
        self.folder, self.case, self.action = folder, case, ("act", case, *action)
        self.place = folder.parent / "trial"

    def fresh(self) -> None:
        """A new copy."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.folder, self.place)

    def run(self, moment: int | str = -1, how: str = "kill") -> tuple[int, str]:
        """(exit code, what it said) of the action, disturbed at a moment, or at the first of that name; -1: never."""
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

    def full(self, part: str) -> None:
        """The action, on a disk that is full from the first moment of this name on."""
        code, said = self.run(part, "full")
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
            task = next(one for one in w.rights.case.show(self.case).tasks if one.what == what)
            assert verify(w.store) == []
        return task, places(root, SECRET)
