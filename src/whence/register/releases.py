"""Releases: a version with its verdict; aliases that move and remember; waivers that expire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from whence.lineage import aliases, beside
from whence.records import (
    BindingWaiver,
    Evaluation,
    Event,
    Json,
    NotFound,
    Ref,
    Release,
    Unmet,
    Verdict,
    Waiver,
    text_time,
)
from whence.register.retired import retired
from whence.store import Store


def release(store: Store, name: str, adapter: Ref, verdict: Ref) -> Ref:
    """Make ``NAME@N``. Refused without a passing verdict about this adapter, unless a waiver of it stands. The same
    adapter under the same verdict is released once."""
    judged = store.get(verdict, Verdict)
    if store.get(judged.candidate, Evaluation).adapter != adapter:
        raise Unmet(f"verdict {verdict[:19]}… is about another adapter", f"one about {adapter[:19]}…", "run eval again")
    waiver = None
    if judged.outcome != "pass":
        waiver = standing_waiver(store, verdict)
        if waiver is None:
            raise Unmet(
                f"the verdict is {judged.outcome}: no release without a pass or a waiver",
                "verdict pass",
                f'look at it with `whence ask why {verdict[7:19]}`, or `whence ship waive --reason "…" --until DATE`',
            )
    return _release(store, name, adapter, verdict, waiver)


def in_service(store: Store, name: str, adapter: Ref) -> Ref:
    """Make ``NAME@N`` of an adapter that answers somewhere already: nobody judged it, and its release says so."""
    return _release(store, name, adapter, None, None)


def _release(store: Store, name: str, adapter: Ref, verdict: Ref | None, waiver: Ref | None) -> Ref:
    mine = [(ref, r) for ref, r in store.all(Release) if r.name.rpartition("@")[0] == name]
    for ref, made in mine:
        if (made.adapter, made.verdict, made.waiver) == (adapter, verdict, waiver):
            return ref
    with store.transaction():
        made = Release(name=f"{name}@{len(mine) + 1}", adapter=adapter, verdict=verdict, waiver=waiver)
        ref = store.put(made)
        store.append("release.made", ref, {"name": made.name})
    return ref


def waive(store: Store, verdict: Ref, reason: str, expires_at: datetime) -> Ref:
    """Record a person's exception for one verdict. Raises Unmet without a person, a reason and a future date."""
    store.get(verdict, Verdict)
    person, words = _excused(store, reason, expires_at)
    with store.transaction():
        ref = store.put(Waiver(verdict=verdict, person=person, reason=words, expires_at=expires_at))
        store.append("waiver.given", ref, {"verdict": verdict, "until": text_time(expires_at)}, None, words)
    return ref


def waive_binding(store: Store, release: Ref, weights: str, reason: str, expires_at: datetime) -> Ref:
    """Record a person's exception for one release on a base of these weights. Raises Unmet like `waive`."""
    store.get(release, Release)
    person, words = _excused(store, reason, expires_at)
    waiver = BindingWaiver(release=release, weights=weights, person=person, reason=words, expires_at=expires_at)
    with store.transaction():
        ref = store.put(waiver)
        data = {"release": release, "weights": weights, "until": text_time(expires_at)}
        store.append("waiver.given", ref, data, None, words)
    return ref


def _excused(store: Store, reason: str, expires_at: datetime) -> tuple[str, str]:
    """(who, digest of the reason's words). Raises Unmet without a person, a reason and a future date."""
    person = store.person()
    if not reason.strip():
        raise Unmet("the waiver gives no reason", "a sentence", 'add --reason "…"')
    if expires_at <= store.clock():
        raise Unmet(f"the waiver would have expired on {expires_at:%Y-%m-%d}", "a date to come", "set a later --until")
    return person, store.write_words("payload", {"reason": reason})


def standing_waiver(store: Store, verdict: Ref) -> Ref | None:
    """The newest waiver of this verdict that has not expired."""
    standing = [ref for ref, w in store.all(Waiver) if w.verdict == verdict and w.expires_at > store.clock()]
    return standing[-1] if standing else None


def move_alias(
    store: Store, alias: str, release: Ref, others: Sequence[Ref] = (), *, reason: str | None = None
) -> bool:
    """Point an alias at a release; False when it is there already. others: releases beside it, each for what is asked
    like its own rows. Refused while a release stands on an expired waiver, and once its adapter was retired."""
    for made in (store.get(ref, Release) for ref in (release, *others)):
        if why := retired(store, made.adapter):
            raise Unmet(f"{made.name} was retired ({why})", "a release that is in use", "name another")
        if made.waiver and store.get(made.waiver, Waiver).expires_at <= store.clock():
            raise Unmet(f"the waiver of {made.name} has expired", "a passing verdict", "run eval again, or waive again")
    if aliases(store).get(alias) == release and beside(store, alias) == tuple(others):
        return False
    words = store.write_words("payload", {"reason": reason}) if reason else None
    data: dict[str, Json] = {"release": release, "name": store.get(release, Release).name}
    store.append("alias.moved", f"alias:{alias}", data | ({"beside": list(others)} if others else {}), None, words)
    return True


def only_beside(store: Store, adapter: Ref) -> bool:
    """Whether it was released, and aliases have only ever served it beside another, which answers once it is gone."""
    mine = {ref for ref, release in store.all(Release) if release.adapter == adapter}
    moves = store.events("alias.moved")
    return not mine.isdisjoint(other for one in moves for other in one.data.get("beside", ())) and mine.isdisjoint(
        one.data["release"] for one in moves
    )


def history(store: Store, alias: str) -> list[Event]:
    """Every move of an alias, oldest first."""
    return store.events("alias.moved", about=f"alias:{alias}")


def rollback(store: Store, alias: str, *, reason: str | None = None) -> Ref:
    """Point an alias at the release that it had before it first had the current one, so that going back twice goes
    back two releases. Raises NotFound."""
    moves = {Ref(e.data["release"]): e.data for e in history(store, alias)}
    had = list(moves)
    current = aliases(store).get(alias)
    if current is None or had[0] == current:
        raise NotFound(f"alias {alias!r} has no earlier release to go back to")
    earlier = had[had.index(current) - 1]
    still = [
        Ref(one) for one in moves[earlier].get("beside", ()) if not retired(store, store.get(one, Release).adapter)
    ]
    move_alias(store, alias, earlier, still, reason=reason)
    return earlier
