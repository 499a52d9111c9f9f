"""Many changes of rights in one file: each line checked before any is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from whence.govern import Told
from whence.records import Unmet, WhenceError
from whence.store import Store
from whence.verbs.scopes import licence_of, moment, scopes

if TYPE_CHECKING:
    from whence.lifecycle.run import Told as Teller

SHOWN = 20
"""Faults that are listed; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One change of a right."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    what: Literal["grant", "change", "dispute", "withdraw", "reinstate"]
    subject: str | None = None
    source: str | None = None
    licence: str | None = None
    row: str | None = None
    rows: str | None = None
    valid_at: str | None = None
    use: Literal["train", "evaluate"] | None = None
    to: str | None = None
    all_rows: bool = False
    reason: str | None = None
    said_by: str | None = None
    evidence: str | None = None


Ended = Callable[[str], bool]
"""Whether the right to a thing is withdrawn or disputed."""
Digest = Callable[[Path], str]
"""Of a file that shows something."""


def changes_in(store: Store, path: Path, ended: Ended, digest: Digest, told: Teller) -> dict[int, Told]:
    """The changes that a file of JSON lines names, by line. A line lifts what an earlier line ended, too. Raises Unmet
    with every fault by line."""
    reader, made, faults = TypeAdapter(Line), dict[int, Told](), list[str]()
    digest, before = cache(digest), dict[str, bool]()
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a file of JSON lines", "name one") from error
    for number, raw in enumerate(lines, 1):
        if number % 1000 == 0:
            told.progress("rights", path.name, number, len(lines))
        if not raw.strip():
            continue
        try:
            one = _change(store, reader.validate_json(raw), digest)
            if one.what == "reinstate" and not (before[one.about] if one.about in before else ended(one.about)):
                raise Unmet("what it reinstates is neither withdrawn nor disputed")
            if one.what != "change":
                before[one.about] = one.what in ("withdraw", "dispute")
            made[number] = one
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'line'}: {e['msg']}" for e in error.errors()[:3])
            faults.append(f"line {number}: {said}")
        except WhenceError as error:
            faults.append(f"line {number}: {str(error).splitlines()[0]}")
    if faults or not made:
        more = f"\n  … and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        listed = "".join(f"\n  {fault}" for fault in faults[:SHOWN])
        count = "1 fault" if len(faults) == 1 else f"{len(faults):,} faults"
        raise Unmet(
            f"{path} has {count}:{listed}{more}" if faults else f"{path} holds no line",
            'lines such as {"what": "withdraw", "subject": "c-0017"}',
            "mend them and call again: nothing of it was recorded",
        )
    return made


def _from(text: str | None) -> datetime | None:
    try:
        return None if text is None else moment(text)
    except Unmet as error:
        raise Unmet(f"valid_at: {error.found}") from error


NAMES = ("subject", "source", "licence", "row", "rows")
"""What a change can be about."""


def _change(store: Store, line: Line, digest: Digest) -> Told:
    given = {name: value for name in NAMES if (value := getattr(line, name)) is not None}
    if len(given) != 1:
        found = f"{', '.join(given)} are named" if given else "nothing is named"
        raise Unmet(f"{found}, expected one of {', '.join(NAMES)}")
    (kind, name), changed = scopes(store, **given, new=True)[0], line.what == "change"
    if changed and kind == "subject":
        raise Unmet("a person has no licence that changes", "grant or withdraw", "say which")
    if (line.to is not None and line.what not in ("change", "grant")) or (line.all_rows and not changed):
        raise Unmet(f"{line.what} takes no 'to' and no 'all_rows'", "them in a change", "leave them out")
    return Told(
        what=line.what,
        about=f"{kind}:{name}",
        valid_at=_from(line.valid_at),
        use=line.use,
        licence=None if line.to is None else licence_of(line.to),
        reach=("all" if line.all_rows else "new") if changed else None,
        reason=line.reason,
        said_by=line.said_by,
        evidence=None if line.evidence is None else digest(Path(line.evidence)),
    )
