"""Many changes of rights in one file: each line checked before any is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict

from whence.govern import Told
from whence.records import Unmet
from whence.store import Store
from whence.store.lines import read_lines
from whence.verbs.scopes import licence_of, moment, scopes

if TYPE_CHECKING:
    from whence.lifecycle.run import Told as Teller


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
    digest, before = cache(digest), dict[str, bool]()

    def take(line: Line, _: int) -> Told:
        one = _change(store, line, digest)
        if one.what == "reinstate" and not (before[one.about] if one.about in before else ended(one.about)):
            raise Unmet("what it reinstates is neither withdrawn nor disputed")
        if one.what != "change":
            before[one.about] = one.what in ("withdraw", "dispute")
        return one

    def progress(done: int, total: int) -> None:
        if done % 1000 == 0:
            told.progress("rights", path.name, done, total)

    form, then = '{"what": "withdraw", "subject": "c-0017"}', "nothing of it was recorded"
    return read_lines(path, Line, take, holds="change", form=form, then=then, progress=progress)


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
