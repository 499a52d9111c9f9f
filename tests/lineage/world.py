"""A small world: 1,000 rows of 50 people from 4 sources, 3 snapshots, 4 models, 2 of them deployed.

Person 17 has 12 rows; 10 summaries were written from them, and 20 paraphrases of those summaries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from whence.records import (
    Adapter,
    Base,
    Closure,
    Deployment,
    Evaluation,
    Fingerprint,
    Gate,
    Prompt,
    Recipe,
    Ref,
    Release,
    Run,
    RunReport,
    SliceResult,
    Snapshot,
    Suite,
    Trace,
    Verdict,
)
from whence.store import RowSet, Store, row_set

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FACTS = {"id": "id", "subject": "who", "parents": "of"}


@dataclass(frozen=True)
class World:
    """What was put, by name."""

    store: Store
    snapshots: dict[str, Ref]
    adapters: dict[str, Ref]
    releases: dict[str, Ref]
    deployments: dict[str, Ref]
    traces: dict[str, Ref]
    direct: RowSet
    derived: RowSet

    def person(self, number: int) -> str:
        return self.store.keys.pseudonym(f"p{number}")


def build(store: Store, take: Callable[..., RunReport]) -> World:
    """Put it all."""
    mine = [{"id": f"t{n}", "text": f"mine {n}", "who": "p17"} for n in range(12)]
    people = [p for p in range(50) if p != 17]
    theirs = [{"id": f"t{n}", "text": f"ticket {n}", "who": f"p{people[n % 49]}"} for n in range(12, 600)]
    take(mine + theirs, "tickets", **FACTS)
    take([{"id": f"n{n}", "text": f"note {n}"} for n in range(300)], "notes", claims={"licence": "MIT"}, **FACTS)
    above = [{"id": f"s{n}", "text": f"summary {n}", "of": [f"tickets:t{n if n < 10 else n + 20}"]} for n in range(50)]
    take(above, "summaries", **FACTS)
    below = [{"id": f"p{n}", "text": f"said {n}", "of": [f"summaries:s{n // 2}", "notes:n1"]} for n in range(50)]
    take(below, "paraphrases", **FACTS)
    rows = {name: store.index().sets["source"].get(name) for name in ("tickets", "notes", "summaries", "paraphrases")}
    direct = store.index().sets["subject"].get(store.keys.pseudonym("p17"))
    others = rows["tickets"] - direct
    snapshots = {
        "s1": freeze(store, "s1", others | rows["notes"]),
        "s2": freeze(store, "s2", rows["tickets"]),
        "s3": freeze(store, "s3", others | rows["notes"] | rows["summaries"] | rows["paraphrases"]),
    }
    base = store.put(Base(name="base", location="./base", fingerprint=PRINT))
    everything = row_set(range(1000))
    fed = {"m1": ("s1", everything), "m2": ("s2", everything), "m3": ("s3", everything), "m4": ("s3", others)}
    adapters = {name: model(store, name, base, snapshots[s], only) for name, (s, only) in fed.items()}
    releases = {name: release(store, name, base, adapter) for name, adapter in adapters.items() if name != "m2"}
    deployments = {
        name: store.put(Deployment(release=releases[name], endpoint=f"127.0.0.1:{port}", started_at=NOW, lease_s=60))
        for name, port in (("m1", 1), ("m3", 3))
    }
    traces = {name: trace(store, f"chatcmpl-{name}", deployments[name], releases[name]) for name in deployments}
    derived = store.index().descendants(direct)
    return World(store, snapshots, adapters, releases, deployments, traces, direct, derived)


PRINT = Fingerprint(weights="b3:0", shapes="sha256:1", tokenizer="sha256:2", template="sha256:3")


def freeze(store: Store, name: str, rows: RowSet, parents: Iterable[Ref] = ()) -> Ref:
    """A snapshot of these rows."""
    made = Snapshot(
        name=name, rows=len(rows), root=store.root_of(rows), set=store.put_set(rows), steps=(), parents=tuple(parents)
    )
    return store.put(made)


def model(store: Store, name: str, base: Ref, snapshot: Ref, only: RowSet) -> Ref:
    """An adapter trained on the snapshot, to which only these of its rows were really fed."""
    recipe = store.put(
        Recipe(
            method="sft", rank=1, alpha=1, dropout=0.0, target_modules="all-linear", learning_rate=1.0, epochs=1,
            lr_schedule="linear", warmup_steps=0, weight_decay=0.0, max_grad_norm=1.0, seed=0, max_length=8,
            batch_rows=1, micro_batch_rows=1, checkpoint_every=1, threads=1, dtype="float32",
        )
    )  # fmt: skip
    run = store.put(Run(activity="train", used=(base, snapshot, recipe), inputs={"name": name}))
    fed = store.put_set(store.snapshot_rows(store.get(snapshot, Snapshot)) & only)
    store.put(RunReport(run=run, started_at=NOW, duration_s=1.0, cpu_s=1.0, facts={"rows": 1}, set=fed))
    listed = store.put_lines(["torch 1"])
    closure = Closure(
        base=base, snapshot=snapshot, recipe=recipe, code_commit=None, code_clean=None, environment=listed
    )
    return store.put(
        Adapter(name=name, closure=store.put(closure), run=run, weights=f"b3:{name}", config="sha256:c", base=PRINT,
                location=f"adapters/{name}", bytes=1)
    )  # fmt: skip


def verdict(store: Store, base: Ref, adapter: Ref, outcome: Any = "pass") -> Ref:
    """A verdict about an adapter."""
    items = store.put_lines([])
    suite = store.put(Suite(name="gate", role="gate", scorer="exact", items=items, n=0, root="sha256:r"))
    prompt = store.put(Prompt(template="bare", text=""))
    made = []
    for tuned in (None, adapter):
        run = store.put(Run(activity="evaluate", used=tuple(r for r in (suite, base, tuned) if r)))
        total = SliceResult(slice="*", n=1, right=1, value=1.0, low=0.2, high=1.0)
        made.append(
            store.put(
                Evaluation(run=run, suite=suite, base=base, adapter=tuned, prompt=prompt, scores=items, unscored=0,
                           results=(total,))
            )
        )  # fmt: skip
    gate = Gate(
        suite=suite, min_value=None, min_gain=0.0, max_slice_drop=0.1, alpha=0.05, min_items=1, min_slice_items=1,
        max_unscored=0.0,
    )  # fmt: skip
    judged = Verdict(outcome=outcome, gate=store.put(gate), baseline=made[0], candidate=made[1], findings=())
    return store.put(judged)


def release(store: Store, name: str, base: Ref, adapter: Ref) -> Ref:
    made = store.put(Release(name=f"{name}@1", adapter=adapter, verdict=verdict(store, base, adapter)))
    store.append("alias.moved", f"alias:live-{name}", {"release": made, "name": f"{name}@1"})
    return made


def trace(store: Store, name: str, deployment: Ref, released: Ref) -> Ref:
    entry = store.journal("trace").append({"messages": []}, {"id": name})
    made = Trace(
        id=name, deployment=deployment, release=released, at=NOW, duration_s=0.1, prompt_tokens=1, completion_tokens=1,
        finish="stop", consent="none", subject=None, content=entry.digest,
    )  # fmt: skip
    store.add_traces([(entry, made)])
    return store.latest(Trace, name)[0]
