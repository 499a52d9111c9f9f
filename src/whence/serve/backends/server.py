"""uvicorn in a thread of its own, on a socket that is bound already."""

from __future__ import annotations

import ipaddress
import resource
import socket
import threading
import time
from typing import Any

from whence.records import BackendFailed, Unmet

DRAIN_S = 60
"""Seconds that running requests have to end when the server stops."""
QUEUE = 4096
"""Connections that the kernel keeps until they are accepted."""
BURST = 64
"""Connections that are accepted in one go."""
CONNECTIONS = 4096
"""Connections at once, at most; as many more are being refused."""
RESERVED = 384
"""Open files that connections leave to the store and to bursts that are not counted yet."""


def open_files() -> None:
    """Let this process open as many files as a gateway may need, as far as it may."""
    wanted, (soft, hard) = 2 * CONNECTIONS + RESERVED, resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def room() -> int:
    """How many connections this process can hold while it refuses as many."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(CONNECTIONS, (soft - RESERVED) // 2))


def loopback(host: str) -> bool:
    """Whether only this machine is reached under this name or address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket bound to this address. Raises Unmet where it is taken, not ours, or none.

    The protocol is named because asyncio turns Nagle's algorithm off only where it is; on, it adds 40 ms an answer.
    """
    if not 0 <= port <= 65535:
        said = f"{host}:{port} cannot be listened on: {port} is no port"
        raise Unmet(said, "0 to 65535, where 0 takes a free one", "choose another port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise _taken(f"{host}:{port}", error) from error
    return sock


def listen(sock: socket.socket) -> None:
    """Take connections. Raises Unmet where another process that was bound as well came first."""
    try:
        sock.listen(QUEUE)
    except OSError as error:
        raise _taken("{}:{}".format(*sock.getsockname()[:2]), error) from error


def _taken(address: str, error: OSError) -> Unmet:
    said = error.strerror or str(error)
    return Unmet(f"{address} cannot be listened on: {said}", "a free port of this machine", "choose another port")


class Server:
    """One running server."""

    def __init__(self, app: Any, sock: socket.socket) -> None:
        """app: an ASGI application."""
        import uvicorn

        from whence.serve.backends.door import Door

        self._door = type("Door", (Door,), {"room": room()})
        config = uvicorn.Config(
            app,
            http=self._door,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            backlog=BURST,
            timeout_graceful_shutdown=DRAIN_S,
        )
        self._sock, self._server = sock, uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([sock],), name="whence-http", daemon=True)

    def start(self) -> None:
        """Return when requests are taken. Raises BackendFailed, Unmet."""
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise BackendFailed("the HTTP server ended before it took a request")
            time.sleep(0.01)
        listen(self._sock)  # asyncio listens with the burst that it accepts in one go

    def turned_away(self) -> int:
        """Connections that found no room so far."""
        return self._door.turned_away

    def stop(self) -> None:
        """Take no more requests, let the running ones end."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()

    def hurry(self) -> None:
        """Cut off every client, from any thread: running requests end as cancelled."""
        for connection in list(self._server.server_state.connections):
            connection.loop.call_soon_threadsafe(connection.transport.abort)
