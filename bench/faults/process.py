"""Commands of the product in processes of their own, forked from one that has imported everything and opened nothing:
a kill then costs no imports, and falls into work instead of into loading."""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "WHENCE_ACTOR": "breaker@example.org",
    "LANCE_LOG": "error",
}
LIGHT = ("whence.cli", "whence.lifecycle.run", "whence.feedback", "whence.store", "alembic.command", "lance")
HEAVY = ("torch", "transformers", "peft", "whence.models.backends.transformers_peft", "uvicorn", "starlette", "httpx")
VERBS = ("init", "run", "ask", "verify", "data", "eval", "ship", "model", "rights", "serve", "feedback")
SUBREAPER = 36
"""Linux's PR_SET_CHILD_SUBREAPER: grandchildren whose parent is killed become ours to wait for."""


def prepare(heavy: bool = False) -> None:
    """Import what children will need, once. Nothing that starts a thread may be called in this process."""
    os.environ |= ENVIRONMENT
    warnings.filterwarnings("ignore", "lance is not fork-safe")  # opened after a fork only
    for name in (*LIGHT, *(f"whence.cli.{verb}" for verb in VERBS), *(HEAVY if heavy else ())):
        importlib.import_module(name)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def apart(do: Callable[[], Any]) -> Any:
    """The (picklable) result of `do`, called in a process of its own; an AssertionError with its traceback where it
    failed."""
    read, write = os.pipe()
    pid = _fork()
    if pid == 0:
        os.close(read)
        try:
            said = pickle.dumps((True, do()))
        except BaseException:  # noqa: BLE001  the child's outermost loop; the parent raises it
            said = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(write, "wb") as pipe:
            pipe.write(said)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if not said:
        raise AssertionError(f"a checking process ended with {os.waitstatus_to_exitcode(status)} and said nothing")
    fine, value = pickle.loads(said)  # noqa: S301  from our own child
    if not fine:
        raise AssertionError(value)
    return value


@dataclass(slots=True)
class Running:
    """A started process, and its group."""

    pid: int
    out: Path
    """what it wrote, stdout and stderr together"""

    def said(self) -> str:
        return self.out.read_text()

    def wait(self) -> int:
        """The exit code, negative for a signal; the whole group is gone when this returns."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        while True:
            try:
                os.waitpid(-self.pid, 0)
            except ChildProcessError:
                return code

    def kill(self) -> int:
        """SIGKILL to the group. The exit code, which is another one where it had ended before."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # killed before it had a group of its own
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()


def start(folder: Path, do: Callable[[], int | None], out: Path) -> Running:
    """`do` in a process group of its own, in `folder`, its words to the file `out`; exit code 0 for None."""
    out.write_bytes(b"")
    pid = _fork()
    if pid:
        return Running(pid, out)
    code: int | None = 1
    try:
        os.setsid()
        os.chdir(folder)
        fd = os.open(out, os.O_WRONLY | os.O_APPEND)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1)
        code = do() or 0
    except BaseException:  # noqa: BLE001  the child's outermost loop; its words are read
        traceback.print_exc()
    finally:
        os._exit(1 if code is None else code)


def whence(*words: str) -> int:
    """One command line of the product, in this process."""
    from whence.cli import main

    return main(list(words))


def finish(folder: Path, do: Callable[[], int | None], out: Path) -> tuple[int, str, float]:
    """(exit code, words, seconds) of an undisturbed process."""
    began = time.monotonic()
    running = start(folder, do, out)
    code = running.wait()
    return code, running.said(), time.monotonic() - began


def constants(changes: Mapping[str, Any]) -> None:
    """Set module constants, ``module:NAME`` → value, in this process: smaller batches give more moments to kill at."""
    for place, value in changes.items():
        module, _, name = place.partition(":")
        setattr(importlib.import_module(module), name, value)


def _fork() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()
