"""``whence rights``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whence.cli import cases
from whence.cli.ask import Licence, Row, Rows, Source, Subject
from whence.cli.session import AsJson, here, say, table, verb, wrapped

if TYPE_CHECKING:
    from datetime import datetime

    from whence.verbs import Changed, Session

app = verb(no_args_is_help=True, help="Licences and consents; who answers for what.")
app.add_typer(cases.app, name="case")

Use = Annotated[
    str | None, typer.Option("--use", metavar="train|evaluate", help="What it is about; default: every use.")
]
ValidAt = Annotated[str | None, typer.Option("--valid-at", metavar="TIME", help="From when; default: now.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Kept apart, erasable.")]
SaidBy = Annotated[str | None, typer.Option("--said-by", metavar="WHO", help="Who said so; kept with the reason.")]
Evidence = Annotated[
    str | None, typer.Option("--evidence", metavar="FILE", help="What shows it; its digest is recorded.")
]
To = Annotated[str | None, typer.Option("--to", metavar="SPDX", help="The licence that counts from then on.")]


def _plain(what: str) -> Any:
    """A command that says one thing of what is named."""

    def command(
        subject: Subject = None,
        source: Source = None,
        licence: Licence = None,
        row: Row = None,
        rows: Rows = None,
        use: Use = None,
        valid_at: ValidAt = None,
        reason: Reason = None,
        said_by: SaidBy = None,
        evidence: Evidence = None,
        as_json: AsJson = False,
    ) -> None:
        named, more = _named(subject, source, licence, row, rows), _more(valid_at, reason, said_by, evidence)
        with here(as_json) as w:
            _said(w, what, getattr(w.rights, what)(**named, use=_use(use), **more), as_json, subject)

    return command


for _what, _help, _example in (
    ("withdraw", "The right to use these rows ends; shows what must come down.", "--subject c-0017"),
    (
        "dispute",
        "Somebody contests the right to these rows, or its withdrawal: they are not trained on until it is settled.",
        "--source forum --evidence counter-notice.eml",
    ),
    ("reinstate", "A withdrawal or dispute is lifted.", "--source forum"),
):
    app.command(_what, help=_help, epilog=f"Example: whence rights {_what} {_example}")(_plain(_what))


@app.command(epilog="Example: whence rights grant --source banking --to CC-BY-4.0 --reason 'relicensed'")
def grant(
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    row: Row = None,
    rows: Rows = None,
    to: To = None,
    use: Use = None,
    valid_at: ValidAt = None,
    reason: Reason = None,
    said_by: SaidBy = None,
    evidence: Evidence = None,
    as_json: AsJson = False,
) -> None:
    """The right to use these rows is given (again); with --to, under that licence alone, whatever they came under."""
    named, more = _named(subject, source, licence, row, rows), _more(valid_at, reason, said_by, evidence)
    with here(as_json) as w:
        _said(w, "grant", w.rights.grant(**named, to=to, use=_use(use), **more), as_json, subject)


@app.command(epilog="Example: whence rights change --source alpaca --to CC-BY-NC-4.0 --valid-at 2023-03-14T22:28:00Z")
def change(
    source: Source = None,
    licence: Licence = None,
    row: Row = None,
    rows: Rows = None,
    to: To = None,
    all_rows: Annotated[
        bool, typer.Option("--all-rows", help="It covers rows that were collected before, too.")
    ] = False,
    valid_at: ValidAt = None,
    reason: Reason = None,
    said_by: SaidBy = None,
    evidence: Evidence = None,
    as_json: AsJson = False,
) -> None:
    """The licence of these rows changed; what it had been goes on counting until a grant says otherwise."""
    named, more = _named(None, source, licence, row, rows), _more(valid_at, reason, said_by, evidence)
    del named["subject"]
    with here(as_json) as w:
        _said(w, "change", w.rights.change(**named, to=to, all_rows=all_rows, **more), as_json)


@app.command(epilog="Example: whence rights record revocations.jsonl")
def record(
    file: Annotated[
        str,
        typer.Argument(help='JSON lines such as {"what": "withdraw", "subject": "c-0017"}.', show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Many changes of rights from one file, all or none."""
    with here(as_json) as w:
        _said(w, "recorded", w.rights.record(file), as_json)


