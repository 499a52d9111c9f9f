"""``whence model``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.session import AsJson, here, say, short, table, verb

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
            m.rows,
            m.verdict or "not judged",
            " ".join(m.releases) or "—",
            " ".join(m.aliases) or "—",
            m.live,
        )
        for m in found
    ]
    head = ("adapter", "name", "base", "rows", "verdict", "releases", "aliases", "live")
    say(None, table(rows, head) if rows else nothing, as_json)


@app.command(epilog="Example: whence model rebuild bank-support@2")
def rebuild(
    name: Annotated[str, typer.Argument(help="An adapter, or a release or alias of one.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Train the same closure again and compare byte for byte: exit code 0 the same, 2 not; names the conditions."""
    with here(as_json) as w:
        made = w.model.rebuild(name)
    same = "the same bytes" if made.identical else f"other bytes, from step {made.first_difference} on"
    differing = ", ".join(f"{k} {a} → {b}" for k, (a, b) in made.differing.items()) or "none"
    shown = ", ".join(f"{k} {made.conditions.get(k)}" for k in ("device", "cpu", "cpu_capability", "threads", "torch"))
    text = f"{same}; {made.checkpoints_compared} checkpoints compared\nconditions: {shown}; differing: {differing}"
    say(asdict(made), text, as_json)
    raise typer.Exit(0 if made.identical else 2)


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
