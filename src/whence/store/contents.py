"""What the store holds beside its catalogue, derived again: rows, index, blobs, words, keys.

Nothing here trusts an index; see `whence.store.verify`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from whence.records import Canaries, Damaged, Feedback, Finding, NotFound, RunReport, Trace, Waiver, keyed, row_id
from whence.store import index as indexes
from whence.store.erasure import STAGED, Erased, erased, key_name
from whence.store.keys import IDENTIFIERS, PSEUDONYMS
from whence.store.rows import SCHEMA, facts_digest, row_name
from whence.store.store import Store

Progress = Callable[[str, int, int], None]
DIGEST = re.compile("sha256:[0-9a-f]{64}").fullmatch


def bad(part: str, about: str, message: str) -> Finding:
    """A part of the store that is damaged."""
    return Finding(check=f"store.{part}", about=about, verdict="fail", severity="high", message=message)


def rows(store: Store, progress: Progress) -> Iterator[Finding]:
    """Each batch's facts, each row's content digest and id."""
    committed = store.committed()
    store.keys.reload()
    gone = erased(store)
    keyless: Counter[str] = Counter()
    twice = store.rows.count(0, committed) > committed
    for event in store.events("rows.appended"):
        first, count = event.data["first"], event.data["rows"]
        progress("rows", first, committed)
        if twice:
            table = store.rows.table(SCHEMA.names, f"ord >= {first} AND ord < {first + count}")
        else:
            table = store.rows.at(SCHEMA.names, np.arange(first, first + count, dtype=np.uint64))
        if table.num_rows != count:
            yield bad(
                "rows", event.about, f"rows {first} to {first + count - 1}: {table.num_rows} of {count} are there"
            )
            continue
        if facts_digest(table) != event.data["facts"]:
            yield bad("rows", event.about, f"facts of rows {first} to {first + count - 1} ({event.about}) were changed")
        for chunk in table.to_batches():
            yield from _contents(store, chunk, keyless, gone)
    if keyless:
        owners = ", ".join(sorted(keyless)[:3]) + (f" and {len(keyless) - 3:,} more" if len(keyless) > 3 else "")
        message = (
            f"{keyless.total():,} rows have content digests whose keys are gone from {store.keys.path}: of {owners}"
        )
        yield bad("rows", "keys", f"{message}\n  do: put the file back from its copy")


def _contents(store: Store, chunk: pa.RecordBatch, keyless: Counter[str], gone: Erased) -> Iterator[Finding]:
    names = ("ord", "id", "source", "record", "subject", "content", "content_digest")
    for ordinal, name, source, record, subject, content, stored in zip(
        *(chunk[n].to_pylist() for n in names), strict=True
    ):
        owner = key_name(source, subject)
        keys = [key for key in (store.keys.find(owner), store.keys.find(STAGED + owner)) if key]
        where = f"row {ordinal} ({source}:{record})"
        if ordinal in gone.rows and (ordinal not in gone.under_way or stored is None):
            if stored is not None or content is not None:
                yield bad("rows", row_name(name), f"{where} was erased and has content")
        elif stored is None:
            yield bad("rows", row_name(name), f"{where} has no content digest any more")
        elif not keys:
            keyless[subject or source] += 1
        elif content is None or stored not in (keyed(key, content.encode()) for key in keys):
            yield bad("rows", row_name(name), f"the content of {where} was changed")
        elif ordinal not in gone.renewed and row_id(keys[0], source, record, stored) != name:
            yield bad("rows", row_name(name), f"the id of {where} does not follow from the row")


def index(store: Store) -> Iterator[Finding]:
    folder = store.root / "index"
    for path in indexes.damaged_files(folder):
        yield bad("index", str(path), f"{path} is damaged; delete the folder {path.parent}: it is derived again")
        return
    saved = indexes.Index.load(folder)
    if not saved.covers:
        return
    again = store.rows.derived(saved.covers)
    same = (
        np.array_equal(saved.prefixes, again.prefixes)
        and np.array_equal(saved.rest, again.rest)
        and np.array_equal(saved.ordinals, again.ordinals)
        and np.array_equal(saved.marks, again.marks)
        and np.array_equal(saved.marked, again.marked)
        and np.array_equal(saved.offsets, again.offsets)
        and np.array_equal(saved.children, again.children)
        and all(saved.sets[k] == again.sets[k] for k in indexes.KINDS)
    )
    if not same:
        yield bad(
            "index", str(folder), f"the index in {folder} does not follow from the rows; delete it: it is derived again"
        )


def blobs(store: Store) -> Iterator[Finding]:
    gone = erased(store).blobs
    for name in store.blobs.names():
        try:
            store.blobs.get(name)
        except Damaged as error:
            yield bad("blobs", name, str(error))
    for record, body in store.bodies():
        for field, value in _members(json.loads(body)):
            named = field in BLOB_FIELDS and DIGEST(str(value)) and value not in gone
            if named and not _has_blob(store, value):
                yield bad(
                    "blobs", record, f"record {record[:19]}… needs blob {value[:19]}… ({field}), which is missing"
                )
    for event in store.events("rights.*"):
        kind, _, blob = event.about.partition(":")
        if kind == "rows" and not _has_blob(store, blob):
            yield bad("blobs", blob, f"event {event.seq} ({event.kind}) needs blob {blob[:19]}…, which is missing")

    for event in store.events():
        for field in EVENT_BLOBS.intersection(event.data or ()):
            if not _has_blob(store, event.data[field]):
                what = f"event {event.seq} ({event.kind})"
                yield bad(
                    "blobs", f"event {event.seq}", f"{what} needs blob {event.data[field][:19]}…, which is missing"
                )


EVENT_BLOBS = frozenset({"set", "table", "terms", "renewed", "pairs"})
"""Members of an event's data that name a blob."""
BLOB_FIELDS = frozenset({"set", "removed", "items", "scores", "rows", "environment", "answers", "wheels", "lowered"})
"""Fields of records that name a blob where they hold a digest."""


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (field, value) inside a record's body, at any depth."""
    for field, held in value.items():
        yield field, held
        for inner in held if isinstance(held, list) else [held]:
            if isinstance(inner, dict):
                yield from _members(inner)


