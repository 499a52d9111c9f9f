"""Deployments as leases: a release is live at an endpoint while it says so, and *unknown* when it falls silent.

A killed gateway cannot say that it ended; its deployment becomes unknown `lease_s` seconds after its last sign of life.
One that somebody else runs gives no sign of life: it is *declared* until a person says that it ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from whence.records import Deployment, Ref, parse_time
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


def state(store: Store, deployment: Ref, as_of: datetime | None = None) -> State:
    """What is known of a deployment at a time (now by default). Raises NotFound for no deployment.

    A clock that is set back makes nothing live: a sign of life that lies more than a lease ahead counts for nothing,
    and what was recorded after it says that its time has passed.
    """
    lease_s = store.get(deployment, Deployment).lease_s
    last = store.events("deployment.*", deployment, as_of=as_of, last=True)
    if not last:
        return "unknown"
    if last[0].kind == "deployment.ended":
        return "ended"
    if lease_s is None:
        return "declared"
    lease = timedelta(seconds=lease_s)
    seen, now = last[0].recorded_at, as_of or store.clock()
    passed = now if as_of else max(now, store.recorded_since(last[0].seq))
    return "live" if seen - lease <= now and passed <= seen + lease else "unknown"


def running(store: Store, as_of: datetime | None = None) -> set[Ref]:
    """Deployments that may answer at a time (now by default): those that are not known to have ended by then."""
    if as_of is None:
        return store.memo("serve.running", lambda: _running(store, None))
    return _running(store, as_of)


def _running(store: Store, as_of: datetime | None) -> set[Ref]:
    last: dict[str, tuple[int, str]] = {}
    for kind in ("deployment.started", "deployment.declared", "deployment.ended"):
        for event in store.events(kind, as_of=as_of):
            last[event.about] = max(last.get(event.about, (0, "")), (event.seq, kind))
    since = {ref: parse_time(at) for ref, at in store.fields(Deployment, "started_at")}
    return {
        ref
        for ref, at in since.items()
        if last.get(ref, (0, ""))[1] != "deployment.ended" and (as_of is None or at <= as_of)
    }


def states(store: Store) -> dict[Ref, State]:
    """What is known of every deployment now. Only those that may live are asked for one by one."""
    last: dict[str, tuple[int, str]] = {}
    for kind in ("deployment.started", "deployment.declared", "deployment.ended"):
        for event in store.events(kind):
            last[event.about] = max(last.get(event.about, (0, "")), (event.seq, kind))
    found: dict[Ref, State] = {}
    for ref, lease in store.fields(Deployment, "lease_s"):
        kind = last.get(ref, (0, ""))[1]
        if kind == "deployment.ended":
            found[ref] = "ended"
        else:
            found[ref] = "declared" if kind and lease is None else state(store, ref)
    return found
