"""``whence rights case``: a matter from its request to its signed dossier."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whence.cli.ask import Licence, Row, Rows, Source, Subject
from whence.cli.session import AsJson, here, say, short, table, verb, wrapped

if TYPE_CHECKING:
    from whence.verbs.cases import Matter

app = verb(no_args_is_help=True, help="Erasures, takedowns, departures, ends of life: from the request to the proof.")

Name = Annotated[str, typer.Argument(help="A case's name, or its digest.", show_default=False)]
KINDS, ACTIONS = (
    ("erasure", "takedown", "departure", "end-of-life"),
    ("erase", "retire", "drop", "rebuild", "ended", "own", "note", "waive"),
)


@app.command("open", epilog="Example: whence rights case open erasure --subject c-0017 --reason 'letter of 3 March'")
def open_(
    kind: Annotated[str, typer.Argument(metavar="|".join(KINDS), help="What it is.", show_default=False)],
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    row: Row = None,
    rows: Rows = None,
    person: Annotated[list[str] | None, typer.Option(help="Who left, as an ownership names them.")] = None,
    base: Annotated[list[str] | None, typer.Option(help="Which base can be had no more, by name.")] = None,
    due: Annotated[str | None, typer.Option("--due", metavar="TIME", help="By when; default: by its kind.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="The request in words; kept apart.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open a case and start its clock; shows what it affects. An erasure or takedown withdraws the right to rows."""
    from whence.cli.rights import time_of

    one_of(kind, KINDS, "KIND")
    when = time_of(due, "--due")
    with here(as_json) as w:
        asked: dict[str, Any] = {"subject": subject, "source": source, "licence": licence, "row": row, "rows": rows}
        made = w.rights.case.open(kind, **asked, person=person, base=base, due=when, reason=reason)  # type: ignore[arg-type]
    say(value(made), text(made), as_json)


@app.command("list", epilog="Example: whence rights case list")
def list_(as_json: AsJson = False) -> None:
    """Every case, the newest first. Exit code 2 where one is overdue."""
    with here(as_json) as w:
        found = w.rights.case.list()
        late = [one for one in found if not one.closed and one.case.due_at < w.store.clock()]
    rows: list[tuple[Any, ...]] = [
        (
            one.case.name,
            f"{one.case.opened_at:%Y-%m-%d}",
            f"{one.case.due_at:%Y-%m-%d}",
            f"closed {one.closed:%Y-%m-%d}" if one.closed else "OVERDUE" if one in late else "open",
            f"{len(one.open)} of {len(one.tasks)} to do" if not one.closed else "—",
        )
        for one in found
    ]
    head = ("case", "opened", "due", "", "")
    say([value(one) for one in found], table(rows, head) if rows else "no case was opened yet", as_json)
    raise typer.Exit(2 if late else 0)


@app.command(epilog="Example: whence rights case show erasure-1")
def show(case: Name, as_json: AsJson = False) -> None:
    """What a case affects, what was done, and what is open. Exit code 2 while anything is."""
    with here(as_json) as w:
        found = w.rights.case.show(case)
    say(value(found), text(found), as_json)
    raise typer.Exit(2 if found.open and not found.closed else 0)


