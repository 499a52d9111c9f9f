"""Adapters with everything that clocks look at: a base folder, a source file, a commit, an environment, an owner."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from whence.records import (
    Adapter,
    Base,
    Closure,
    Conditions,
    ForeignRecipe,
    Ownership,
    Ref,
    Release,
    Run,
    RunReport,
    Snapshot,
)
from whence.register import register_base
from whence.serve import leases
from whence.store import Store, row_set

HERE = [f"pydantic=={version('pydantic')}", f"numpy=={version('numpy')}"]
"""Packages that are installed here, at their versions."""


def make_base(folder: Path, seed: int = 0) -> Path:
    """A folder that looks like a base: two tensors, a config, a tokenizer."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    save_file({name: rng.normal(size=(4, 4)).astype(np.float32) for name in ("a", "b")}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 4}))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}))
    return folder


def git(folder: Path, *words: str) -> str:
    """Run git as somebody."""
    names = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, **names}
    return subprocess.run(
        ["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit(folder: Path) -> str:
    """A repository in this folder with one commit; its digest."""
    (folder / ".gitignore").write_text("*\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-f", ".gitignore")
    git(folder, "commit", "-q", "-m", "start")
    return git(folder, "rev-parse", "HEAD")


@dataclass
class Desk:
    """Makes adapters in one store."""

    store: Store
    folder: Path
    take: Callable[..., RunReport]
    commit: str
    now: datetime

    def base(self, name: str) -> Ref:
        """A base folder of its own, registered."""
        make_base(self.folder / name, seed=sum(map(ord, name)))
        return register_base(self.store, name)

    def data(self, name: str, purge_at: datetime | None = None) -> Ref:
        """A source file that is read, and a snapshot of its rows."""
        rows = [{"id": f"{name}-{n}", "text": f"{name} says {n}", "who": f"{name}-p{n}"} for n in range(3)]
        report = self.take(rows, name, claims={"purge_at": purge_at}, id="id", subject="who")
        rows_here = self.store.index().sets["source"].get(name)
        snapshot = Snapshot(name=name, rows=len(rows_here), root=self.store.root_of(rows_here),
                            set=self.store.put_set(row_set(rows_here)), steps=(), parents=(report.run,))  # fmt: skip
        return self.store.put(snapshot)

    def adapter(
        self,
        name: str,
        *,
        base: Ref | None,
        snapshot: Ref | None,
        age_days: int = 100,
        python: str | None = "3.11.9",
        packages: list[str] | None = HERE,
        commit: str | None = "",
        clean: bool | None = True,
    ) -> Ref:
        """An adapter and its closure."""
        store = self.store
        recipe = store.put(ForeignRecipe(trainer="SFTTrainer", arguments=None, lora=None))
        used = tuple(ref for ref in (base, snapshot, recipe) if ref)
        run = store.put(Run(activity="train", used=used, inputs={"name": name}))
        conditions = python and Conditions(
            python=python, platform="Linux", cpu="cpu", cpu_capability="AVX2", threads=1, device="cpu", packages={}
        )
        made_at = self.now - timedelta(days=age_days)
        store.put(RunReport(run=run, started_at=made_at, duration_s=1.0, cpu_s=1.0, conditions=conditions or None))
        closure = Closure(
            base=base, snapshot=snapshot, recipe=recipe, code_commit=self.commit if commit == "" else commit,
            code_clean=clean, environment=store.put_lines(packages) if packages is not None else None,
        )  # fmt: skip
        seen = store.get(base, Base).fingerprint if base else None
        return store.put(
            Adapter(name=name, closure=store.put(closure), run=run, weights=f"b3:{name}", config="sha256:0", base=seen,
                    location=f"runs/{name}", bytes=1)
        )  # fmt: skip

    def served(self, adapter: Ref, name: str, endpoint: str = "https://models.example.org") -> Ref:
        """A release of it that somebody else serves; the deployment."""
        release = self.store.put(Release(name=f"{name}@1", adapter=adapter, verdict=None))
        return leases.declare(self.store, release, endpoint, self.now - timedelta(days=50))

    def owned(self, about: str, accountable: str = "ada@example.org", backup: str | None = "bo@example.org") -> None:
        """Somebody answers for it, since two years."""
        since = self.now - timedelta(days=730)
        self.store.put(Ownership(about=about, accountable=accountable, backup=backup, since=since))

    def calendar(self, **ends: datetime) -> None:
        """The project's calendar: base → when it is retired."""
        entries = [
            f'[[entries]]\nprovider = "The lab"\nkind = "retired"\nat = {at:%Y-%m-%d}\nmatches = ["{base}"]\n'
            f'source = "https://example.org/{base}"\nread = 2026-11-01\n'
            for base, at in ends.items()
        ]
        (self.folder / "whence-calendar.toml").write_text("\n".join(entries))


def findings(one: Any) -> dict[str, str]:
    """check → verdict of what is shown of an adapter."""
    return {finding.check: finding.verdict for finding in one.findings}
