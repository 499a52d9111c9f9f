"""``whence model``."""

from __future__ import annotations

from whence.cli.session import AsJson, open_store, say, short, table, verb

app = verb(no_args_is_help=True, help="Adapters, releases and where they are served.")


@app.callback()
def model() -> None:
    """Adapters, releases and where they are served."""


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
