"""``whence init``."""

from __future__ import annotations

from typing import Annotated

import typer

from whence.cli.session import AsJson, say, verb

app = verb()


@app.command(epilog="Example: whence init tickets.jsonl")
def init(
    file: Annotated[
        str,
        typer.Argument(help="JSONL, JSON, CSV (gzip, zstd), Parquet, a saved data set; or a URL.", show_default=False),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a whence.toml that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented whence.toml from a look at FILE."""
    import whence
    from whence.project.look import notes

    made = whence.init(file, force=force)
    next_step = f"wrote {made}; claim a licence for the source, point [base] at a model, then: whence run"
    noted = notes(made.read_text(encoding="utf-8"))
    text = "\n".join([*(f"note: {note}" for note in noted), next_step])
    say({"wrote": str(made), "notes": noted}, text, as_json)
