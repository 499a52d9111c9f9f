"""``whence data``."""

from __future__ import annotations

from typing import Annotated

import typer

from whence.cli.session import AsJson, Teller, open_project, open_store, say, short, table, verb

app = verb(no_args_is_help=True, help="Ingest, quarantine, what each step removed.")


@app.command(epilog="Example: whence data ingest")
def ingest(as_json: AsJson = False) -> None:
    """Read every source of whence.toml into rows."""
    _walk("ingest", as_json)


@app.command(epilog="Example: whence data curate")
def curate(as_json: AsJson = False) -> None:
    """Ingest, then apply the curation steps and freeze a snapshot."""
    _walk("curate", as_json)


def _walk(to: str, as_json: bool) -> None:
    from whence.lifecycle.run import run

    project = open_project()
    teller = Teller(quiet=as_json)
    try:
        out = run(project, open_store(project, create=True), teller, to)
    finally:
        teller.close()
    if as_json:
        say({"stages": teller.stages, **out.resolved()}, "", True)


@app.command(epilog="Example: whence data quarantine tickets --words")
def quarantine(
    source: Annotated[str | None, typer.Argument(help="Only this source.", show_default=False)] = None,
    words: Annotated[bool, typer.Option("--words", help="Show the reasons and lines themselves (content!).")] = False,
    as_json: AsJson = False,
) -> None:
    """Lines that did not become rows, by source, line and reason."""
    from whence.records import Run, RunReport, Source

    store = open_store()
    newest = {}
    for _, report in store.all(RunReport):
        run = store.get(report.run, Run)
        if run.activity == "ingest" and report.removed:
            newest[store.get(run.used[0], Source).name] = report
    found = []
    for name, report in newest.items():
        if source in (None, name):
            for entry in store.get_table(report.removed).to_pylist():
                row = {"source": name, "line": entry["line"], "reason": entry["reason"]}
                found.append(
                    row | (store.words(entry["words"]) and {"words": store.words(entry["words"])} if words else {})
                )
    lines = [(r["source"], r["line"], r["reason"]) for r in found]
    text = table(lines, ("source", "line", "reason")) if lines else "nothing is in quarantine"
    if words:
        text = "\n".join(
            f"{r['source']}:{r['line']}  {r['reason']}: {r['words']['reason']}\n    {r['words']['line'][:200]}"
            for r in found
        )
    say(found, text, as_json)


@app.command(epilog="Example: whence data removed --step exact_duplicate")
def removed(
    snapshot: Annotated[str | None, typer.Argument(help="A snapshot; default: the newest.", show_default=False)] = None,
    step: Annotated[str | None, typer.Option("--step", help="Only this step; lists its rows.")] = None,
    as_json: AsJson = False,
) -> None:
    """What each curation step did not keep, and because of which row."""
    from whence.lineage import find
    from whence.records import NotFound, Snapshot, Step

    store = open_store()
    known = [store.get(str(find(store, snapshot)), Snapshot)] if snapshot else [s for _, s in store.all(Snapshot)][-1:]
    if not known:
        raise NotFound("there is no snapshot yet\n  do: whence data curate")
    steps = [store.get(ref, Step) for ref in known[0].steps]
    if step is None:
        rows = [(s.name, s.seen, s.kept, ", ".join(f"{k} {v}" for k, v in sorted(s.reasons.items()))) for s in steps]
        value = [{"step": s.name, "seen": s.seen, "kept": s.kept, "reasons": dict(s.reasons)} for s in steps]
        say(value, table(rows, ("step", "seen", "kept", "not kept, by reason")), as_json)
        return
    found = [e for s in steps if s.name == step for e in store.get_table(s.removed).to_pylist()]
    for entry in found:
        row = store.row(entry["ordinal"])
        entry["row"] = f"{row.source}:{row.record}"
        if entry["because"] is not None:
            kept = store.row(entry["because"])
            entry["because"] = f"{kept.source}:{kept.record}"
    listed = table([(e["row"], e["reason"], e["because"] or "") for e in found], ("row", "reason", "because of"))
    say(found, listed if found else f"{step} removed nothing", as_json)


@app.command("list", epilog="Example: whence data list")
def list_(as_json: AsJson = False) -> None:
    """Sources and snapshots in the store."""
    from whence.records import Snapshot

    store = open_store()
    sets = store.index().sets["source"]
    sources = [{"source": name, "rows": len(rows)} for name, rows in sets.items()]
    snapshots = [{"snapshot": ref, "name": s.name, "rows": s.rows, "root": s.root} for ref, s in store.all(Snapshot)]
    text = table([(s["source"], s["rows"]) for s in sources], ("source", "rows"))
    text += "\n\n" + table(
        [(s["name"], s["rows"], short(s["snapshot"]), short(s["root"])) for s in snapshots],
        ("snapshot", "rows", "digest", "Merkle root"),
    )
    say({"sources": sources, "snapshots": snapshots}, text, as_json)


@app.command(epilog="Example: whence data show tickets:t-00012")
def show(
    row: Annotated[str, typer.Argument(help="A row's id or its first digits, or SOURCE:RECORD.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """One row with its content (content is personal data: mind where you print it)."""
    from whence.lineage import find
    from whence.records import NotFound, plain

    store = open_store()
    found = find(store, row)
    if not isinstance(found, int):
        raise NotFound(f"{row} names no row")
    value = plain(store.row(found))
    text = "\n".join(f"{name:<15} {held}" for name, held in value.items())
    say(value, text, as_json)
