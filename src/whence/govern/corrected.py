"""A source's licence that was claimed anew after rows had been read: they keep what they came under, until a person
says what counts."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from whence.govern.rights import Book, amended
from whence.records import Run, Source
from whence.store import RowSet, Store, row_set


def unheeded(store: Store, source: Source) -> Iterator[tuple[str, RowSet]]:
    """(licence, rows of this source that were read under it), for every licence that it was claimed to have before.
    Left out are rows of which rights events speak: the change was recorded, or a person granted another licence."""
    earlier = {} if source.licence is None else dict(store.all(Source, source.name))
    before = {one.licence for ref, one in earlier.items() if one.licence and _gave(store, ref)} - {source.licence}
    if not before:
        return
    held = {about: one for about, one in Book.of(store).standings().items() if one.terms}
    settled = row_set([])
    for about, terms, after, older in amended(store, held):
        if held[about].decided or terms.licence == source.licence:
            settled |= after | older
    sets = store.index().sets
    for licence in sorted(before):
        rows = (sets["licence"].get(licence) & sets["source"].get(source.name)) - settled
        if rows:
            yield licence, rows


def _gave(store: Store, source: str) -> bool:
    """Whether rows were read that have their licence of this source alone, and not of a field of theirs."""
    runs = [store.get(ref, Run) for ref, field, _ in store.downstream([source]) if field == "used"]
    return any(run.activity == "ingest" and "licence" not in json.loads(run.inputs["map"]) for run in runs)


def unheeded_line(source: Source, licence: str, rows: int) -> str:
    """5 rows were read before under CC-BY-4.0 and stay so; the claim is … now: whence rights change …"""
    to = shlex.quote(str(source.licence))
    were = ("row was", "stays") if rows == 1 else ("rows were", "stay")
    do = f"whence rights change --source {shlex.quote(source.name)} --to {to} --all-rows"
    said = f"{source.name}: {rows:,} {were[0]} read before under {licence} and {were[1]} so"
    return f"{said}; it is claimed to be {source.licence} now: {do}"
