"""``whence adopt``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from whence.cli import imports
from whence.cli.session import AsJson, here, say, short, verb, wrapped

if TYPE_CHECKING:
    from whence.lifecycle.adopt import Adopted


class _AdapterFirst(TyperGroup):
    """``whence adopt FOLDER`` is ``whence adopt adapter FOLDER``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["adapter", *args])


app = verb(
    cls=_AdapterFirst, no_args_is_help=True, help="Bring in what exists: adapters, traces, evaluations, registries."
)


@app.callback()
def adopt() -> None:
    """Bring in what exists. `whence adopt FOLDER` is `whence adopt adapter FOLDER`."""


@app.command(epilog="Example: whence adopt ./support-lora --base ./llama --data train.jsonl --live http://gpu1:8000/v1")
def adapter(
    folder: Annotated[str, typer.Argument(help="A PEFT folder.", show_default=False)],
    name: Annotated[str | None, typer.Option("--name", help="What to call it; default: its folder's name.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Folder or hub id of the base it was trained on.")] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="A file of rows it was trained on; repeat it.")
    ] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="Of these rows: an SPDX expression.")] = None,
    consent_basis: Annotated[
        str | None, typer.Option("--consent-basis", help="Why people's rows among them may be used.")
    ] = None,
    live: Annotated[str | None, typer.Option("--live", metavar="URL", help="Where somebody else serves it.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From when; default: now.")] = None,
    merged_from: Annotated[
        list[str] | None, typer.Option("--merged-from", metavar="ADAPTER", help="One it was merged from; repeat it.")
    ] = None,
    distilled_from: Annotated[
        list[str] | None, typer.Option("--distilled-from", metavar="ADAPTER", help="A teacher of it; repeat it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """An adapter that somebody trained elsewhere: what is proven, what is claimed, what is missing and who has it.

    The word `adapter` may be left out. Neither torch nor a GPU is needed. Nothing pickled is opened. The folder is
    left as it is, but for the sidecar whence.json.
    """
    from whence.cli.rights import time_of

    when = time_of(since, "--since")
    with here(as_json, create=True, project=False) as w:
        made = w.adopt.adapter(
            folder,
            name=name,
            base=base,
            data=data or (),
            licence=licence,
            consent_basis=consent_basis,
            live=live,
            since=when,
            merged_from=merged_from or (),
            distilled_from=distilled_from or (),
        )
    say(asdict(made), _text(made), as_json)


def _text(made: Adopted) -> str:
    head = f"{made.name}, adapter {short(made.adapter)}: " + ("adopted" if made.fresh else "nothing new")
    lines = [head]
    for fact in made.facts:
        lines.append(wrapped(f"{fact.state:<8} {fact.what:<12} {fact.says}", 2, 22))
        if fact.ask:
            lines.append(wrapped(f"ask {fact.ask}", 24))
    lines += [wrapped(f"note: {note}", 2, 6) for note in made.notes]
    count = {state: sum(fact.state == state for fact in made.facts) for state in ("proven", "claimed", "missing")}
    return "\n".join([*lines, ", ".join(f"{number} {state}" for state, number in count.items())])


app.command(epilog="Example: whence adopt traces log.jsonl --as bank-support@2")(imports.traces)
app.command(epilog="Example: whence adopt evals logs/2026-11-22_desk.eval --adapter desk --metric exact")(imports.evals)
app.command(epilog="Example: whence adopt mlflow sqlite:///mlflow.db --experiment support")(imports.mlflow)
app.command(epilog="Example: whence adopt card adapters/desk/README.md")(imports.card)
app.command(epilog="Example: whence adopt audit datasets.jsonl")(imports.audit)


@app.command(epilog="Example: whence adopt spool whence-spool/20261121T115245-desk")
def spool(
    folder: Annotated[
        list[str] | None,
        typer.Argument(help="Spools; default: those in whence-spool here, or one folder below.", show_default=False),
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Also a training that did not finish, with its newest checkpoint.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring in trainings that WhenceCallback recorded beside their output; the rows' copies there are then removed.

    Exit code 2 where a spool was left as it is.
    """
    with here(as_json, create=True, project=False) as w:
        found = w.adopt.spool(*folder or [], as_is=as_is)
    how = {True: "brought in", False: "was brought in before"}
    parts = [f"{one.folder}: {how[one.fresh] if one.run else 'left as it is'}" for one in found]
    lines = [line for head, one in zip(parts, found, strict=True) for line in (head, *(f"    {x}" for x in one.lines))]
    say([asdict(one) for one in found], "\n".join(lines) or "no spool waits in whence-spool", as_json)
    raise typer.Exit(0 if all(one.run for one in found) else 2)
