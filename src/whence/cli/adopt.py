"""``whence adopt``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from whence.cli import imports
from whence.cli.session import verb


class _AdapterFirst(TyperGroup):
    """``whence adopt FOLDER`` is ``whence adopt adapter FOLDER``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["adapter", *args])


app = verb(cls=_AdapterFirst, no_args_is_help=True, help="Bring in what exists: adapters, traces, registries.")
app.command(epilog="Example: whence adopt traces log.jsonl --as bank-support@2")(imports.traces)
app.command(epilog="Example: whence adopt mlflow sqlite:///mlflow.db --experiment support")(imports.mlflow)
app.command(epilog="Example: whence adopt card adapters/desk/README.md")(imports.card)
