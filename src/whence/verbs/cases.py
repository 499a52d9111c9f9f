"""``rights case``: a matter from its request to its signed dossier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from whence.lifecycle import cases
from whence.lifecycle.cases import Action, Kind, Task
from whence.records import Adapter, Case, Closure, Ref, Snapshot
from whence.verbs.scopes import Names, moment, scopes

if TYPE_CHECKING:
    from whence.lifecycle.case_acts import Acted
    from whence.verbs.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """A case as it stands."""

    id: Ref
    """digest"""
    case: Case
    """what it is about, and by when"""
    tasks: tuple[Task, ...]
    """what it affects"""
    held: tuple[str, ...]
    """what of it must be kept, and by which event"""
    closed: datetime | None
    """when; None: it is open"""

    @property
    def open(self) -> tuple[Task, ...]:
        """What is left to do."""
        return tuple(one for one in self.tasks if one.done is None)


class Cases:
    """Matters that end with a proof: erasures, takedowns, departures, ends of life. Each verb is that of `whence rights
    case`; opening, acting and closing are decisions and need a person as actor."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def open(
        self,
        kind: Kind,
        *,
        subject: Names = None,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
        person: Names = None,
        base: Names = None,
        due: datetime | str | None = None,
        reason: str | None = None,
    ) -> Matter:
        """Open a case and start its clock. An erasure or a takedown names people, sources, licences or rows, and
        withdraws the right to them; a departure a person who left; an end of life a base.

        due: by when; None: 30 days (takedown: 14, end of life: 180). reason: the request in words, kept apart. Raises
        Unmet, NotFound.
        """
        asked = {"subject": subject, "source": source, "licence": licence, "row": row}
        about = scopes(self._store, **asked, rows=rows, new=True)
        for what, names in (("person", person), ("base", base)):
            about += [(what, name) for name in ((names,) if isinstance(names, str) else names or ())]
        ref = cases.opened(self._store, kind, about, None if due is None else moment(due), reason)
        return self._matter(ref, self._store.get(ref, Case))

    def list(self) -> list[Matter]:
        """Every case, the newest first."""
        return [self._matter(ref, case) for ref, case in reversed(self._store.all(Case))]

    def show(self, case: str) -> Matter:
        """A case by its name or digest, with what it affects and what is open. Raises NotFound."""
        return self._matter(*cases.case_of(self._store, case))

    def act(
        self,
        case: str,
        action: Action,
        thing: str | None = None,
        *,
        until: datetime | str | None = None,
        reason: str | None = None,
        to: str | None = None,
        prove: bool = False,
    ) -> Acted:
        """Do one thing of a case: erase (the content of its rows, for good), retire (an adapter: its weights are
        deleted), drop (one that is served beside another), rebuild (without the rows, exactly; then it is judged,
        released, and the old one is retired), ended (a deployment), own (hand over, to somebody), note (an
        approximate method that was applied to an adapter: it settles nothing), waive (until a day, for a reason).

        thing: as `show` names it, by name, digest or its first digits; None: the content. prove: of a rebuild, train
        from the start, too, and compare. Raises Unmet, NotFound, BackendFailed.
        """
        from whence.lifecycle.case_acts import act

        told = self._session.told
        return act(
            self._store,
            *cases.case_of(self._store, case),
            action,
            thing,
            lambda what, done, total: told.progress(case, what, done, total),
            self._session.folder,
            self._released,
            until=None if until is None else moment(until),
            reason=reason,
            to=to,
            prove=prove,
        )

    def close(self, case: str, to: str | Path = ".") -> tuple[Path, Path]:
        """End a case: a signed dossier is written into a folder, as JSON and as a page; returns both. Raises Unmet
        while anything is open."""
        from whence.lifecycle.dossier import close

        return close(self._store, *cases.case_of(self._store, case), Path(to))

    def check(self, file: str | Path) -> str | None:
        """Why a dossier's JSON file is not what was signed; None: it is."""
        from whence.lifecycle.dossier import check

        return check(file)

    def _matter(self, ref: Ref, case: Case) -> Matter:
        ended = cases.closed(self._store, ref)
        return Matter(
            id=ref,
            case=case,
            tasks=tuple(cases.tasks(self._store, ref, case)),
            held=tuple(cases.held(self._store, case)),
            closed=ended.recorded_at if ended else None,
        )

    def _released(self, adapter: Ref) -> Ref | None:
        """Judge a rebuilt adapter by the project's gate and release it; None where there is no project to judge by, or
        the verdict is no pass."""
        from whence.lifecycle.routed import serving
        from whence.lifecycle.run import judged

        store, file = self._store, self._session.folder / "whence.toml"
        if not file.exists():
            return None
        closure = store.get(store.get(adapter, Adapter).closure, Closure)
        project = self._session.project
        mine = {project.file.project.name, *serving(project, store)}
        if closure.snapshot is None or store.get(closure.snapshot, Snapshot).name not in mine:
            return None
        return judged(project, store, self._session.told, adapter).release
