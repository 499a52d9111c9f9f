"""The gateway under load, in a process of its own, on a store whose alias ``desk`` points to a release.

python -m bench.serve_gateway STORE              the release itself answers
python -m bench.serve_gateway STORE UPSTREAM     a model behind this address does
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from whence.models import Reply, Request
from whence.models.port import OnText
from whence.serve import Gateway, Settings
from whence.store import Store


class Upstream:
    """A model behind OpenAI's chat completions. The requests of a batch go out together, each on a connection of its
    own that is kept open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._open: list[socket.socket] = []

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """Send all, then read all."""
        while len(self._open) < len(requests):
            made = socket.create_connection(self._address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(made)
        for connection, request in zip(self._open, requests, strict=False):
            connection.sendall(_spelled(request))
        replies = [_reply(_read(self._open[i])) for i in range(len(requests))]
        for i, reply in enumerate(replies):
            if on_text is not None:
                on_text(i, reply.text)
        return replies


def _spelled(request: Request) -> bytes:
    body = {
        "model": request.adapter,
        "messages": list(request.messages),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    }
    raw = json.dumps(body).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: upstream\r\ncontent-length: %d\r\n\r\n%b" % (len(raw), raw)


def _read(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    while (end := data.find(b"\r\n\r\n") + 4) < 4:
        data += connection.recv(65536)
    at = data.index(b"content-length:") + 15
    length = int(data[at : data.index(b"\r", at)])
    while len(data) < end + length:
        data += connection.recv(65536)
    return data[end:]


def _reply(body: bytes) -> Reply:
    answer = json.loads(body)
    choice, usage = answer["choices"][0], answer["usage"]
    return Reply(
        text=choice["message"]["content"],
        prompt_tokens=usage["prompt_tokens"],
        completion_tokens=usage["completion_tokens"],
        finish=choice["finish_reason"],
    )


def main() -> None:
    """Serve until SIGTERM."""
    store = Store.open(Path(sys.argv[1]), actor="bench@example.org")
    upstream = sys.argv[2:]
    more = {"model_factory": lambda base, adapters: Upstream(upstream[0])} if upstream else {}
    Gateway(store, ["desk"], Settings(port=0), **more).run(on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
