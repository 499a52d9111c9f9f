"""A gateway in a process of its own: ``child.py STORE LEASE_S`` prints its address and serves until it is ended."""

import sys
from pathlib import Path

from whence.models import ScriptedModel
from whence.serve import Settings, serve
from whence.store import Store


def echo(request) -> str:
    return "you said " + str(request.messages[-1]["content"])


if __name__ == "__main__":
    store = Store.open(Path(sys.argv[1]), actor="gateway@example.org")
    serve(
        store,
        ["desk"],
        Settings(port=0, lease_s=float(sys.argv[2])),
        model_factory=lambda base, adapters: ScriptedModel(echo, seconds_per_token=0.001),
        on_ready=lambda url: print(url, flush=True),
    )
    print("ended", flush=True)
