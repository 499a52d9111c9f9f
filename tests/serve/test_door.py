"""The HTTP door with a scripted model: bad requests, limits, tokens, ports, logs, clients that go away."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve.shelf import paper_adapter, paper_base, point, shelve
from whence.lineage import resolve
from whence.models import Model, Reply, ScriptedModel
from whence.records import BackendFailed, Deployment, NotFound, Release, Trace, Unmet
from whence.serve import Gateway, Settings, leases, state
from whence.serve.run import token_for
from whence.store import Store, verify

SECRET = "my PIN is 4711"


@pytest.fixture
def shelf(tmp_path: Path) -> Store:
    store = Store.open(tmp_path / ".whence", create=True, actor="tester@example.org")
    shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    return store


def gateway(store: Store, model: Model, **settings) -> Gateway:
    return Gateway(store, ["desk"], Settings(**{"port": 0} | settings), model_factory=lambda base, adapters: model)


@pytest.fixture
def door(shelf: Store) -> Iterator[httpx.Client]:
    echo = ScriptedModel(lambda r: "you said " + r.messages[-1]["content"])
    with gateway(shelf, echo) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def chat(text: str = "hi", **more) -> dict:
    return {"model": "desk", "messages": [{"role": "user", "content": text}], **more}


def test_a_plain_answer_and_its_trace(door: httpx.Client, shelf: Store) -> None:
    answer = door.post("/v1/chat/completions", json=chat("hello there", an_unknown_field=1, store=True)).json()
    assert answer["choices"][0]["message"]["content"] == "you said hello there"
    deadline = time.monotonic() + 20
    while not shelf.count(Trace) and time.monotonic() < deadline:
        time.sleep(0.05)
    (trace,) = [trace for _, trace in shelf.all(Trace)]
    assert (trace.id, trace.finish, trace.prompt_tokens, trace.completion_tokens) == (answer["id"], "stop", 2, 4)
    assert shelf.words(trace.content)["messages"] == [{"role": "user", "content": "hello there"}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "EOF"),
        (b"[]", "body"),
        (b"", "EOF"),
        (b"\xff\xfe", "not valid"),
        ({"messages": []}, "model: "),
        (chat() | {"messages": []}, "messages: "),
        (chat() | {"messages": [{"role": "wizard", "content": SECRET}]}, "messages.0.role"),
        (
            chat() | {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": SECRET}]}]},
            "messages.0",
        ),
        (chat(temperature=3), "temperature"),
        (chat(temperature="0"), "temperature"),
        (json.dumps(chat(temperature=1)).replace("1}", "NaN}").encode(), "temperature"),
        (chat(max_tokens=0), "max_tokens"),
        (chat(stop=["a"] * 5), "stop"),
        (chat(metadata={"consent": "sell"}), "consent"),
        (b'{"model": "desk", "messages": [{"role": "user", "content": "\\ud800"}]}', "not valid"),
        (chat(n=2), "option n is"),
        (chat(logprobs=True), "logprobs"),
        (chat(response_format={"type": "json_schema", "json_schema": {}}), "response_format"),
        (chat(tools=[{"type": "function", "function": {"name": "f"}}]), "tools"),
        (chat(frequency_penalty=0.5), "frequency_penalty"),
    ],
)
def test_bad_requests_say_what_is_wrong_and_quote_nothing(door: httpx.Client, shelf: Store, body, said: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body)
    response = door.post("/v1/chat/completions", content=content)
    assert response.status_code == 400
    error = response.json()["error"]
    assert said in error["message"]
    assert SECRET not in response.text
    assert "Traceback" not in response.text
    assert error["type"] == "invalid_request_error"


def test_idle_values_of_options_that_are_not_honoured_pass(door: httpx.Client) -> None:
    idle = chat(n=1, logprobs=False, response_format={"type": "text"}, tools=[], frequency_penalty=0, top_logprobs=None)
    assert door.post("/v1/chat/completions", json=idle).status_code == 200


def test_turns_are_put_as_templates_read_them(shelf: Store) -> None:
    seen = []
    model = ScriptedModel(lambda request: seen.append(request) or "ok")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    turns = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "4"},
    ]
    with gateway(shelf, model) as url:
        assert httpx.post(url + "/v1/chat/completions", json={"model": "desk", "messages": turns}).status_code == 200
    assert seen[0].messages == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": "", "tool_calls": [call | {"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "content": "4", "tool_call_id": "c"},
    ]
    assert (seen[0].temperature, seen[0].adapter, seen[0].max_tokens) == (1.0, "desk@1", 256)


def test_bodies_over_the_limit(door: httpx.Client) -> None:
    assert door.post("/v1/chat/completions", json=chat("x" * (2 << 20))).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * (1 << 16)

    with contextlib.suppress(httpx.WriteError):  # the server may hang up while the body is still being sent
        assert door.post("/v1/chat/completions", content=endless()).status_code == 413
    assert door.post("/v1/chat/completions", json=chat("x" * 1_000_000)).status_code == 200


def test_unknown_paths_and_methods(door: httpx.Client) -> None:
    assert door.get("/v1/nothing").json()["error"]["code"] == "unknown_url"
    assert door.get("/v1/chat/completions").status_code == 405
    assert door.post("/v1/feedback", json={"trace": "x", "intent": "flag"}).status_code == 404
    assert door.get("/docs").status_code == 404


class Broken:
    """A model that fails with content in its message."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def generate(self, requests, on_text=None):
        if on_text and requests[0].messages[-1]["content"].startswith("late"):
            on_text(0, "half an ")
        raise self.error


