"""A scripted model behind HTTP: OpenAI's chat completions, answered at once, no library.

python -m bench.serve_upstream        prints its address, serves until it is ended
"""

from __future__ import annotations

import asyncio
import itertools
import json

_numbers = itertools.count()


class Answering(asyncio.Protocol):
    """One connection. A body ends where its Content-Length says."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n") + 4) > 3:
            fields = dict(line.split(b":", 1) for line in self._buffer[: end - 4].lower().split(b"\r\n")[1:])
            whole = end + int(fields.get(b"content-length", 0))
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end:whole], self._buffer[whole:]
            self._transport.write(answer(body))


def answer(body: bytes) -> bytes:
    """An answer that repeats the last turn, under an id that is its own; nothing is here for those who send none."""
    if not body:
        return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
    asked = json.loads(body)
    said = asked["messages"][-1]["content"]
    tokens = {"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60}
    choice = {"index": 0, "message": {"role": "assistant", "content": f"you said {said}"}, "finish_reason": "stop"}
    whole = {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": asked["model"],
        "choices": [choice],
        "usage": tokens,
    }
    out = json.dumps(whole).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(out), out)


async def main() -> None:
    """Listen on a free port of this machine."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
