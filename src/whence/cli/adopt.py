"""``whence adopt``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from whence.cli.session import AsJson, here, say, verb


class _AdapterFirst(TyperGroup):
    """``whence adopt FOLDER`` is ``whence adopt adapter FOLDER``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["adapter", *args])


app = verb(cls=_AdapterFirst, no_args_is_help=True, help="Bring in what exists: adapters, traces, registries.")


@app.callback()
def adopt() -> None:
    """Bring in what exists: adapters, traces, registries."""


@app.command(epilog="Example: whence adopt spool whence-spool/20261121T115245-desk")
def spool(
    folder: Annotated[
        list[str] | None,
        typer.Argument(help="Spools; default: those in whence-spool of this project.", show_default=False),
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Also a training that did not finish, with its newest checkpoint.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring in trainings that WhenceCallback recorded beside their output; the rows' copies there are then removed.

    Exit code 2 where a spool was left as it is.
    """
    with here(as_json) as w:
        found = w.adopt.spool(*folder or [], as_is=as_is)
    how = {True: "brought in", False: "was brought in before"}
    parts = [f"{one.folder}: {how[one.fresh] if one.run else 'left as it is'}" for one in found]
    lines = [line for head, one in zip(parts, found, strict=True) for line in (head, *(f"    {x}" for x in one.lines))]
    say([asdict(one) for one in found], "\n".join(lines) or "no spool waits in whence-spool", as_json)
    raise typer.Exit(0 if all(one.run for one in found) else 2)
