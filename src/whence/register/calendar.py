"""The base calendar: when providers retire what adapters stand on. Facts with the page that states them.

``calendar.toml`` beside this file is shipped; a project adds to it; a provider's own ``/v1/models`` may be read. Of
several that know a thing, the project's entries count, else the provider's answer, else the shipped ones.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from fnmatch import translate
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from whence.records import Json

Kind = Literal["deprecated", "retired", "withdrawn", "jobs_stop", "support_ends"]
"""deprecated: announced, no end yet; retired: requests fail from then on; withdrawn: the weights cannot be had any
more; jobs_stop: no new training jobs; support_ends: no security fixes."""

SHIPPED = Path(__file__).with_name("calendar.toml")
Fault = tuple[tuple[str | int, ...], str]
"""(path of the key, what is wrong with it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One published date."""

    provider: str
    """who ends it"""
    kind: Kind
    """what ends"""
    at: date
    """first day on which it has ended, UTC"""
    matches: tuple[str, ...]
    """names of bases (``name==version`` of Python or a package), in any case; ``*`` stands for any letters"""
    source: str
    """URL of the page that states it"""
    read: date
    """day on which that page was read"""

    @property
    def ends(self) -> datetime:
        """Midnight UTC of that day."""
        return datetime.combine(self.at, time(), UTC)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Entries by where they come from, those that count first."""

    project: tuple[Entry, ...]
    """what the project knows"""
    published: tuple[tuple[Entry, ...], ...]
    """what providers say, the newest first"""
    _found: dict[tuple[bool, tuple[str, ...]], tuple[Entry, ...]] = field(default_factory=dict)

    def about(self, *names: str, held: bool = False) -> tuple[Entry, ...]:
        """Entries about a thing that has these names, the soonest first; of the first layer that knows it. `held`: its
        weights are here, so that nobody who stops serving them ends it."""
        key = (held, names)
        if key not in self._found:
            lowered = [name.lower() for name in names]
            layers = [self.project]
            layers += [tuple(e for e in said if not held or e.kind == "withdrawn") for said in self.published]
            known = ([e for e in layer if _fits(e, lowered)] for layer in layers)
            self._found[key] = tuple(sorted(next((k for k in known if k), []), key=lambda e: e.at))
        return self._found[key]


def _fits(entry: Entry, names: Sequence[str]) -> bool:
    return any(map(_pattern(entry.matches).match, names))


@cache
def _pattern(matches: tuple[str, ...]) -> re.Pattern[str]:
    """What any of these names fits, whole; made once, since an environment has hundreds of packages."""
    return re.compile("|".join(translate(name.lower()) for name in matches))


@cache
def shipped() -> tuple[date, tuple[Entry, ...]]:
    """(as of when, entries) of the file that is shipped."""
    raw = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    found, faults = entries_of(raw)
    assert not faults, faults
    return raw["as_of"], found


def entries_of(raw: Json) -> tuple[tuple[Entry, ...], list[Fault]]:
    """The entries of a parsed calendar, and every fault of it."""
    faults: list[Fault] = [((key,), f"unknown key; known: {', '.join(TOP)}") for key in raw if key not in TOP]
    if "as_of" in raw and type(raw["as_of"]) is not date:
        faults.append((("as_of",), f"should be a date such as 2026-11-21; found {raw['as_of']!r}"))
    tables = raw.get("entries", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        return (), [*faults, (("entries",), "should be tables: [[entries]]")]
    found = []
    for i, table in enumerate(tables):
        wrong = list(_faults(("entries", i), table))
        faults += wrong
        if not wrong:
            found.append(Entry(**{**table, "matches": tuple(table["matches"])}))
    return tuple(found), faults


TOP = ("as_of", "entries")


def _faults(where: tuple[str | int, ...], table: Json) -> Iterator[Fault]:
    known = [f.name for f in fields(Entry)]
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, 1, 0.5)
            yield (*where, key), "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; known: {known}")
    for key in known:
        fault = _fault(key, table[key]) if key in table else "is missing"
        if fault:
            yield (*where, key), fault


def _fault(key: str, value: Json) -> str | None:
    if key in ("at", "read"):
        return None if type(value) is date else f"should be a date such as 2027-01-14; found {value!r}"
    if key == "kind":
        return None if value in get_args(Kind) else f"should be one of {', '.join(get_args(Kind))}; found {value!r}"
    if key == "matches":
        fine = isinstance(value, list) and value and all(isinstance(v, str) and v.strip("* ") for v in value)
        return None if fine else "should be a list of names, none of which is * alone"
    if not isinstance(value, str) or not value.strip():
        return f"should be text; found {value!r}"
    return "should begin with https:// or http://" if key == "source" and "://" not in value else None


def entries_in(answer: Json, source: str, read: date) -> tuple[Entry, ...]:
    """What a provider's list of models says of their ends, in the members that providers document: ``shutdown_date``
    (OpenAI), ``deprecation`` (Mistral: announced, not an end), ``modelLifecycle.endOfLifeTime`` (Amazon Bedrock)."""
    listed = answer.get("data", answer.get("modelSummaries", [])) if isinstance(answer, dict) else answer
    found = []
    for model in listed if isinstance(listed, list) else []:
        if not isinstance(model, dict):
            continue
        name = model.get("id", model.get("modelId"))
        life = model.get("modelLifecycle")
        said: list[tuple[Kind, Json]] = [
            ("retired", model.get("shutdown_date")),
            ("deprecated", model.get("deprecation")),
            ("retired", life.get("endOfLifeTime") if isinstance(life, dict) else None),
        ]
        for kind, when in said:
            day = _day(when)
            if isinstance(name, str) and name and day:
                found.append(
                    Entry(
                        provider=_owner(model), kind=kind, at=day, matches=(_exactly(name),), source=source, read=read
                    )
                )
    return tuple(found)


def _day(when: Json) -> date | None:
    """The day of an ISO 8601 date or time, or of seconds since 1970."""
    try:
        if isinstance(when, int | float) and not isinstance(when, bool):
            return datetime.fromtimestamp(when, UTC).date()
        return date.fromisoformat(when[:10]) if isinstance(when, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _owner(model: Json) -> str:
    owner = model.get("owned_by", model.get("providerName"))
    return owner if isinstance(owner, str) and owner else "the provider"


def _exactly(name: str) -> str:
    """A pattern that fits this name only."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def calendar(project: Iterable[Entry] = (), answers: Iterable[Entry] = ()) -> Calendar:
    """The project's entries, a provider's answer, and the shipped ones, in the order in which they count."""
    return Calendar(tuple(project), (tuple(answers), shipped()[1]))
