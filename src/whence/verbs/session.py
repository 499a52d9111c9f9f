"""An open project: its folder, its store, and the verbs. Nothing here is global; two of them never meet."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from whence.models import altered
from whence.project import FILE, Project, draft, locked_head, read_lock, read_project, strangers
from whence.project.config import StorePart
from whence.records import Adapter, Conflict, Finding, Release, Snapshot, Unmet, writing
from whence.store import Store, identify, verify, wall_clock
from whence.verbs.adopt import Adopt
from whence.verbs.ask import Ask
from whence.verbs.binding import Checked, binding
from whence.verbs.check import Check
from whence.verbs.data import Data
from whence.verbs.judge import Eval, Ship
from whence.verbs.model import Models
from whence.verbs.rights import Reactions, Rights
from whence.verbs.serve import Serve

if TYPE_CHECKING:
    from whence.lifecycle.run import Outcome, Told


class Silent:
    """Tells nobody what happens."""

    def progress(self, stage: str, what: str, done: float, total: float) -> None:
        """See `lifecycle.run.Told`."""

    def stage(self, stage: str, fresh: bool, lines: list[str]) -> None:
        """See `lifecycle.run.Told`."""


def open(
    path: str | Path | None = None,
    *,
    create: bool = False,
    project: bool = True,
    actor: str | None = None,
    clock: Callable[[], datetime] = wall_clock,
    told: Told | None = None,
) -> Session:
    """Open a project, or a store that has none.

    path: a folder with a `whence.toml`, or one that holds a `.whence`, or a store itself. None: the working directory,
    and the store that `WHENCE_STORE` and `WHENCE_KEYS` name where they name one, as the command line does.
    create: make the store of a project that has none yet. project: False makes it where there is no whence.toml
    either, which adopting and asking do not need. actor: who acts; None: `WHENCE_ACTOR`, else git's
    `user.email`. clock: gives the time, aware. told: gets `progress` and `stage` calls while something long runs.
    Raises NotFound where there is no store, Unmet where the project file has faults, Conflict for a newer store,
    Damaged. See docs/decisions/0006.
    """
    folder = Path(path or ".").resolve()
    if folder.name == FILE:
        folder = folder.parent
    actor = actor or identify(dict(os.environ), folder)
    named = os.environ.get("WHENCE_STORE") if path is None else None
    part, root, keys, catalogue = None, folder, None, None
    if named:
        root, keys = Path(named), os.environ.get("WHENCE_KEYS")
    elif (folder / "store.json").exists():
        folder = folder.parent
    else:
        part = _store_part(folder)
        root, keys, catalogue = folder / part.path, folder / part.keys, part.catalogue
    keys = Path(keys) if keys else None
    if create and not (root / "store.json").exists() and (project or (folder / FILE).exists()):
        read_project(folder)  # its faults come before anything is made, and so does a lock from a newer whence
        read_lock(folder)
    store = Store.open(root, keys, create=create, catalogue=catalogue, clock=clock, actor=actor)
    return Session(folder, store, told or Silent(), part)


def _store_part(folder: Path) -> StorePart:
    """Where a project keeps its store. Other faults of its file do not keep anybody from asking the record."""
    file = folder / FILE
    if not file.exists():
        return StorePart()
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8")).get("store", {})
        return TypeAdapter(StorePart).validate_json(json.dumps(said, default=str), strict=True)
    except (OSError, ValueError, RecursionError):
        return read_project(folder).file.store


def init(file: str | Path, folder: str | Path = ".", *, force: bool = False) -> Path:
    """Write a commented `whence.toml` into `folder` from a look at a data file; returns its path.

    force: replace one that is there. Raises Unmet where there is one, or where nothing in the file can be read.
    """
    target = Path(folder) / FILE
    if target.exists() and not force:
        raise Unmet(f"{target} is there already", "an empty place", "edit it, or replace it: --force, force=True")
    text = draft(file, Path(folder))
    with writing(target):
        target.write_text(text, encoding="utf-8")
    return target


class Session:
    """An open project. Any thread may use it; a forked process opens its own."""

    def __init__(self, folder: Path, store: Store, told: Told, part: StorePart | None) -> None:
        """Use `whence.open`."""
        self.folder, self.store, self.told, self._part = folder, store, told, part

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back every file and connection. A second call does nothing."""
        self.store.close()

    def __repr__(self) -> str:
        said = f"<whence {self.folder}, as {self.store.actor}: "
        if self.store.closed:
            return said + "closed>"
        counted = ((kind, self.store.count(kind)) for kind in (Snapshot, Adapter, Release))
        counts = [f"{n:,} {kind.__name__.lower()}{'s' * (n != 1)}" for kind, n in counted]
        return said + f"{self.store.committed():,} rows, {', '.join(counts)}, {self.store.head()[0]:,} events>"

    @property
    def project(self) -> Project:
        """What `whence.toml` says now. Raises Unmet with every fault, Conflict where it now names another store."""
        project = read_project(self.folder)
        if self._part not in (None, project.file.store):
            raise Conflict(f"{FILE} names another store than when {self.folder} was opened\n  do: open it again")
        return project

    # -- verbs -------------------------------------------------------------------------------------------------------

    def run(self, to: str = "release") -> Outcome:
        """Walk the path that whence.toml describes up to a stage (ingest, curate, train, evaluate, judge, release);
        finished stages are skipped. Raises Unmet, Conflict, BackendFailed."""
        from whence.lifecycle.run import STAGES, run

        if to not in STAGES:
            raise Unmet(f"{to!r} is no stage", f"one of {', '.join(STAGES)}", "name one of them")
        return run(self.project, self.store, self.told, to)

    @property
    def adopt(self) -> Adopt:
        """Bring in what exists: adapters, traces, evaluations, registries."""
        return Adopt(self)

    @property
    def ask(self) -> Ask:
        """Why is this here, and what must come down?"""
        return Ask(self)

    @property
    def check(self) -> Check:
        """What the installed checks say of what was made."""
        return Check(self)

    def verify(self, adapter: str | Path | None = None, base: str | Path | None = None) -> list[Finding] | Checked:
        """Re-derive rows, records, events, blobs and words: what is damaged, an empty list where nothing is.

        adapter: hold this one against a base instead: a PEFT folder, or an adapter or release on record. base: a folder
        or hub id; None: the one on record. Raises NotFound, Unmet where there is no such folder.
        """
        if adapter is not None:
            return binding(adapter, base, self.store)
        head = locked_head(self.folder)
        told = partial(self.told.progress, "verify")
        return [*verify(self.store, head, told, altered), *strangers(self.folder, self.store)]

    @property
    def data(self) -> Data:
        """Ingest, quarantine, what each step removed."""
        return Data(self)

    @property
    def eval(self) -> Eval:
        """Evaluate base and candidate on the same items."""
        return Eval(self)

    @property
    def ship(self) -> Ship:
        """Judge and release in one; waivers, aliases, rollback."""
        return Ship(self)

    @property
    def model(self) -> Models:
        """Adapters, releases and where they are served."""
        return Models(self)

    @property
    def rights(self) -> Rights:
        """Licences and consents; who answers for what."""
        return Rights(self)

    @property
    def serve(self) -> Serve:
        """The gateway, and releases in a vLLM server that somebody else runs."""
        return Serve(self)

    @property
    def feedback(self) -> Reactions:
        """Send a reaction to an answer."""
        return Reactions(self)
