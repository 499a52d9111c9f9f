"""Connections with limits: how many, and how long one may keep the gateway waiting. Imported when a server starts.

uvicorn waits for ever for a request's first line, its headers and a client that stopped reading; this does not.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from whence.serve.log import tell

HEAD_S = 30.0
"""Seconds in which a request's head must have come; as long is read on after an answer that did not need the body."""
STALLED_S = 30.0
"""Seconds that a client may leave what was sent to it unread."""
LINGER_S = 1.0
"""Seconds that a refused connection has to read why."""
_BUSY = b'{"error": {"message": "too many connections", "type": "server_error", "param": null, "code": "unavailable"}}'
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BUSY), _BUSY)
)


class Door(H11Protocol):
    """One connection."""

    room = 1
    """connections that a server holds at once; as many more are told to come again, any beyond them are cut off"""
    turned_away = 0
    """connections that were refused or cut off so far"""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._refused = len(self.connections) > self.room
        type(self).turned_away += self._refused
        if len(self.connections) > 2 * self.room:
            transport.abort()
        elif self._refused:
            transport.write(BUSY)
            transport.write_eof()
            self._late = self.loop.call_later(LINGER_S, transport.abort)
        else:
            self._mind()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._late, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)
            self._mind()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._mind()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        tell("refused", route="other", status=400, code="no_http")
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer is on its way already
            self.transport.abort()

    def _mind(self) -> None:
        """Keep the time while no request is being answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self._late is not None:
                self._late.cancel()
                self._late = None
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(HEAD_S, self.transport.abort)
