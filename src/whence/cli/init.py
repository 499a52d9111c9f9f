"""``whence init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whence.cli.session import AsJson, say, verb

app = verb()


@app.command(epilog="Example: whence init tickets.jsonl")
def init(
    file: Annotated[Path, typer.Argument(help="JSONL, JSON, CSV or Parquet; gzip too.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace a whence.toml that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented whence.toml from a look at FILE."""
    from whence.project import FILE, draft
    from whence.records import Unmet

    target = Path(FILE)
    if target.exists() and not force:
        raise Unmet(f"{target} is there already", "an empty place", "edit it, or use --force")
    text = draft(file, Path.cwd())
    target.write_text(text)
    next_step = f"wrote {target}; claim a licence for the source, point [base] at a model, then: whence run"
    say({"wrote": str(target)}, next_step, as_json)
