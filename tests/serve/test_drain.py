"""SIGTERM: what was taken in is answered, recorded and ended; a second one ends at once; a port that is taken."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from serve.outside import Outside, chat, posted, read_all, shelf
from serve.shelf import paper_adapter, paper_base, shelve
from whence.models import ScriptedModel
from whence.records import Deployment, Unmet
from whence.serve import Gateway, Settings, state
from whence.store import Store

SLOW = {"SECONDS_PER_TOKEN": "0.02"}


def ask(gateway: Outside, number: int, words: int) -> tuple[socket.socket, bool]:
    """Ask on a connection of its own; every other one wants a stream."""
    sock, stream = gateway.connect(), number % 2 == 0
    body = chat(f"number {number} " + "word " * words, stream=stream, max_tokens=10**6)
    sock.sendall(posted(json.dumps(body).encode()))
    return sock, stream


def until_taken(gateway: Outside, number: int) -> None:
    """Wait until the gateway has this many requests in the model or in the queue."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if gateway.taken() >= number:
            return
        time.sleep(0.02)
    raise AssertionError("the requests did not arrive")


@pytest.mark.fault
def test_what_runs_and_what_waits_is_answered(tmp_path: Path) -> None:
    """60 requests are taken in, more than a batch, half of them streams; then SIGTERM."""
    with Outside(shelf(tmp_path), env=SLOW) as gateway:
        idle = gateway.connect()
        half_said = gateway.connect()
        half_said.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n")
        asked = [ask(gateway, n, words=30) for n in range(60)]
        until_taken(gateway, 60)
        gateway.process.send_signal(signal.SIGTERM)
        answers = [(read_all(sock), stream) for sock, stream in asked]
        assert read_all(idle) == read_all(half_said) == b""
        assert gateway.process.wait(timeout=60) == 0
        assert gateway.process.stdout.read() == "ended\n"
        ids = set()
        for answer, stream in answers:
            assert answer.startswith(b"HTTP/1.1 200")
            assert (b"data: [DONE]" in answer) is stream
            ids.add(answer.split(b'"id":')[1].split(b'"')[1].decode())
        kept = gateway.kept()
        assert kept.keys() == ids
        assert len(ids) == 60
        assert {trace.finish for trace in kept.values()} == {"stop"}
        store = Store.open(gateway.root, actor="tester@example.org")
        assert [state(store, lease) for lease, _ in store.all(Deployment)] == ["ended"]
        said = [line["event"] for line in gateway.lines() if line["event"] not in ("request", "lease")]
        assert said == ["starting", "recovered", "ready", "draining", "ended"]


@pytest.mark.fault
def test_nobody_is_taken_in_any_more(tmp_path: Path) -> None:
    with Outside(shelf(tmp_path), env=SLOW) as gateway:
        running, _ = ask(gateway, 0, words=250)
        until_taken(gateway, 1)
        gateway.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                httpx.get(gateway.url + "/healthz")
            except httpx.TransportError:
                break
        with pytest.raises(ConnectionRefusedError):
            gateway.connect()
        assert gateway.process.poll() is None, "it answers still"
        assert b"[DONE]" in read_all(running)
        assert gateway.process.wait(timeout=60) == 0


@pytest.mark.fault
def test_a_second_sigterm_cuts_the_clients_off_and_keeps_what_they_had(tmp_path: Path) -> None:
    with Outside(shelf(tmp_path), env=SLOW) as gateway:
        asked = [ask(gateway, n, words=100_000)[0] for n in range(40)]
        until_taken(gateway, 40)
        gateway.process.send_signal(signal.SIGTERM)
        while "draining" not in gateway.log.read_text():
            time.sleep(0.02)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=60) == 0
        assert not any(b"[DONE]" in read_all(sock) for sock in asked)
        kept = gateway.kept().values()
        assert len(kept) == 40
        assert {trace.finish for trace in kept} == {"cancelled"}
        assert any(trace.completion_tokens > 0 for trace in kept)
        store = Store.open(gateway.root, actor="tester@example.org")
        assert [state(store, lease) for lease, _ in store.all(Deployment)] == ["ended"]


@pytest.mark.fault
def test_sigterm_while_it_loads_leaves_no_deployment(tmp_path: Path) -> None:
    """The model takes a minute to load; the signal comes in between."""
    root = shelf(tmp_path)
    with Outside(root, env={"SECONDS_TO_LOAD": "60"}, wait=False) as gateway:
        while "starting" not in gateway.log.read_text():
            time.sleep(0.02)
        assert gateway.stop() == 0
        store = Store.open(root, actor="tester@example.org")
        assert store.all(Deployment) == []
        assert [line["event"] for line in gateway.lines()] == ["starting", "ended before it was ready"]


# -- ports -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.open(tmp_path / ".whence", create=True, actor="tester@example.org")
    shelve(made, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    return made


def not_loaded(base: Path, adapters) -> ScriptedModel:
    raise AssertionError("the port was to be looked at first")


def test_a_port_that_is_taken_is_found_before_the_model_is_loaded(store: Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        gateway = Gateway(store, ["desk"], Settings(port=port), model_factory=not_loaded)
        with pytest.raises(Unmet, match=f"127.0.0.1:{port} cannot be listened on"):
            gateway.start()
    assert store.all(Deployment) == []


PROJECT = """
[project]
name = "desk"
owner = "a@example.org"
[[sources]]
name = "rows"
path = "rows.jsonl"
kind = "licensed"
[base]
path = "org/base"
[serving]
alias = "desk"
"""


def test_the_command_line_says_so_and_ends_with_1(store: Store, tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text(PROJECT)
    (tmp_path / "rows.jsonl").write_text("{}\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "whence", "serve", "desk", "--port", port]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert said.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in said.stderr
    assert "do: choose another port" in said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""
    assert store.all(Deployment) == []


def test_a_port_that_is_taken_while_the_model_loads_leaves_no_deployment(store: Store) -> None:
    """Two gateways may both be bound to a port that may be used again at once; the second to listen is refused."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]

        def loading(base: Path, adapters) -> ScriptedModel:
            other.listen()
            return ScriptedModel({})

        before = threading.active_count()
        with pytest.raises(Unmet, match=f"127.0.0.1:{port} cannot be listened on"):
            Gateway(store, ["desk"], Settings(port=port), model_factory=loading).start()
        assert threading.active_count() == before
    assert store.all(Deployment) == []


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(store: Store, port: int) -> None:
    with pytest.raises(Unmet, match="cannot be listened on"):
        Gateway(store, ["desk"], Settings(port=port)).start()


@pytest.mark.fault
def test_the_same_port_again_at_once(tmp_path: Path) -> None:
    """A gateway that had clients until it was killed leaves a port that its successor can take."""
    root = shelf(tmp_path)
    with Outside(root) as gateway:
        client = gateway.connect()
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert client.recv(100)
        gateway.process.kill()
        gateway.process.wait()
        store = Store.open(root, actor="tester@example.org")
        again = Gateway(
            store, ["desk"], Settings(port=gateway.port), model_factory=lambda base, adapters: ScriptedModel({})
        )
        with again as url:
            assert httpx.get(url + "/healthz").status_code == 200
        client.close()
