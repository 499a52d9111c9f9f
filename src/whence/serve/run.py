"""The gateway: check, load, lease, serve, and end in order."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from whence.models import Model
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import Ref, Unmet, require
from whence.serve import leases
from whence.serve.backends.http import build_app
from whence.serve.backends.server import Server, bound_socket
from whence.serve.desk import Desk, Feedback, Settings
from whence.serve.engine import Engine
from whence.serve.releases import bind
from whence.serve.traces import TraceLog
from whence.store import Store
from whence.store.keys import PSEUDONYMS

ModelFactory = Callable[[Path, Mapping[str, Path]], Model]
"""(base folder, release name → adapter folder) → model."""

FLUSH_S = 1.0
"""Seconds between two batches of traces."""

log = logging.getLogger("whence.serve")


def serve(
    store: Store,
    releases: Sequence[str] = (),
    settings: Settings = Settings(),
    *,
    model_factory: ModelFactory = TransformersModel,
    feedback: Feedback | None = None,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve these releases (names or aliases; none: all that aliases point to) until SIGTERM or SIGINT.

    Running requests are finished then, traces recorded, leases ended. `on_ready` gets the address. Raises Unmet with
    every reason where adapter and base are not as recorded, the port is taken, or a token is missing. Call it from
    the main thread.
    """
    gateway = Gateway(store, releases, settings, model_factory=model_factory, feedback=feedback)
    over = threading.Event()
    before = {number: signal.signal(number, lambda *_: over.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        on_ready(gateway.start())
        over.wait()
    finally:
        gateway.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


class Gateway:
    """A gateway in threads of its own: `start` returns its address, `stop` ends it. Also a context manager."""

    def __init__(
        self,
        store: Store,
        releases: Sequence[str] = (),
        settings: Settings = Settings(),
        *,
        model_factory: ModelFactory = TransformersModel,
        feedback: Feedback | None = None,
    ) -> None:
        self._store, self._releases, self._settings = store, releases, settings
        self._model_factory, self._feedback = model_factory, feedback
        self._running = ExitStack()
        self.deployments: list[Ref] = []
        """of the releases that are served, in the order they were asked for"""

    def start(self) -> str:
        """Check every release, load the model, take requests. Returns ``http://HOST:PORT``; raises Unmet."""
        with ExitStack() as running:
            url = self._start(running)
            self._running = running.pop_all()
        return url

    def stop(self) -> None:
        """Finish running requests, record their traces, end the leases. A second call does nothing."""
        self._running.close()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, running: ExitStack) -> str:
        """What is started puts its end onto `running`, which undoes it in reverse order."""
        require("serve", "fastapi", "uvicorn")
        store, settings = self._store, self._settings
        token = token_for(settings.host, os.environ.get("WHENCE_TOKEN"))
        bound = bind(store, self._releases)
        sock = running.enter_context(bound_socket(settings.host, settings.port))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{sock.getsockname()[1]}"
        model = self._model_factory(bound[0].base, {one.name: one.adapter for one in bound})
        store.recover_traces()
        _make_pseudonym_key(store)
        self.deployments = [leases.start(store, one.release, url, settings.lease_s) for one in bound]
        running.callback(leases.end, store, self.deployments)
        traces = TraceLog(store)
        running.callback(traces.flush)
        engine = Engine(model)
        running.callback(engine.stop)
        running.callback(_Keeper(store, traces, self.deployments, settings.lease_s).stop)
        served = {one.release: (one, name) for one, name in zip(bound, self.deployments, strict=True)}
        desk = Desk(store, served, engine, traces, settings, self._feedback)
        server = Server(build_app(desk, token), sock)
        server.start()
        running.callback(server.stop)
        return url


class _Keeper:
    """Records traces every second and says three times a lease that the deployments live."""

    def __init__(self, store: Store, traces: TraceLog, deployments: Sequence[Ref], lease_s: float) -> None:
        self._store, self._traces, self._deployments = store, traces, deployments
        self._every_s, self._over = lease_s / 3, threading.Event()
        self._thread = threading.Thread(target=self._work, name="whence-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        said = time.monotonic()
        while not self._over.wait(min(FLUSH_S, self._every_s)):
            try:
                self._traces.flush()
                if time.monotonic() - said >= self._every_s:
                    leases.seen(self._store, self._deployments)
                    said = time.monotonic()
            except Exception as error:  # noqa: BLE001  this thread's outermost loop: said, kept, tried again
                log.warning("traces or signs of life could not be recorded: %s", type(error).__name__)


def token_for(host: str, token: str | None) -> str | None:
    """The token that requests must bear. Raises Unmet for an address that others reach without one."""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local and not token:
        raise Unmet(
            f"{host} can be reached from other machines and no token is set",
            "WHENCE_TOKEN in the environment, or a loopback address",
            "export WHENCE_TOKEN=$(openssl rand -hex 32), or leave out the host",
        )
    return token or None


def _make_pseudonym_key(store: Store) -> None:
    """The key that pseudonyms are made under, on disk before the first request needs it."""
    store.keys.reload()
    if PSEUDONYMS not in store.keys:
        with store.writer("making the key of pseudonyms"):
            store.keys.get(PSEUDONYMS)
            store.keys.save()
