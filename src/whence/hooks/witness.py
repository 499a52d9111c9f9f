"""A look at where a training happens, in a process of its own while it runs: ``python -m whence.hooks.witness FOLDER``.

It reads ``asked.json`` in the spool's folder and leaves ``seen.json`` there: the base's fingerprint, the code's commit,
the installed versions. The base was loaded a moment ago; later it may be another.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import whence
from whence.models import fingerprint
from whence.records import Unmet, encode, plain

NICE = 15
"""Behind the training."""


def main(folder: Path) -> int:
    """Look, and write down what was seen."""
    os.nice(NICE)
    asked = json.loads((folder / "asked.json").read_text())
    base, why = None, asked.get("base_absent")
    if asked.get("base"):
        try:
            base = plain(fingerprint(Path(asked.get("base"))))
        except (Unmet, OSError, ValueError) as error:
            why = type(error).__name__
    here = _surroundings()
    commit, clean = here["git_state"](Path(asked["code"]))
    where = here["conditions"](asked["threads"], asked["device"], asked["capability"])
    seen = {
        "base": base,
        "base_absent": None if base else why,
        "commit": commit,
        "clean": clean,
        "installed": here["installed"](),
        "conditions": plain(where),
    }
    partial = folder / "seen.json.part"
    partial.write_bytes(encode(seen))
    partial.rename(folder / "seen.json")
    return 0


def _surroundings() -> dict[str, Any]:
    """``whence.train.surroundings`` by its path: by its name the whole store would be loaded, a second of work."""
    return runpy.run_path(str(Path(whence.__file__).parent / "train" / "surroundings.py"))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
