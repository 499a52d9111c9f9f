"""``whence run``."""

from __future__ import annotations

from typing import Annotated

import typer

from whence.cli.session import AsJson, Teller, open_project, open_store, say, verb

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
    from whence.lifecycle.run import run as walk

    if to not in STAGES:
        raise typer.BadParameter(f"{to!r} is no stage; one of {', '.join(STAGES)}", param_hint="--to")
    project = open_project()
    store = open_store(project, create=True)
    teller = Teller(quiet=as_json)
    try:
        out = walk(project, store, teller, to)
    finally:
        teller.close()
    outcome = verdict_of(store, out.verdict)
    line = verdict_line(outcome) if outcome else f"walked to {to}"
    say({"stages": teller.stages, **out.resolved(), "outcome": outcome}, line, as_json)
    raise typer.Exit(CODES[outcome] if outcome else 0)


def verdict_of(store: object, ref: str | None) -> str | None:
    """pass, fail or abstain."""
    from whence.records import Verdict

    return store.get(ref, Verdict).outcome if ref else None  # type: ignore[attr-defined]


def verdict_line(outcome: str) -> str:
    """The last line that a person reads."""
    meaning = {
        "pass": "PASS: it may ship",
        "fail": "FAIL: it must not ship",
        "abstain": "ABSTAIN: too little evidence to say",
    }
    return f"verdict   {meaning[outcome]}"