def _has_blob(store: Store, name: str) -> bool:
    try:
        store.blobs.get(name)
    except Damaged:
        return True
    except Exception:  # noqa: BLE001  whatever the filesystem says, the blob cannot be had
        return False
    return True


def words(store: Store) -> Iterator[Finding]:
    """Every noted entry can be read, every digest of words that the record names is noted, no line is unreadable. Words
    that an erasure overwrote are noted until it has overwritten all of them."""
    read, gone = set(), erased(store).words
    for kind, entry in store.all_words():
        read.add((kind, entry.segment, entry.offset))
        if entry.digest in gone:
            continue
        try:
            store.journal(kind).read(entry)
        except Damaged as error:
            yield bad("words", entry.digest, str(error))
    named = dict(_words_named(store))
    for digest in sorted(named.keys() - store.noted(named) - gone):
        yield bad("words", digest, f"the words {digest[:19]}… of {named[digest]} are nowhere noted")
    for kind in store.journals():
        journal = store.journal(kind)
        for segment in journal.segments():
            with suppress(FileNotFoundError):  # of an ingest that did not end, cleared by the next one meanwhile
                for entry, _ in journal.scan(segment):
                    if not entry.digest and (kind, segment, entry.offset) not in read:
                        where = f"journal {kind}/{segment} at byte {entry.offset}"
                        yield bad("words", where, f"{where} cannot be read")


def _words_named(store: Store) -> Iterator[tuple[str, str]]:
    """(digest of words, what names it)."""
    for event in store.events():
        if event.payload:
            yield event.payload, f"event {event.seq} ({event.kind})"
    for kind, member in ((Trace, "content"), (Feedback, "content"), (Waiver, "reason"), (Canaries, "words")):
        for name, record in store.all(kind):
            if getattr(record, member):
                yield getattr(record, member), f"{kind.__name__.lower()} {name[:19]}…"
    for name, report in store.all(RunReport):
        if report.example and not _has_blob(store, report.example):
            yield report.example, f"run report {name[:19]}… (its example)"
        for line in _quarantined(store, report):
            yield line["words"], f"line {line['line']} in quarantine (run report {name[:19]}…)"


def keys(store: Store) -> Iterator[Finding]:
    """The key that ties people to their pseudonyms is there where rows are about people."""
    if PSEUDONYMS not in store.keys and store.index().sets["subject"].names():
        message = f"the key of pseudonyms is gone from {store.keys.path}: nobody in the rows can be found by name"
        yield bad("keys", PSEUDONYMS, f"{message}\n  do: restore the file from its copy")
    if IDENTIFIERS not in store.keys and store.events("subject.identified", last=True):
        message = f"the key of identifiers is gone from {store.keys.path}: no new row is searched for them"
        yield bad("keys", IDENTIFIERS, f"{message}\n  do: restore the file from its copy")


def _quarantined(store: Store, report: RunReport) -> list[dict[str, Any]]:
    try:
        table = store.get_table(report.removed) if report.removed else None
    except (NotFound, Damaged, pa.ArrowException):
        return []  # named among the blobs
    return table.to_pylist() if table is not None and "words" in table.column_names else []
