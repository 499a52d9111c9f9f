"""``whence rights``."""

from __future__ import annotations

from typing import Annotated

import typer

from whence.cli.session import AsJson, open_store, say, verb

app = verb(no_args_is_help=True, help="Grant or withdraw a licence or a consent.")

Subject = Annotated[str | None, typer.Option("--subject", help="A person's identifier as in your data.")]
Source = Annotated[str | None, typer.Option("--source", help="A source's name.")]
Licence = Annotated[str | None, typer.Option("--licence", help="An SPDX expression.")]
ValidAt = Annotated[str | None, typer.Option("--valid-at", metavar="TIME", help="From when; default: now.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Kept apart, erasable.")]


@app.command(epilog="Example: whence rights withdraw --subject c-0017")
def withdraw(
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    valid_at: ValidAt = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """The right to train on these rows ends; shows what must come down."""
    _change("withdraw", (subject, source, licence), valid_at, reason, as_json)


@app.command(epilog="Example: whence rights grant --subject c-0017")
def grant(
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    valid_at: ValidAt = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """The right to train on these rows is given (again)."""
    _change("grant", (subject, source, licence), valid_at, reason, as_json)


def _change(what: str, names: tuple[str | None, ...], valid_at: str | None, reason: str | None, as_json: bool) -> None:
    from whence import govern
    from whence.cli.ask import blast_text, blast_value, one_scope, scope_of
    from whence.lineage import blast_radius
    from whence.records import NotFound, parse_time

    given = one_scope(*names)
    store = open_store()
    scope = scope_of(store, given)
    try:
        when = parse_time(valid_at) if valid_at else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--valid-at") from error
    seq = govern.change(store, scope.about, what, valid_at=when, reason=reason)
    try:
        blast = blast_radius(store, scope)
    except NotFound:
        text = f"event {seq}: {what} {scope.about}; no row belongs to it"
        say({"event": seq, "about": scope.about}, text, as_json)
        return
    head = f"event {seq}: {what} {scope.about}"
    tail = "" if what == "grant" else "\n" + blast_text(store, blast)
    value = {"event": seq, "about": scope.about, "blast_radius": blast_value(store, blast)}
    say(value, head + tail, as_json)
