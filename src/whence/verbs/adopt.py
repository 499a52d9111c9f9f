"""``adopt``: everything that comes in from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whence.verbs.scopes import moment

if TYPE_CHECKING:
    from whence.evaluate import Evidence
    from whence.govern import Audited
    from whence.lifecycle.adopt import Adopted
    from whence.lifecycle.registry import Brought
    from whence.lifecycle.spool import Spooled
    from whence.register.cards import Card
    from whence.serve.importing import Imported
    from whence.verbs.session import Session


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a person may call an adapter: it stands in ``NAME@N``, in addresses and in folders."""


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
        merged_from: Sequence[str] = (),
        distilled_from: Sequence[str] = (),
    ) -> Adopted:
        """Bring in a PEFT adapter that somebody else trained; says what is proven, claimed and missing.

        name: what to call it; None: its folder's name. base: folder or hub id of the base that it was trained on.
        data: files of rows that it was trained on, with their `licence` (SPDX) and `consent_basis`. live: an address at
        which somebody else serves it, `since` when. merged_from, distilled_from: adapters or releases that it was made
        of, by name or digest. Said again with more, what is new is added. Raises Unmet for a folder or claim that
        cannot be true, Conflict for a name that another adapter has.
        """
        from whence.lifecycle.adopt import Claims, adopt
        from whence.project import licence_fault
        from whence.records import Unmet
        from whence.serve.address import plain

        fault = licence_fault(licence) if licence else None
        if fault:
            raise Unmet(f"licence: {fault}", "an SPDX expression", "look at its spelling")
        if name is not None and not NAME.fullmatch(name):
            raise Unmet(f"{name!r} is no name", "letters, digits, '.', '_' and '-'", "choose another --name")
        if live is not None:
            plain(live, "--live")
        claims = Claims(
            name=name,
            base=base,
            data=[Path(path) for path in data],
            licence=licence,
            consent_basis=consent_basis,
            live=live,
            since=None if since is None else moment(since),
            merged_from=merged_from,
            distilled_from=distilled_from,
        )
        told = self._session.told
        return adopt(self._store, Path(folder), claims, lambda what, done, all: told.progress("adopt", what, done, all))

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

    def evals(
        self,
        *files: str | Path,
        adapter: str | None = None,
        model: str | None = None,
        metric: str | None = None,
        suite: str | None = None,
        slice: Sequence[str] = (),
    ) -> list[Evidence]:
        """Bring in evaluations that another tool ran, each an Evaluation on the items of a suite; one that is there
        already is found. A file that is refused keeps none of the files before it out.

        files: Inspect's ``.eval`` or JSON, samples of lm-eval, or JSON lines with ``right``. adapter: what answered, by
        a name or digest; None: a base, of which the log has the name. model: what the log calls it, where that is
        another name or none. metric: which of several. suite: whose items these are; a new name: they become a suite.
        slice: members of what the tool knows of an item, for a new suite. Raises Unmet, NotFound, Conflict.
        """
        from whence.evaluate import Claims, adopt_log
        from whence.lifecycle.run import Walk
        from whence.project import FILE

        if (self._session.folder / FILE).exists():
            Walk(self._session.project, self._store, self._session.told).put_suites()
        said = Claims(adapter=adapter, model=model, metric=metric, suite=suite, slices=slice)
        return [adopt_log(self._store, Path(file), said) for file in files]

    def card(self, file: str | Path) -> Card:
        """What a model card claims: a README.md, or that of a folder. Nothing is recorded. Raises NotFound, Unmet."""
        from whence.register.cards import read_card

        return read_card(Path(file))

    def audit(self, file: str | Path) -> Audited:
        """Bring in an audit of data sets' licences, each claim with its claimant; the newest audit is the one that
        checks read. A line that cannot be read is named and left out.

        file: JSON lines as the Data Provenance Initiative publishes them. Raises NotFound, Unmet.
        """
        from whence.govern import adopt_audit

        told = self._session.told
        return adopt_audit(self._store, Path(file), lambda done, whole: told.progress("audit", "claims", done, whole))

    def spool(self, *folder: str | Path, as_is: bool = False) -> list[Spooled]:
        """Bring in trainings that `whence.hooks.WhenceCallback` left as spools. folder: spools; none: those that lie in
        `whence-spool` of the project's folder or of a folder in it; one that cannot come in is left and says why.
        as_is: also one whose training did not finish, with its newest checkpoint. What is in the record already is left
        as it is. A spool becomes `FOLDER.adopted`, and the copies of the rows in it are removed. Raises NotFound,
        Damaged, Conflict while the training still runs, Unmet."""
        from whence.lifecycle.spool import adopt_spool, adopt_spools

        told, store = self._session.told, self._store
        if not folder:
            return adopt_spools(store, self._session.folder, told, as_is=as_is)
        return [adopt_spool(store, Path(one).absolute(), told, as_is=as_is) for one in folder]
