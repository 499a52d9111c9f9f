"""The path on real questions: 77 intents that bank customers typed, judged on the published test set.

    WHENCE_DATA=/path/to/data python examples/banking77/run.py [DIR]

DIR (default: banking77-work) gets the split, the base and the record; nothing of the data set is copied anywhere else.
Every 50th question of the published training file is kept out of training as the dev suite.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from whence.cli import main
from whence.demo.base import cached_base

HERE = Path(__file__).parent
DEV_EVERY = 50


def prepare(data: Path, work: Path) -> None:
    """Split, base and project file."""
    labels = json.loads((data / "categories.json").read_text())
    lines = (data / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (work / "train.jsonl").write_text("".join(x for i, x in enumerate(lines) if i % DEV_EVERY), encoding="utf-8")
    (work / "dev.jsonl").write_text("".join(lines[::DEV_EVERY]), encoding="utf-8")
    shutil.copy(data / "test.jsonl", work / "gate.jsonl")
    shutil.copy(HERE / "whence.toml", work / "whence.toml")
    if not (work / "tiny-base").exists():
        print("making a tiny base model for 77 labels, about 80 CPU seconds", file=sys.stderr)
        shutil.copytree(cached_base(labels), work / "tiny-base")


if __name__ == "__main__":
    folder = Path(os.environ.get("WHENCE_DATA", "../shared/data")) / "banking77"
    if not folder.is_dir():
        sys.exit(f"there is no {folder}: set WHENCE_DATA; docs/real-data.md says how to fill it")
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "banking77-work")
    target.mkdir(parents=True, exist_ok=True)
    prepare(folder, target)
    sys.exit(main(["--project", str(target), "run"]))
