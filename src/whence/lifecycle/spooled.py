"""What lies in a spool of `whence.hooks`, checked against the digests that were written with it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whence.records import Conflict, Damaged, Json, NotFound, Unmet
from whence.records.chained import read_chained

CONTENT = ("rows.jsonl", "fed.jsonl")
"""Files of a spool that hold what people said."""
FORMAT = 1


@dataclass(slots=True)
class Spool:
    """What a spool says; `read_spool` checks it."""

    folder: Path
    begin: Json
    rows: Json
    last: Json
    """the newest line of how far it came: a save or the end"""
    resumed: list[int]
    """steps from which it went on"""
    head: str
    """digest of its last line"""
    seen: Json = field(default_factory=dict)
    """what the witness saw"""

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return bool(self.last.get("kind") == "end")

    def fed(self) -> npt.NDArray[np.bool_] | None:
        """Record → whether it was fed; None: not known."""
        said, count = self.last.get("fed"), self.rows["records"]
        if said is None or count is None:
            return None
        if said == "all":
            return np.ones(count, bool)
        return np.unpackbits(np.frombuffer(bytes.fromhex(said), np.uint8), count=count).astype(bool)


def read_spool(folder: Path) -> Spool:
    """What lies in a spool. Raises NotFound, Damaged, Unmet where its training stopped before it fed anything."""
    if not (folder / "run.jsonl").is_file():
        raise NotFound(
            f"there is no spool at {folder}\n  expected: a folder with run.jsonl, as WhenceCallback writes it"
        )
    entries = read_chained(folder / "run.jsonl")
    lines = [entry["line"] for entry in entries]
    kinds = {line["kind"]: line for line in lines}
    if not {"begin", "rows"} <= kinds.keys():
        raise Unmet(
            f"the training of {folder} stopped before its rows were written", "a run that fed something", "remove it"
        )
    if kinds["begin"]["version"] != FORMAT:
        raise Conflict(
            f"{folder} was written by a newer whence (format {kinds['begin']['version']})\n  do: update whence"
        )
    _check(folder / "rows.jsonl", kinds["rows"].get("digest"))
    last = next((line for line in reversed(lines) if line["kind"] in ("save", "end")), {})
    resumed = [line["step"] for line in lines if line["kind"] == "resumed"]
    spool = Spool(folder, kinds["begin"], {"records": None, **kinds["rows"]}, last, resumed, entries[-1]["chain"])
    for name, digest in (last.get("adapter") or {}).items():
        _check(folder / "adapter" / name, digest)
    spool.seen = kinds.get("seen") or {}
    with suppress(FileNotFoundError):
        spool.seen = spool.seen or json.loads((folder / "seen.json").read_bytes())
    return spool


def _check(path: Path, digest: str | None) -> None:
    """That a file is the one that was written. Raises Damaged."""
    if digest is None:
        return
    try:
        with path.open("rb") as file:
            found = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        found = "gone"
    if found != digest:
        raise Damaged(
            f"{path} is {found[:19]}, not {digest[:19]} as it was written\n"
            "  do: restore it from its copy; nothing of this spool was brought in"
        )
