"""Rights as events: a licence or consent that is granted or withdrawn, and what follows for rows.

A source's declared licence and consent basis are what was granted at first; the last event about a subject, source or
licence that is valid at the asked time decides from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Literal

from whence.records import Finding, Ref, Snapshot, Source, encode, sha256
from whence.store import RowSet, Store, row_set

PERSONAL_BASES = frozenset({"consent", "contract", "legitimate-interest", "legal-duty"})


def change(
    store: Store,
    about: str,
    what: Literal["grant", "withdraw"],
    *,
    valid_at: datetime | None = None,
    reason: str | None = None,
) -> int:
    """Record that the right to train on something changed; a person decides it. `about` is ``subject:PSEUDONYM``,
    ``source:NAME``, ``licence:EXPRESSION`` or ``row:ID``; `valid_at` is from when, None: from now on. Returns the
    event's number."""
    person = store.person()
    words = store.write_words("payload", {"reason": reason, "by": person}) if reason else None
    return store.append(f"rights.{what}", about, {"scope": "train"}, valid_at, words).seq


def states(store: Store, as_of: datetime | None = None) -> dict[str, str]:
    """about → grant or withdraw, as the events recorded and valid by then say.

    A clock that jumps changes no order: what names no time of its own is valid from its place in the chain on, and what
    was valid when it was recorded stays so.
    """
    now, told, valid = as_of or store.clock(), datetime.min.replace(tzinfo=UTC), []
    for event in store.events("rights.*", as_of=as_of):
        told = max(told, min(event.recorded_at, now))
        since = event.valid_at or event.recorded_at
        if since <= max(now, event.recorded_at):
            valid.append((min(event.valid_at, now) if event.valid_at else told, event.seq, event))
    return {event.about: event.kind.removeprefix("rights.") for _, _, event in sorted(valid, key=itemgetter(0, 1))}


def rights_digest(store: Store) -> str:
    """``sha256:`` of all states: a stage that reads rights is done again when it changes."""
    return sha256(encode(states(store)))


def withdrawn_rows(store: Store, as_of: datetime | None = None) -> RowSet:
    """Rows of every withdrawn subject, source and licence, and rows made from them."""
    index, rows = store.index(), row_set([])
    for about, state in states(store, as_of).items():
        kind, _, name = about.partition(":")
        if state == "withdraw" and kind in index.sets:
            rows |= index.sets[kind].get(name)
        elif state == "withdraw" and kind == "row":
            rows |= row_set(store.find_rows(name))
    return rows | index.descendants(rows)


def admitter(store: Store) -> Callable[[Source, Sequence[str | None], Sequence[str | None]], list[str | None]]:
    """The ``admit`` that ingest asks: for each row None, or the code of what is missing. Nothing is assumed."""
    gone = {about for about, state in states(store).items() if state == "withdraw"}

    def admit(source: Source, subjects: Sequence[str | None], licences: Sequence[str | None]) -> list[str | None]:
        if f"source:{source.name}" in gone:
            return ["withdrawn"] * len(subjects)
        based = source.consent_basis in PERSONAL_BASES
        if not gone and based and all(licences):
            return [None] * len(subjects)
        return [
            "no_licence"
            if licence is None
            else "no_consent_basis"
            if subject is not None and not based
            else "withdrawn"
            if f"subject:{subject}" in gone or f"licence:{licence}" in gone
            else None
            for subject, licence in zip(subjects, licences, strict=True)
        ]

    return admit


def withdrawn(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``rights.withdrawn``: a snapshot must hold no row whose right was withdrawn."""
    record = store.get(thing)
    if isinstance(record, Snapshot):
        yield from _snapshot(store, thing, record)


def _snapshot(store: Store, thing: Ref, snapshot: Snapshot) -> Iterator[Finding]:
    rows = store.snapshot_rows(snapshot) & withdrawn_rows(store)
    yield Finding(
        check="rights.withdrawn",
        about=thing,
        verdict="fail" if rows else "pass",
        severity="high",
        message=f"{len(rows)} of {snapshot.rows} rows may not be trained on any more"
        if rows
        else f"nothing was withdrawn for any of {snapshot.rows} rows",
        statistic=float(len(rows)),
        threshold=0.0,
        n=snapshot.rows,
        rows=store.put_set(rows) if rows else None,
    )
