"""The gateway: check, load, lease, serve, and end in order."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from whence.models import Model
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import Ref, Unmet, require
from whence.serve import leases
from whence.serve.backends.http import build_app, doors
from whence.serve.backends.metrics import Meters
from whence.serve.backends.server import Server, bound_socket, listen, loopback, open_files
from whence.serve.backends.spans import spans
from whence.serve.desk import Desk, Send, Settings
from whence.serve.engine import Engine
from whence.serve.log import tell
from whence.serve.releases import bind
from whence.serve.traces import TraceLog
from whence.serve.watch import Call, Watch
from whence.store import Store

ModelFactory = Callable[[Path, Mapping[str, Path]], Model]
"""(base folder, release name → adapter folder) → model."""

FLUSH_S = 0.1
"""Seconds between two batches of traces: a large one holds up the requests that come while it is recorded."""
AGAIN_S = 1.0
"""Seconds until what could not be recorded is tried again."""
TURN_S = 0.0001
"""Seconds that a thread may compute while another waits for its turn."""


class Gateway:
    """A gateway in threads of its own: `start` returns its address, `stop` ends it. Also a context manager.

    It serves these releases (names or aliases; none: all that aliases point to).
    """

    def __init__(
        self,
        store: Store,
        releases: Sequence[str] = (),
        settings: Settings = Settings(),
        *,
        model_factory: ModelFactory = TransformersModel,
        feedback: Send | None = None,
    ) -> None:
        self._store, self._releases, self._settings = store, releases, settings
        self._model_factory, self._feedback = model_factory, feedback
        self._running = ExitStack()
        self._server: Server | None = None
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
        if self._server is not None:
            tell("ended")
        self._server = None

    def run(self, on_ready: Callable[[str], None] = lambda url: None) -> None:
        """Serve until SIGTERM or SIGINT, then stop; a second one cuts off the clients that are still answered.

        `on_ready` gets the address. Call it from the main thread of a process that is a gateway and nothing else: it
        may open more files afterwards, and its threads take turns more often.
        """
        over = threading.Event()

        def asked(*_: object) -> None:
            again = over.is_set()
            over.set()
            if self._server is None and not again:
                raise _EndedEarly
            if self._server is not None and again:
                self._server.hurry()

        before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            open_files()
            url = self.start()
            _take_turns()
            on_ready(url)
            over.wait()
        except _EndedEarly:
            tell("ended before it was ready")
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, running: ExitStack) -> str:
        """What is started puts its end onto `running`, which undoes it in reverse order."""
        require("serve", "starlette", "uvicorn", "prometheus_client")
        store, settings = self._store, self._settings
        token = token_for(settings.host, os.environ.get("WHENCE_TOKEN"))
        sock = running.enter_context(bound_socket(settings.host, settings.port))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{sock.getsockname()[1]}"
        bound = bind(store, self._releases, running, settings.unbound)
        tell("starting", url=url, releases=[one.name for one in bound])
        meters = Meters()
        folders = {one.name: one.adapter.path for one in bound}
        model = meters.measured(self._model_factory(bound[0].base.path, folders))
        for one in bound:
            one.check()
        listen(sock)
        tell("recovered", traces=store.recover_traces())
        store.keys.reload()
        self.deployments = [leases.start(store, one.release, url, settings.lease_s) for one in bound]
        running.callback(leases.end, store, self.deployments)
        traces = TraceLog(store)
        running.callback(traces.flush)
        engine = Engine(model)
        running.callback(engine.stop)
        keeper = _Keeper(store, traces, self.deployments, settings.lease_s)
        running.callback(keeper.stop)
        served = {one.release: (one, name) for one, name in zip(bound, self.deployments, strict=True)}
        desk = Desk(store, served, engine, traces, settings, self._feedback)
        span = spans(url)

        def ended(call: Call) -> None:
            meters.count(call)
            span(call)

        server = Server(Watch(build_app(doors(desk, token, meters.text)), ended), sock)
        meters.show(
            {
                "whence_requests_waiting": ("Requests in the queue.", engine.waiting),
                "whence_traces_pending": ("Traces in the journal, not in the catalogue yet.", traces.pending),
                "whence_traces_recorded": ("Traces brought into the catalogue.", lambda: traces.recorded),
                "whence_lease_age_seconds": ("Since the last sign of life was recorded.", keeper.lease_age_s),
                "whence_connections_refused": ("Connections that found no room.", server.turned_away),
            }
        )
        running.callback(server.stop)
        server.start()
        running.callback(tell, "draining")
        self._server = server
        tell("ready", url=url, deployments=self.deployments)
        return url


def _take_turns() -> None:
    """No thread of this process keeps the others waiting for long: it hands over after 0.1 ms, not 5,
    and what is loaded by now, a model among it, is not searched for garbage again."""
    sys.setswitchinterval(TURN_S)
    gc.collect()
    gc.freeze()


class _EndedEarly(BaseException):
    """SIGTERM before anything is served: what was started is undone."""


class _Keeper:
    """Records traces as they come and says three times a lease that the deployments live."""

    def __init__(self, store: Store, traces: TraceLog, deployments: Sequence[Ref], lease_s: float) -> None:
        self._store, self._traces, self._deployments = store, traces, deployments
        self._every_s, self._over, self._said = lease_s / 3, threading.Event(), time.monotonic()
        self._thread = threading.Thread(target=self._work, name="whence-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def lease_age_s(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._said

    def _work(self) -> None:
        pause_s = min(FLUSH_S, self._every_s)
        while not self._over.wait(pause_s):
            pause_s = min(FLUSH_S, self._every_s)
            try:
                self._traces.flush()
                if self.lease_age_s() >= self._every_s:
                    leases.seen(self._store, self._deployments)
                    self._said = time.monotonic()
                    tell("lease", deployments=list(self._deployments))
            except Exception as error:  # noqa: BLE001  this thread's outermost loop: said, kept, tried again
                tell("not recorded", logging.ERROR, error=type(error).__name__, traces=self._traces.pending())
                pause_s = AGAIN_S


def token_for(host: str, token: str | None) -> str | None:
    """The token that requests must bear. Raises Unmet for an address that others reach without one."""
    if not token and not loopback(host):
        raise Unmet(
            f"{host} can be reached from other machines and no token is set",
            "WHENCE_TOKEN in the environment, or a loopback address",
            "export WHENCE_TOKEN=$(openssl rand -hex 32), or leave out the host",
        )
    return token or None
