"""``whence ask``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from whence.cli.session import AsJson, open_store, say, short, table, verb

if TYPE_CHECKING:
    from whence.lineage import Blast, Scope
    from whence.store import Store

app = verb(no_args_is_help=True, help="Why is this here, and what must come down?")


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
    from whence.lineage import describe, find, walk

    store = open_store()
    found = find(store, id)
    if isinstance(found, int):
        row = store.row(found)
        kind, label, digest = "Row", f"{row.source}:{row.record} ({row.licence or 'no licence'})", row.id
    else:
        record: Any = store.get(found)
        kind, label, digest = type(record).__name__, describe(store, record), found
    up, down = walk(store, found, "up"), walk(store, found, "down")
    report = None if isinstance(found, int) else report_of(store, found)
    value = {
        "id": digest,
        "kind": kind,
        "label": label,
        "report": report,
        "made_from": [_node(n) for n in up],
        "went_into": [_node(n) for n in down],
    }
    lines = [f"{kind} {short(digest)}: {label}", *(f"  {line}" for line in report_lines(report))]
    for title, nodes in (("made from", up), ("went into", down)):
        shown = nodes[:40]
        lines += ["", title] + [f"  {n.kind:<11} {short(n.digest)}  {n.label}" for n in shown]
        lines += [f"  … and {len(nodes) - 40} more (--json shows all)"] if len(nodes) > 40 else []
        lines += [] if nodes else ["  nothing"]
    say(value, "\n".join(lines), as_json)


def report_of(store: Store, found: str) -> dict[str, Any] | None:
    """What the run did, for a run or for an adapter's run: facts, seconds, and the conditions it was done under."""
    from whence.records import Adapter, Run, RunReport, plain

    record: Any = store.get(found)
    run = found if isinstance(record, Run) else record.run if isinstance(record, Adapter) else None
    made = [store.get(src) for src, field, _ in store.downstream([run]) if field == "run"] if run else []
    return next((plain(report) for report in made if isinstance(report, RunReport)), None)


def report_lines(report: dict[str, Any] | None) -> list[str]:
    """A report for people: plain facts, then the conditions under which the same closure gives the same bytes."""
    if report is None:
        return []
    facts = {k: v for k, v in report["facts"].items() if isinstance(v, int | float)}
    lines = [", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v:.4g}" for k, v in facts.items())]
    lines.append(f"{report['duration_s']:.1f} s, {report['cpu_s']:.1f} CPU s")
    conditions = report.get("conditions")
    if conditions:
        told = ", ".join(f"{k} {conditions[k]}" for k in ("device", "cpu", "cpu_capability", "threads", "python"))
        packages = ", ".join(f"{k} {conditions['packages'][k]}" for k in sorted(conditions["packages"]))
        lines.append(f"conditions: {told}; {packages}")
    return lines


def _node(node: Any) -> dict[str, Any]:
    return {"id": node.digest, "kind": node.kind, "label": node.label, "depth": node.depth}


@app.command("blast-radius", epilog="Example: whence ask blast-radius --subject c-0017")
def blast_radius(
    subject: Annotated[str | None, typer.Option("--subject", help="A person's identifier as in your data.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="A source's name.")] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="An SPDX expression.")] = None,
    as_json: AsJson = False,
) -> None:
    """From rows to live deployments: what stands downstream of a person, a source or a licence."""
    from whence import lineage

    scope = one_scope(subject, source, licence)
    store = open_store()
    blast = lineage.blast_radius(store, scope_of(store, scope))
    say(blast_value(store, blast), blast_text(store, blast), as_json)


def one_scope(subject: str | None, source: str | None, licence: str | None) -> tuple[str, str]:
    """(kind, name) of the one scope that was given."""
    given = [(k, v) for k, v in (("subject", subject), ("source", source), ("licence", licence)) if v]
    if len(given) != 1:
        raise typer.BadParameter(f"{len(given)} given, expected one", param_hint="--subject, --source, --licence")
    return given[0]


def scope_of(store: Store, given: tuple[str, str]) -> Scope:
    """The scope as the store knows it: people by pseudonym."""
    from whence.lineage import Scope

    kind, name = given
    if kind == "subject" and not name.startswith("subject-"):
        name = store.keys.pseudonym(name)
    return Scope(kind, name)


def blast_value(store: Store, blast: Blast) -> dict[str, Any]:
    """A blast radius for programs."""
    from whence.records import Deployment, Release
    from whence.serve.leases import state

    now = store.clock()
    return {
        "rows": {"direct": len(blast.direct), "derived": len(blast.derived)},
        "snapshots": dict(blast.snapshots),
        "adapters": dict(blast.adapters),
        "releases": {r: store.get(r, Release).name for r in blast.releases},
        "deployments": [
            {"deployment": d, "endpoint": store.get(d, Deployment).endpoint, "state": state(store, d, now)}
            for d in blast.deployments
        ],
    }


def blast_text(store: Store, blast: Blast) -> str:
    """A blast radius for people, ending in what must come down."""
    from whence.lineage import describe

    value = blast_value(store, blast)
    rows: list[tuple[Any, ...]] = [("rows", f"{len(blast.direct)} direct, {len(blast.derived)} derived", "")]
    rows += [("snapshot", describe(store, store.get(d)), f"{n} rows") for d, n in blast.snapshots.items()]
    rows += [("adapter", describe(store, store.get(d)), f"{n} rows fed") for d, n in blast.adapters.items()]
    rows += [("release", name, "") for name in value["releases"].values()]
    rows += [("deployment", d["endpoint"], d["state"]) for d in value["deployments"]]
    live = [d for d in value["deployments"] if d["state"] != "ended"]
    if live:
        must = f"must come down: {len(live)} deployment(s), {', '.join(d['endpoint'] for d in live)}"
    elif blast.adapters:
        must = f"nothing live; {len(blast.adapters)} adapter(s) were trained on these rows"
    else:
        must = "nothing was trained on these rows"
    return table(rows, ("what", "which", "how much")) + "\n" + must
