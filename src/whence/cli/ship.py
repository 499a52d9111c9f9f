"""``whence ship``."""

from __future__ import annotations

from typing import Annotated

import typer

from whence.cli.session import AsJson, Teller, open_project, open_store, say, short, verb

app = verb(invoke_without_command=True)


@app.callback(epilog="Example: whence ship")
def ship(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Judge and release in one: exit code 0 shipped, 2 no, 4 too little evidence."""
    if ctx.invoked_subcommand:
        return
    from whence.cli.run import CODES, verdict_line, verdict_of
    from whence.lifecycle.run import run

    project = open_project()
    store = open_store(project, create=True)
    teller = Teller(quiet=as_json)
    try:
        out = run(project, store, teller)
    finally:
        teller.close()
    outcome = verdict_of(store, out.verdict) or "abstain"
    waived = out.release is not None and outcome != "pass"
    line = verdict_line(outcome) + (" (released under a waiver)" if waived else "")
    say({**out.resolved(), "outcome": outcome, "waived": waived}, line, as_json)
    raise typer.Exit(0 if waived else CODES[outcome])


@app.command(epilog='Example: whence ship waive --reason "agreed with risk on Monday" --until 2026-12-01')
def waive(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept apart, erasable.")],
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="After which it counts no more.")],
    verdict: Annotated[str | None, typer.Argument(help="Default: the newest.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """A person's dated exception for a verdict that is no pass."""
    from whence import register
    from whence.lineage import find
    from whence.records import NotFound, Ref, Verdict, parse_time

    store = open_store()
    try:
        expires = parse_time(until)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--until") from error
    known = [ref for ref, _ in store.all(Verdict)]
    if not known:
        raise NotFound("there is no verdict yet\n  do: whence ship")
    about = Ref(str(find(store, verdict))) if verdict else known[-1]
    ref = register.waive(store, about, reason, expires)
    say({"waiver": ref, "verdict": about}, f"waived until {expires:%Y-%m-%d}: {short(ref)}; now: whence ship", as_json)


@app.command(epilog="Example: whence ship alias bank-support bank-support@2")
def alias(
    name: Annotated[str, typer.Argument(help="The alias.", show_default=False)],
    release: Annotated[str | None, typer.Argument(help="Where to point it; absent: show history.")] = None,
    as_json: AsJson = False,
) -> None:
    """Move an alias, or show where it pointed and who moved it."""
    from whence import register
    from whence.lineage import resolve

    store = open_store()
    if release:
        moved = register.move_alias(store, name, resolve(store, release)[0])
        say(
            {"alias": name, "release": release, "moved": moved},
            f"{name} → {release}" if moved else "no change",
            as_json,
        )
        return
    events = register.history(store, name)
    value = [{"at": e.recorded_at, "by": e.actor, **e.data} for e in events]
    text = "\n".join(f"{e.recorded_at:%Y-%m-%d %H:%M}  {e.data['name']}  by {e.actor}" for e in events)
    say(value, text or f"{name} never pointed anywhere", as_json)


@app.command(epilog="Example: whence ship rollback bank-support")
def rollback(
    name: Annotated[str, typer.Argument(help="The alias.", show_default=False)],
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept apart.")] = None,
    as_json: AsJson = False,
) -> None:
    """Point an alias at the release before."""
    from whence import register
    from whence.records import Release

    store = open_store()
    made = store.get(register.rollback(store, name, reason=reason), Release)
    say({"alias": name, "release": made.name}, f"{name} → {made.name}", as_json)
