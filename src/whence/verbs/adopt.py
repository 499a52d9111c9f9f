"""``adopt``: everything that comes in from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from whence.serve.importing import Imported
    from whence.verbs.session import Session


class Adopt:
    """What exists already. Each verb is that of `whence adopt`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def traces(
        self,
        *files: str | Path,
        answered_by: str,
        format: str = "auto",
        consent: Literal["none", "train"] = "none",
        models: Mapping[str, str] | None = None,
        scale: tuple[float, float] | None = None,
    ) -> Imported:
        """Bring in logs of answers that were given elsewhere, as the gateway keeps its own; each answer once.

        files: JSON lines or JSON, packed or not. answered_by: a release, or an endpoint where one is deployed. format:
        openai, langfuse, otel; auto tells each record by its members. consent: of answers whose log does not forbid it.
        models: the log's name of a model → release. scale: what numeric scores range over; None: they are left out.
        Raises Unmet, NotFound, Conflict.
        """
        from whence.lifecycle.traces import import_traces

        return import_traces(
            self._store,
            [Path(file) for file in files],
            answered_by,
            format=format,
            consent=consent,
            models=models,
            scale=scale,
            progress=lambda what, done, whole: self._session.told.progress("traces", what, done, whole),
        )
