"""What ``whence ask subject`` and ``whence rights identify`` and ``review`` say."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from whence.cli.session import SHOWN, say, short, table

if TYPE_CHECKING:
    from whence.store import RowSet
    from whence.verbs import Called, Person, Reviewable, Reviewed, Session

PARTS = {
    "tagged": "tagged with them",
    "named": "naming them",
    "waiting": "that may name them",
    "derived": "made from the tagged and the naming ones",
}


def person_said(w: Session, id: str, as_of: str | None, as_json: bool) -> None:
    """All that is known of a person."""
    from whence.cli.rights import time_of
    from whence.lineage import describe

    found = w.ask.subject(id, as_of=time_of(as_of, "--as-of"))
    rows = {part: getattr(found, part) for part in PARTS}
    if as_json:
        value = {part: _rows(w, held, len(held)) for part, held in rows.items()}
        kept = {name: getattr(found, name) for name in ("subject", "state", "identifiers", "unsearched")}
        say(kept | {"rows": value, "snapshots": dict(found.snapshots), "suites": dict(found.suites)}, "", True)
        return
    lines = [_head(found)]
    for part, held in rows.items():
        lines += ["", f"{len(held):,} row(s) {PARTS[part]}"]
        lines += [f"  {one['record']}  {short(one['id'])}" for one in _rows(w, held, SHOWN)]
        lines += [f"  … and {len(held) - SHOWN:,} more (--json shows all)"] if len(held) > SHOWN else []
    for what, held in (("snapshot", found.snapshots), ("suite", found.suites)):
        unit = "rows" if what == "snapshot" else "items about them"
        lines += [""] if held else []
        lines += [f"{what} {describe(w.store, w.store.get(ref))}: {count:,} {unit}" for ref, count in held.items()]
    say(None, "\n".join(lines), False)


def _head(found: Person) -> str:
    """The answer in a line or two."""
    counts = f"{len(found.tagged):,} row(s) by tag, {len(found.named):,} by mention, {len(found.waiting):,} to review"
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.identifiers.items())) or "none"
    lines = [f"{counts}, {len(found.derived):,} derived; in {len(found.snapshots)} snapshot(s)"]
    lines.append(f"{found.subject}, rights: {found.state or 'nobody said anything'}, identifiers: {kinds}")
    if found.unsearched:
        lines.append(f"{found.unsearched:,} row(s) were not searched yet: whence data ingest")
    return "\n".join(lines)


def _rows(w: Session, rows: RowSet, most: int) -> list[dict[str, str]]:
    """Ids and names of the first of these rows."""
    from whence.verbs.subjects import names

    return [{"id": name, "record": record} for _, name, record in names(w.store, islice(rows, most))]


def called_said(made: Called, typed: str | None, as_json: bool) -> None:
    """What was kept, and found. typed: the person, where one was named."""
    text = f"{made.new:,} new identifier(s) of {made.subjects:,} person(s), {made.known:,} known before; "
    text += f"{made.found:,} mention(s) found"
    text += (
        f"\n{made.weak:,} may mean others too: their matches wait for you: whence rights review" if made.weak else ""
    )
    if made.unknown:
        who = f"about {typed}" if typed else f"about {len(made.unknown):,} of these people"
        text += f"\nno row is {who}, and none names them. It is kept, and bites when rows come; mind the spelling"
    say(asdict(made), text, as_json)


def review_said(found: list[Reviewable] | Reviewed, nothing: str, accepted: bool, words: bool, as_json: bool) -> None:
    """What waits, or what was decided. nothing: what to say where no row waits."""
    if not isinstance(found, list):
        verb = "name" if accepted else "do not name"
        say(asdict(found), f"event {found.event}: {found.rows:,} row(s) {verb} {found.subject}", as_json)
        return
    values: list[dict[str, Any]] = [asdict(one) for one in found]
    for value in values if not words else ():
        del value["words"]
    people = len({one.subject for one in found})
    lines = [f"{len(found):,} row(s) may name {people:,} person(s)"]
    shown = found[:SHOWN]
    if shown:
        cells = [(_called(one), one.subject, ", ".join(one.kinds), ", ".join(one.why)) for one in shown]
        lines += ["", table(cells, ("row", "person", "by", "why it waits"))]
        lines += [f"{_called(one)}  {text}" for one in shown for text in one.words]
        lines += [f"… and {len(found) - SHOWN:,} more (--json shows all)"] if len(found) > SHOWN else []
        lines += ["", "whence rights review --subject PERSON [--row ROW] --accept, or --refuse"]
    say(values, "\n".join(lines) if found else nothing, as_json)


def _called(one: Reviewable) -> str:
    """By which a row can be named: records that are only counted (#1) have many namesakes."""
    return short(one.row) if one.record.partition(":")[2].startswith("#") else one.record
