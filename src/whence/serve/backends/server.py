"""uvicorn in a thread of its own, on a socket that is bound already."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

from whence.records import BackendFailed, Unmet

if TYPE_CHECKING:
    from fastapi import FastAPI

DRAIN_S = 60
"""Seconds that running requests have to end when the server stops."""


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket bound to this address. Raises Unmet where it is taken or not ours.

    The protocol is named because asyncio turns Nagle's algorithm off only where it is; on, it adds 40 ms an answer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Unmet(
            f"{host}:{port} cannot be listened on: {error.strerror}",
            "a free port of this machine",
            "choose another port",
        ) from error
    return sock


class Server:
    """One running server."""

    def __init__(self, app: FastAPI, sock: socket.socket) -> None:
        import uvicorn

        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=DRAIN_S
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([sock],), name="whence-http", daemon=True)

    def start(self) -> None:
        """Return when requests are taken. Raises BackendFailed."""
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise BackendFailed("the HTTP server ended before it took a request")
            time.sleep(0.01)

    def stop(self) -> None:
        """Take no more requests, let the running ones end."""
        self._server.should_exit = True
        self._thread.join()
