"""``whence model``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from whence.cli.session import AsJson, Teller, open_store, say, short, table, verb

if TYPE_CHECKING:
    from whence.records import Run
    from whence.store import Store

app = verb(no_args_is_help=True, help="Adapters, releases and where they are served.")


@app.command("list", epilog="Example: whence model list")
def list_(as_json: AsJson = False) -> None:
    """Every adapter with its base, data, verdict, releases, aliases and live deployments."""
    from whence.lineage import aliases
    from whence.records import Adapter, Base, Closure, Deployment, Evaluation, Release, Snapshot, Verdict
    from whence.serve.leases import state

    store = open_store()
    pointed: dict[str, list[str]] = {}
    for alias, pointed_at in aliases(store).items():
        pointed.setdefault(pointed_at, []).append(alias)
    verdicts = {store.get(v.candidate, Evaluation).adapter: v.outcome for _, v in store.all(Verdict)}
    values = []
    for ref, adapter in store.all(Adapter):
        closure = store.get(adapter.closure, Closure)
        releases = [(r, rel) for r, rel in store.all(Release) if rel.adapter == ref]
        served = [d for d, dep in store.all(Deployment) if dep.release in {r for r, _ in releases}]
        states = [state(store, d, store.clock()) for d in served]
        values.append(
            {
                "adapter": ref,
                "name": adapter.name,
                "base": store.get(closure.base, Base).name,
                "rows": store.get(closure.snapshot, Snapshot).rows,
                "verdict": verdicts.get(ref),
                "releases": [rel.name for _, rel in releases],
                "aliases": [a for r, _ in releases for a in pointed.get(r, [])],
                "live": states.count("live"),
                "unknown": states.count("unknown"),
            }
        )
    rows = [
        (
            short(v["adapter"]),
            v["name"],
            v["base"],
            v["rows"],
            v["verdict"] or "not judged",
            " ".join(v["releases"]) or "—",
            " ".join(v["aliases"]) or "—",
            v["live"],
        )
        for v in values
    ]
    head = ("adapter", "name", "base", "rows", "verdict", "releases", "aliases", "live")
    say(values, table(rows, head) if rows else "no adapter yet: whence run", as_json)


@app.command(epilog="Example: whence model rebuild bank-support@2")
def rebuild(
    name: Annotated[str, typer.Argument(help="An adapter, or a release or alias of one.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Train the same closure again and compare byte for byte: exit code 0 the same, 2 not; names the conditions."""
    from whence import train
    from whence.lineage import find
    from whence.records import Adapter, NotFound, Recipe, Release, Run

    store = open_store()
    record: Any = store.get(str(find(store, name)))
    adapter = store.get(record.adapter, Adapter) if isinstance(record, Release) else record
    if not isinstance(adapter, Adapter):
        raise NotFound(f"{name} is a {type(record).__name__}, expected an adapter or a release of one")
    first = store.get(adapter.run, Run)
    base, snapshot, recipe = first.used
    asked = store.get(recipe, Recipe)
    teller = Teller(quiet=as_json)
    run = train.prepare(store, base, snapshot, asked, inputs=first.inputs, attempt=_attempts(store, first))
    try:
        told = lambda sign: teller.progress("rebuild", sign.stage, sign.done, sign.total)  # noqa: E731
        train.train(store, run, on_progress=told)
    finally:
        teller.close()
    found = train.compare(store, adapter.run, run)
    same = "the same bytes" if found["identical"] else f"other bytes, from step {found['first_difference']} on"
    differing = ", ".join(f"{k} {a} → {b}" for k, (a, b) in found["differing"].items()) or "none"
    shown = ", ".join(
        f"{k} {found['conditions'].get(k)}" for k in ("device", "cpu", "cpu_capability", "threads", "torch")
    )
    text = f"{same}; {found['checkpoints_compared']} checkpoints compared\nconditions: {shown}; differing: {differing}"
    say({"run": run, **found}, text, as_json)
    raise typer.Exit(0 if found["identical"] else 2)


def _attempts(store: Store, run: Run) -> int:
    """The next attempt's number for the same inputs."""
    from whence.records import Run

    same = [r for _, r in store.all(Run) if (r.activity, r.used, r.inputs) == (run.activity, run.used, run.inputs)]
    return max(r.attempt for r in same) + 1
