"""What a person decides about rows, as events: a step is undone for some, so that it leaves them alone from then on;
some are dropped, so that no later snapshot has them."""

from __future__ import annotations

from collections.abc import Mapping

from whence.records import NotFound, Snapshot, Step, Unmet
from whence.store import RowSet, Store, row_set

UNDONE, DROPPED = "curation.undone", "curation.dropped"
DROP = "dropped"
"""the step that leaves dropped rows out"""
KEPT_OUT = ("rights", "left_out", "disjoint")
"""Steps that nobody undoes here: what they leave out may not be used, or is asked in a suite."""


def undo(store: Store, snapshot: Snapshot, step: str, rows: RowSet | None = None, reason: str | None = None) -> RowSet:
    """Decide that a step does nothing to the rows that it left out of this snapshot or lowered in it, or to those of
    them that are named; returns them. The next snapshot of this name has them as they are, unless another step says
    otherwise. A person does it. Raises NotFound, Unmet."""
    store.person()
    made = [store.get(ref, Step) for ref in snapshot.steps]
    named = [one for one in made if one.name == step]
    if not named:
        raise NotFound(f"the snapshot has no step {step!r}\n  expected: one of {', '.join(s.name for s in made)}")
    if step in KEPT_OUT:
        do = "whence rights reinstate, or change the suite"
        raise Unmet(f"what {step} leaves out cannot be put back", "a step that chooses among usable rows", do)
    touched = row_set([])
    for one in named:
        for blob in (one.removed, one.lowered):
            touched |= row_set(store.get_table(blob)["ordinal"].to_pylist()) if blob else row_set([])
    chosen = touched if rows is None else touched & rows
    if not chosen:
        raise Unmet(f"{step} did nothing to {'any row' if rows is None else 'these rows'}", "rows that it left out or "
                    "lowered", f"whence data removed --step {step}")  # fmt: skip
    words = store.write_words("payload", {"reason": reason}) if reason else None
    with store.writer("undo"):
        store.append(UNDONE, snapshot.name, {"step": step, "set": store.put_set(chosen)}, None, words)
    return chosen


def drop(store: Store, name: str, rows: RowSet, reason: str | None = None) -> None:
    """Decide that no later snapshot of this name has these rows. A person does it; ``undo`` of the step `dropped` takes
    it back. Raises Unmet."""
    store.person()
    words = store.write_words("payload", {"reason": reason}) if reason else None
    with store.writer("drop rows"):
        store.append(DROPPED, name, {"set": store.put_set(rows)}, None, words)


def dropped(store: Store, name: str) -> RowSet:
    """Rows that no snapshot of this name is to have."""
    found = row_set([])
    for event in store.events("curation.*", about=name):
        if event.kind == DROPPED:
            found |= store.get_set(event.data["set"])
        elif event.data["step"] == DROP:
            found = found - store.get_set(event.data["set"])
    return found


def undone(store: Store, name: str) -> Mapping[str, RowSet]:
    """Step → rows that it leaves alone in snapshots of this name."""
    found: dict[str, RowSet] = {}
    for event in store.events(UNDONE, about=name):
        if event.data["step"] == DROP:
            continue
        found[event.data["step"]] = found.get(event.data["step"], row_set([])) | store.get_set(event.data["set"])
    return found
