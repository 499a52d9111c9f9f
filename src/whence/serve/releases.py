"""From names to releases, and from releases to checked folders."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from whence.lineage import aliases, beside, resolve
from whence.models import (
    Binding,
    Bond,
    Held,
    bond_of,
    check_binding,
    fingerprint,
    hold,
    load_base,
    must_answer,
    profile_text,
)
from whence.records import Adapter, Base, BindingWaiver, Closure, Conflict, Ref, Release, Unmet, Waiver, WhenceError
from whence.store import Store
from whence.text import Profile

Policy = Literal["block", "shadow"]
"""What becomes of a release whose base is another than in training, or not known: the gateway does not start, or the
release is loaded and answers only what says that it is shadow traffic. One that is incompatible is never loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A release whose adapter was checked against its base."""

    name: str
    """``NAME@N``; also the adapter's name in the model"""
    release: Ref
    adapter: Held
    """its files, as they were checked"""
    base: Held
    shadow: str | None = None
    """why it may answer shadow traffic only"""
    profile: Profile | None = None
    """what its rows ask, where requests are routed"""

    def check(self) -> None:
        """Raises Conflict where a file of it was changed since it was checked. Some microseconds."""
        self.adapter.check()
        self.base.check()


class Names:
    """What names mean now. Any thread may ask; the record is read again once it has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: tuple[object, dict[str, tuple[Ref, Release]], dict[str, tuple[Ref, ...]]] = None, {}, {}

    def resolve(self, name: str) -> tuple[Ref, Release]:
        """The release that an alias, a release's name or its digest means. Raises NotFound naming what is known."""
        version, known = self._store.version() or self._store.head(), self._known
        if known[0] != version:
            known = self._known = version, {}, {}
        if name not in known[1]:
            known[2][name] = beside(self._store, name)
            known[1][name] = in_use(self._store, *resolve(self._store, name))
        return known[1][name]

    def beside(self, name: str) -> tuple[Ref, ...]:
        """Releases that may answer instead of the one that `resolve` or `at_hand` just said."""
        return self._known[2].get(name, ())

    def at_hand(self, name: str) -> tuple[Ref, Release] | None:
        """What `resolve` would say, where it needs no look at the record for it."""
        version, known, _ = self._known
        return known[name] if name in known and version == self._store.version() else None


def bind(store: Store, names: Iterable[str], held: ExitStack, policy: Policy = "block") -> list[Bound]:
    """Each release with its files, once its adapter is found to belong on its base, and all on one base.

    Digests of adapter, base, tokenizer and template are taken anew, tensors compared with modules in both directions;
    the files stay open in `held`, so that these and no others are loaded. No names: every release that an alias points
    to. A person's waiver that has not expired lets one release onto the one base that it names. Raises Unmet with all
    reasons.
    """
    asked = list(names) or sorted(aliases(store))
    wanted = dict(resolve(store, name) for name in asked)
    routed = set[Ref]()
    for name in asked:
        if others := beside(store, name):
            wanted |= {ref: store.get(ref, Release) for ref in others}
            routed |= {resolve(store, name)[0], *others}
    if not wanted:
        raise Unmet(
            "there is nothing to serve",
            "an alias that points to a release, or the name of a release",
            "make one: whence ship; or name one that whence model list shows: whence serve RELEASE",
        )
    reasons, bound, bases = [], [], dict[Path, Held]()
    for ref, release in wanted.items():
        try:
            adapter, base_record, bond = found(store, release)
            place = load_base(base_record.location, base_record.revision, store.root.parent)
            base = bases.get(place) or held.enter_context(hold(place))
            bases[place] = base
            files = held.enter_context(hold(adapter))
            binding = check_binding(files, base, bond)
            if binding.answer != "incompatible":
                must_answer(files)
            text = profile_text(store, release.adapter, files.path) if ref in routed else None
        except WhenceError as error:
            reasons.append(f"{release.name}: {error}")
            continue
        shadow = None
        if not may(store, ref, binding, base):
            if policy == "block" or binding.answer == "incompatible":
                reasons += [f"{release.name}: {reason.says}" for reason in binding.reasons]
            else:
                shadow = f"{binding.answer}: {binding}"
        profile = None if text is None else Profile.from_json(text)
        bound.append(Bound(name=release.name, release=ref, adapter=files, base=base, shadow=shadow, profile=profile))
    if len(bases) > 1 and len({fingerprint(base.path) for base in bases.values()}) > 1:
        named = ", ".join(sorted(str(place) for place in bases))
        reasons.append(f"the releases need different bases ({named}); one gateway holds one base")
    if reasons:
        raise Unmet(
            "not started, because an answer would not come from what the record says:\n    - "
            + "\n    - ".join(reasons),
            "adapter and base as they were in training",
            "restore the folders named above, or release what is there now",
        )
    return bound


def in_use(store: Store, ref: Ref, release: Release) -> tuple[Ref, Release]:
    """A release whose adapter was not retired. Raises Conflict for one that was."""
    last = store.events("adapter.retired", about=release.adapter, last=True)
    if last:
        do = "ask for a release that came after it: whence model list"
        raise Conflict(f"{release.name} was retired ({last[0].data['for']})\n  do: {do}")
    return ref, release


def found(store: Store, release: Release) -> tuple[Path, Base, Bond]:
    """(adapter's folder, its base, what they were bound to). Raises Unmet for a base that nobody has named, and where
    the waiver of its verdict has expired."""
    in_use(store, Ref(release.adapter), release)
    if release.waiver and store.get(release.waiver, Waiver).expires_at <= store.clock():
        raise Unmet(f"the waiver of {release.name} has expired", "a passing verdict", "judge it again, or waive again")
    adapter = store.get(release.adapter, Adapter)
    closure = store.get(adapter.closure, Closure)
    if closure.base is None:
        raise Unmet("nobody has said which base it was trained on", "its base", "whence adopt FOLDER --base BASE")
    base = store.get(closure.base, Base)
    if adapter.base is not None and base.fingerprint != adapter.base:
        raise Unmet(
            f"the record of base {base.name} has another fingerprint than the adapter saw in training",
            "one base",
            "look at both: whence ask why " + release.name,
        )
    return (store.root / adapter.location).resolve(), base, bond_of(store, adapter)


def may(store: Store, release: Ref, binding: Binding, base: Held) -> bool:
    """Whether it is bound, or fits and a waiver of it stands: for this release, on a base of these weights."""
    if binding.answer in ("exact", "incompatible"):
        return binding.answer == "exact"
    mine = [w for _, w in store.all(BindingWaiver) if w.release == release and w.expires_at > store.clock()]
    return bool(mine) and fingerprint(base.path).weights in {w.weights for w in mine}
