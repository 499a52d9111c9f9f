"""A gateway with a scripted model, four clients that keep what they received whole, and its death."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench.faults.process import Running, apart, start

LEASE_S = 0.6
CLIENTS = 4


def serve() -> int:
    """The gateway's process."""
    from whence import feedback
    from whence.models import ScriptedModel
    from whence.serve import Gateway, Settings
    from whence.store import Store

    model = ScriptedModel(lambda request: "you said " + str(request.messages[-1]["content"]), seconds_per_token=0.001)
    Gateway(
        Store.open(Path(".whence"), Path("whence.key"), actor="gateway@example.org"),
        settings=Settings(port=0, lease_s=LEASE_S),
        model_factory=lambda base, adapters: model,
        feedback=feedback.send,
    ).run(lambda url: print(url, flush=True))
    return 0


def killed(folder: Path, seconds: float, work: Path) -> tuple[int, dict[str, str], set[str]]:
    """Serve, ask from four clients, kill after `seconds`. (exit code, answers by id, reactions that were taken)."""
    running = start(folder, serve, work / "serve.out")
    url = address(running)
    asking = start(folder, partial(_ask, url, work / "received.json"), work / "ask.out")
    time.sleep(seconds)
    code = running.kill()
    assert asking.wait() == 0, asking.said()
    told = json.loads((work / "received.json").read_text())
    return code, told["answers"], set(told["reactions"])


def address(running: Running) -> str:
    """Where it listens, when it does."""
    for _ in range(1200):
        lines = [line for line in (running.said()).splitlines() if line.startswith("http")]
        if lines:
            return lines[0]
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not start: {running.said()}")


def _ask(url: str, out: Path) -> int:
    """Ask from several threads until the server is gone; a streamed answer counts when its end came."""
    answers: dict[str, str] = {}
    reactions: list[str] = []
    clients = [threading.Thread(target=_client, args=(url, n, answers, reactions)) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    out.write_text(json.dumps({"answers": answers, "reactions": reactions}))
    return 0


def _client(url: str, number: int, answers: dict[str, str], reactions: list[str]) -> None:
    import httpx

    with httpx.Client(timeout=10) as http:
        for turn in range(100_000):
            body: dict[str, Any] = {
                "model": "support",
                "messages": [{"role": "user", "content": f"client {number} asks {turn}"}],
            }
            try:
                name, text = _streamed(http, url, body) if number % 2 else _whole(http, url, body)
                if not name:
                    return
                answers[name] = text
                if turn % 3 == 0:
                    said = {"trace": name, "actor": "user", "intent": "rating", "value": 1.0}
                    taken = http.post(f"{url}/v1/feedback", json=said)
                    if taken.status_code < 300:
                        reactions.append(taken.json()["feedback"])
            except httpx.HTTPError:
                return


def _whole(http: Any, url: str, body: dict[str, Any]) -> tuple[str, str]:
    answer = http.post(f"{url}/v1/chat/completions", json=body).json()
    return answer["id"], answer["choices"][0]["message"]["content"]


def _streamed(http: Any, url: str, body: dict[str, Any]) -> tuple[str, str]:
    name, text = "", ""
    with http.stream("POST", f"{url}/v1/chat/completions", json=body | {"stream": True}) as response:
        for line in response.iter_lines():
            if line == "data: [DONE]":
                return name, text
            if line:
                part = json.loads(line.removeprefix("data: "))
                name = part["id"]
                text += part["choices"][0]["delta"].get("content") or ""
    return "", ""


def ask_for(url: str, seconds: float, out: Path) -> int:
    """Ask for some seconds; every answer and every error is kept."""
    import httpx

    answers, errors, began = {}, [], time.monotonic()
    with httpx.Client(timeout=10) as http:
        while time.monotonic() - began < seconds:
            body = {"model": "support", "messages": [{"role": "user", "content": f"at {time.monotonic()}"}]}
            said = http.post(f"{url}/v1/chat/completions", json=body)
            if said.status_code == 200:
                answers[said.json()["id"]] = said.json()["choices"][0]["message"]["content"]
            else:
                errors.append(f"{said.status_code} {said.text[:200]}")
    out.write_text(json.dumps([errors, answers]))
    return 0


def told(out: Path) -> tuple[list[str], dict[str, str]]:
    """What `ask_for` kept."""
    errors, answers = json.loads(out.read_text())
    return errors, answers


def went_silent(folder: Path) -> int:
    """Deployments that are still held to be live when the lease of a killed gateway has run out."""
    time.sleep(LEASE_S + 0.1)

    def count() -> int:
        from bench.faults.compare import opened
        from whence.records import Deployment
        from whence.serve import state

        store = opened(folder)
        return sum(state(store, name) != "unknown" for name, _ in store.all(Deployment))

    return apart(count)


def recovered(folder: Path, received: dict[str, str], reacted: set[str]) -> tuple[int, int, int]:
    """(acknowledged and gone, in the record with other words, traces twice), when the next gateway has recovered."""

    def check() -> tuple[int, int, int]:
        from bench.faults.compare import opened
        from whence.records import Feedback, Trace

        store = opened(folder)
        store.recover_traces()
        again = store.recover_traces()
        found = [trace for _, trace in store.all(Trace)]
        traces = {trace.id: trace for trace in found}
        kept = {str(ref) for ref, _ in store.all(Feedback)}
        gone = len(received.keys() - traces.keys()) + len(reacted - kept)
        known = received.keys() & traces.keys()
        wrong = sum(store.words(traces[name].content)["answer"] != received[name] for name in known)
        return gone, wrong, again + len(found) - len(traces)

    return apart(check)
