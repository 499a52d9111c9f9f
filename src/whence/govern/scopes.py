"""What a right can be about, and the rows that it means."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np

from whence.govern.subjects import Mentions
from whence.records import Ref, Run, RunReport, Source
from whence.store import RowSet, Store, row_set

ABOUT = ("subject", "source", "licence", "row", "rows")
"""of what rights events are about: ``KIND:NAME``; ``rows`` is a list of rows, by its blob"""


def rows_of(store: Store, kind: str, names: Iterable[str], known_by: datetime | None = None) -> RowSet:
    """The rows that these names of one kind mean; a name that no row carries means none."""
    if kind == "row":
        return row_set([ordinal for name in names for ordinal in store.find_rows(name)])
    if kind == "rows":
        found = row_set([])
        for blob in names:
            found |= store.get_set(blob)
        return found
    if kind == "subject":
        return mentions(store, known_by).rows_of(names)
    if kind == "licence":  # SPDX ids are the same in any case
        alike = {name.casefold() for name in names}
        names = [name for name in store.index().sets[kind].names() if name.casefold() in alike]
    return store.index().sets[kind].union(names)


def mentions(store: Store, known_by: datetime | None) -> Mentions:
    """Whom rows are about, as it was known at a time."""
    if known_by is not None:
        return Mentions(store, known_by)
    return store.memo("rights.mentions", lambda: Mentions(store), "rows.*", "mentions.*", "subject.*")


def collected_before(store: Store, rows: RowSet, moment: datetime) -> RowSet:
    """Those of these rows that came to be before this time: by their own date, else by when their source was fetched,
    else by when they were read."""
    reports = {report.run: report for _, report in store.all(RunReport) if report.set}
    before = row_set([])
    for ref, run in store.all(Run):
        report = reports.get(ref)
        if run.activity != "ingest" or report is None or report.set is None:
            continue
        if (_fetched(store, run.used) or report.started_at) < moment:
            before |= store.get_set(report.set) & rows
    dated, early = row_set([]), row_set([])
    for batch in store.scan(["ord", "collected_at"], rows):
        if batch["collected_at"].null_count < batch.num_rows:
            known = batch.filter(batch["collected_at"].is_valid())
            ordinals = known["ord"].to_numpy(zero_copy_only=False)
            times = known["collected_at"].to_numpy(zero_copy_only=False)
            dated |= row_set(ordinals)
            early |= row_set(ordinals[times < np.datetime64(moment.replace(tzinfo=None), "us")])
    return (before - dated) | early


def _fetched(store: Store, used: Iterable[Ref]) -> datetime | None:
    """When the source that a run read was fetched, where somebody said."""
    for ref in used:
        record = store.get(ref)
        if isinstance(record, Source):
            return record.retrieved_at
    return None
