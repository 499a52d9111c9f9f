"""Traces of served requests: in the journal before the client has its last byte, in the catalogue in batches."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import groupby

from whence.records import Json, Trace
from whence.store import Store, trace_head
from whence.store.journal import Entry


class TraceLog:
    """Keeps traces of one gateway. Any thread may write."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()
        self._pending: list[tuple[Entry, Trace]] = []

    def keep(self, trace: Trace, words: Json) -> None:
        """Journal one trace and fill in its `content`. When this returns, a kill of the process does not lose it:
        `Store.recover_traces` finds it."""
        with self._lock:
            entry = self._store.journal("trace").append(words, head=trace_head(trace))
            self._pending.append((entry, replace(trace, content=entry.digest)))

    def flush(self) -> None:
        """Record what is journalled. What cannot be recorded now stays for the next time."""
        with self._lock:
            if not self._pending:
                return
            self._store.journal("trace").sync()
            ordered = sorted(self._pending, key=lambda kept: kept[1].deployment)
            with self._store.transaction():
                for _, kept in groupby(ordered, key=lambda kept: kept[1].deployment):
                    self._store.add_traces(list(kept))
            self._pending.clear()
