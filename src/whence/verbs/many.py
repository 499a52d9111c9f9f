"""Many changes of rights in one file: each line checked before any is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError

from whence.govern import Told
from whence.records import Unmet, WhenceError
from whence.store import Store
from whence.verbs.scopes import licence_of, scopes

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
    valid_at: Annotated[datetime, AwareDatetime] | None = None
    use: Literal["train", "evaluate"] | None = None
    to: str | None = None
    all_rows: bool = False
    reason: str | None = None
    said_by: str | None = None


def changes_in(store: Store, path: Path, told: Teller) -> list[Told]:
    """The changes that a file of JSON lines names. Raises Unmet with every fault by line."""
    reader, made, faults = TypeAdapter(Line), list[Told](), list[str]()
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
            made.append(_change(store, reader.validate_json(raw)))
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'line'}: {e['msg']}" for e in error.errors()[:3])
            faults.append(f"line {number}: {said}")
        except WhenceError as error:
            faults.append(f"line {number}: {str(error).splitlines()[0]}")
    if faults or not made:
        more = f"\n  … and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        listed = "".join(f"\n  {fault}" for fault in faults[:SHOWN]) or " no line"
        raise Unmet(
            f"{path} has {len(faults)} faults:{listed}{more}",
            'lines such as {"what": "withdraw", "subject": "c-0017"}',
            "mend them and call again: nothing of it was recorded",
        )
    return made


def _change(store: Store, line: Line) -> Told:
    named = scopes(store, subject=line.subject, source=line.source, licence=line.licence, row=line.row, new=True)
    if len(named) != 1:
        raise Unmet(f"{len(named)} things are named", "one of subject, source, licence, row", "name one")
    (kind, name), changed = named[0], line.what == "change"
    if changed and kind == "subject":
        raise Unmet("a person has no licence that changes", "grant or withdraw", "say which")
    if (line.to is not None and line.what not in ("change", "grant")) or (line.all_rows and not changed):
        raise Unmet(f"{line.what} takes no 'to' and no 'all_rows'", "them in a change", "leave them out")
    return Told(
        what=line.what,
        about=f"{kind}:{name}",
        valid_at=line.valid_at,
        use=line.use,
        licence=None if line.to is None else licence_of(line.to),
        reach=("all" if line.all_rows else "new") if changed else None,
        reason=line.reason,
        said_by=line.said_by,
    )
