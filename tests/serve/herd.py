"""Many clients at once: ``herd.py PORT N`` connects N times, asks on each connection, prints what came as JSON.

``{"statuses": {STATUS: how many}, "again": how many refusals said when to come again, "ids": ids of answers}``; status
"lost" is a connection that ended without a whole answer, "reset" one that was reset before a byte of it came. All
connections are open at once, as far as they are let in.
"""

import json
import resource
import selectors
import socket
import sys
from collections import Counter

BODY = b'{"model": "desk", "messages": [{"role": "user", "content": "one of many"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"


def answer(data: bytes, error: OSError | None) -> tuple[str, bool, str | None]:
    """(status, whether it said when to come again, id of the answer)."""
    if not data and isinstance(error, ConnectionResetError):
        return "reset", False, None
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 ") or not body:
        return "lost", False, None
    return head[9:12].decode(), b"\r\nretry-after: 1" in head.lower(), json.loads(body).get("id")


def herd(port: int, number: int) -> list[tuple[bytes, OSError | None]]:
    """What came on each connection, and how it ended."""
    waiting, came, failed, over = selectors.DefaultSelector(), {}, {}, []
    for _ in range(number):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        waiting.register(sock, selectors.EVENT_WRITE)
        came[sock] = b""
    while came:
        for key, events in waiting.select():
            sock = key.fileobj
            if events & selectors.EVENT_WRITE:
                try:
                    sock.sendall(HEAD % len(BODY) + BODY)
                except OSError as error:  # refused already; the reason is there to be read
                    failed[sock] = error
                waiting.modify(sock, selectors.EVENT_READ)
                continue
            try:
                part = sock.recv(65536)
            except OSError as error:
                part, failed[sock] = b"", error
            came[sock] += part
            if not part:
                waiting.unregister(sock)
                sock.close()
                over.append((came.pop(sock), failed.get(sock)))
    return over


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    answers = [answer(*ended) for ended in herd(int(sys.argv[1]), int(sys.argv[2]))]
    said = {
        "statuses": Counter(status for status, _, _ in answers),
        "again": sum(again for _, again, _ in answers),
        "ids": [name for _, _, name in answers if name],
    }
    print(json.dumps(said))