@pytest.mark.parametrize("error", [KeyError(SECRET), BackendFailed("the accelerator is gone")])
def test_a_failing_model_is_said_traced_and_not_logged(shelf: Store, caplog: pytest.LogCaptureFixture, error) -> None:
    caplog.set_level(logging.DEBUG)
    running = gateway(shelf, Broken(error))
    with running as url:
        first = httpx.post(url + "/v1/chat/completions", json=chat(SECRET))
        late = httpx.post(url + "/v1/chat/completions", json=chat("late", stream=True))
        assert httpx.get(url + "/healthz").status_code == 200
    assert first.status_code == 500
    assert first.json()["error"]["type"] == "server_error"
    assert "half an " in late.text
    assert '"error"' in late.text
    assert "[DONE]" not in late.text
    assert SECRET not in first.text + late.text + caplog.text
    assert [trace.finish for _, trace in shelf.all(Trace)] == ["error", "error"]


def test_nothing_of_a_conversation_is_logged(shelf: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with gateway(shelf, ScriptedModel(lambda r: "the answer word")) as url:
        httpx.post(url + "/v1/chat/completions", json=chat(SECRET, user="anna"))
    said = [r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))]
    assert not any(word in line for line in said for word in (SECRET, "answer word", "anna"))


def test_one_that_is_refused_does_not_take_its_neighbours_along(shelf: Store) -> None:
    gate = threading.Event()

    class Picky(ScriptedModel):
        def generate(self, requests, on_text=None):
            gate.wait(5)
            if any(r.messages[-1]["content"] == "too long" for r in requests):
                raise Unmet("the prompt is too long")
            return super().generate(requests, on_text)

    answers: dict[str, int] = {}

    def ask(text: str) -> None:
        answers[text] = httpx.post(url + "/v1/chat/completions", json=chat(text)).status_code

    with gateway(shelf, Picky(lambda r: "ok")) as url:
        threads = [threading.Thread(target=ask, args=(text,)) for text in ("a", "b", "too long", "c")]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        gate.set()
        for thread in threads:
            thread.join()
    assert answers == {"a": 200, "b": 200, "c": 200, "too long": 400}
    assert len(shelf.all(Trace)) == 3


def test_a_client_that_goes_away_stops_its_answer(shelf: Store) -> None:
    model = ScriptedModel(lambda r: "word " * 5000, seconds_per_token=0.005)
    with gateway(shelf, model) as url:
        with httpx.stream("POST", url + "/v1/chat/completions", json=chat(stream=True, max_tokens=5000)) as response:
            next(response.iter_lines())
        assert httpx.post(url + "/v1/chat/completions", json=chat(max_tokens=2), timeout=10).status_code == 200
    traces = [trace for _, trace in shelf.all(Trace)]
    assert sorted(trace.finish for trace in traces) == ["cancelled", "length"]
    assert all(trace.completion_tokens < 1000 for trace in traces)


def test_an_answer_that_cannot_be_recorded_is_not_given(shelf: Store) -> None:
    with gateway(shelf, ScriptedModel(lambda r: "ok")) as url:
        folder = shelf.root / "journal" / "trace"
        folder.parent.mkdir(exist_ok=True)
        folder.write_text("a file where a folder should be")
        response = httpx.post(url + "/v1/chat/completions", json=chat())
        assert response.status_code == 500
        assert "could not be recorded" in response.text
        folder.unlink()
        assert httpx.post(url + "/v1/chat/completions", json=chat()).status_code == 200


