"""``model``: adapters with what is known of each, and the drill that makes one again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from whence.lifecycle import rebuild
from whence.lifecycle.rebuild import Rebuilt, Replayed
from whence.lineage import Made, aliases, base_names, registry, releases_of, sources_of
from whence.records import (
    Deployment,
    Evaluation,
    Ref,
    Snapshot,
    Unmet,
    Verdict,
)
from whence.store import in_bulk
from whence.verbs.canaries import Compared, Hosted, compare
from whence.verbs.scopes import rows_named

if TYPE_CHECKING:
    from whence.lifecycle.registry import Mirrored
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
    declared: int
    """deployments that somebody else runs"""
    retired: bool
    """whether it was taken out of use for good"""


class Models:
    """Adapters. Each verb is that of `whence model`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def list(self) -> list[Listed]:
        """Every adapter with its base, data, verdict, releases, aliases and live deployments, oldest first."""
        with in_bulk():
            return self._listed(lambda made, base: True)

    def search(self, text: str) -> list[Listed]:
        """Adapters of which the name, the base, a release, a source of their data or who answers for them holds this
        text, in any case; oldest first."""
        from whence.govern import names_of, owners

        store, part = self._store, text.casefold()
        sources = {
            snapshot for snapshot, names in sources_of(store).items() if any(part in name.casefold() for name in names)
        }
        releases = releases_of(store)
        owned = {
            about
            for about, o in owners(store).items()
            if any(part in p.casefold() for p in (o.accountable, o.backup) if p)
        }

        def fits(made: Made, base: str | None) -> bool:
            if part in made.name.casefold() or (base and part in base.casefold()) or made.snapshot in sources:
                return True
            mine = releases.get(made.adapter, ())
            if any(part in name.casefold() for _, name in mine):
                return True
            return bool(owned) and not owned.isdisjoint(names_of(made.adapter, made.name, mine))

        with in_bulk():
            return self._listed(fits)

    def _listed(self, fits: Callable[[Made, str | None], bool]) -> list[Listed]:
        """Adapters that fit. Everything is read in bulk: a registry may hold 100,000 of them."""
        from whence.register import retired
        from whence.serve.leases import states

        store = self._store
        pointed: dict[Ref, list[str]] = {}
        for alias, release in aliases(store).items():
            pointed.setdefault(release, []).append(alias)
        of = dict(store.fields(Evaluation, "adapter"))
        verdicts = {
            of.get(candidate): outcome for _, candidate, outcome in store.fields(Verdict, "candidate", "outcome")
        }
        known, deployed = states(store), store.fields(Deployment, "release")
        serving: dict[Ref, list[str]] = {}
        for ref, release in deployed:
            serving.setdefault(release, []).append(known[ref])
        rows = dict(store.fields(Snapshot, "rows"))
        releases, bases, found = releases_of(store), base_names(store), []
        for made in registry(store):
            base = bases.get(made.base) if made.base else None
            if not fits(made, base):
                continue
            mine = releases.get(made.adapter, ())
            living = [state for r, _ in mine for state in serving.get(r, ())] if mine else ()
            found.append(
                Listed(
                    adapter=made.adapter,
                    name=made.name,
                    base=base,
                    rows=int(rows[made.snapshot]) if made.snapshot else None,
                    verdict=verdicts.get(made.adapter),
                    releases=tuple(name for _, name in mine) if mine else (),
                    aliases=tuple(alias for r, _ in mine for alias in pointed.get(r, ())) if mine else (),
                    live=living.count("live") if living else 0,
                    unknown=living.count("unknown") if living else 0,
                    declared=living.count("declared") if living else 0,
                    retired=bool(retired(store, made.adapter)),
                )
            )
        return found

    def rebuild(
        self, name: str, *, without: Sequence[str] = (), prove: bool = False, estimate: bool = False
    ) -> Rebuilt | Replayed:
        """Train the same closure again and compare byte for byte; or make the adapter again as if some rows, and those
        made from them, had never been there.

        name: an adapter, or a release or alias of one. without: `subject:ID`, `source:NAME`, `licence:SPDX`,
        `row:SOURCE:RECORD`. prove: train on the rows that stay from the start, too, and compare. estimate: say what it
        comes to and do nothing. Without rows it returns a Rebuilt, with them a Replayed. Raises NotFound, Unmet where
        no row is left or the base is gone, BackendFailed.
        """
        told = self._session.told

        def tell(what: str, done: int, total: int) -> None:
            told.progress("rebuild", what, done, total)

        if without:
            rows = rows_named(self._store, without)
            code = self._session.folder
            return rebuild.without(self._store, name, rows, code, tell, prove=prove, estimate=estimate)
        if prove or estimate:
            raise Unmet("no rows are named to leave out", "without", "name them, or leave prove and estimate out")
        return rebuild.again(self._store, name, self._session.folder, tell)

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

    def mirror(self, uri: str, *releases: str) -> list[Mirrored]:
        """Write releases (all, where none is named) into an MLflow tracking server: a run an adapter, a version a
        release, and their aliases. What is there stays, and a second time changes nothing.

        uri: ``sqlite:///PATH``, made where it is not there, and what else MLflow's client takes. Raises Unmet,
        NotFound, BackendFailed.
        """
        from whence.lifecycle.registry import mirror_mlflow

        told = self._session.told
        return mirror_mlflow(
            self._store, uri, releases, lambda what, done, whole: told.progress("mlflow", what, done, whole)
        )
