"""A gateway in a process of its own, looked at from outside: its address, its logs, raw sockets to it, what it kept."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from serve.shelf import paper_adapter, paper_base, shelve
from whence.records import Trace
from whence.store import Store, verify


def shelf(folder: Path) -> Path:
    """A store with the release desk@1; returns its root."""
    store = Store.open(folder / ".whence", create=True, actor="tester@example.org")
    shelve(store, paper_base(folder / "base"), {"desk@1": paper_adapter(folder / "adapter")})
    return store.root


def chat(text: str = "hi", **more) -> dict:
    return {"model": "desk", "messages": [{"role": "user", "content": text}], **more}


def posted(body: bytes, *headers: str, path: str = "/v1/chat/completions") -> bytes:
    """A request as it goes over the wire; a Content-Length of the body unless one is given."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", *headers]
    if not any(h.lower().startswith(("content-length", "transfer-encoding")) for h in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Outside:
    """A child that serves. files: how many it may open. wait: until it serves."""

    def __init__(
        self,
        root: Path,
        *,
        lease_s: float = 60,
        env: Mapping[str, str] | None = None,
        files: int | None = None,
        wait: bool = True,
    ) -> None:
        self.root, self.log = root, root.parent / "stderr"
        command = [sys.executable, str(Path(__file__).with_name("child.py")), str(root), str(lease_s)]

        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | dict(env or {}),
                preexec_fn=limited if files is not None else None,
            )
        assert self.process.stdout is not None
        if wait:
            self.url = self.process.stdout.readline().strip()
            assert self.url.startswith("http"), self.log.read_text()
            self.port = int(self.url.rpartition(":")[2])

    def __enter__(self) -> Outside:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def post(self, body: dict, **options) -> httpx.Response:
        return httpx.post(self.url + "/v1/chat/completions", json=body, timeout=60, **options)

    def taken(self, **options) -> float:
        """Requests that the model has had so far, or that wait for it."""
        text = httpx.get(self.url + "/metrics", timeout=60, **options).text
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return float(values["whence_requests_waiting"]) + float(values["whence_batch_requests_sum"])

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def raw(self, *parts: bytes, end: bool = False) -> bytes:
        """Send these bytes; what comes back until the gateway hangs up. end: say that no more comes."""
        with self.connect() as sock:
            for part in parts:
                sock.sendall(part)
            if end:
                sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def leave(self, sock: socket.socket, body: bytes, *headers: str, **options) -> None:
        """Post this and go away once the model has it. options: of the requests that look."""
        before = self.taken(**options)
        sock.sendall(posted(body, *headers))
        while self.taken(**options) <= before:
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def lines(self) -> list[dict]:
        """What it logged: each line is a JSON object, or this fails."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        assert all(isinstance(line, dict) for line in lines)
        return lines

    def kept(self) -> dict[str, Trace]:
        """Traces in the catalogue by id, after it ended in order: the journal holds as many, and the store verifies."""
        store = Store.open(self.root, actor="tester@example.org")
        traces = {trace.id: trace for _, trace in store.all(Trace)}
        journal = store.journal("trace")
        written = [entry for segment in journal.segments() for entry, _ in journal.scan(segment)]
        assert len(written) == len(traces) == store.count(Trace)
        assert verify(store) == []
        return traces


def read_all(sock: socket.socket) -> bytes:
    """All that comes until the other side hangs up, however it does."""
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data
