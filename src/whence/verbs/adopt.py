"""``adopt``: everything that comes in from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whence.lifecycle.spool import Spooled
    from whence.verbs.session import Session


class Adopt:
    """What exists already. Each verb is that of `whence adopt`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def spool(self, *folder: str | Path, as_is: bool = False) -> list[Spooled]:
        """Bring in trainings that `whence.hooks.WhenceCallback` left as spools. folder: spools; none: those that lie in
        `whence-spool` of the project's folder, of which one that cannot come in is left and says why. as_is: also one
        whose training did not finish, with its newest checkpoint. What is in the record already is left as it is. A
        spool becomes `FOLDER.adopted`, and the copies of the rows in it are removed. Raises NotFound, Damaged, Conflict
        while the training still runs, Unmet."""
        from whence.lifecycle.spool import adopt_spool, adopt_spools

        told, store = self._session.told, self._store
        if not folder:
            return adopt_spools(store, self._session.folder, told, as_is=as_is)
        return [adopt_spool(store, Path(one).absolute(), told, as_is=as_is) for one in folder]
