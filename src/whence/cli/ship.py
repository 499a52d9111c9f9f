"""``whence ship``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.session import AsJson, here, say, short, table, verb, wrapped

if TYPE_CHECKING:
    from whence.lifecycle.verdicts import Line

app = verb(invoke_without_command=True)
Junit = Annotated[str | None, typer.Option("--junit", metavar="FILE", help="Write the verdict as JUnit XML.")]
Summary = Annotated[
    str | None, typer.Option("--summary", metavar="FILE", help="Add the verdict to a file, in Markdown.")
]


@app.callback(epilog="Example: whence ship")
def ship(
    ctx: typer.Context,
    evidence: Annotated[
        str | None, typer.Option("--evidence", metavar="FILE", help="Judge what this file holds; needs no project.")
    ] = None,
    junit: Junit = None,
    summary: Summary = None,
    as_json: AsJson = False,
) -> None:
    """Judge and release in one: exit code 0 shipped, 2 no, 4 too little evidence."""
    if ctx.invoked_subcommand:
        return
    from whence.cli.run import CODES, meaning, verdict_line

    if evidence:
        from whence.evaluate import judge_evidence
        from whence.lifecycle.verdicts import is_post_hoc, lines_of, tell
        from whence.records import digest, plain

        made, baseline = judge_evidence(evidence)
        tell(made, baseline, junit, summary)
        said = meaning(made.outcome, digest(made), is_post_hoc(made))
        say({**plain(made), "baseline_value": baseline}, _shown(said, lines_of(made, baseline)), as_json)
        raise typer.Exit(CODES[made.outcome])
    with here(as_json, create=True) as w:
        out = w.ship(junit=junit, summary=summary)
        verdict = w.ship.verdict(out.verdict) if out.verdict else None
    line = verdict_line(out) + (" (released under a waiver)" if out.waived else "")
    text = _shown(line, verdict) if verdict else line
    say({**out.resolved(), "outcome": out.outcome, "waived": out.waived}, text, as_json)
    raise typer.Exit(0 if out.waived else CODES[str(out.outcome)])


def _shown(first: str, lines: list[Line]) -> str:
    """A verdict: what it comes to, its rules and checks, and why those say no pass that do not."""
    from whence.lifecycle.verdicts import HEAD

    said = [(one.finding, one.sentence()) for one in lines if one.finding.verdict != "pass"]
    why = [wrapped(f"{one.verdict:<8} {one.check}: {sentence}", 0, 9) for one, sentence in said]
    return "\n".join([first, "", table([one.cells() for one in lines], HEAD), *([""] if why else []), *why])


@app.command(
    epilog="Example: whence ship gate; then the candidate is scored elsewhere, and: whence ship judge 5be31f02 0c2f77aa"
)
def gate(
    suite: Annotated[
        str | None, typer.Argument(help="A suite's name; default: the project's gate suite.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fix the gate of whence.toml on a suite, before the candidate is scored; or say since when it stands."""
    with here(as_json, create=True) as w:
        before = w.store.head()
        fixed = w.ship.gate(suite)
        fresh = w.store.head() != before
    text = (
        f"gate {short(fixed.about)} {'is fixed now' if fresh else f'stands since {fixed.recorded_at:%Y-%m-%d %H:%M}'}"
    )
    say({"gate": fixed.about, "suite": fixed.data["suite"], "at": fixed.recorded_at}, text, as_json)


@app.command(epilog="Example: whence ship judge 5be31f02 0c2f77aa --junit verdict.xml")
def judge(
    candidate: Annotated[str, typer.Argument(help="An evaluation, by its first 6 digits or more.", show_default=False)],
    baseline: Annotated[str, typer.Argument(help="Another of the same items.", show_default=False)],
    junit: Junit = None,
    summary: Summary = None,
    as_json: AsJson = False,
) -> None:
    """One evaluation against another by the gate of whence.toml: exit code 0 pass, 2 fail, 4 too little evidence.

    Either may be of another tool (`whence adopt evals`). Nothing is released.
    """
    from whence.cli.run import CODES, meaning
    from whence.lifecycle.verdicts import is_post_hoc
    from whence.records import Verdict, plain

    with here(as_json) as w:
        ref = w.ship.judge(candidate, baseline, junit=junit, summary=summary)
        made, lines = w.store.get(ref, Verdict), w.ship.verdict(ref)
    text = _shown(meaning(made.outcome, ref, is_post_hoc(made)), lines)
    say({"verdict": ref, **plain(made)}, text, as_json)
    raise typer.Exit(CODES[made.outcome])


@app.command(epilog="Example: whence ship evidence evidence.json; then, anywhere: whence ship --evidence evidence.json")
def evidence(
    file: Annotated[str, typer.Argument(help="To write.", show_default=False)],
    verdict: Annotated[
        str | None,
        typer.Argument(help="A verdict, by its first 6 digits or more; default: the newest.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a verdict rests on, without a word of items or answers, so that it can be judged again without a model."""
    with here(as_json) as w:
        ref = w.ship.evidence(file, verdict)
    say({"verdict": ref, "file": file}, f"wrote {file}: verdict {short(ref)}", as_json)


@app.command(epilog='Example: whence ship waive --reason "agreed with risk on Monday" --until 2026-12-01')
def waive(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept apart, erasable.")],
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="After which it counts no more.")],
    about: Annotated[
        str | None,
        typer.Argument(
            help="A verdict, or a release that is not bound; default: the newest verdict.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A person's dated exception: for a verdict that is no pass, or for a release on a base it was not trained on."""
    from whence.cli.rights import time_of
    from whence.records import BindingWaiver, Waiver

    expires = time_of(until, "--until") or until
    with here(as_json) as w:
        ref = w.ship.waive(reason, expires, about)
        made: Waiver | BindingWaiver = w.store.get(ref)
    value = {"waiver": ref, "verdict": getattr(made, "verdict", None), "release": getattr(made, "release", None)}
    then = f"whence serve {about}" if isinstance(made, BindingWaiver) else "whence ship"
    say(value, f"waived until {made.expires_at:%Y-%m-%d}: {short(ref)}; now: {then}", as_json)


@app.command(epilog="Example: whence ship alias bank-support bank-support@2")
def alias(
    name: Annotated[str, typer.Argument(help="The alias.", show_default=False)],
    release: Annotated[str | None, typer.Argument(help="Where to point it; absent: show history.")] = None,
    as_json: AsJson = False,
) -> None:
    """Move an alias, or show where it pointed and who moved it."""
    with here(as_json) as w:
        before = w.store.head()
        moves = w.ship.alias(name, release)
        moved = w.store.head() != before
    if release:
        text = f"{name} → {release}" if moved else "no change"
        say({"alias": name, "release": release, "moved": moved}, text, as_json)
        return
    value = [{"at": e.recorded_at, "by": e.actor, **e.data} for e in moves]
    text = "\n".join(f"{e.recorded_at:%Y-%m-%d %H:%M}  {e.data['name']}  by {e.actor}" for e in moves)
    say(value, text, as_json)


@app.command(epilog="Example: whence ship rollback bank-support")
def rollback(
    name: Annotated[str, typer.Argument(help="The alias.", show_default=False)],
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept apart.")] = None,
    as_json: AsJson = False,
) -> None:
    """Point an alias at the release before."""
    with here(as_json) as w:
        made = w.ship.rollback(name, reason=reason)
    say({"alias": name, "release": made.name}, f"{name} → {made.name}", as_json)