@app.command(epilog="Example: whence rights case act erasure-1 rebuild bank-support@1 --prove")
def act(
    case: Name,
    action: Annotated[str, typer.Argument(metavar="|".join(ACTIONS), help="What to do.", show_default=False)],
    thing: Annotated[
        str | None, typer.Argument(help="To what, by name or digest; default: the content.", show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Of a waiver: when it ends.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept apart.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="PERSON", help="Who takes over.")] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Of a rebuild: train from the start, too, and compare.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Do one thing of a case.

    erase: the content of its rows, and what else holds their words, for good. retire: an adapter answers no more, its
    weights are deleted. drop: the same for one that is served beside another, which answers then. rebuild: without
    the rows, exactly; it is judged and released, and the old one retired. ended: a deployment was stopped. own:
    somebody takes over. note: an approximate method that was applied to an adapter, in --reason; it is never exact
    and settles nothing. waive: it stays until a day, for a reason.
    """
    from whence.cli.rights import time_of

    one_of(action, ACTIONS, "ACTION")
    when = time_of(until, "--until")
    with here(as_json) as w:
        made = w.rights.case.act(case, action, thing, until=when, reason=reason, to=to, prove=prove)  # type: ignore[arg-type]
        left = w.rights.case.show(case)
    lines = [f"event {made.event}: {made.action} {short(made.thing)}, proof: {made.proof}"]
    if made.facts:
        lines.append(wrapped(", ".join(f"{name} {_brief(fact)}" for name, fact in made.facts.items()), 2))
    if made.rebuilt and "release" not in made.facts:
        lines.append("  not released: the verdict is no pass, or there is no project to judge it by")
    lines += [wrapped(f"not ours to delete, and still there: {place}", 2) for place in made.elsewhere]
    lines.append(
        f"{len(left.open)} of {len(left.tasks)} to do" if left.open else f"all done: whence rights case close {case}"
    )
    say(asdict(made), "\n".join(lines), as_json)


@app.command(epilog="Example: whence rights case close erasure-1 --to dossiers")
def close(
    case: Name,
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="Where the dossier is written.")] = ".",
    as_json: AsJson = False,
) -> None:
    """End a case whose every action is done; writes its signed dossier, as JSON and as a page that prints."""
    with here(as_json) as w:
        paths = w.rights.case.close(case, to)
    say(
        {"case": case, "json": str(paths[0]), "html": str(paths[1])},
        f"{case} is closed: {paths[1]}, {paths[0]}",
        as_json,
    )


@app.command(epilog="Example: whence rights case check erasure-1.json")
def check(
    file: Annotated[str, typer.Argument(help="A dossier's JSON file.", show_default=False)], as_json: AsJson = False
) -> None:
    """Is a dossier what was signed? Needs no store. Exit code 2 where it is not."""
    from whence.lifecycle.dossier import check as checked

    fault = checked(file)
    say({"signed": fault is None, "fault": fault}, fault or "it is what was signed", as_json)
    raise typer.Exit(2 if fault else 0)


def one_of(given: str, choices: tuple[str, ...], name: str) -> None:
    """Usage, where it is none of these."""
    if given not in choices:
        raise typer.BadParameter(f"{given!r} is none of {', '.join(choices)}", param_hint=name)


def value(one: Matter) -> dict[str, Any]:
    """A case for programs."""
    from whence.records import plain

    return {
        "id": one.id,
        **plain(one.case),
        "closed": one.closed,
        "open": len(one.open),
        "held": list(one.held),
        "tasks": [
            {name: getattr(task, name) for name in ("thing", "what", "name", "why", "actions", "cost", "proof")}
            | {"event": task.done.seq if task.done else None, "approximate": [event.seq for event in task.noted]}
            for task in one.tasks
        ],
    }


def text(one: Matter) -> str:
    """A case for people: the answer first, then each thing."""
    state = f"closed {one.closed:%Y-%m-%d %H:%M}" if one.closed else f"due {one.case.due_at:%Y-%m-%d}"
    head = f"{one.case.name}: {len(one.open)} of {len(one.tasks)} to do, {state}"
    lines = [head, *(wrapped(f"HELD, a person decides: {said}", 2) for said in one.held), ""]
    for task in one.tasks:
        done = f"{task.action}, proof: {task.proof}" if task.done else "OPEN"
        lines.append(
            wrapped(f"{task.what:<11} {task.name} {short(task.thing)}: {task.why}".replace("  ", "\0\0"), 0).replace(
                "\0", " "
            )
        )
        more = f"{done}" + ("" if task.done else f": {' | '.join(task.actions)}; {task.cost}")
        lines.append(wrapped(more, 12))
        lines += [wrapped(f"approximate, never exact: event {event.seq} by {event.actor}", 12) for event in task.noted]
    return "\n".join(lines) if one.tasks else f"{head}\nnothing is affected"


def _brief(fact: object) -> object:
    return short(fact) if isinstance(fact, str) and ":" in fact else fact