def test_the_bearer_token(shelf: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHENCE_TOKEN", "s3cret")
    with gateway(shelf, ScriptedModel(lambda r: "ok")) as url:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
            refused = httpx.post(url + "/v1/chat/completions", json=chat(), headers=headers)
            assert refused.status_code == 401
            assert refused.json()["error"]["code"] == "invalid_api_key"
            assert httpx.get(url + "/v1/models", headers=headers).status_code == 401
        bearer = {"Authorization": "Bearer s3cret"}
        assert httpx.post(url + "/v1/chat/completions", json=chat(), headers=bearer).status_code == 200
        assert httpx.get(url + "/healthz").status_code == 200


def test_other_addresses_need_a_token() -> None:
    assert token_for("127.0.0.1", None) is None
    assert token_for("::1", "") is None
    assert token_for("0.0.0.0", "t") == "t"
    for host in ("0.0.0.0", "10.0.0.1", "example.org", "::"):
        with pytest.raises(Unmet, match="WHENCE_TOKEN"):
            token_for(host, None)


def test_a_model_that_does_not_load_leaves_nothing_running(shelf: Store) -> None:
    def factory(base: Path, adapters) -> Model:
        raise BackendFailed("no memory")

    before = threading.active_count()
    with pytest.raises(BackendFailed):
        Gateway(shelf, ["desk"], Settings(port=0), model_factory=factory).start()
    assert threading.active_count() == before
    assert shelf.all(Deployment) == []


def test_stopping_finishes_what_runs_and_ends_the_leases(shelf: Store) -> None:
    asked = threading.Event()
    model = ScriptedModel(lambda r: asked.set() or "one two three four five six seven eight", seconds_per_token=0.05)
    running = gateway(shelf, model)
    url = running.start()
    said: list[Reply | dict] = []
    client = threading.Thread(target=lambda: said.append(httpx.post(url + "/v1/chat/completions", json=chat()).json()))
    client.start()
    assert asked.wait(20)
    running.stop()
    client.join()
    assert said[0]["choices"][0]["message"]["content"].endswith("eight")
    assert [trace.finish for _, trace in shelf.all(Trace)] == ["stop"]
    assert [state(shelf, d) for d in running.deployments] == ["ended"]
    running.stop()
    assert verify(shelf) == []


def test_names_resolve_to_the_newest_move(shelf: Store) -> None:
    ((first, release),) = shelf.all(Release)
    second = shelf.put(Release(name="desk@2", adapter=release.adapter, verdict=release.verdict))
    assert resolve(shelf, "desk")[0] == first
    point(shelf, "desk", second)
    assert resolve(shelf, "desk") == (second, shelf.get(second, Release))
    assert resolve(shelf, "desk@1")[0] == first
    with pytest.raises(NotFound, match="expected: one of desk, desk@1, desk@2"):
        resolve(shelf, "disk")


def test_serving_is_cheap_to_import() -> None:
    code = "import sys, whence.serve, whence.feedback; print([m for m in sys.modules if m in {heavy}])"
    heavy = {"torch", "transformers", "peft", "starlette", "uvicorn", "huggingface_hub"}
    heavy |= {"prometheus_client", "opentelemetry"}
    said = subprocess.run([sys.executable, "-c", code.format(heavy=heavy)], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_there_must_be_something_to_serve(store: Store) -> None:
    with pytest.raises(Unmet, match="nothing to serve"):
        Gateway(store, [], Settings(port=0)).start()


def test_leases_by_the_clock(store: Store, clock, tmp_path: Path) -> None:
    shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    ((release, _),) = store.all(Release)
    lease = leases.start(store, release, "http://127.0.0.1:1", 60.0)
    started = clock.now
    assert state(store, lease) == "live"
    clock.skip(seconds=50)
    leases.seen(store, [lease])
    clock.skip(seconds=50)
    assert state(store, lease) == "live"
    clock.skip(seconds=20)
    assert state(store, lease) == "unknown"
    leases.seen(store, [lease])
    assert state(store, lease) == "live", "a gateway that was only slow comes back"
    leases.end(store, [lease])
    assert state(store, lease) == "ended"
    assert state(store, lease, as_of=started) == "live"
