"""``model``: adapters with what is known of each, and the drill that makes one again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence.lineage import aliases, find
from whence.records import (
    Adapter,
    Base,
    Closure,
    Deployment,
    Evaluation,
    Json,
    NotFound,
    Recipe,
    Ref,
    Release,
    Run,
    Snapshot,
    Verdict,
)
from whence.store import Store
from whence.verbs.canaries import Compared, Hosted, compare

if TYPE_CHECKING:
    from whence.verbs.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An adapter and what is known of it."""

    adapter: Ref
    """digest"""
    name: str
    """what training called it"""
    base: str | None
    """name of its base; None: not known"""
    rows: int | None
    """of its snapshot; None: not known"""
    verdict: str | None
    """pass, fail or abstain; None: not judged"""
    releases: tuple[str, ...]
    """names"""
    aliases: tuple[str, ...]
    """that point to one of the releases"""
    live: int
    """deployments that live"""
    unknown: int
    """deployments that fell silent"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A closure trained again, beside the first time."""

    run: Ref
    """the new training run"""
    same_closure: bool
    """whether both had the same inputs"""
    identical: bool
    """whether both files of the adapters are the same, byte for byte"""
    conditions: Mapping[str, Json]
    """that agree: device, threads, versions …"""
    differing: Mapping[str, Json]
    """condition → the two values"""
    checkpoints_compared: int
    """how many both have"""
    first_difference: int | None
    """step of the first checkpoint that differs"""


class Models:
    """Adapters. Each verb is that of `whence model`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def list(self) -> list[Listed]:
        """Every adapter with its base, data, verdict, releases, aliases and live deployments, oldest first."""
        from whence.serve.leases import state

        store = self._store
        pointed: dict[Ref, list[str]] = {}
        for alias, release in aliases(store).items():
            pointed.setdefault(release, []).append(alias)
        verdicts = {store.get(v.candidate, Evaluation).adapter: v.outcome for _, v in store.all(Verdict)}
        releases, deployments, found = store.all(Release), store.all(Deployment), []
        for ref, adapter in store.all(Adapter):
            closure = store.get(adapter.closure, Closure)
            mine = {r: release.name for r, release in releases if release.adapter == ref}
            states = [state(store, d) for d, deployment in deployments if deployment.release in mine]
            found.append(
                Listed(
                    adapter=ref,
                    name=adapter.name,
                    base=store.get(closure.base, Base).name if closure.base else None,
                    rows=store.get(closure.snapshot, Snapshot).rows if closure.snapshot else None,
                    verdict=verdicts.get(ref),
                    releases=tuple(mine.values()),
                    aliases=tuple(alias for r in mine for alias in pointed.get(r, [])),
                    live=states.count("live"),
                    unknown=states.count("unknown"),
                )
            )
        return found

    def rebuild(self, name: str) -> Rebuilt:
        """Train the same closure again and compare byte for byte. name: an adapter, or a release or alias of one."""
        from whence import train

        store = self._store
        record: Any = store.get(str(find(store, name)))
        adapter: Any = store.get(record.adapter, Adapter) if isinstance(record, Release) else record
        if not isinstance(adapter, Adapter):
            raise NotFound(f"{name} is a {type(record).__name__}, expected an adapter or a release of one")
        first = store.get(adapter.run, Run)
        base, snapshot, recipe = first.used
        again = _attempts(store, first)
        run = train.prepare(store, base, snapshot, store.get(recipe, Recipe), inputs=first.inputs, attempt=again)
        told = self._session.told
        train.train(
            store,
            run,
            on_progress=lambda sign: told.progress("rebuild", sign.stage, sign.done, sign.total),
            code=self._session.folder,
        )
        return Rebuilt(run=run, **train.compare(store, adapter.run, run))

    def canaries(
        self,
        whom: str | Hosted | None = None,
        base: str | Path | None = None,
        *,
        prompts: str | Path | None = None,
        repeats: int | None = None,
        renew: bool = False,
    ) -> Compared:
        """Ask fixed questions and compare the answers with those on record; the first answers are kept.

        whom: an adapter (its name, a release, an alias, a folder) on the base on record, or on `base`; a `Hosted`
        model; None: `base` alone. prompts: a text file with questions of your own, one a line, kept as words. repeats:
        answers to each question of a hosted model (None: 5); others answer once. renew: keep these answers as the
        ones to compare with from now on. Raises Unmet, NotFound, BackendFailed.
        """
        from whence.register import canaries, drift

        if repeats is not None and not isinstance(whom, Hosted):
            raise Unmet(
                "repeats are for hosted models", "none", "leave them out: this model answers the same each time"
            )
        if repeats is not None and repeats < 1:
            raise Unmet(f"{repeats} repeats", "1 or more", "name another number")
        questions = canaries.read_questions(Path(prompts) if prompts else None)
        return compare(self._session, whom, base, questions, repeats or drift.REPEATS, renew)


def _attempts(store: Store, run: Run) -> int:
    """The next attempt's number for the same inputs."""
    same = [r for _, r in store.all(Run) if (r.activity, r.used, r.inputs) == (run.activity, run.used, run.inputs)]
    return max(r.attempt for r in same) + 1
