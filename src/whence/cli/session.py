"""What every verb needs: the project here, and a way to say things to people and to programs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from contextlib import contextmanager
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whence.lifecycle.run import Outcome
    from whence.verbs import Session

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]


def verb(**options: Any) -> typer.Typer:
    """A Typer application with plain help."""
    return typer.Typer(rich_markup_mode=None, add_completion=False, **options)


@contextmanager
def here(as_json: bool = False, create: bool = False, project: bool = True) -> Iterator[Session]:
    """The project in this folder, or the store that WHENCE_STORE names; tells people what happens. See `open`."""
    import whence

    teller = Teller(quiet=as_json)
    with whence.open(create=create, project=project, told=teller) as session:
        try:
            yield session
        finally:
            teller.close()


def say(value: Any, text: str, as_json: bool) -> None:
    """`value` as JSON for programs, or `text` for people."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_spelled) if as_json else text)


def _spelled(value: Any) -> str:
    """What JSON has no form of: a time as the record spells it, all else as text."""
    from whence.records import text_time

    return text_time(value) if isinstance(value, datetime) else str(value)


def walked(out: Outcome, **more: Any) -> dict[str, Any]:
    """A walk for programs."""
    stages = [{"stage": stage.name, "fresh": stage.fresh, "lines": stage.lines} for stage in out.stages]
    return {"stages": stages, **out.resolved(), **more}


def table(rows: list[tuple[Any, ...]], head: tuple[str, ...]) -> str:
    """Columns as wide as they need be; where the terminal ends the last is broken at words, and where that is not
    enough the widest of the others; numbers to the right."""
    cells = [tuple(map(str, row)) for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(r[i], int | float) or r[i] == "—" for r in rows) for i in range(len(head))]
    last = len(head) - 1
    for at in sorted(range(len(head)), key=lambda at: (at != last, -widths[at])):
        room = widths[at] - max(sum(w + 2 for w in widths) - 2 - _width(), 0)
        widths[at] = min(widths[at], max(room, LEAST))
    lines = []
    for row in cells:
        broken = [_broken(cell, width, at < last) for at, (cell, width) in enumerate(zip(row, widths, strict=True))]
        for parts in zip_longest(*broken, fillvalue=""):
            aligned = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(parts, widths, right, strict=True)]
            lines.append("  ".join(aligned).rstrip())
    return "\n".join([lines[0], "  ".join("─" * w for w in widths), *lines[1:]])


def _broken(cell: str, width: int, words: bool) -> list[str]:
    """Its lines. words: break them too where one is too long; else it stays whole, so that it can be copied."""
    return textwrap.wrap(cell, max(width, 1), break_long_words=words, break_on_hyphens=False) or [""]


SHOWN = 40
"""Lines of a long list that a person is shown; --json gives all."""
LEAST = 24
"""Characters that the last column of a table gets, however narrow the terminal."""


def _width() -> int:
    """Of the terminal; 100 where there is none."""
    return max(shutil.get_terminal_size((100, 24)).columns, 40)


SHOWN_AGAIN = ("ingest", "evaluate", "judge")
"""Stages whose lines are worth reading although nothing was done; of others the last line is."""


def wrapped(line: str, indent: int, hang: int = 4) -> str:
    """The line indented, and broken at blanks where the terminal ends (100 columns where there is none), so that a
    command in it can be copied; what follows the first line is indented by `hang` more."""
    first, rest = " " * indent, " " * (indent + hang)
    return textwrap.fill(line, _width(), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


NEXT_LINE = 30
"""Seconds between two lines about the same work, where no bar can be shown."""


class Teller:
    """A bar on stderr while something takes longer than two seconds; a block of lines a stage on stdout."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.task: Any = None
        self.what, self.next = "", 0.0

    def progress(self, stage: str, what: str, done: float, total: float) -> None:
        """See `lifecycle.run.Told`. Where stderr is no terminal, a line now and then says how far it is."""
        label = f"{stage}: {what}"
        if label != self.what:
            self.close()
            self.what, self.next = label, time.monotonic() + 2
        if self.quiet or (self.bar is None and time.monotonic() < self.next):
            return
        if not sys.stderr.isatty():
            typer.echo(f"{label} … {f'{done / total:.0%}' if total else ''}".rstrip(), err=True)
            self.next = time.monotonic() + NEXT_LINE
            return
        if self.bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(label, total=total or None)
        self.bar.update(self.task, completed=done, total=total or None)

    def stage(self, stage: str, fresh: bool, lines: list[str]) -> None:
        """See `lifecycle.run.Told`."""
        self.close()
        if not self.quiet:
            typer.echo(f"{stage:<9} {'done' if fresh else 'up to date'}")
            for line in lines if fresh or stage in SHOWN_AGAIN else lines[-1:]:
                typer.echo(wrapped(line, 10))

    def close(self) -> None:
        """End the bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = self.task = None
        self.what = ""


def short(digest: str) -> str:
    """The first 12 hex digits, which every verb takes for the whole."""
    return digest.rpartition(":")[2][:12]
