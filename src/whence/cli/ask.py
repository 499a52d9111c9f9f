"""``whence ask``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whence.cli.session import SHOWN, AsJson, here, say, short, table, verb, wrapped

if TYPE_CHECKING:
    from whence.records import RunReport
    from whence.register import Due, Mark
    from whence.verbs import WhatEnds

app = verb(no_args_is_help=True, help="Why is this here, and what must come down?")

Subject = Annotated[
    list[str] | None,
    typer.Option("--subject", metavar="ID", help="A person's identifier as in your data; repeat it for several."),
]
Source = Annotated[list[str] | None, typer.Option("--source", metavar="NAME", help="A source's name.")]
Licence = Annotated[list[str] | None, typer.Option("--licence", metavar="SPDX", help="An SPDX expression.")]
Row = Annotated[list[str] | None, typer.Option("--row", metavar="ROW", help="SOURCE:RECORD, or a row's id.")]
Rows = Annotated[str | None, typer.Option("--rows", metavar="FILE", help="A file with a row a line.")]


@app.command(epilog="Example: whence ask why bank-support@1")
def why(
    id: Annotated[
        str,
        typer.Argument(
            help="Row (SOURCE:RECORD or id), snapshot, run, adapter, release, alias or trace.", show_default=False
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """What this was made from, and what was made of it."""
    from whence.records import plain

    with here(as_json) as w:
        found = w.ask.why(id)
    value = {
        "id": found.id,
        "kind": found.kind,
        "label": found.label,
        "barred": found.barred,
        "report": plain(found.report) if found.report else None,
        "made_from": [_node(n) for n in found.made_from],
        "went_into": [_node(n) for n in found.went_into],
    }
    head = [f"{found.kind} {short(found.id)}: {found.label}"]
    head += [wrapped(f"may not be used: {found.barred}", 2)] if found.barred else []
    lines = [*head, *(f"  {line}" for line in report_lines(found.report))]
    for title, nodes in (("made from", found.made_from), ("went into", found.went_into)):
        lines += ["", title] + [f"  {n.kind:<11} {short(n.digest)}  {n.label}" for n in nodes[:40]]
        lines += [f"  … and {len(nodes) - 40} more (--json shows all)"] if len(nodes) > 40 else []
        lines += [] if nodes else ["  nothing"]
    say(value, "\n".join(lines), as_json)


def report_lines(report: RunReport | None) -> list[str]:
    """A report for people: plain facts, then the conditions under which the same closure gives the same bytes."""
    if report is None:
        return []
    facts = {k: v for k, v in report.facts.items() if isinstance(v, int | float)}
    lines = [", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v:.4g}" for k, v in facts.items())]
    lines.append(f"{report.duration_s:.1f} s, {report.cpu_s:.1f} CPU s")
    if report.conditions:
        conditions = asdict(report.conditions)
        told = ", ".join(f"{k} {conditions[k]}" for k in ("device", "cpu", "cpu_capability", "threads", "python"))
        packages = ", ".join(f"{k} {v}" for k, v in sorted(report.conditions.packages.items()))
        lines.append(f"conditions: {told}; {packages}")
    return lines


def _node(node: Any) -> dict[str, Any]:
    return {"id": node.digest, "kind": node.kind, "label": node.label, "depth": node.depth}


@app.command("blast-radius", epilog="Example: whence ask blast-radius --subject c-0017 --html reached.html")
def blast_radius(
    subject: Subject = None,
    source: Source = None,
    licence: Licence = None,
    row: Row = None,
    rows: Rows = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="What held then; default: now.")] = None,
    known_by: Annotated[
        str | None,
        typer.Option("--known-by", metavar="TIME", help="Leave out what was recorded later; default: as --as-of."),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Everything ever made of them, not only what stands behind live ones.")
    ] = False,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="As if the right to what is named had been withdrawn.")
    ] = False,
    html: Annotated[str | None, typer.Option("--html", metavar="FILE", help="Write the answer as a page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Which models that answer users were made from what may not be used? Name nothing to ask about everything.

    Exit code 2 where something that may still answer stands on it, 4 where only a person can decide whether it does.
    """
    from whence.cli.blast import text, value
    from whence.cli.rights import time_of

    when, known = time_of(as_of, "--as-of"), time_of(known_by, "--known-by")
    if what_if and not (subject or source or licence or row or rows):
        raise typer.BadParameter("names nothing", param_hint="--what-if")
    with here(as_json) as w:
        found = w.ask.blast_radius(
            subject=subject, source=source, licence=licence, row=row, rows=rows, as_of=when, known_by=known,
            history=history, what_if=what_if, html=html,
        )  # fmt: skip
        say(value(w, found) if as_json else None, "" if as_json else text(w, found), as_json)
    raise typer.Exit({"pass": 0, "fail": 2, "abstain": 4}[found.outcome])


