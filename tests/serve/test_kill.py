"""Kill -9 at random points: an answer that a client has whole is in the record."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from serve.shelf import paper_adapter, paper_base, shelve
from whence.records import Trace
from whence.serve import state
from whence.store import Store, verify

LEASE_S = 2.0
ROUNDS = 6


def start(root: Path) -> tuple[subprocess.Popen, str]:
    """The child and its address."""
    command = [sys.executable, str(Path(__file__).with_name("child.py")), str(root), str(LEASE_S)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = child.stdout.readline().strip()
    assert url.startswith("http"), "the gateway did not start"
    return child, url


class Client(threading.Thread):
    """Asks until the server is gone; keeps what it received whole."""

    def __init__(self, url: str, name: str, streamed: bool) -> None:
        super().__init__()
        self.url, self.name_, self.streamed = url + "/v1/chat/completions", name, streamed
        self.whole: dict[str, str] = {}

    def run(self) -> None:
        with httpx.Client(timeout=10) as http:
            for number in range(100_000):
                body = {"model": "desk", "messages": [{"role": "user", "content": f"{self.name_} {number} is here"}]}
                try:
                    if self.streamed:
                        self.stream(http, body | {"stream": True})
                    else:
                        answer = http.post(self.url, json=body).json()
                        self.whole[answer["id"]] = answer["choices"][0]["message"]["content"]
                except httpx.HTTPError:
                    return

    def stream(self, http: httpx.Client, body: dict) -> None:
        text, name = "", ""
        with http.stream("POST", self.url, json=body) as response:
            for line in response.iter_lines():
                if line == "data: [DONE]":
                    self.whole[name] = text
                elif line:
                    part = json.loads(line.removeprefix("data: "))
                    name = part["id"]
                    text += part["choices"][0]["delta"].get("content") or ""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store.open(tmp_path / ".whence", create=True, actor="tester@example.org")
    shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    return store.root


@pytest.mark.fault
def test_every_answer_that_was_received_is_in_the_record(root: Path) -> None:
    chance = random.Random(20261121)
    received: dict[str, str] = {}
    recovered = 0
    for _ in range(ROUNDS):
        child, url = start(root)
        clients = [Client(url, f"client{n}", streamed=n % 2 == 0) for n in range(4)]
        for client in clients:
            client.start()
        time.sleep(chance.uniform(0.05, 1.6))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        for client in clients:
            client.join()
            received |= client.whole
        store = Store.open(root, actor="tester@example.org")
        recovered += store.recover_traces()
        traces = {trace.id: trace for _, trace in store.all(Trace)}
        assert received.keys() <= traces.keys()
        assert verify(store) == []
    assert len(received) > 20
    assert recovered > 0, "no kill fell between journal and catalogue, so this run shows nothing"
    for name, text in received.items():
        assert store.words(traces[name].content)["answer"] == text
    assert store.recover_traces() == 0


@pytest.mark.fault
def test_a_killed_gateway_s_lease_becomes_unknown_and_a_stopped_one_s_ended(root: Path) -> None:
    store = Store.open(root, actor="tester@example.org")
    child, _ = start(root)
    (killed,) = (event.about for event in store.events("deployment.started"))
    time.sleep(1.5 * LEASE_S)
    until = time.monotonic() + 60
    while state(store, killed) != "live" and time.monotonic() < until:  # one that was only slow comes back
        time.sleep(0.05)
    assert state(store, killed) == "live", "it should have given signs of life"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(LEASE_S + 0.2)
    assert state(store, killed) == "unknown"

    child, url = start(root)
    assert httpx.get(url + "/healthz").json() == {"status": "ok"}
    stopped = store.events("deployment.started")[-1].about
    client = Client(url, "last", streamed=True)
    client.start()
    time.sleep(0.4)
    child.send_signal(signal.SIGTERM)
    client.join()
    assert child.wait(timeout=60) == 0
    assert child.stdout.read() == "ended\n"
    assert state(store, stopped) == "ended"
    assert state(store, killed) == "unknown"
    assert client.whole.keys() <= {trace.id for _, trace in store.all(Trace)}
    assert store.recover_traces() == 0, "a clean stop leaves nothing to recover"
    assert verify(store) == []
