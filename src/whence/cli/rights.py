"""``whence rights``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.ask import Licence, Row, Source, Subject, blast_text, blast_value, one_scope
from whence.cli.session import AsJson, here, say, verb

if TYPE_CHECKING:
    from datetime import datetime

    from whence.verbs import Changed, Session

app = verb(no_args_is_help=True, help="Licences and consents; who answers for what.")

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


@app.command(epilog="Example: whence rights own bank-support --accountable ada@example.org --backup bo@example.org")
def own(
    thing: Annotated[
        str, typer.Argument(help="Project, adapter, release or alias, by name or digest.", show_default=False)
    ],
    accountable: Annotated[str, typer.Option("--accountable", metavar="PERSON", help="Who answers for it.")],
    backup: Annotated[str | None, typer.Option("--backup", metavar="PERSON", help="Who takes over.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From when; default: now.")] = None,
    as_json: AsJson = False,
) -> None:
    """Somebody answers for a thing from now on."""
    when = time_of(since, "--since")
    with here(as_json) as w:
        ref = w.rights.own(thing, accountable=accountable, backup=backup, since=when)
    named = f", {backup} is the backup" if backup else "; no backup is named"
    say({"ownership": ref, "about": thing}, f"{accountable} answers for {thing}{named}", as_json)


@app.command(epilog="Example: whence rights left ada@example.org --at 2026-12-31")
def left(
    person: Annotated[str, typer.Argument(help="As an ownership names them.", show_default=False)],
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="When; default: now.")] = None,
    as_json: AsJson = False,
) -> None:
    """A person left; shows what nobody answers for any more."""
    when = time_of(at, "--at")
    with here(as_json) as w:
        orphaned = w.rights.left(person, at=when)
    lines = [f"  {one.about}: whence rights own {one.about} --accountable PERSON" for one in orphaned]
    head = "nobody answers any more for:" if lines else "everything of theirs has a backup who is here"
    say([asdict(one) for one in orphaned], "\n".join([f"{person} left; {head}", *lines]), as_json)


Values = Annotated[list[str] | None, typer.Option(help="Can be given again.", show_default=False)]


@app.command(epilog='Example: whence rights identify --subject c-0017 --email ada@example.org --order "#W7678072"')
def identify(
    subject: Subject = None,
    name: Values = None,
    email: Values = None,
    account: Values = None,
    order: Values = None,
    phone: Values = None,
    other: Values = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="JSON lines of subject, kind and value instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a person is called in texts; all rows are searched for it. Only keyed digests are kept."""
    from whence.cli.subjects import called_said

    values = {"name": name, "email": email, "account": account, "order": order, "phone": phone, "other": other}
    with here(as_json) as w:
        called_said(w.rights.identify(subject, file=file, **{k: v or () for k, v in values.items()}), as_json)


@app.command(epilog="Example: whence rights review --subject c-0017 --row tickets:t-00012 --accept")
def review(
    subject: Subject = None,
    row: Annotated[
        list[str] | None,
        typer.Option("--row", help="SOURCE:RECORD, or a row's id; default: all that wait.", show_default=False),
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="These rows name the person.")] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="They do not.")] = False,
    words: Annotated[bool, typer.Option("--words", help="Show what stands around the matches (content!).")] = False,
    as_json: AsJson = False,
) -> None:
    """Rows that may name somebody, and wait for a person to say so."""
    from whence.cli.subjects import review_said

    if accept and refuse:
        raise typer.BadParameter("both are given, expected one", param_hint="--accept, --refuse")
    if row and not (accept or refuse):
        raise typer.BadParameter("needs --accept or --refuse", param_hint="--row")
    if subject is None and (accept or refuse):
        raise typer.BadParameter("name whom the rows are about", param_hint="--subject")
    with here(as_json) as w:
        made = w.rights.review(subject, row=row or (), accept=accept, refuse=refuse, words=words)
    review_said(made, accept, words, as_json)


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
