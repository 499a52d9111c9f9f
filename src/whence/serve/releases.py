"""From names to releases, and from releases to checked folders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from whence.lineage import aliases, resolve
from whence.models import check_binding, load_base
from whence.records import Adapter, Base, Closure, Ref, Release, Unmet, WhenceError
from whence.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A release whose adapter was checked against its base."""

    name: str
    """``NAME@N``; also the adapter's name in the model"""
    release: Ref
    adapter: Path
    """folder"""
    base: Path
    """folder"""


class Names:
    """What names mean now. Any thread may ask; the record is read again once it has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: tuple[object, dict[str, tuple[Ref, Release]]] = None, {}

    def resolve(self, name: str) -> tuple[Ref, Release]:
        """The release that an alias, a release's name or its digest means. Raises NotFound naming what is known."""
        version, known = self._store.version() or self._store.head(), self._known
        if known[0] != version:
            known = self._known = version, {}
        if name not in known[1]:
            known[1][name] = resolve(self._store, name)
        return known[1][name]

    def at_hand(self, name: str) -> tuple[Ref, Release] | None:
        """What `resolve` would say, where it needs no look at the record for it."""
        version, known = self._known
        return known[name] if name in known and version == self._store.version() else None


def bind(store: Store, names: Iterable[str]) -> list[Bound]:
    """Each release with its folders, once its adapter is found to belong on its base, and all on one base.

    Digests of adapter, base, tokenizer and template are taken anew, tensors compared with modules in both directions.
    No names: every release that an alias points to. Raises Unmet with all reasons.
    """
    wanted = dict(resolve(store, name) for name in names or sorted(aliases(store)))
    if not wanted:
        raise Unmet(
            "there is nothing to serve",
            "an alias that points to a release, or the name of a release",
            "make one: whence ship; or name one that whence model list shows: whence serve RELEASE",
        )
    reasons, bound, bases = [], [], {}
    for ref, release in wanted.items():
        try:
            one, base, why = _bind(store, ref, release)
        except WhenceError as error:
            reasons.append(f"{release.name}: {error}")
            continue
        bound.append(one)
        bases.setdefault(base.fingerprint.weights, base.name)
        reasons += [f"{release.name}: {reason}" for reason in why]
    if len(bases) > 1:
        reasons.append(f"the releases need different bases ({', '.join(bases.values())}); one gateway holds one base")
    if reasons:
        raise Unmet(
            "not started, because an answer would not come from what the record says:\n    - "
            + "\n    - ".join(reasons),
            "adapter and base as they were in training",
            "restore the folders named above, or release what is there now",
        )
    return bound


def _bind(store: Store, ref: Ref, release: Release) -> tuple[Bound, Base, list[str]]:
    adapter = store.get(release.adapter, Adapter)
    base = store.get(store.get(adapter.closure, Closure).base, Base)
    folder = (store.root / adapter.location).resolve()
    path = load_base(base.location, base.revision, store.root.parent)
    reasons = check_binding(folder, path, adapter.base, adapter.weights, adapter.config)
    if base.fingerprint != adapter.base:
        reasons.append(f"the record of base {base.name} has another fingerprint than the adapter saw in training")
    return Bound(name=release.name, release=ref, adapter=folder, base=path), base, reasons
