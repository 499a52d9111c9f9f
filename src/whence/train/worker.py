"""The training process: ``python -m whence.train.worker RUN_ID``.

The store is the one that ``WHENCE_STORE`` names, its keys ``WHENCE_KEYS``; the code lies in ``WHENCE_CODE``;
``WHENCE_WHEELS`` is the blob that names the wheels of its environment. ``WHENCE_ROOM`` says that it is in a clean room
(`train.room`). Standard output carries JSON lines only: signs of life (`run.Progress`), and at most one error. Whatever
a library prints goes to standard error. When nobody reads the lines any more the process ends; the next one goes on
from the last whole checkpoint.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from whence.records import Json, Unmet, WhenceError, unwritable
from whence.store import Store, identify
from whence.train.attest import enter
from whence.train.backends.work import Given, work


def main(arguments: list[str], env: Mapping[str, str]) -> int:
    """Train one run; 0 when it is finished, 1 when it failed and said why."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(line: Json) -> None:
        out.write(json.dumps(line) + "\n")

    try:
        if len(arguments) != 1 or not env.get("WHENCE_STORE"):
            raise Unmet(
                "the training process was started wrongly",
                "a run id as its only argument, and WHENCE_STORE",
                "use `whence run`",
            )
        found = enter(env)
        keys = env.get("WHENCE_KEYS")
        store = Store.open(Path(env["WHENCE_STORE"]), Path(keys) if keys else None, actor=identify(dict(env)))
        code = Path(env["WHENCE_CODE"]) if env.get("WHENCE_CODE") else None
        work(store, arguments[0], say, Given(code=code, wheels=env.get("WHENCE_WHEELS") or None, room=found))
    except Exception as failure:
        error = failure if isinstance(failure, WhenceError) else unwritable("a file of the training run", failure)
        if error is None:
            raise
        args = [error.found, error.expected, error.do] if isinstance(error, Unmet) else [str(error)]
        say({"error": type(error).__name__, "args": args})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
