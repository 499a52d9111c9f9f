"""Traces of served requests: in the journal before the client has its last byte, in the catalogue in batches."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import groupby

from whence.records import Json, Trace
from whence.store import Store, trace_head
from whence.store.journal import Entry


class TraceLog:
    """Keeps traces of one gateway. Any thread may write; nobody who keeps one waits for the catalogue."""

    def __init__(self, store: Store) -> None:
        self._store, self._adding, self._flushing = store, threading.Lock(), threading.Lock()
        self._pending: list[tuple[Entry, Trace]] = []
        self.recorded = 0
        """traces that this gateway brought into the catalogue"""

    def pending(self) -> int:
        """Traces in the journal that are not in the catalogue yet."""
        return len(self._pending)

    def keep(self, trace: Trace, words: Json) -> None:
        """Journal one trace and fill in its `content`. When this returns, a kill of the process does not lose it:
        `Store.recover_traces` finds it."""
        entry = self._store.journal("trace").append(words, head=trace_head(trace))
        with self._adding:
            self._pending.append((entry, replace(trace, content=entry.digest)))

    def flush(self) -> None:
        """Record all that `keep` has returned from. What cannot be recorded now stays for the next time."""
        with self._flushing:
            with self._adding:
                waiting = list(self._pending)
            if not waiting:
                return
            self._store.journal("trace").sync()
            ordered = sorted(waiting, key=lambda kept: kept[1].deployment)
            with self._store.transaction():
                for _, kept in groupby(ordered, key=lambda kept: kept[1].deployment):
                    self._store.add_traces(list(kept))
            with self._adding:
                del self._pending[: len(waiting)]
            self.recorded += len(waiting)
