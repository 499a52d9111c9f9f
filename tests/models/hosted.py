"""A small real HTTP server that answers chat completions as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes] | bytes | None
"""(status, body); bytes that go out as they are; None: the connection ends."""


@dataclass
class Seen:
    """Where it listens and what it was asked."""

    url: str = ""
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def completion(text: str | None, logprobs: list[dict[str, float]] | None = None, **more: Any) -> tuple[int, bytes]:
    """An honest answer; logprobs: token → its logarithm, at each place."""
    told = None
    if logprobs is not None:
        listed = [[{"token": t, "logprob": v} for t, v in step.items()] for step in logprobs]
        told = {"content": [{**step[0], "top_logprobs": step} for step in listed]}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": told}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return 200, json.dumps({"model": "tiny", "choices": [choice | more], "usage": usage}).encode()


@contextmanager
def server(answer: Callable[[Any, int], Answer]) -> Iterator[Seen]:
    """``answer(body, number of the request)`` → what goes out."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.bodies.append(body)
            seen.headers.append(dict(self.headers) | {"path": self.path})
            given = answer(body, len(seen.bodies) - 1)
            self.close_connection = True
            if isinstance(given, bytes):
                self.wfile.write(given)
            elif given is not None:
                status, raw = given
                self.send_response(status)
                told = {"Content-Length": str(len(raw)), "Content-Type": "application/json", "Retry-After": "0"}
                for name, value in {**told, "Location": "/moved"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    seen.url = f"http://127.0.0.1:{made.server_address[1]}/v1"
    try:
        yield seen
    finally:
        made.shutdown()
        made.server_close()
        thread.join()
