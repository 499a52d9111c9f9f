"""``adopt``: everything that comes in from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from whence.verbs.rights import moment

if TYPE_CHECKING:
    from whence.lifecycle.adopt import Adopted
    from whence.verbs.session import Session


class Adopt:
    """What exists already. Each verb is that of `whence adopt`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def adapter(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        base: str | None = None,
        data: Sequence[str | Path] = (),
        licence: str | None = None,
        consent_basis: str | None = None,
        live: str | None = None,
        since: datetime | str | None = None,
    ) -> Adopted:
        """Bring in a PEFT adapter that somebody else trained; says what is proven, claimed and missing.

        name: what to call it; None: its folder's name. base: folder or hub id of the base that it was trained on.
        data: files of rows that it was trained on, with their `licence` (SPDX) and `consent_basis`. live: an address at
        which somebody else serves it, `since` when. Said again with more, what is new is added. Raises Unmet for a
        folder or claim that cannot be true, Conflict for a name that another adapter has.
        """
        from whence.lifecycle.adopt import Claims, adopt
        from whence.project import licence_fault
        from whence.records import Unmet

        fault = licence_fault(licence) if licence else None
        if fault:
            raise Unmet(f"licence: {fault}", "an SPDX expression", "look at its spelling")
        claims = Claims(
            name=name,
            base=base,
            data=[Path(path) for path in data],
            licence=licence,
            consent_basis=consent_basis,
            live=live,
            since=None if since is None else moment(since),
        )
        told = self._session.told
        return adopt(self._store, Path(folder), claims, lambda what, done, all: told.progress("adopt", what, done, all))
