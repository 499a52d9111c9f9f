"""What people call a person, a source, a licence, a row or a list of rows → what rights events call it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from whence import govern
from whence.lineage import find
from whence.project import licence_fault
from whence.records import NotFound, Source, Unmet, parse_time
from whence.store import RowSet, Store, row_set
from whence.verbs.subjects import pseudonym

Names = str | Sequence[str] | None
PSEUDONYM = "subject-"
"""Begins every pseudonym."""


def scopes(
    store: Store,
    *,
    subject: Names = None,
    source: Names = None,
    licence: Names = None,
    row: Names = None,
    rows: str | Path | None = None,
    new: bool = False,
) -> list[tuple[str, str]]:
    """(kind, name) of each of these, people by pseudonym. A source, licence or row that is not there is a mistake.

    rows: a file with a row a line, as SOURCE:RECORD or id. new: they are about to be recorded, so that a person may be
    named before a row of theirs comes. Raises NotFound, Unmet, Conflict for a row that means several.
    """
    found = [("subject", person(store, name, new)) for name in _each(subject)]
    for name in _each(source):
        _known(store, name)
        found.append(("source", name))
    found += [("licence", _spelled(store, name)) for name in _each(licence)]
    found += [("row", store.row(_row(store, name)).id) for name in _each(row)]
    if rows is not None:
        found.append(("rows", _listed(store, Path(rows))))
    return found


LEFT_OUT = ("subject", "source", "licence", "row")
"""What rows can be named by in one word, ``KIND:NAME``."""


def rows_named(store: Store, words: Sequence[str]) -> RowSet:
    """The rows that these words mean (``subject:ID``, ``source:NAME``, ``licence:SPDX``, ``row:SOURCE:RECORD`` or
    ``row:ID``, or a case by its name), and rows made from them at any depth. Raises NotFound for a word that means no
    row, Unmet for another kind."""
    from whence.lifecycle.cases import case_of
    from whence.lifecycle.cases import rows_of as rows_of_case

    found = row_set([])
    for word in words:
        kind, _, name = word.partition(":")
        if not name:
            found |= rows_of_case(store, case_of(store, word)[1])
            continue
        if kind not in LEFT_OUT:
            do = "write the kind before the name"
            raise Unmet(f"{word!r} names no rows", " or ".join(f"{kind}:…" for kind in LEFT_OUT), do)
        mine = row_set([])
        for about, called in scopes(store, **{kind: name}):
            mine |= govern.rows_of(store, about, [called])
        if not mine:
            raise NotFound(f"{word}: no row of this store is meant by it")
        found |= mine
    return found | store.index().descendants(found)


def person(store: Store, name: str, new: bool = False) -> str:
    """The pseudonym of a person's identifier; a pseudonym as it is. Raises NotFound where nobody has one yet."""
    if not name:
        raise Unmet("a person's identifier is empty", "the identifier as it stands in your data", "name one")
    if new and not name.startswith(PSEUDONYM):
        return store.keys.pseudonym(name)
    return pseudonym(store, name)


def known(store: Store, subject: str) -> bool:
    """Whether a row, an identifier or an event is about this pseudonym."""
    about = f"subject:{subject}"
    return any(store.events(kind, about=about, last=True) for kind in ("rights.*", "subject.*")) or bool(
        govern.rows_of(store, "subject", [subject])
    )


def moment(at: datetime | str) -> datetime:
    """A time with its zone, from itself or from ISO 8601. Raises Unmet."""
    try:
        if isinstance(at, datetime) and at.tzinfo is None:
            raise ValueError(f"{at} has no time zone")
        return at if isinstance(at, datetime) else parse_time(at)
    except (ValueError, OverflowError) as error:
        raise Unmet(str(error), "an ISO 8601 time with its zone", "add the zone, such as Z") from error


def licence_of(text: str) -> str:
    """An SPDX expression as it stands. Raises Unmet for one that is none."""
    fault = licence_fault(text)
    if fault:
        raise Unmet(f"licence: {fault}", "an SPDX expression, or one that rows have", "look at its spelling")
    return text


def _each(names: Names) -> Sequence[str]:
    return () if names is None else (names,) if isinstance(names, str) else names


def _known(store: Store, name: str) -> None:
    """A name that was mistyped would end nobody's right, and would look as if nothing were made of it."""
    if name in store.index().sets["source"].names():
        return
    read = sorted({name for _, name in store.fields(Source, "name")})
    if name not in read:
        raise NotFound(f"no source is called {name!r}; read so far: {', '.join(read) or 'none'}")


def _spelled(store: Store, text: str) -> str:
    """A licence as rows have it, in whatever case it was typed; one that no row has as SPDX spells it."""
    held = store.index().sets["licence"].names()
    if text in held:
        return text
    alike = [name for name in held if name.casefold() == text.casefold()]
    return alike[0] if alike else govern.licence_id(licence_of(text)) or text


def _row(store: Store, text: str) -> int:
    found = find(store, text)
    if not isinstance(found, int):
        raise NotFound(f"{text} names no row\n  expected: SOURCE:RECORD, or a row's id")
    return found


def _listed(store: Store, path: Path) -> str:
    """The blob of the rows that a file lists. Raises Unmet with every line that names none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Unmet(f"{path} cannot be read: {error}", "a text file with a row a line", "name one") from error
    rows, faults = row_set([]), []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        ordinals = store.find_rows(line.strip())
        if len(ordinals) == 1:
            rows.add(ordinals[0])
        else:
            faults.append(f"line {number}: {'no row' if not ordinals else f'{len(ordinals)} rows'}")
    if faults or not rows:
        said = "; ".join(faults[:8]) + (f"; and {len(faults) - 8} more" if len(faults) > 8 else "")
        raise Unmet(f"{path}: {said or 'no line'}", "SOURCE:RECORD, or a row's id, a line", "mend it and call again")
    return store.put_set(rows)
