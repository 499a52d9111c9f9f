"""A load generator of raw keep-alive connections, so that the client is not what is measured.

    python -m bench.serve_load URL OUT --rate 500 --seconds 120     an open loop: requests go out when they are due
    python -m bench.serve_load URL OUT --clients 16 --count 300     a closed loop: each client asks when it is answered

An open loop's due times are drawn once (exponential gaps, a fixed seed), so every gateway meets the same bursts, and a
latency is counted from the time a request was due, sent or not: a gateway that stalls is charged for all who wait.
OUT gets what was received: a JSON line ``[latency_s, status, id, answer]`` an answer; null latency: it warmed up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import selectors
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 64
"""Used in turn, so that none is idle long enough to be closed. A request that is due and finds none free waits for one,
on the clock."""
PATIENCE_S = 30.0
"""Seconds to wait after the last request for answers that are still out."""
WARM_S = 3.0
"""Seconds of load before the measured ones, so that imports and caches are paid for."""

Took = Callable[["Connection", int, bytes], None]


def prompt(number: int) -> list[dict[str, str]]:
    """The conversation of one request."""
    said = f"{number}: my card payment was declined at the branch, what should I do about the fee of 3 pounds?"
    return [{"role": "system", "content": "You work at a bank. Answer in one line."}, {"role": "user", "content": said}]


class Connection(asyncio.Protocol):
    """One connection with at most one request on it."""

    def __init__(self, took: Took, lost: Callable[[Connection], None]) -> None:
        self._took, self._lost = took, lost
        self._buffer = b""
        self.due = 0.0
        """when the request on it should have gone out, by `time.perf_counter`; negative: it warms up"""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where requests go."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand on an answer that is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = self._buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        if len(self._buffer) >= end + int(head[at : head.index(b"\r", at)]):
            body, self._buffer = self._buffer[end:], b""
            self._took(self, int(head[9:12]), body)

    def connection_lost(self, _: Exception | None) -> None:
        """The other side hung up."""
        self._lost(self)


class Load:
    """Requests out, answers in."""

    def __init__(self, url: str, max_tokens: int) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._max_tokens = parts.hostname, parts.port, max_tokens
        self._free: deque[Connection] = deque()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self.asked = 0
        """requests that were due so far"""
        self.received: list[tuple[float | None, int, bytes]] = []
        self.out = 0
        """requests that are sent or due, and not answered"""
        self.broken = 0
        """connections that ended under a request"""
        self.answered: Callable[[], None] = lambda: None

    async def open(self, connections: int) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, made = await loop.create_connection(lambda: Connection(self._took, self._lost), self._host, self._port)
            self._free.append(made)

    def ask(self, due: float) -> None:
        """Send the next request, due at this time (negative: it warms up), or keep it until a connection is free."""
        self.asked += 1
        self.out += 1
        body = {"model": "desk", "messages": prompt(self.asked), "max_tokens": self._max_tokens, "temperature": 0}
        raw = json.dumps(body).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
        raw = f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw
        if self._free:
            self._send(self._free.popleft(), due, raw)
        else:
            self._waiting.append((due, raw))

    def _send(self, connection: Connection, due: float, raw: bytes) -> None:
        connection.due = due
        connection.transport.write(raw)

    def _took(self, connection: Connection, status: int, body: bytes) -> None:
        latency = time.perf_counter() - connection.due if connection.due >= 0 else None
        self.received.append((latency, status, body))
        self.out -= 1
        if self._waiting:
            self._send(connection, *self._waiting.popleft())
        else:
            self._free.append(connection)
        self.answered()

    def _lost(self, connection: Connection) -> None:
        if connection in self._free:
            self._free.remove(connection)
        else:
            self.broken += 1
            self.out -= 1
            self.answered()


async def open_loop(load: Load, rate: float, seconds: float) -> float:
    """Requests at their due times; returns the seconds from the first measured one's to the last answer's."""
    chance, due, dues = random.Random(500), 0.0, []
    while (due := due + chance.expovariate(rate)) < WARM_S + seconds:
        dues.append(due)
    await load.open(CONNECTIONS)
    loop, started = asyncio.get_running_loop(), time.perf_counter() + 0.1
    offset = loop.time() - time.perf_counter()
    for due in dues:
        at = started + due
        loop.call_at(at + offset, load.ask, at if due >= WARM_S else -1.0)
    await asyncio.sleep(0.1 + WARM_S + seconds)
    patience = time.perf_counter() + PATIENCE_S
    while load.out and time.perf_counter() < patience:
        await asyncio.sleep(0.05)
    return time.perf_counter() - started - WARM_S


async def closed_loop(load: Load, clients: int, count: int) -> float:
    """`count` requests from each client, each sent when the one before is answered; a tenth more warms up."""
    warm, done, started = clients * max(1, count // 10), asyncio.Event(), 0.0
    total = warm + clients * count

    def answered() -> None:
        nonlocal started
        if load.asked < warm:
            load.ask(-1.0)
        elif load.asked < total:
            started = started or time.perf_counter()
            load.ask(time.perf_counter())
        elif not load.out:
            done.set()

    load.answered = answered
    await load.open(clients)
    for _ in range(clients):
        load.ask(-1.0)
    await done.wait()
    return time.perf_counter() - started


async def main() -> None:
    """Load, then write what came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clients", type=int)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--max-tokens", type=int, default=16)
    args = parser.parse_args()
    load = Load(args.url, args.max_tokens)
    if args.rate:
        took_s = await open_loop(load, args.rate, args.seconds)
    else:
        took_s = await closed_loop(load, args.clients, args.count)
    cpu_s = time.process_time()
    with args.out.open("w") as file:
        for latency, status, body in load.received:
            answer = json.loads(body) if status == 200 else {}
            text = answer["choices"][0]["message"]["content"] if answer else ""
            print(json.dumps([latency, status, answer.get("id"), text]), file=file)
    print(json.dumps({"seconds": took_s, "unanswered": load.out + load.broken, "cpu_s": cpu_s}))


if __name__ == "__main__":
    # select, not epoll: epoll's timeouts are whole milliseconds, and a request would go out up to 1 ms late
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(main())
