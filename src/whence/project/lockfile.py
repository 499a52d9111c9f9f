"""``whence.lock``: what the project file resolved to, written by the machine and committed beside it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from whence.records import Conflict, Finding, Json, writing
from whence.store import Store

FILE = "whence.lock"
VERSION = 1
KINDS = {
    "ingests": "Run",
    "snapshot": "Snapshot",
    "base": "Base",
    "adapter": "Adapter",
    "baseline": "Evaluation",
    "candidate": "Evaluation",
    "gate": "Gate",
    "verdict": "Verdict",
    "release": "Release",
    "beside_snapshots": "Snapshot",
    "beside_adapters": "Adapter",
    "beside_verdicts": "Verdict",
    "beside_releases": "Release",
}
"""What a project resolves to → the kind of record. ``wheels``, file name → SHA-256 of what
the adapter was made with, is no record."""


def write_lock(folder: Path, store: Store, resolved: Mapping[str, Json]) -> None:
    """Write what each stage resolved to, and the head of the event chain, so that a truncated store is found out."""
    seq, digest = store.head()
    before = read_lock(folder)
    if "adapter" in resolved:
        before.pop("wheels", None)
    known = {**before, **resolved}
    known |= {"version": VERSION, "head": {"events": seq, "digest": digest}}
    partial = folder / f".{FILE}.{secrets.token_hex(4)}.part"
    try:
        with writing(folder / FILE):
            partial.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
            partial.replace(folder / FILE)
    finally:
        partial.unlink(missing_ok=True)


def read_lock(folder: Path) -> dict[str, Json]:
    """The lock file, or an empty one. Raises Conflict for one from a newer version or one that cannot be read."""
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        known = json.loads(path.read_text())
        if int(known["version"]) > VERSION:
            raise Conflict(f"{path} was written by a newer whence (version {known['version']})\n  do: upgrade whence")
        head = known["head"]
        known["head"] = {"events": int(head["events"]), "digest": str(head["digest"])}
    except (ValueError, KeyError, TypeError) as error:
        raise Conflict(f"{path} cannot be read: {error}\n  do: restore it from git") from error
    return dict(known)


def locked_head(folder: Path) -> tuple[int, str] | None:
    """(events, digest of the last) as the lock file knows it."""
    head = read_lock(folder).get("head")
    return (head["events"], head["digest"]) if head else None


def strangers(folder: Path, store: Store) -> list[Finding]:
    """What the lock file names and the record does not know."""
    filed, found = store.filed(), []
    for name, value in read_lock(folder).items():
        if name in ("version", "head", "wheels"):
            continue
        for digest in value if isinstance(value, list) else [value]:
            kind = filed.get(digest, ("nothing",))[0] if isinstance(digest, str) else "nothing"
            if kind != KINDS.get(name):
                said = f"{FILE} names {str(digest)[:19]}… as {name}, which is {kind} in the record"
                found.append(
                    Finding(check="store.lock", about=str(digest), verdict="fail", severity="high", message=said)
                )
    return found
