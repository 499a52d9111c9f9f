"""Who read which evaluation items, when and for what: an append-only record.

Matching (`whence.data.leaks`) reads every item and shows none, so it exposes nothing; what it found is kept with the
access, and is not looked for again while nothing changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict
from pydantic.dataclasses import dataclass as checked

from whence.records import Event, Json, Ref, Suite
from whence.store import Store
from whence.store.lines import read_lines

ACCESSED = "suite.accessed"
EXPOSING = ("inspect", "export")
"""Purposes after which a person knows what the items say."""


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", str_min_length=1))
class Access:
    """Somebody read items of a suite."""

    suite: str
    """its name"""
    by: str
    """who, as they are named as an actor"""
    at: AwareDatetime
    """when"""
    purpose: Literal["score", "inspect", "export"]
    """score: numbers only were seen; inspect: the texts; export: the texts left the store"""
    items: tuple[str, ...] | None = None
    """their ids; None: all"""


@dataclass(frozen=True, slots=True)
class Looked:
    """Who knows what items of one suite say."""

    since: int
    """number of the last event that says so, 0 for none"""
    by: Mapping[str | None, Sequence[tuple[str, datetime]]] = field(default_factory=dict)
    """item, or None for all → (who, when)"""

    def before(self, item: str, who: str, when: datetime) -> bool:
        """Whether this person had looked at this item by then."""
        return any(by == who and at <= when for key in (item, None) for by, at in self.by.get(key, ()))


def read_accesses(store: Store, path: Path) -> list[Access]:
    """The accesses of a file of JSON lines with the members of `Access`, blank lines skipped. Raises Unmet that names
    every bad line: of another form, of a suite that is not on record, with an item that none of its versions has."""
    items = defaultdict[str, set[str]](set)
    for _, suite in store.all(Suite):
        items[suite.name].update(str(item["id"]) for item in store.get_lines(suite.items))

    def take(one: Access, _: int) -> Access:
        if one.suite not in items:
            raise ValueError(f"no suite is called {one.suite!r}, expected {', '.join(items) or 'none yet'}")
        if strangers := sorted(set(one.items or ()) - items[one.suite]):
            raise ValueError(f"{one.suite} has no item {strangers[0]!r}")
        return one

    form = '{"suite": …, "by": …, "at": "2026-01-31T12:00:00Z", "purpose": "inspect", "items": […]}'
    return [*read_lines(path, Access, take, holds="access", form=form, then="nothing was kept").values()]


def note_accesses(store: Store, accesses: Sequence[Access]) -> int:
    """Put these on record, all or none; what is there already is passed over. Returns how many are new."""
    with store.writer("accesses"):
        known = {_key(one) for one in noted(store)}
        new = {_key(one): one for one in accesses if _key(one) not in known}
        store.append_many(
            (
                ACCESSED,
                one.suite,
                {
                    "purpose": one.purpose,
                    "by": one.by,
                    "items": len(one.items) if one.items is not None else None,
                    "set": store.put_lines(sorted(one.items)) if one.items is not None else None,
                },
                one.at,
                None,
            )
            for one in new.values()
        )
    return len(new)


def noted(store: Store) -> list[Access]:
    """Every access that somebody put on record, in the order of these records."""
    return [_access(store, event) for event in store.events(ACCESSED) if event.data["purpose"] != "match"]


def looked(store: Store, suite: str) -> Looked:
    """Who knows what the items of the suite of this name say."""
    by, since = defaultdict[str | None, list[tuple[str, datetime]]](list), 0
    for event in store.events(ACCESSED, about=suite):
        one = _access(store, event)
        if one.purpose in EXPOSING:
            since = event.seq
            for item in (None,) if one.items is None else one.items:
                by[item].append((one.by, one.at))
    return Looked(since, by)


def matched(store: Store, suite: Ref, inputs: str) -> dict[str, Any] | None:
    """What was found when this version of a suite was held against these inputs (a digest); None: it was not yet."""
    found = [event.data for event in store.events(ACCESSED, about=suite) if event.data.get("inputs") == inputs]
    return found[-1] if found else None


def match(store: Store, suite: Ref, inputs: str, facts: Mapping[str, Json]) -> None:
    """Put on record that this version of a suite was matched, and what was found: numbers, and a `table`."""
    store.append(ACCESSED, suite, {"purpose": "match", "inputs": inputs, **facts})


class Brought:
    """Who added which rows, and when."""

    def __init__(self, store: Store) -> None:
        self._events = store.events("rows.appended")
        self._first = [event.data["first"] for event in self._events]

    def __getitem__(self, ordinal: int) -> tuple[str, datetime]:
        event = self._events[bisect_right(self._first, ordinal) - 1]
        return event.actor, event.recorded_at


def _access(store: Store, event: Event) -> Access:
    items = event.data.get("set")
    return Access(
        suite=event.about,
        by=event.data["by"],
        at=event.valid_at,  # type: ignore[arg-type]
        purpose=event.data["purpose"],
        items=None if items is None else tuple(store.get_lines(items)),
    )


def _key(one: Access) -> tuple[Any, ...]:
    return one.suite, one.by, one.at, one.purpose, None if one.items is None else tuple(sorted(one.items))
