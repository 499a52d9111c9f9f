"""``adopt``: everything that comes in from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whence.verbs.session import Session


class Adopt:
    """What exists already. Each verb is that of `whence adopt`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store
