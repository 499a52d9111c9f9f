"""``adopt``: everything that comes in from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from whence.lifecycle.registry import Brought
    from whence.register.cards import Card
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
        map_model: Mapping[str, str] | None = None,
        scale: tuple[float, float] | None = None,
    ) -> Imported:
        """Bring in logs of answers that were given elsewhere, as the gateway keeps its own; each answer once.

        files: JSON lines or JSON, packed or not. answered_by: a release, or an endpoint where one is deployed. format:
        openai, langfuse, otel; auto tells each record by its members. consent: of answers whose log does not forbid it.
        map_model: the log's name of a model → release. scale: what numeric scores range over; None: they are left out.
        Raises Unmet, NotFound, Conflict.
        """
        from whence.lifecycle.traces import import_traces

        return import_traces(
            self._store,
            [Path(file) for file in files],
            answered_by,
            format=format,
            consent=consent,
            models=map_model,
            scale=scale,
            progress=lambda what, done, whole: self._session.told.progress("traces", what, done, whole),
        )

    def mlflow(self, uri: str, *, experiment: str | None = None) -> list[Brought]:
        """Bring in the adapters that an MLflow tracking server names, as releases in service where they are registered;
        list those whose files are not on this machine. What it says of them are claims.

        uri: ``sqlite:///PATH`` and what else MLflow's client takes. experiment: only of this one. Raises Unmet,
        NotFound, BackendFailed.
        """
        from whence.lifecycle.registry import import_mlflow

        told = self._session.told
        return import_mlflow(
            self._store,
            uri,
            experiment=experiment,
            progress=lambda what, done, whole: told.progress("mlflow", what, done, whole),
        )

    def card(self, file: str | Path) -> Card:
        """What a model card claims: a README.md, or that of a folder. Nothing is recorded. Raises NotFound, Unmet."""
        from whence.register.cards import read_card

        return read_card(Path(file))
