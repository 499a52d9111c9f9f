"""Checkpoints that are whole or do not count: each ends with a marker that names a digest for every file.

The marker ``whole.json`` is written last and moved into place in one step, so a process killed at any moment leaves
either a checkpoint that verifies or a folder that the next start removes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from whence.records import Conditions, digest, encode, writing

MARKER = "whole.json"
FOLDER = "checkpoint-"
NEVER_KEPT = ("training_args.bin", "README.md")
"""Files that libraries add: a pickle of paths, and a model card."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `step` optimizer steps."""

    step: int
    folder: Path
    digest: str
    """``b3:`` over its files' names and digests"""


def made_under(closure: str, rows: str, conditions: Conditions) -> dict[str, str]:
    """What a checkpoint is made under. closure: the Closure's digest; rows: blob of the rows fed."""
    return {"closure": closure, "rows": rows, "conditions": digest(conditions)}


def seal(folder: Path, under: Mapping[str, str]) -> None:
    """Mark a written checkpoint as whole. `under` is what it was made under; it resumes nothing else."""
    for name in NEVER_KEPT:
        (folder / name).unlink(missing_ok=True)
    marker = {"files": _digests(folder), "under": dict(under)}
    partial = folder / (MARKER + ".part")
    with partial.open("wb") as file:
        file.write(encode(marker))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / MARKER)


def sweep(folder: Path, under: Mapping[str, str]) -> list[Checkpoint]:
    """Remove every checkpoint that is not whole or was made under something else; return the rest by step."""
    kept = []
    for path in folder.glob(FOLDER + "*"):
        found = whole(path, under)
        if found is None:
            shutil.rmtree(path)
        else:
            kept.append(found)
    return sorted(kept, key=lambda checkpoint: checkpoint.step)


def drop(folders: Iterable[Path]) -> None:
    """Remove checkpoints for good."""
    for folder in folders:
        with writing(folder):
            shutil.rmtree(folder)


def whole(folder: Path, under: Mapping[str, str]) -> Checkpoint | None:
    """The checkpoint in this folder; None where it is not whole or was made under something else."""
    try:
        marker = json.loads((folder / MARKER).read_text())
        step = int(folder.name.removeprefix(FOLDER))
        fits = marker["under"] == under and marker["files"] == _digests(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Checkpoint(step, folder, "b3:" + blake3(encode(marker["files"])).hexdigest()) if fits else None


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in (MARKER, MARKER + ".part"))
    return {str(p.relative_to(folder)): "b3:" + blake3().update_mmap(p).hexdigest() for p in files}
