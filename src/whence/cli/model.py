"""``whence model``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.session import SHOWN, AsJson, here, say, short, table, verb, wrapped

if TYPE_CHECKING:
    from whence.verbs import Listed

app = verb(no_args_is_help=True, help="Adapters, releases and where they are served.")


@app.command("list", epilog="Example: whence model list")
def list_(as_json: AsJson = False) -> None:
    """Every adapter with its base, data, verdict, releases, aliases and live deployments."""
    with here(as_json) as w:
        found = w.model.list()
    _said(found, "no adapter yet: whence run", as_json)


@app.command(epilog="Example: whence model search llama")
def search(
    text: Annotated[
        str, typer.Argument(help="Part of a name, base, release, source or owner, in any case.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Adapters of which the name, base, a release, a source or an owner holds this text."""
    with here(as_json) as w:
        found = w.model.search(text)
    _said(found, f"no adapter holds {text!r} in its name, base, releases, sources or owners", as_json)


def _said(found: list[Listed], nothing: str, as_json: bool) -> None:
    if as_json:
        say([asdict(m) for m in found], "", as_json)
        return
    rows = [
        (
            short(m.adapter),
            m.name,
            m.base,
            "—" if m.rows is None else m.rows,
            m.verdict or "not judged",
            " ".join(m.releases) or "—",
            " ".join(m.aliases) or "—",
            _served(m),
        )
        for m in found[-SHOWN:]
    ]
    head = ("adapter", "name", "base", "rows", "verdict", "releases", "aliases", "served")
    older = f"\n… and {len(found) - SHOWN:,} older (--json shows all)" if len(found) > SHOWN else ""
    say(None, table(rows, head) + older if rows else nothing, as_json)


def _served(one: Listed) -> str:
    counts = {"live": one.live, "declared": one.declared, "unknown": one.unknown}
    said = [f"{count} {state}" for state, count in counts.items() if count]
    return ", ".join(["retired", *said] if one.retired else said) or "—"


@app.command(epilog="Example: whence model rebuild bank-support@2 --without subject:c-0017 --prove")
def rebuild(
    name: Annotated[str, typer.Argument(help="An adapter, or a release or alias of one.", show_default=False)],
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="ROWS",
            help="subject:ID, source:NAME, licence:SPDX, row:SOURCE:RECORD, or a case; repeat it for several.",
        ),
    ] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Train on the rows that stay from the start, too, and compare.")
    ] = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say what it comes to and do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train the same closure again and compare byte for byte; or, exactly, as if some rows had never been there.

    Exit code 0 the same bytes, or made (and proven, where asked); 2 other bytes; 4 other bytes under other conditions.
    """
    from whence.cli.rebuild import code, text, value

    if (prove or estimate) and not without:
        raise typer.BadParameter("goes with --without", param_hint="--prove" if prove else "--estimate")
    with here(as_json) as w:
        made = w.model.rebuild(name, without=without or (), prove=prove, estimate=estimate)
    say(value(made), text(made), as_json)
    raise typer.Exit(code(made))


@app.command(epilog="Example: whence model canaries bank-support@2")
def canaries(
    name: Annotated[
        str | None,
        typer.Argument(help="An adapter, or a release or alias of one; none: a base or hosted.", show_default=False),
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="Folder or hub id; default: the one on record.")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="URL", help="A hosted model: https://…/v1.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="What the server at --at calls it.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="VARIABLE", help="Environment variable that holds its key.")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option("--prompts", metavar="FILE", help="Questions of your own, one a line.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option("--repeats", min=1, help="Answers to each question, with --at; default: 5.")
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Compare with these answers from now on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Does it still answer fixed questions as it did, and does the adapter still do anything?

    Exit code 0 unchanged, 2 changed, 4 too little evidence: the first time, when the answers are only kept.
    """
    from whence.records import plain
    from whence.verbs import Hosted

    if (at is None) != (model is None) or (key and not at):
        raise typer.BadParameter("--at and --model go together, --key goes with them", param_hint="--at")
    if at and (name or base):
        raise typer.BadParameter("a hosted model has neither an adapter nor a base here", param_hint="--at")
    if not (at or name or base):
        raise typer.BadParameter("an adapter, --base or --at with --model", param_hint="NAME")
    if repeats and not at:
        raise typer.BadParameter("goes with --at: other models answer the same each time", param_hint="--repeats")
    whom = Hosted(url=at, model=str(model), key=key) if at else name
    with here(as_json, create=True, project=False) as w:
        made = w.model.canaries(whom, base, prompts=prompts, repeats=repeats, renew=renew)
    lines = [wrapped(f"{f.verdict:<8}{f.check:<16} {f.message}", 0) for f in made.findings]
    lines += [f"kept: {short(made.kept)}"] if made.kept else []
    say({**asdict(made), "findings": [plain(f) for f in made.findings]}, "\n".join(lines), as_json)
    raise typer.Exit({"pass": 0, "fail": 2, "abstain": 4}[made.outcome])


@app.command(epilog="Example: whence model mirror sqlite:///mlflow.db bank-support@2")
def mirror(
    uri: Annotated[str, typer.Argument(help="An MLflow tracking server or its database.", show_default=False)],
    releases: Annotated[list[str] | None, typer.Argument(help="Default: every release.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Write releases, their recipes, evaluations and aliases into MLflow; nothing there is deleted."""
    with here(as_json) as w:
        made = w.model.mirror(uri, *(releases or []))
    lines = [f"{one.release}  {'written' if one.changed else 'nothing new'}" for one in made]
    say([asdict(one) for one in made], "\n".join(lines), as_json)
