"""Releases as a model registry of others would hold them, and what such a registry says of an adapter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from whence.lineage import aliases, resolve
from whence.records import (
    Adapter,
    Base,
    Closure,
    Evaluation,
    Json,
    Ref,
    Release,
    Snapshot,
    Suite,
    Unmet,
    Verdict,
    plain,
)
from whence.store import Store

TAG = "whence."
"""Our tags begin so."""
COMMIT = "mlflow.source.git.commit"
KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./ :-]{0,249}").fullmatch
"""Names of parameters and metrics that every store of MLflow takes."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*@\d+").fullmatch
"""Names of releases that need no quoting there."""
ALIAS = re.compile(r"(?!latest$|v\d+$)[A-Za-z0-9_-]{1,255}", re.IGNORECASE).fullmatch
"""Aliases that MLflow takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One release, as it is written into a registry."""

    model: str
    """NAME of ``NAME@N``"""
    release: Ref
    adapter: Ref
    source: Path
    """the adapter's folder"""
    params: Mapping[str, str]
    """its recipe"""
    metrics: Mapping[str, float]
    """its evaluations, newest a suite, with their 95 % intervals"""
    run_tags: Mapping[str, str]
    """digests of what it was made from"""
    version_tags: Mapping[str, str]
    """digests of what it is, and its verdict"""
    aliases: tuple[str, ...]
    """that point to it now"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Data that a registry says a run used. A claim."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a registry says of one version of a model, or of a run that nobody registered. All of it is claimed."""

    model: str
    """of the registered model, or of the run"""
    version: str | None
    """None: a run"""
    run: str | None
    """id of the run"""
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    """of the version, over those of its run"""
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: tuple[Dataset, ...]
    who: str | None
    """who registered or ran it"""
    at: datetime | None
    """when"""
    folder: Path | None
    """the adapter's folder, where it is on this machine"""
    absent: str | None
    """why there is none: remote, missing, no_adapter, several"""

    @property
    def base(self) -> str | None:
        """What the run's parameters name as its base."""
        named = (self.params.get(key) for key in BASES)
        return next((name for name in named if name), None)

    @property
    def commit(self) -> str | None:
        """Commit of the code that ran."""
        said = self.tags.get(COMMIT, "")
        return said if re.fullmatch(r"[0-9a-f]{7,64}", said) else None


BASES = ("base_model", "base_model_name_or_path", "model_name_or_path", "base_model_name", "model_name", "model_id")
"""Parameters that name a base, first come first."""


def pages(store: Store, names: Sequence[str] = ()) -> Iterator[Page]:
    """A page a release, oldest first; of these releases or aliases, else of all. Raises NotFound, Unmet."""
    chosen = [resolve(store, name) for name in names] or store.all(Release)
    for _, release in chosen:
        if not NAME(release.name):
            raise Unmet(f"{release.name!r} is no name for a registry", "letters, digits, '.', '_', '-', then @N", "")
    pointed = aliases(store)
    for ref, release in chosen:
        yield _page(store, ref, release, tuple(sorted(name for name, to in pointed.items() if to == ref)))


def _page(store: Store, ref: Ref, release: Release, pointed: tuple[str, ...]) -> Page:
    adapter = store.get(release.adapter, Adapter)
    closure = store.get(adapter.closure, Closure)
    base = store.get(closure.base, Base) if closure.base else None
    snapshot = store.get(closure.snapshot, Snapshot) if closure.snapshot else None
    made = {
        "adapter": release.adapter,
        "weights": adapter.weights,
        "config": adapter.config,
        "closure": adapter.closure,
        "recipe": closure.recipe,
        "snapshot": closure.snapshot,
        "rows_root": snapshot.root if snapshot else None,
        "base": base.name if base else None,
        "base_weights": adapter.base.weights if adapter.base else None,
    }
    verdict = store.get(release.verdict, Verdict) if release.verdict else None
    is_ = {
        "release": ref,
        "name": release.name,
        "verdict": release.verdict,
        "outcome": verdict.outcome if verdict else None,
        "waiver": release.waiver,
    }
    run_tags = _tags(made)
    if closure.code_commit:
        run_tags[COMMIT] = closure.code_commit
    return Page(
        model=release.name.rpartition("@")[0],
        release=ref,
        adapter=release.adapter,
        source=(store.root / adapter.location).resolve(),
        params=_params(plain(store.get(closure.recipe))) if closure.recipe else {},
        metrics=_metrics(store, release.adapter),
        run_tags=run_tags,
        version_tags=_tags(is_)
        | {f"{TAG}{name}": run_tags[f"{TAG}{name}"] for name in ("adapter", "weights", "config")},
        aliases=pointed,
    )


def _tags(facts: Mapping[str, str | None]) -> dict[str, str]:
    return {TAG + name: value for name, value in facts.items() if value}


def _params(value: Json, before: str = "") -> dict[str, str]:
    """Numbers and words of a recipe, members of members as ``member.member``."""
    found: dict[str, str] = {}
    for name, held in value.items():
        key = before + name
        if isinstance(held, dict):
            found |= _params(held, f"{key}.")
        elif held is not None and name != "noun" and KEY(key):
            found[key] = str(held)[:500]
    return found


def _metrics(store: Store, adapter: Ref) -> dict[str, float]:
    found: dict[str, float] = {}
    for source, _, _ in store.downstream([adapter]):
        record = store.get(source)
        if not isinstance(record, Evaluation) or record.adapter != adapter:
            continue
        name = store.get(record.suite, Suite).name
        found[f"{name}.unscored"] = float(record.unscored)
        for whole in (r for r in record.results if r.slice == "*"):
            values = {"accuracy": whole.value, "low": whole.low, "high": whole.high, "items": float(whole.n)}
            found |= {f"{name}.{what}": value for what, value in values.items()}
    return {key: value for key, value in found.items() if KEY(key)}
