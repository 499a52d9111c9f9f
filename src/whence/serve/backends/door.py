"""Connections with limits: how many, and how long one may keep the gateway waiting. Imported when a server starts.

uvicorn waits for ever for a request's first line, its headers and a client that stopped reading, and keeps a head of
any size; this does not. What is no HTTP behind requests that are still answered ends the line after their answers.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from whence.serve.log import tell

HEAD_S = 30.0
"""Seconds in which a request's head must have come; as long is read on after an answer that did not need the body."""
HEAD_BYTES = 64 << 10
"""The largest head, and the most that is read of what turns out to be neither head nor body."""
STALLED_S = 30.0
"""Seconds that a client may leave what was sent to it unread."""
LINGER_S = 1.0
"""Seconds that a refused connection has to read why."""
_BUSY = b'{"error": {"message": "too many connections", "type": "server_error", "param": null, "code": "unavailable"}}'
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BUSY), _BUSY)
)


class Door(HttpToolsProtocol):
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
        self._head = self._unused = 0
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
            self._unused += len(data)
            super().data_received(data)
            if self._unused > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head is too large.")
            self._mind()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._head += len(name) + len(value)
        if self._head > HEAD_BYTES:
            raise ValueError("the head is too large")

    def on_headers_complete(self) -> None:
        if not self.url.startswith(b"/") or sum(name == b"host" for name, _ in self.headers) != 1:
            raise ValueError("another address than a path of one host")
        self._unused = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

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
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self.flow.pause_reading()
            cycle.keep_alive = False
        elif cycle is not None and (self.pipeline or cycle.response_started) and not cycle.response_complete:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def _mind(self) -> None:
        """Keep the time while no request is being answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self._late is not None:
                self._late.cancel()
                self._late = None
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(HEAD_S, self.transport.abort)
