"""``check``: every installed check over what a project made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from whence import govern
from whence.lifecycle.findings import page
from whence.lineage import find
from whence.project import FILE, declared_use, load_checks, read_lock
from whence.records import Adapter, Base, Finding, NotFound, Ref, Snapshot, Unmet
from whence.store import Store

if TYPE_CHECKING:
    from whence.verbs.session import Session


def declare_use(folder: Path, store: Store) -> None:
    """Record what `[use]` in a folder's whence.toml says now, where that is the project of this store."""
    file, kept = folder / FILE, store.kept("declared", dict)
    changed = file.stat().st_mtime_ns if file.exists() else None
    if changed is None or kept.get(file) == changed:
        return
    if said := declared_use(folder, store.root):
        govern.declare(store, *said)
    kept[file] = changed


class Check:
    """Checks. Calling it is `whence check`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def __call__(
        self, *ids: str, on: str | None = None, html: str | Path | None = None, words: bool = False
    ) -> list[Finding]:
        """Run checks, and return what they found: one finding a check and thing, or a check, thing and licence.

        ids: of checks, or of groups such as `rights`; none: all that are installed. on: a snapshot, adapter or base, by
        name or digest; None: the project's newest of each. html: write the findings as a page of its own; words: with
        what rows and items say, which is content. What `[use]` in whence.toml says now is recorded first. Raises Unmet
        for an id that no check has, NotFound where there is nothing to check.
        """
        checks = load_checks()
        chosen = [name for name in sorted(checks) if not ids or any(_fits(name, asked) for asked in ids)]
        if missing := unknown(ids, checks):
            raise Unmet(f"no check is called {missing[0]!r}", ", ".join(named(checks)), "name one of them")
        if (self._session.folder / FILE).exists():
            project = self._session.project
            govern.declare(self._store, project.file.project.name, project.use())
        things, found = [Ref(str(find(self._store, on)))] if on else self._newest(), []
        for i, name in enumerate(chosen):
            self._session.told.progress("check", name, i, len(chosen))
            found += [finding for thing in things for finding in checks[name](self._store, thing)]
        if html is not None:
            page(self._store, found, html, words)
        return found

    def list(self) -> dict[str, str]:
        """Every installed check: its id, and what it says in a line."""
        return {
            name: " ".join((check.__doc__ or "").partition("\n\n")[0].split()).removeprefix(f"Check ``{name}``: ")
            for name, check in sorted(load_checks().items())
        }

    def _newest(self) -> list[Ref]:
        locked = read_lock(self._session.folder)
        things = [Ref(locked[key]) for key in ("snapshot", "base", "adapter") if key in locked]
        if not things:
            newest = (self._store.all(kind)[-1:] for kind in (Snapshot, Base, Adapter))
            things = [ref for one in newest for ref, _ in one]
        if not things:
            raise NotFound("there is no snapshot, base or adapter yet\n  do: whence run --to curate")
        return things


def unknown(ids: Iterable[str], checks: Iterable[str]) -> list[str]:
    """Ids that neither a check nor a group of checks has."""
    return [asked for asked in ids if not any(_fits(name, asked) for name in checks)]


def named(checks: Iterable[str]) -> list[str]:
    """What may be asked for: groups, then checks."""
    return [*sorted({name.partition(".")[0] for name in checks}), *sorted(checks)]


def _fits(name: str, asked: str) -> bool:
    return name == asked or name.startswith(f"{asked}.")
