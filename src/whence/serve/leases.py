"""Deployments as leases: a release is live at an endpoint while it says so, and *unknown* when it falls silent.

A killed gateway cannot say that it ended; its deployment becomes unknown `lease_s` seconds after its last sign of life.
One that somebody else runs gives no sign of life: it is *declared* until a person says that it ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from whence.records import Deployment, Event, Ref, parse_time
from whence.store import Store

State = Literal["live", "unknown", "declared", "ended"]


def start(store: Store, release: Ref, endpoint: str, lease_s: float, since: datetime | None = None) -> Ref:
    """Record that this release is served at this endpoint, from now on where no time is named. A lease of 0 s: nobody
    knows whether it still is."""
    deployment = Deployment(release=release, endpoint=endpoint, started_at=since or store.clock(), lease_s=lease_s)
    with store.transaction():
        name = store.put(deployment)
        store.append("deployment.started", name, {"release": release}, since)
    return name


def declare(store: Store, release: Ref, endpoint: str, since: datetime) -> Ref:
    """Record that somebody else serves this release at this endpoint; once, however often it is said."""
    mine = [(ref, d) for ref, d in store.all(Deployment) if (d.release, d.endpoint) == (release, endpoint)]
    for ref, deployment in mine:
        if deployment.lease_s is None and state(store, ref) == "declared":
            return ref
    with store.transaction():
        name = store.put(Deployment(release=release, endpoint=endpoint, started_at=since, lease_s=None))
        store.append("deployment.declared", name, {"release": release}, since)
    return name


def seen(store: Store, deployments: Iterable[Ref]) -> None:
    """A sign of life of each."""
    store.append_many([("deployment.seen", name, None, None, None) for name in deployments])


def end(store: Store, deployments: Iterable[Ref]) -> None:
    """A clean end of each."""
    store.append_many([("deployment.ended", name, None, None, None) for name in deployments])


def state(store: Store, deployment: Ref, as_of: datetime | None = None, known_by: datetime | None = None) -> State:
    """What is known of a deployment at a time (now by default), from what was recorded by `known_by` (by then, where
    none is named). Raises NotFound for no deployment.

    A clock that is set back makes nothing live: a sign of life that lies more than a lease ahead counts for nothing,
    and what was recorded after it says that its time has passed.
    """
    lease_s = store.get(deployment, Deployment).lease_s
    if as_of is None:
        last = next(iter(store.events("deployment.*", deployment, last=True)), None)
    else:
        told = store.events("deployment.*", deployment, as_of=known_by or as_of)
        last = next((event for event in reversed(told) if (event.valid_at or event.recorded_at) <= as_of), None)
    passed = store.recorded_since(last.seq) if last and as_of is None else None
    return _state(_Life(lease_s, last, passed), as_of or store.clock())


def running(store: Store, as_of: datetime | None = None, known_by: datetime | None = None) -> frozenset[Ref]:
    """Deployments that may answer at a time (now by default): those that began by then and are not known to have
    ended; as far as was recorded by `known_by` (by then, where none is named)."""
    if as_of is None:
        alive, later = store.memo("serve.running", lambda: _alive(store), *GROWS_BY)
        if not later:
            return alive
        now = store.clock()
        return alive | {ref for ref, began in later.items() if began <= now}
    unknown = {event.about for event in store.events("deployment.*")}
    unknown -= {event.about for event in store.events("deployment.*", as_of=known_by or as_of)}
    since = store.fields(Deployment, "started_at")
    began = (ref for ref, at in since if ref not in unknown and parse_time(at) <= as_of)
    return frozenset(ref for ref in began if state(store, ref, as_of, known_by) != "ended")


def _alive(store: Store) -> tuple[frozenset[Ref], dict[Ref, datetime]]:
    """(deployments that have not ended, those of them that begin later)."""
    now, began = store.clock(), {ref: parse_time(at) for ref, at in store.fields(Deployment, "started_at")}
    alive = {ref for ref, one in states(store).items() if one != "ended"}
    later = {ref: began[ref] for ref in alive if began[ref] > now}
    return frozenset(alive - later.keys()), later


GROWS_BY = ("deployment.*",)
"""Events that change what is known of deployments."""


def states(store: Store, deployments: Iterable[Ref] | None = None) -> dict[Ref, State]:
    """What is known of these deployments now, or of every one; the record is asked once, until it has grown."""
    now, lives = store.clock(), store.memo("serve.leases", lambda: _lives(store), *GROWS_BY)
    return {ref: _state(lives[ref], now) for ref in (lives if deployments is None else deployments)}


@dataclass(frozen=True, slots=True)
class _Life:
    """A deployment's last event, and the latest time that was recorded since."""

    lease_s: float | None
    last: Event | None
    passed: datetime | None


def _lives(store: Store) -> dict[Ref, _Life]:
    last, found = store.last_events("deployment.*"), {}
    for ref, lease_s in store.fields(Deployment, "lease_s"):
        event = last.get(ref)
        leased = event is not None and event.kind != "deployment.ended" and lease_s is not None
        passed = store.recorded_since(event.seq) if leased and event is not None else None
        found[ref] = _Life(lease_s, event, passed)
    return found


def _state(life: _Life, now: datetime) -> State:
    """See `state`."""
    if life.last is None:
        return "unknown"
    if life.last.kind == "deployment.ended":
        return "ended"
    if life.lease_s is None:
        return "declared"
    lease, seen = timedelta(seconds=life.lease_s), life.last.recorded_at
    passed = max(now, life.passed) if life.passed else now
    return "live" if seen - lease <= now and passed <= seen + lease else "unknown"
