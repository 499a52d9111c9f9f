"""``whence rights``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.ask import Licence, Row, Source, Subject, blast_text, blast_value, one_scope
from whence.cli.session import AsJson, here, say, verb

if TYPE_CHECKING:
    from datetime import datetime

    from whence.verbs import Changed, Session

app = verb(no_args_is_help=True, help="Grant or withdraw a licence or a consent.")

ValidAt = Annotated[str | None, typer.Option("--valid-at", metavar="TIME", help="From when; default: now.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Kept apart, erasable.")]


@app.command(epilog="Example: whence rights withdraw --subject c-0017")
def withdraw(
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    row: Row = None,
    valid_at: ValidAt = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """The right to train on these rows ends; shows what must come down."""
    scope, when = one_scope(subject, source, licence, row), time_of(valid_at, "--valid-at")
    with here(as_json) as w:
        _said(w, "withdraw", w.rights.withdraw(**scope, valid_at=when, reason=reason), as_json)


@app.command(epilog="Example: whence rights grant --subject c-0017")
def grant(
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    row: Row = None,
    valid_at: ValidAt = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """The right to train on these rows is given (again)."""
    scope, when = one_scope(subject, source, licence, row), time_of(valid_at, "--valid-at")
    with here(as_json) as w:
        _said(w, "grant", w.rights.grant(**scope, valid_at=when, reason=reason), as_json)


def time_of(text: str | None, option: str) -> datetime | None:
    """A time as it was typed; usage where it is none."""
    from whence.records import parse_time

    try:
        return parse_time(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _said(w: Session, what: str, made: Changed, as_json: bool) -> None:
    head = f"event {made.event}: {what} {made.about}"
    if made.blast is None:
        say({"event": made.event, "about": made.about}, f"{head}; no row belongs to it", as_json)
        return
    tail = "" if what == "grant" else "\n" + blast_text(w, made.blast)
    value = {"event": made.event, "about": made.about, "blast_radius": blast_value(made.blast)}
    say(value, head + tail, as_json)
