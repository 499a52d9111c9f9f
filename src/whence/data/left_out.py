"""A snapshot again without some of its rows."""

from __future__ import annotations

from dataclasses import replace

from whence.data.removal import Removal, table
from whence.records import Ref, Snapshot, Step
from whence.store import RowSet, Store

NAME, VERSION = "left_out", 1


def leave_out(store: Store, snapshot: Ref, gone: RowSet, name: str | None = None) -> Ref:
    """The snapshot without these rows, its digest; rows that it does not hold are passed over. Its last step says of
    each why it is not there: ``named``, or ``derived`` where it was made from another that goes. The same rows give
    the same snapshot, however people named them. name: what it is called; None: as the one before."""
    before = store.get(snapshot, Snapshot)
    rows = store.snapshot_rows(before)
    left, out = rows - gone, Removal()
    for batch in store.scan(["ord", "parents"], rows & gone):
        for ordinal, parents in zip(batch["ord"].to_pylist(), batch["parents"].to_pylist(), strict=True):
            because = next((parent for parent in parents or () if parent in gone), None)
            out.drop(ordinal, "named" if because is None else "derived", because)
    reasons = [reason for reason, _ in out.rows.values()]
    step = Step(
        name=NAME,
        version=VERSION,
        params={},
        seen=len(rows),
        kept=len(left),
        reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        removed=store.put_table(table(out.rows)),
    )
    set_blob, root = store.put_set(left), store.root_of(left, like=before.root)
    with store.transaction():
        steps = (*before.steps, store.put(step))
        made = replace(before, name=name or before.name, rows=len(left), root=root, set=set_blob, steps=steps)
        return store.put(replace(made, parents=(snapshot,)))