@app.command(epilog="Example: whence ask live --json")
def live(as_json: AsJson = False) -> None:
    """What answers users now, under which rights, until when?

    Exit code 2 where something live was made from what may not be used, 4 where nobody can tell yet.
    """
    with here(as_json) as w:
        found = w.ask.live()
    rows: list[tuple[Any, ...]] = [
        (
            one.endpoint,
            one.state,
            one.release,
            "—" if one.rows is None else one.rows,
            one.rights
            if one.rights == "pass"
            else f"{one.rights.upper()} ({one.barred:,} rows)"
            if one.barred
            else one.rights,
            f"{one.until:%Y-%m-%d}" if one.until else "—",
            "; ".join(filter(None, [", ".join(f"{name} {n:,}" for name, n in one.licences.items()), one.ends])),
        )
        for one in found
    ]
    head = ("endpoint", "state", "release", "rows", "rights", "until", "licences, and what ends")
    text = table(rows[:SHOWN], head) if rows else "nothing answers: no deployment is live"
    text += f"\n… and {len(rows) - SHOWN:,} more (--json shows all)" if len(rows) > SHOWN else ""
    say([asdict(one) for one in found], text, as_json)
    worst = {one.rights for one in found}
    raise typer.Exit(2 if "breach" in worst else 4 if worst - {"pass"} else 0)


@app.command(epilog="Example: whence ask subject c-0017 --as-of 2026-11-01T00:00:00Z")
def subject(
    id: Annotated[
        str, typer.Argument(help="A person's identifier as in your data, or a pseudonym.", show_default=False)
    ],
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="TIME", help="As it was known then; default: now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rows that are about a person: by tag, by what they are called, waiting for a look, made from them."""
    from whence.cli.subjects import person_said

    with here(as_json) as w:
        person_said(w, id, as_of, as_json)


@app.command(epilog="Example: whence ask due --within 90 --ics ends.ics")
def due(
    within: Annotated[int, typer.Option("--within", metavar="DAYS", min=0, help="How far ahead.")] = 180,
    ics: Annotated[
        str | None, typer.Option("--ics", metavar="FILE", help="Write what ends as a calendar file.")
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Look now whether data, base, code, packages and endpoints are there.")
    ] = False,
    models: Annotated[
        str | None,
        typer.Option("--models", metavar="FILE|URL", help="A provider's /v1/models answer; a URL is asked."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What ends when, over every adapter: base, data, rights, environment, owner, code.

    Exit code 2 where something ends or is missing, 4 where something is only not known.
    """
    with here(as_json) as w:
        found = w.ask.due(within=within, probe=probe, models=models, ics=ics)
    value = {
        "within": found.within,
        "as_of": found.as_of,
        "adapters": found.adapters,
        "outcome": found.outcome,
        "due": [_due_value(one) for one in found.things] if as_json else None,
    }
    say(value, "" if as_json else _due_text(found, ics), as_json)
    raise typer.Exit({"pass": 0, "fail": 2, "abstain": 4}[found.outcome])


def _due_value(one: Due) -> dict[str, Any]:
    from whence.records import plain

    head = {
        name: getattr(one, name) for name in ("adapter", "name", "releases", "live", "accountable", "score", "days")
    }
    return {**head, "findings": [plain(finding) for finding in one.findings]}


def _due_text(found: WhatEnds, ics: str | None) -> str:
    """One line a finding; what is not known of many adapters is counted at the end."""
    lines: list[tuple[Due, Mark]] = []
    for one in found.things:
        if len(lines) >= SHOWN:
            break
        lines += [(one, mark) for mark in one.marks]
    rows: list[tuple[Any, ...]] = [
        (
            "—" if mark.days is None else str(mark.days).rjust(4),
            "" if mark.alert is None else f"≤ {mark.alert}",
            mark.check,
            "?" if mark.verdict == "abstain" else mark.severity,
            " ".join(one.releases) or f"{one.name} {short(one.adapter)}",
            "live" if one.live else "",
            one.accountable or "nobody",
            mark.message + (f". {mark.do}" if mark.do else ""),
        )
        for one, mark in lines
    ]
    text = (
        [table(rows, ("days", "alert", "check", "weight", "adapter", "", "answers", "what, and what to do"))]
        if rows
        else []
    )
    total = sum(len(one.marks) for one in found.things)
    if total > len(rows):
        text.append(f"… and {total - len(rows):,} more (--json shows all)")
    missing = sum(mark.verdict == "abstain" for one in found.things for mark in one.marks)
    ends = f"{total - missing:,} that end within {found.within} days or are missing, {missing:,} not known (?)"
    text.append(f"{found.adapters:,} adapter(s), {len(found.things):,} with findings: {ends}" if total else
                f"nothing ends within {found.within} days, over {found.adapters:,} adapter(s)")  # fmt: skip
    text.append(f"calendar as of {found.as_of}" + (f"; written: {ics}" if ics else ""))
    return "\n".join(text)
