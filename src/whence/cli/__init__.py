"""The command line. Only Typer and the standard library are loaded here; a verb's module loads when it is called.

Exit codes: 0 yes · 2 no · 4 too little evidence · 3 usage · 1 error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

VERBS = {
    "init": "A commented project file from a look at your data.",
    "run": "Ingest, curate, train, evaluate, judge, release.",
    "demo": "The generated project, walked whole.",
    "adopt": "Bring in what exists: adapters, traces, registries.",
    "ask": "Why is this here, and what must come down?",
    "check": "What the installed checks say of what was made.",
    "verify": "Re-derive the record and name what is damaged.",
    "data": "Ingest, quarantine, what each step removed.",
    "eval": "Evaluate base and candidate on the same items.",
    "ship": "Judge and release in one; waivers, aliases, rollback.",
    "model": "Adapters, releases and where they are served.",
    "rights": "Licences and consents; who answers for what.",
    "serve": "The gateway: OpenAI-compatible, every answer traced.",
    "feedback": "Send a reaction to an answer.",
}
"""Verb → its line in the help; the verb's module is ``whence.cli.VERB``."""


ClickFault = typer.BadParameter.__mro__[2]
"""Click's ClickException, wherever Typer keeps its Click."""


class _Verbs(TyperGroup):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        command = typer.main.get_command(importlib.import_module(f"whence.cli.{cmd_name}").app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


app = typer.Typer(cls=_Verbs, rich_markup_mode=None, add_completion=False, no_args_is_help=True)


def _version(value: bool) -> None:
    if value:
        from whence import __version__

        typer.echo(f"whence {__version__}")
        raise typer.Exit


@app.callback()
def root(
    project: Annotated[
        str | None, typer.Option("--project", "-C", metavar="DIR", help="The project's folder; default: this one.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """The record and the verdict for fine-tuned language models.

    Start with `whence demo`, or with `whence init YOUR-DATA.jsonl` and `whence run`.
    Exit codes: 0 yes, 2 no, 4 too little evidence, 3 usage, 1 error.
    """
    if project:
        if not os.path.isdir(project):
            raise typer.BadParameter(f"{project} is no folder", param_hint="--project")
        os.chdir(project)


def main(args: list[str] | None = None) -> int:
    """Run one command and return its exit code; the outermost loop, which may catch everything and says what it was."""
    words = sys.argv[1:] if args is None else args
    try:
        code = typer.main.get_command(app).main(words, prog_name="whence", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except ClickFault as error:
        error.show()  # type: ignore[attr-defined]
        return 3
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted; what was finished is kept, the same command goes on from there", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  the outermost loop
        return _failed(error, "--json" in words)


def _failed(error: Exception, as_json: bool) -> int:
    from whence.records import WhenceError, unwritable

    known = isinstance(error, WhenceError)
    if not known:
        error = unwritable(getattr(error, "filename", None) or "a file", error) or error
        known = isinstance(error, WhenceError)
    if as_json:
        typer.echo(json.dumps({"error": type(error).__name__, "message": str(error)}))
    if known or isinstance(error, OSError):
        typer.echo(f"error: {error}", err=True)
    else:
        typer.echo(f"error: {type(error).__name__}: {error}", err=True)
        typer.echo("  this is a fault of whence; set WHENCE_DEBUG=1 to see where. The record is untouched.", err=True)
    if os.environ.get("WHENCE_DEBUG"):
        traceback.print_exception(error)
    return 1


def entry() -> None:
    """The console script."""
    sys.exit(main())
