"""How whole the closure of an adapter is: a list of facts, each proven, claimed or missing, and who can supply it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow.compute as pc

from whence.records import (
    Adapter,
    Base,
    Closure,
    Deployment,
    Evaluation,
    Ownership,
    Recipe,
    Ref,
    Release,
    RunReport,
    Snapshot,
)
from whence.store import Store

State = Literal["proven", "claimed", "missing"]
TRAINER = "whoever trained it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that an adapter's record should hold."""

    what: str
    """weights, base, rows, fed, rights, recipe, code, environment, evaluation, owner, service"""
    state: State
    """proven: it was seen or derived here. claimed: somebody or a file says so. missing: nobody has said"""
    says: str
    """what is known, or what is not"""
    ask: str | None = None
    """who can supply or prove it, and how"""


def completeness(store: Store, ref: Ref) -> list[Fact]:
    """What is known of an adapter's closure, in the order of the path from base to service."""
    adapter = store.get(ref, Adapter)
    closure = store.get(adapter.closure, Closure)
    made: list[Any] = [store.get(source) for source, field, _ in store.downstream([adapter.run]) if field == "run"]
    report = next((one for one in made if isinstance(one, RunReport)), None)
    return [
        Fact(
            what="weights", state="proven", says=f"{adapter.weights[:19]}…, {adapter.bytes:,} bytes, kept in the store"
        ),
        _base(store, adapter, closure),
        *_rows(store, closure, report),
        _recipe(store, closure),
        _plain("code", closure.code_commit, "name the commit that trained it"),
        _plain("environment", closure.environment, "a list of the installed versions"),
        *_service(store, ref, adapter),
    ]


def _base(store: Store, adapter: Adapter, closure: Closure) -> Fact:
    if closure.base is None:
        return Fact(what="base", state="missing", says="nobody has said", ask=f"{TRAINER}: adopt it again with --base")
    base = store.get(closure.base, Base)
    if adapter.base is not None:
        return Fact(what="base", state="proven", says=f"{base.name}, as training saw it: {adapter.base.weights[:19]}…")
    if base.fingerprint is not None:
        said = f"{base.name}, declared when it was adopted: {base.fingerprint.weights[:19]}…"
        return Fact(what="base", state="claimed", says=said, ask=f"{TRAINER}; nothing from the training says so")
    said = f"called {base.name} in adapter_config.json; a name proves nothing"
    return Fact(what="base", state="claimed", says=said, ask=f"{TRAINER}: adopt it again with --base FOLDER")


def _rows(store: Store, closure: Closure, report: RunReport | None) -> Iterator[Fact]:
    if closure.snapshot is None:
        ask = f"{TRAINER}: adopt it again with --data FILE"
        yield Fact(what="rows", state="missing", says="nobody has said what it was trained on", ask=ask)
        return
    snapshot = store.get(closure.snapshot, Snapshot)
    if report and report.set:
        fed = len(store.get_set(report.set))
        yield Fact(what="rows", state="proven", says=f"{fed:,} of {snapshot.rows:,} rows were fed")
    else:
        says = f"{snapshot.rows:,} rows are said to be its data"
        ask = f"{TRAINER}; which of them were fed nobody saw"
        yield Fact(what="rows", state="claimed", says=says, ask=ask)
    rows = store.snapshot_rows(snapshot)
    bare = sum(pc.sum(pc.is_null(b["licence"])).as_py() or 0 for b in store.scan(["licence"], rows)) if rows else 0
    if bare:
        ask = "the owner of the source; it is claimed in whence.toml or with --licence, before the rows are first read"
        yield Fact(what="rights", state="missing", says=f"{bare:,} of {snapshot.rows:,} rows have no licence", ask=ask)
    else:
        yield Fact(what="rights", state="claimed", says=f"every one of {snapshot.rows:,} rows has a licence")


def _recipe(store: Store, closure: Closure) -> Fact:
    if closure.recipe is None:
        return Fact(what="recipe", state="missing", says="nobody has said", ask=TRAINER)
    recipe: Any = store.get(closure.recipe)
    if isinstance(recipe, Recipe):
        return Fact(what="recipe", state="proven", says=f"{recipe.method}, rank {recipe.rank}, {recipe.epochs} epochs")
    said = f"{recipe.trainer}: rank {recipe.lora.get('r')}, alpha {recipe.lora.get('lora_alpha')}"
    counted = ", ".join(f"{k} {v}" for k, v in sorted((recipe.arguments or {}).items()) if isinstance(v, int | float))
    ask = f"{TRAINER}; enough to describe it, not to make it again"
    return Fact(what="recipe", state="claimed", says=said + (f", {counted}" if 0 < len(counted) < 120 else ""), ask=ask)


def _plain(what: str, value: str | None, how: str) -> Fact:
    if value is None:
        return Fact(what=what, state="missing", says="nobody has said", ask=f"{TRAINER}: {how}")
    return Fact(what=what, state="proven", says=value[:19])


def _service(store: Store, ref: Ref, adapter: Adapter) -> Iterator[Fact]:
    near: list[Any] = [store.get(source) for source, _, _ in store.downstream([ref])]
    judged = any(isinstance(one, Evaluation) for one in near)
    if judged:
        yield Fact(what="evaluation", state="proven", says="scored here, beside its base")
    else:
        yield Fact(
            what="evaluation", state="missing", says="never scored here", ask="its owner: whence run, with a suite"
        )
    owner = next((o for _, o in reversed(store.all(Ownership)) if o.about in (ref, adapter.name)), None)
    if owner:
        backup = f", backup {owner.backup}" if owner.backup else ", no backup"
        yield Fact(what="owner", state="claimed", says=owner.accountable + backup)
    else:
        yield Fact(
            what="owner",
            state="missing",
            says="nobody answers for it",
            ask="the team that serves it: whence rights own",
        )
    releases = [source for source, _, _ in store.downstream([ref]) if isinstance(store.get(source), Release)]
    served = [d for source, _, _ in store.downstream(releases) if isinstance(d := store.get(source), Deployment)]
    if served:
        places = ", ".join(sorted({d.endpoint for d in served}))
        yield Fact(what="service", state="claimed", says=f"{len(served)} deployment(s): {places}")
    else:
        ask = "whoever runs it: adopt it again with --live URL"
        yield Fact(what="service", state="missing", says="nobody has said whether it is in service", ask=ask)
