"""``whence check``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.session import SHOWN, AsJson, here, say, table, verb, wrapped

if TYPE_CHECKING:
    from whence.records import Finding

app = verb()


@app.command(epilog="Example: whence check rights")
def check(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Of checks, or groups such as rights; default: all.", show_default=False
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="THING", help="A snapshot, adapter or base; default: the newest of each."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="The installed checks, and run none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run checks over what the project made. Exit code 0: all pass; 2: one fails; 4: one abstains, or none speaks."""
    from whence.project import load_checks
    from whence.verbs.check import named, unknown

    checks = load_checks()
    if missing := unknown(ids or (), checks):
        expected = ", ".join(named(checks))
        raise typer.BadParameter(f"no check is called {missing[0]!r}, expected one of {expected}", param_hint="ID")
    with here(as_json) as w:
        if listed:
            known = w.check.list()
            say(known, table(list(known.items()), ("check", "what it says")), as_json)
            return
        found = w.check(*ids or (), on=on)
    told(found, as_json)


def told(found: list[Finding], as_json: bool) -> None:
    """Findings, the failed ones first, and the exit code that they come to."""
    said = {finding.verdict for finding in found}
    say([asdict(finding) for finding in found], _text(found), as_json)
    raise typer.Exit(2 if "fail" in said else 4 if "abstain" in said or not found else 0)


def _text(found: list[Finding]) -> str:
    if not found:
        return "no check says anything about it"
    count = Counter(finding.verdict for finding in found)
    head = ", ".join(f"{count[verdict]} {verdict}" for verdict in ("fail", "abstain", "pass") if count[verdict])
    order = sorted(found, key=lambda one: ("fail", "abstain", "pass").index(one.verdict))
    lines = [wrapped(f"{one.verdict:<8} {one.check}: {one.message}", 0, 9) for one in order[:SHOWN]]
    more = [f"… and {len(order) - SHOWN} more; --json has all"] if len(order) > SHOWN else []
    return "\n".join([head, *lines, *more])
