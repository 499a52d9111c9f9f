"""What a store holds, so that one that was disturbed can be held against one that was not."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from bench.faults.process import apart

PASSING = ("RunReport", "Deployment", "Trace", "Feedback", "Ownership", "Waiver")
"""Records that hold times, or words under a salt of their own."""
KEYED = ("id", "content_digest", "subject")
"""Columns of a row that follow from its keys."""


def findings(folder: Path) -> list[str]:
    """What `verify` finds, held against the lock file too; nothing where there is no store yet."""

    def check() -> list[str]:
        import whence
        from whence.records import NotFound

        try:
            with whence.open(folder) as project:
                return [finding.message for finding in project.verify()]
        except NotFound:
            return []

    return apart(check)


def holds(folder: Path, keys_too: bool = True) -> dict[str, Any]:
    """Everything about a project's store that must not depend on how often its work was broken off. Without `keys_too`
    what follows from keys, which are random, is left out."""
    return apart(lambda: _holds(folder, keys_too))


def opened(folder: Path) -> Any:
    """The store of a project, or None. For a process of its own: opening starts threads."""
    from whence.records import NotFound
    from whence.store import Store

    try:
        return Store.open(folder / ".whence", folder / "whence.key", actor="breaker@example.org")
    except NotFound:
        return None


def _holds(folder: Path, keys_too: bool) -> dict[str, Any]:
    from whence.lineage import aliases
    from whence.records import Adapter, Run, RunReport
    from whence.store.rows import SCHEMA

    store = opened(folder)
    table = store.rows.table(SCHEMA.names, f"ord < {store.committed()}").sort_by("ord")
    rows = table.select([n for n in SCHEMA.names if keys_too or n not in KEYED]).to_pylist()
    quarantine = {}
    for _, report in store.all(RunReport):
        if store.get(report.run, Run).activity == "ingest":
            lines = store.get_table(report.removed).to_pylist()
            quarantine[report.facts["source"]] = [(line["line"], line["reason"]) for line in lines]
    held = {"rows": rows, "quarantine": quarantine, "aliases": sorted(aliases(store))}
    if keys_too:
        kinds = store.filed()
        held["records"] = sorted((kinds[d][0], str(d)) for d in kinds if kinds[d][0] not in PASSING)
        held["events"] = [
            (e.kind, e.about, e.data if e.kind != "feedback.recorded" else None)
            for e in store.events()
            if e.kind.partition(".")[0] not in ("deployment", "traces")
        ]
        held["adapters"] = {a.location: _bytes(store.root / a.location) for _, a in store.all(Adapter)}
    held["twice"] = _twice(store)
    return held


def _twice(store: Any) -> int:
    """Rows with source and record id of another, runs that finished again, traces under one id."""
    from whence.records import Trace

    ids = [(b["source"], b["record"]) for chunk in store.scan(["source", "record"]) for b in chunk.to_pylist()]
    runs = [e.about for e in store.events("run.finished")]
    traces = [trace.id for _, trace in store.all(Trace)]
    return sum(count - 1 for found in (ids, runs, traces) for count in Counter(found).values())


def _bytes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of what differs."""
    return [name for name in one if one[name] != other.get(name)]
