"""``whence demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whence.cli.session import AsJson, Teller, say, verb

app = verb()


@app.command(epilog="Example: whence demo /tmp/desk")
def demo(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to build it.")] = Path("whence-demo"),
    as_json: AsJson = False,
) -> None:
    """A bank's support desk, generated: rows to a served answer and back, then one customer withdraws consent."""
    from whence.cli.run import CODES
    from whence.demo.walk import walk

    teller = Teller(quiet=as_json)
    try:
        told = walk(folder, teller, (lambda _: None) if as_json else typer.echo)
    finally:
        teller.close()
    say(told.value, told.line, as_json)
    raise typer.Exit(CODES[told.outcome])
