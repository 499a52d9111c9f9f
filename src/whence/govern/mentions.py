"""Which rows name whom. Every row is searched for every identifier once: `search` looks at what no event
``mentions.found`` covers yet, rows that came since and identifiers that came since, whoever was killed in between.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from whence.govern.identifiers import Kept, kept
from whence.store import IDENTIFIERS, Store, in_bulk, row_set
from whence.text import Finder

Progress = Callable[[int, int], None]
"""(rows searched, rows in all)."""

PIECE_ROWS = 1 << 18
"""Rows that one event covers: so many are searched again after a kill."""
READ_ROWS, READ_BYTES, LEAST_ROWS = 2000, 64 << 20, 16
"""Rows in memory at once: as many as the last ones lead to expect to fit, and no fewer than the least."""


def unsearched(store: Store) -> int:
    """Rows that were not searched for every identifier yet."""
    return sum(end - first for first, end, _ in _left(store))


def search(store: Store, progress: Progress = lambda *_: None) -> int:
    """Search what was not searched yet; returns how many new mentions there are. Where nobody has an identifier it
    costs one question to the catalogue. Safe to kill at any moment. Raises Conflict, Damaged."""
    if not any(_left(store)):
        return 0
    with store.writer("search for people"), in_bulk():
        everybody, found, done = kept(store), 0, 0
        left = list(_left(store))
        total = sum(end - first for first, end, _ in left)
        finders: dict[int, tuple[Finder, list[Kept]]] = {}
        for first, end, after in left:
            if after not in finders:
                wanted = [one for one in everybody if one.said > after]
                finders[after] = Finder(store.keys.get(IDENTIFIERS), [one.mark for one in wanted]), wanted
            for start in range(first, end, PIECE_ROWS):
                stop = min(start + PIECE_ROWS, end)
                table = _searched(store, *finders[after], start, stop, lambda more, n=done: progress(n + more, total))
                _record(store, table, start, stop, after)
                found, done = found + table.num_rows, done + stop - start
        progress(total, total)
    return found


def _record(store: Store, table: pa.Table, first: int, end: int, after: int) -> None:
    """`table` is all that these rows name of what events after that number brought, up to the last one."""
    through = store.events("subject.identified", last=True)[0].seq
    facts = {"first": first, "end": end, "after": after, "through": through, "found": table.num_rows}
    held = {"table": store.put_table(table)} if table.num_rows else {}
    store.append("mentions.found", f"rows:{first}-{end - 1}", facts | held)


def _left(store: Store) -> Iterator[tuple[int, int, int]]:
    """(first row, row after the last, number of the event up to which they were searched) of each stretch of rows that
    were not searched for everybody."""
    last = store.events("subject.identified", last=True)
    rows = store.committed() if last else 0
    if not rows:
        return
    done = [event.data for event in store.events("mentions.found")]
    cuts = np.unique([0, rows, *(one["first"] for one in done), *(one["end"] for one in done)])
    through = np.zeros(len(cuts) - 1, np.int64)
    for one in done:
        at, to = np.searchsorted(cuts, (one["first"], one["end"]))
        through[at:to] = np.maximum(through[at:to], one["through"])
    changes = np.flatnonzero(np.diff(through)) + 1
    for at, to in zip([0, *changes], [*changes, len(through)], strict=True):
        if through[at] < last[0].seq:
            yield int(cuts[at]), int(cuts[to]), int(through[at])


def _searched(
    store: Store, finder: Finder, wanted: Sequence[Kept], first: int, end: int, told: Callable[[int], None]
) -> pa.Table:
    """Who is named by these rows, those left out that are about them anyway."""
    ordinals, places = array("Q"), array("L")
    start, count = first if wanted else end, LEAST_ROWS
    while start < end:
        told(start - first)
        part, size = row_set(range(start, min(start + count, end))), 0
        for chunk in store.scan(["content", "subject"], part):
            size += chunk["content"].nbytes
            for at, found in finder.find_all(chunk["content"]):
                ordinal, tag = chunk["ord"][at].as_py(), chunk["subject"][at].as_py()
                for place in sorted(found):
                    if wanted[place].subject != tag:
                        ordinals.append(ordinal)
                        places.append(place)
        start += count
        count = max(LEAST_ROWS, min(READ_ROWS, 2 * count, count * READ_BYTES // (size + 1)))
    named = [wanted[place] for place in places]
    texts = {name: pa.array([getattr(one, name) for one in named], pa.string()).dictionary_encode() for name in TEXTS}
    return pa.table(
        {
            "ordinal": pa.array(np.array(ordinals, np.uint64)),
            "said": pa.array([one.said for one in named], pa.uint64()),
            "at": pa.array([one.at for one in named], pa.uint32()),
            **texts,
        }
    )


TEXTS = ("subject", "kind", "strength")
"""Of a table of mentions. Its other columns: ordinal of the row; said and at, which identifier it was."""
