"""Many clients at once: ``herd.py PORT N`` connects N times, asks on each connection, prints what came as JSON.

``{"statuses": {STATUS: how many}, "again": how many refusals said when to come again, "ids": ids of answers}``; status
"lost" is a connection that ended without a whole answer.
"""

import asyncio
import json
import resource
import sys
from collections import Counter

BODY = b'{"model": "desk", "messages": [{"role": "user", "content": "one of many"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"


async def one(port: int, go: asyncio.Event) -> tuple[str, bool, str | None]:
    """(status, whether it said when to come again, id of the answer)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await go.wait()
    try:
        writer.write(HEAD % len(BODY) + BODY)
        data = await reader.read()
    except OSError:
        return "lost", False, None
    finally:
        writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 ") or not body:
        return "lost", False, None
    return head[9:12].decode(), b"\r\nretry-after: 1" in head.lower(), json.loads(body).get("id")


async def main(port: int, number: int) -> None:
    go = asyncio.Event()
    clients = [asyncio.create_task(one(port, go)) for _ in range(number)]
    await asyncio.sleep(0)
    go.set()
    answers = await asyncio.gather(*clients)
    statuses = Counter(status for status, _, _ in answers)
    print(
        json.dumps(
            {
                "statuses": statuses,
                "again": sum(again for _, again, _ in answers),
                "ids": [name for _, _, name in answers if name],
            }
        )
    )


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
