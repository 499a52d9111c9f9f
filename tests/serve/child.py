"""A gateway in a process of its own: ``child.py STORE LEASE_S`` prints its address and serves until it is ended.

It logs and sends spans as ``whence serve`` does. The model repeats what it is told; told ``fail …`` it fails with those
words. From the environment: SECONDS_PER_TOKEN and SECONDS_TO_LOAD make it slower, PATIENCE_S is how long the door waits
for a client.
"""

import os
import sys
import time
from pathlib import Path

from whence import feedback
from whence.models import ScriptedModel
from whence.serve import Gateway, Settings
from whence.serve.backends import door, http
from whence.serve.backends.spans import export
from whence.serve.log import to_stderr
from whence.store import Store


def echo(request) -> str:
    said = str(request.messages[-1]["content"])
    if said.startswith("fail "):
        raise KeyError(said)
    return "you said " + said


if __name__ == "__main__":
    to_stderr()
    export(os.environ)
    store = Store.open(Path(sys.argv[1]), actor="gateway@example.org")
    if "PATIENCE_S" in os.environ:
        door.HEAD_S = door.STALLED_S = http.BODY_S = float(os.environ["PATIENCE_S"])
    slow = float(os.environ.get("SECONDS_PER_TOKEN", "0.001"))

    def loaded(base, adapters):
        time.sleep(float(os.environ.get("SECONDS_TO_LOAD", "0")))
        return ScriptedModel(echo, seconds_per_token=slow)

    settings = Settings(port=0, lease_s=float(sys.argv[2]))
    gateway = Gateway(store, ["desk"], settings, model_factory=loaded, feedback=feedback.send)
    gateway.run(lambda url: print(url, flush=True))
    print("ended", flush=True)
