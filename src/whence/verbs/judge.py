"""``eval`` and ``ship``: scores with their intervals; verdicts, waivers, releases and the names that point to them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from whence import register
from whence.lineage import find, resolve
from whence.records import Evaluation, Event, NotFound, Ref, Release, Verdict
from whence.verbs.rights import moment

if TYPE_CHECKING:
    from whence.lifecycle.run import Outcome
    from whence.verbs.session import Session


class Eval:
    """Scores. Each verb is that of `whence eval`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def run(self) -> Outcome:
        """Walk to the evaluation: base with its best prompt, then the gate is fixed, then the candidate."""
        return self._session.run("evaluate")

    def list(self) -> dict[Ref, Evaluation]:
        """Every evaluation with its interval and slices, oldest first."""
        return dict(self._store.all(Evaluation))


class Ship:
    """Verdicts and releases. Calling it is `whence ship`; each verb is that of `whence ship`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def __call__(self) -> Outcome:
        """Judge and release in one: `outcome` says pass, fail or abstain, `release` what was made."""
        return self._session.run()

    def waive(self, reason: str, until: datetime | str, verdict: str | None = None) -> Ref:
        """A person's dated exception for a verdict that is no pass; returns the Waiver's digest.

        reason: kept apart, erasable. until: after which it counts no more. verdict: digest; None: the newest.
        Raises Unmet without a person, a reason or a date to come.
        """
        known = [ref for ref, _ in self._store.all(Verdict)]
        if not known:
            raise NotFound("there is no verdict yet\n  do: whence ship")
        about = Ref(str(find(self._store, verdict))) if verdict else known[-1]
        return register.waive(self._store, about, reason, moment(until))

    def alias(self, name: str, release: str | None = None) -> list[Event]:
        """Every move of an alias, oldest first. release: point it there first, unless it is there already.
        Raises NotFound for an alias that never pointed anywhere."""
        if release:
            register.move_alias(self._store, name, resolve(self._store, release)[0])
        found = register.history(self._store, name)
        if not found:
            raise NotFound(f"no alias is called {name!r}\n  do: whence ship alias {name} RELEASE")
        return found

    def rollback(self, name: str, *, reason: str | None = None) -> Release:
        """Point an alias at the release before, and return that one. reason: kept apart. Raises NotFound."""
        return self._store.get(register.rollback(self._store, name, reason=reason), Release)
