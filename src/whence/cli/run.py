"""``whence run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.session import AsJson, here, say, short, verb, walked

if TYPE_CHECKING:
    from whence.lifecycle.run import Outcome

app = verb()
CODES = {"pass": 0, "fail": 2, "abstain": 4}


@app.command(epilog="Example: whence run --to curate")
def run(
    to: Annotated[
        str, typer.Option("--to", metavar="STAGE", help="ingest, curate, train, evaluate, judge or release.")
    ] = "release",
    as_json: AsJson = False,
) -> None:
    """Walk the path that whence.toml describes; finished stages are skipped."""
    from whence.lifecycle.run import STAGES

    if to not in STAGES:
        raise typer.BadParameter(f"{to!r} is no stage; one of {', '.join(STAGES)}", param_hint="--to")
    with here(as_json, create=True) as w:
        out = w.run(to)
    line = verdict_line(out) if out.outcome else f"walked to {out.stages[-1].name}"
    say(walked(out, outcome=out.outcome), line, as_json)
    raise typer.Exit(CODES[out.outcome] if out.outcome else 0)


def verdict_line(out: Outcome) -> str:
    """The last line that a person reads."""
    return meaning(str(out.outcome), str(out.verdict), out.post_hoc)


def meaning(outcome: str, verdict: str, post_hoc: bool) -> str:
    """What an outcome means, and the verdict's digest. post_hoc: the gate was fixed when the score was known."""
    said = {
        "pass": "PASS: it may ship",
        "fail": "FAIL: it must not ship",
        "abstain": "ABSTAIN: too little evidence to say",
    }
    return f"verdict   {said[outcome]} [{short(verdict)}]{' (post hoc)' if post_hoc else ''}"
