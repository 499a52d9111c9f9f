"""Whether the terms of a source are still those that were seen last: what its `evidence` names, by its digest."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from whence.govern import Told, tell
from whence.records import Source, sha256
from whence.store import Store

TERMS_BYTES = 4 << 20
"""Terms are no longer than this."""
TIMEOUT_S = 20

State = Literal["same", "changed", "first seen", "gone", "not looked at", "nowhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A source and its terms."""

    source: str
    """its name"""
    where: str | None
    """file or address; absent: the source names none"""
    state: State
    """whether they are those that were seen last; addresses are looked at where fetching is asked for"""
    terms: str | None
    """blob of the terms as they are now"""
    event: int | None
    """number of the event that was recorded: of terms seen first, or of a licence that changed"""
    says: str
    """one line for a person"""


def watch(
    store: Store,
    folder: Path,
    fetch: bool = False,
    told: Callable[[str, int, int], None] = lambda *_: None,
    licence_in: Callable[[str], str | None] = lambda text: None,
) -> list[Watched]:
    """Look at the terms of every source. Terms that changed are recorded as a change of licence, to what `licence_in`
    finds in them, or to nobody knows what; rows that were collected before are then for a person to decide."""
    seen = {event.about: event for event in store.events("terms.seen")}
    newest = {source.name: source for _, source in store.all(Source)}
    found = []
    for number, (name, source) in enumerate(sorted(newest.items())):
        told(name, number, len(newest))
        last = seen.get(f"source:{name}")
        found.append(_look(store, folder, source, last.data["terms"] if last else None, fetch, licence_in))
    return found


def _look(
    store: Store,
    folder: Path,
    source: Source,
    before: str | None,
    fetch: bool,
    licence_in: Callable[[str], str | None],
) -> Watched:
    def said(state: State, says: str, terms: str | None = None, event: int | None = None) -> Watched:
        return Watched(source=source.name, where=where, state=state, terms=terms, event=event, says=says)

    where = source.evidence
    if not where:
        return said("nowhere", "names no evidence: nobody can tell whether its terms changed")
    away = where.startswith(("http://", "https://"))
    if away and not fetch:
        return said("not looked at", "is an address: --fetch looks there")
    try:
        data = _fetched(where) if away else (folder / where).read_bytes()[: TERMS_BYTES + 1]
    except (OSError, ValueError) as error:
        return said("gone", f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(data) > TERMS_BYTES:
        return said("gone", f"is longer than {TERMS_BYTES >> 20} MiB: no terms are")
    if sha256(data) == before:
        return said("same", "as last seen", before)
    about, terms = f"source:{source.name}", store.blobs.put(data)
    with store.transaction():
        event = store.append("terms.seen", about, {"terms": terms}).seq
        if before is None:
            return said("first seen", "kept, to be compared with", terms, event)
        licence = licence_in(data.decode("utf-8", "replace"))
        event = tell(store, [Told(what="change", about=about, licence=licence, reach="new", evidence=terms)])[0].seq
    to = f"they look like {licence}" if licence else "to what, a person has to say"
    return said("changed", f"changed since they were seen; {to}", terms, event)


def _fetched(address: str) -> bytes:
    request = urllib.request.Request(address, headers={"user-agent": "whence"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return bytes(answer.read(TERMS_BYTES + 1))
