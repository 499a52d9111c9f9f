"""From what people call a release to the release: aliases are events, the newest move counts."""

from __future__ import annotations

from whence.records import NotFound, Ref, Release
from whence.store import Store


def aliases(store: Store) -> dict[str, Ref]:
    """Alias → release that it points to now."""
    return {e.about.removeprefix("alias:"): Ref(e.data["release"]) for e in store.events("alias.moved")}


def beside(store: Store, alias: str) -> tuple[Ref, ...]:
    """Releases that the alias serves beside that one, each for what is asked like its own rows. Those whose adapter was
    retired are left out: then that one answers for them."""
    moved = store.events("alias.moved", f"alias:{alias}", last=True)
    named = [Ref(one) for one in moved[0].data.get("beside", ())] if moved else []
    gone = {event.about for event in store.events("adapter.retired")} if named else set()
    return tuple(ref for ref in named if store.get(ref, Release).adapter not in gone)


def resolve(store: Store, name: str) -> tuple[Ref, Release]:
    """The release that an alias, a release's name or its digest means now. Raises NotFound naming what is known."""
    moved = store.events("alias.moved", f"alias:{name}", last=True)
    if moved:
        release = Ref(moved[0].data["release"])
        return release, store.get(release, Release)
    found = [ref for ref, kind in store.search(name) if kind == "Release"]
    if not found:
        known = sorted(aliases(store)) + sorted({r.name for _, r in store.all(Release)})
        raise NotFound(f"no alias or release is called {name!r}\n  expected: one of {', '.join(known) or 'none yet'}")
    return found[-1], store.get(found[-1], Release)