@app.command(epilog="Example: whence rights watch --fetch")
def watch(
    fetch: Annotated[bool, typer.Option("--fetch", help="Look at addresses, too, not only at files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Are the terms of each source still those that were seen last? A change is recorded.

    Exit code 2 where terms changed or are gone, 4 where some could not be looked at.
    """
    with here(as_json) as w:
        found = w.rights.watch(fetch=fetch)
    rows: list[tuple[Any, ...]] = [(one.source, one.state, one.where or "—", one.says) for one in found]
    text = table(rows, ("source", "terms", "where", "what")) if rows else "no source was read yet"
    say([asdict(one) for one in found], text, as_json)
    states = {one.state for one in found}
    raise typer.Exit(2 if states & {"changed", "gone"} else 4 if states & {"not looked at", "nowhere"} else 0)


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
        ahead = when is not None and when > w.store.clock()
    lines = [f"  {one.about}: whence rights own {one.about} --accountable PERSON" for one in orphaned]
    if ahead:
        head = f"{person} leaves on {when:%Y-%m-%d}; "
        head += "from then on nobody answers for:" if lines else "everything of theirs has a backup who is here then"
    else:
        head = f"{person} left; "
        head += "nobody answers any more for:" if lines else "everything of theirs has a backup who is here"
    say([asdict(one) for one in orphaned], "\n".join([head, *lines]), as_json)


@app.command(epilog="Example: whence rights hold --subject c-0017 --until 2028-01-01 --reason 'court order 12/26'")
def hold(
    reason: Annotated[str, typer.Option("--reason", help="What wants them kept; kept apart.")],
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    row: Row = None,
    rows: Rows = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="When the duty ends.")] = None,
    as_json: AsJson = False,
) -> None:
    """These rows must be kept: an erasure of them waits for a person."""
    named, when = _named(subject, source, licence, row, rows), time_of(until, "--until")
    with here(as_json) as w:
        events = w.rights.hold(**named, until=when, reason=reason)
    say({"events": events}, f"held: event {', '.join(map(str, events))}", as_json)


@app.command(epilog="Example: whence rights release --subject c-0017")
def release(
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    row: Row = None,
    rows: Rows = None,
    as_json: AsJson = False,
) -> None:
    """A hold ends."""
    with here(as_json) as w:
        events = w.rights.release(**_named(subject, source, licence, row, rows))
    say({"events": events}, f"released: event {', '.join(map(str, events))}", as_json)


Who = Annotated[str | None, typer.Option("--subject", metavar="ID", help="A person's identifier as in your data.")]
Values = Annotated[list[str] | None, typer.Option(help="Can be given again.", show_default=False)]


@app.command(epilog='Example: whence rights identify --subject c-0017 --email ada@example.org --order "#W7678072"')
def identify(
    subject: Who = None,
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
    if (subject is None) == (file is None):
        raise typer.BadParameter("expected one of them", param_hint="--subject, --file")
    if file is not None and any(values.values()):
        raise typer.BadParameter("takes no identifiers beside it: put all of them into the file", param_hint="--file")
    with here(as_json) as w:
        made = w.rights.identify(subject, file=file, **{k: v or () for k, v in values.items()})
    called_said(made, subject, as_json)


@app.command(epilog="Example: whence rights review --subject c-0017 --row tickets:t-00012 --accept")
def review(
    subject: Who = None,
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
    from whence.verbs.subjects import reviewable

    if accept and refuse:
        raise typer.BadParameter("both are given, expected one", param_hint="--accept, --refuse")
    if row and not (accept or refuse):
        raise typer.BadParameter("needs --accept or --refuse", param_hint="--row")
    if subject is None and (accept or refuse):
        raise typer.BadParameter("name whom the rows are about", param_hint="--subject")
    with here(as_json) as w:
        made = w.rights.review(subject, row=row or (), accept=accept, refuse=refuse, words=words)
        others = len(reviewable(w.store, None, False)) if subject and not made else 0
    nothing = f"no row waits for {subject or 'anybody'}"
    nothing += f"; {others:,} wait(s) for others: whence rights review" if others else ""
    review_said(made, nothing, accept, words, as_json)


def time_of(text: str | None, option: str) -> datetime | None:
    """A time as it was typed; usage where it is none."""
    from whence.records import parse_time

    try:
        return parse_time(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _named(
    subject: list[str] | None,
    source: list[str] | None,
    licence: list[str] | None,
    row: list[str] | None,
    rows: str | None,
) -> dict[str, Any]:
    named = {"subject": subject, "source": source, "licence": licence, "row": row, "rows": rows}
    if not any(named.values()):
        hint = "--subject, --source, --licence, --row, --rows"
        raise typer.BadParameter("none is given, expected at least one", param_hint=hint)
    return named


def _more(valid_at: str | None, reason: str | None, said_by: str | None, evidence: str | None) -> dict[str, Any]:
    when = time_of(valid_at, "--valid-at")
    return {"valid_at": when, "reason": reason, "said_by": said_by, "evidence": evidence}


def _use(text: str | None) -> Any:
    if text not in (None, "train", "evaluate"):
        raise typer.BadParameter(f"{text!r} is none of train, evaluate", param_hint="--use")
    return text


def _said(w: Session, what: str, made: Changed, as_json: bool, typed: list[str] | None = None) -> None:
    """typed: the people who were named, as they were."""
    from whence.cli.blast import text, value

    blast = made.blast
    if as_json:
        names = ("events", "about", "lines", "unknown", "contradicted", "outranked", "begins")
        said = {key: getattr(made, key) for key in names}
        say({**said, "blast_radius": value(w, blast) if blast else None}, "", as_json)
        return
    several = f"{len(made.events):,} events, {made.events[0]} to {made.events[-1]}"
    lines = [f"event {made.events[0]}: {what} {made.about[0]}" if len(made.events) == 1 else f"{several}: {what}"]
    if made.unknown:
        lines.append(
            wrapped(f"{_unknown(made, typed)}. It is recorded, and bites when rows come; mind the spelling", 0)
        )
    for mine, other in made.outranked[:8]:
        lines.append(
            f"event {mine} does not hold: event {other} does (whence ask blast-radius says what and from when)"
        )
    if made.begins:
        lines.append(f"it begins to hold on {made.begins:%Y-%m-%d %H:%M} UTC; until then all of it may be used")
    if made.contradicted:
        seqs = ", ".join(map(str, made.contradicted[:8]))
        lines.append(f"contradicts event {seqs} of the same time: the stricter holds")
    if blast is not None and 2 * blast.rows > blast.of:
        lines.append(f"this is {blast.rows / blast.of:.0%} of all {blast.of:,} rows")
    if blast is not None:
        lines += ["", text(w, blast)]
    say(None, "\n".join(lines), as_json)


NAMED = 8
"""People who are named in one line; the rest is counted."""


def _unknown(made: Changed, typed: list[str] | None) -> str:
    """Whom no row is about: as they were typed, or by the file's lines, since only pseudonyms are kept."""
    if made.unknown[0].startswith("licence:"):
        return f"no row has {', '.join(made.unknown[:NAMED])}"
    gone, names = set(made.unknown), typed or [str(number) for number in made.lines]
    who = [name for name, about in zip(names, made.about, strict=False) if about in gone]
    listed = ", ".join(who[:NAMED]) + (f" and {len(who) - NAMED:,} more" if len(who) > NAMED else "")
    if typed:
        return f"nobody is called so: no row is about {listed}"
    return f"no row is about the {'person of line' if len(who) == 1 else f'{len(who):,} people of lines'} {listed}"
