"""``whence check``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.session import SHOWN, AsJson, here, say, table, verb, wrapped

if TYPE_CHECKING:
    from whence.records import Finding
    from whence.verbs import Session

app = verb()
EXAMPLES, LISTED = 3, 1000
"""of a finding, printed and in JSON"""


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
    html: Annotated[str | None, typer.Option("--html", metavar="FILE", help="Write the findings as a page.")] = None,
    words: Annotated[bool, typer.Option("--words", help="On that page, what rows and items say: content.")] = False,
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
        told(w, w.check(*ids or (), on=on, html=html, words=words), as_json)


def told(w: Session, found: list[Finding], as_json: bool) -> None:
    """Findings, the failed ones first, with what they rest on, and the exit code that they come to."""
    from whence.lifecycle.findings import examples

    said = {finding.verdict for finding in found}
    if as_json:
        say(
            [asdict(one) | {"examples": [asdict(e) for e in examples(w.store, one, LISTED)]} for one in found], "", True
        )
    else:
        say(None, _text(w, found), False)
    raise typer.Exit(2 if "fail" in said else 4 if "abstain" in said or not found else 0)


def _text(w: Session, found: list[Finding]) -> str:
    from whence.lifecycle.findings import by_severity, counted, examples

    if not found:
        return "no check says anything about it"
    order, lines = by_severity(found), [counted(found)]
    for one in order[:SHOWN]:
        lines.append(wrapped(f"{one.verdict:<8} {one.check}: {one.message}", 0, 9))
        if one.verdict != "pass":
            some = examples(w.store, one, EXAMPLES + 1)
            lines += [wrapped(f"{e.where}  {e.what}".rstrip(), 9) for e in some[:EXAMPLES]]
            lines += [f"{'':9}… more: --json, --html FILE"] * (len(some) > EXAMPLES)
    return "\n".join([*lines, *([f"… and {len(order) - SHOWN} more; --json has all"] * (len(order) > SHOWN))])
