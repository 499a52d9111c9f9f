"""What operators see, in logs, metrics and spans: every request, and nothing of what was said in it."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.outside import Outside, chat, posted, shelf
from serve.shelf import paper_adapter, paper_base, shelve
from whence import feedback
from whence.models import ScriptedModel
from whence.records import Trace, Unmet
from whence.serve import Gateway, Settings
from whence.serve.backends.spans import export
from whence.store import Store

TOKEN = "tok-5d41402abc4b2a76b9719d911017c592"
SECRETS = ("PIN4711", "anna@example.org", "hdr-9981", "qry-7713", "pth-5502", "mdl-3306", "act-8080", TOKEN)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.open(tmp_path / ".whence", create=True, actor="tester@example.org")
    shelve(made, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    return made


def gateway(store: Store, model=None) -> Gateway:
    model = model or ScriptedModel(lambda r: "you said " + r.messages[-1]["content"])
    return Gateway(store, ["desk"], Settings(port=0), model_factory=lambda b, a: model, feedback=feedback.send)


# -- logs --------------------------------------------------------------------------------------------------------------


def plant(running: Outside) -> dict[str, int]:
    """Send secrets wherever a client can put them; what was answered, by a name for each request."""
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "X-Custom": "hdr-9981",
        "User-Agent": "hdr-9981",
        "tracestate": "a=hdr-9981",
        "baggage": "user=hdr-9981",
        "Cookie": "hdr-9981",
    }
    url, said = running.url, {}
    with httpx.Client(headers=headers, timeout=60) as http:

        def post(name: str, body, path: str = "/v1/chat/completions?key=qry-7713", **options) -> httpx.Response:
            answer = http.post(url + path, json=body, **options)
            said[name] = answer.status_code
            return answer

        whole = post("whole", chat("PIN4711", user="anna@example.org", metadata={"note": "PIN4711"})).json()
        post("stream", chat("PIN4711", stream=True, user="anna@example.org"))
        post("model fails", chat("fail PIN4711"))
        post("model fails in a stream", chat("fail PIN4711", stream=True))
        post("unknown model", chat("PIN4711") | {"model": "mdl-3306"})
        post("bad role", {"model": "desk", "messages": [{"role": "PIN4711", "content": "PIN4711"}]})
        post("bad consent", chat("PIN4711"), headers={"x-whence-consent": "hdr-9981"})
        post("bad token", chat("PIN4711"), headers={"Authorization": "Bearer hdr-9981"})
        post("too large", chat("PIN4711" * (1 << 19)))
        post("no path", {}, path="/pth-5502/PIN4711?q=qry-7713")
        reaction = {"trace": whole["id"], "intent": "correction", "text": "PIN4711", "actor": "user"}
        post("feedback", reaction, path="/v1/feedback?q=qry-7713")
        post("bad feedback", reaction | {"actor": "act-8080 PIN4711"}, path="/v1/feedback")
        post("unknown trace", reaction | {"trace": "PIN4711"}, path="/v1/feedback")
        said["models"] = http.get(url + "/v1/models").status_code
        said["metrics"] = http.get(url + "/metrics").status_code
        said["other method"] = http.request("PIN4711", url + "/healthz").status_code  # llhttp knows no such method
    running.raw(b"PIN4711 is no HTTP\r\n\r\n")
    running.raw(posted(b"PIN4711", "transfer-encoding: chunked"), end=True)
    with running.connect() as sock:
        bearer = f"Bearer {TOKEN}"
        long = json.dumps(chat("PIN4711 " * 30_000, max_tokens=10**6)).encode()
        running.leave(sock, long, f"authorization: {bearer}", headers={"Authorization": bearer})
    return said


def test_secrets_that_are_sent_are_in_no_log(tmp_path: Path) -> None:
    """Prompts, users, headers, query, path, model names, a model's own words as it fails: all planted, none logged."""
    root = shelf(tmp_path)
    with Outside(root, env={"WHENCE_TOKEN": TOKEN}, lease_s=1) as running:
        said = plant(running)
        time.sleep(1)
        assert running.stop() == 0
        output = running.process.stdout.read() + running.log.read_text()
        lines = running.lines()
    assert said == {
        "whole": 200,
        "stream": 200,
        "model fails": 500,
        "model fails in a stream": 500,
        "unknown model": 404,
        "bad role": 400,
        "bad consent": 400,
        "bad token": 401,
        "too large": 413,
        "no path": 404,
        "feedback": 201,
        "bad feedback": 400,
        "unknown trace": 404,
        "models": 200,
        "metrics": 200,
        "other method": 400,
    }
    assert [secret for secret in SECRETS if secret in output] == []
    assert "Traceback" not in output
    events = Counter(line["event"] for line in lines)
    assert events.keys() >= {"starting", "ready", "request", "refused", "failed", "left", "lease", "draining", "ended"}
    assert all({"at", "level", "event"} <= line.keys() for line in lines)
    codes = {(line["event"], line.get("code")) for line in lines}
    refusals = "invalid_api_key", "model_not_found", "request_too_large", "unknown_url", "invalid_request", "no_http"
    assert codes >= {("refused", code) for code in refusals} | {("failed", "server_error"), ("left", "cancelled")}
    kept = Store.open(root, actor="tester@example.org")
    whole = next(line for line in lines if line["event"] == "request" and line["route"] == "chat")
    trace = next(trace for _, trace in kept.all(Trace) if trace.id == whole["trace"])
    assert (whole["release"], whole["prompt_tokens"], whole["completion_tokens"]) == ("desk@1", 1, 3)
    assert (trace.prompt_tokens, trace.completion_tokens) == (1, 3)


def test_what_libraries_log_is_kept_without_its_words(tmp_path: Path) -> None:
    """A failure in a thread, a warning and a record of a library: where it was and of what kind, not what it said."""
    code = """
import logging, threading, warnings
from whence.serve.log import to_stderr
to_stderr()
try:
    raise KeyError("PIN4711")
except KeyError as error:
    logging.getLogger("asyncio").error("a task failed: %r", error, exc_info=True)
    logging.getLogger("another_package").warning("PIN4711 %s", "PIN4711")
    logging.getLogger("another_package").info("PIN4711")
    logging.getLogger("another_package").error("two %s %s", "PIN4711")
def fails(): raise ValueError("PIN4711")
thread = threading.Thread(target=fails, name="worker"); thread.start(); thread.join()
warnings.warn("PIN4711")
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "PIN4711" not in said.stderr + said.stdout
    lines = [json.loads(line) for line in said.stderr.splitlines()]
    assert [(line["event"], line.get("library"), line.get("error")) for line in lines] == [
        ("library", "asyncio", "KeyError"),
        ("library", "another_package", None),
        ("library", "another_package", None),
        ("thread ended", None, "ValueError"),
        ("library", "py.warnings", None),
    ]


# -- metrics -----------------------------------------------------------------------------------------------------------


def samples(url: str, **options) -> dict[tuple, float]:
    """(name, labels as sorted pairs) → value."""
    answer = httpx.get(url + "/metrics", **options)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def requests(found: dict[tuple, float]) -> dict[tuple[str, str, str], float]:
    """(route, release, status) → requests."""
    return {
        (dict(key[1:])["route"], dict(key[1:])["release"], dict(key[1:])["status"]): value
        for key, value in found.items()
        if key[0] == "whence_requests_total"
    }


def test_metrics_say_what_was_asked_and_answered(store: Store) -> None:
    with gateway(store) as url:
        chats = url + "/v1/chat/completions"
        for n in range(7):
            assert httpx.post(chats, json=chat(f"word number {n}", stream=n > 4)).status_code == 200
        for n in range(30):
            assert httpx.post(chats, json=chat() | {"model": f"made-up-{n}"}).status_code == 404
        httpx.post(chats, content=b"{")
        httpx.get(url + "/nowhere/4711")
        httpx.get(url + "/v1/models")
        deadline = time.monotonic() + 30
        while store.count(Trace) < 7 and time.monotonic() < deadline:
            time.sleep(0.05)
        found = samples(url)
        assert requests(found) == {
            ("chat", "desk@1", "200"): 7,
            ("chat", "", "404"): 30,
            ("chat", "", "400"): 1,
            ("other", "", "404"): 1,
            ("models", "", "200"): 1,
        }
        release = ("release", "desk@1")
        assert found["whence_tokens_total", ("direction", "in"), release] == 7 * 3
        assert found["whence_tokens_total", ("direction", "out"), release] == 7 * 5
        assert (
            found["whence_request_seconds_count", release] == found["whence_outside_model_seconds_count", release] == 7
        )
        assert 0 < found["whence_outside_model_seconds_sum", release] <= found["whence_request_seconds_sum", release]
        assert found["whence_batch_requests_sum",] == 7
        assert found["whence_traces_recorded",] == 7
        assert (
            found["whence_traces_pending",]
            == found["whence_requests_waiting",]
            == found["whence_model_failures_total",]
            == 0
        )
        assert 0 <= found["whence_lease_age_seconds",] < 30
        assert not [key for key in found if "made-up" in str(key) or "4711" in str(key)]
        assert requests(samples(url))["metrics", "", "200"] == 1


def test_metrics_of_a_model_that_fails_and_of_those_that_wait(store: Store) -> None:
    free = threading.Event()

    class Stuck(ScriptedModel):
        def generate(self, requests, on_text=None):
            free.wait(60)
            if requests[0].messages[-1]["content"] == "fail":
                raise RuntimeError("no")
            return super().generate(requests, on_text)

    with gateway(store, Stuck(lambda r: "ok")) as url:
        ask = lambda text: httpx.post(url + "/v1/chat/completions", json=chat(text), timeout=60)  # noqa: E731
        threads = [threading.Thread(target=ask, args=("fail" if n == 0 else "go",)) for n in range(6)]
        threads[0].start()
        while samples(url)["whence_batch_requests_sum",] < 1:
            time.sleep(0.02)
        for thread in threads[1:]:
            thread.start()
        while samples(url)["whence_requests_waiting",] < 5:
            time.sleep(0.02)
        free.set()
        for thread in threads:
            thread.join()
        found = samples(url)
    assert found["whence_model_failures_total",] == 1
    assert found["whence_requests_waiting",] == 0
    assert found["whence_batch_requests_count",] == 2
    assert found["whence_batch_requests_sum",] == 6
    assert requests(found)["chat", "desk@1", "500"] == 1
    assert found["whence_request_seconds_count", ("release", "desk@1")] == 5


def test_two_gateways_in_one_process_count_apart(store: Store) -> None:
    with gateway(store) as one, gateway(store) as other:
        httpx.post(one + "/v1/chat/completions", json=chat())
        assert requests(samples(one))["chat", "desk@1", "200"] == 1
        assert ("chat", "desk@1", "200") not in requests(samples(other))


def test_metrics_ask_for_the_token_where_one_is_set(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHENCE_TOKEN", TOKEN)
    with gateway(store) as url:
        assert httpx.get(url + "/metrics").status_code == 401
        assert samples(url, headers={"Authorization": f"Bearer {TOKEN}"})


# -- spans -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memory():
    """Spans of this process, in memory. OpenTelemetry takes one provider a process."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def test_a_span_of_each_chat_by_the_conventions(store: Store, memory) -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
    from opentelemetry.semconv.attributes import error_attributes, server_attributes
    from opentelemetry.trace import SpanKind, StatusCode

    memory.clear()
    with gateway(store, ScriptedModel({"hi": "one two three"})) as url:
        chats = url + "/v1/chat/completions"
        headers = {"traceparent": TRACEPARENT, "tracestate": "vendor=PIN4711"}
        body = chat(temperature=0.5, top_p=0.9, max_tokens=2, seed=7, user="anna@example.org", stream=True)
        httpx.post(chats, json=body, headers=headers)
        answer = httpx.post(chats, json=chat())
        httpx.post(chats, json=chat() | {"model": "PIN4711"})
        httpx.get(url + "/v1/models")
    joined, alone, refused = memory.get_finished_spans()
    assert (joined.name, joined.kind) == ("chat desk", SpanKind.SERVER)
    assert f"{joined.context.trace_id:032x}" == TRACEPARENT.split("-")[1]
    assert f"{joined.parent.span_id:016x}" == TRACEPARENT.split("-")[2]
    assert not joined.context.trace_state
    said = dict(joined.attributes)
    assert said.pop(gen_ai.GEN_AI_RESPONSE_ID).startswith("chatcmpl-")
    assert said.pop("whence.release").startswith("sha256:")
    assert said.pop(server_attributes.SERVER_PORT) == int(url.rpartition(":")[2])
    assert said == {
        gen_ai.GEN_AI_OPERATION_NAME: gen_ai.GenAiOperationNameValues.CHAT.value,
        gen_ai.GEN_AI_PROVIDER_NAME: "whence",
        gen_ai.GEN_AI_REQUEST_MODEL: "desk",
        gen_ai.GEN_AI_REQUEST_STREAM: True,
        gen_ai.GEN_AI_REQUEST_MAX_TOKENS: 2,
        gen_ai.GEN_AI_REQUEST_TEMPERATURE: 0.5,
        gen_ai.GEN_AI_REQUEST_TOP_P: 0.9,
        gen_ai.GEN_AI_REQUEST_SEED: 7,
        gen_ai.GEN_AI_RESPONSE_MODEL: "desk@1",
        gen_ai.GEN_AI_RESPONSE_FINISH_REASONS: ("length",),
        gen_ai.GEN_AI_USAGE_INPUT_TOKENS: 1,
        gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: 2,
        server_attributes.SERVER_ADDRESS: "127.0.0.1",
        "http.response.status_code": 200,
    }
    assert joined.end_time > joined.start_time
    assert alone.parent is None
    assert alone.attributes[gen_ai.GEN_AI_RESPONSE_ID] == answer.json()["id"]
    assert (refused.name, refused.attributes[error_attributes.ERROR_TYPE]) == ("chat", "model_not_found")
    assert refused.status.status_code is StatusCode.UNSET, "the client's fault, not the server's"
    assert "PIN4711" not in "".join(span.to_json() for span in (joined, alone, refused))


def test_a_span_of_a_failure_has_no_words_of_it(store: Store, memory) -> None:
    from opentelemetry.trace import StatusCode

    class Broken:
        def generate(self, requests, on_text=None):
            raise KeyError("PIN4711")

    memory.clear()
    with gateway(store, Broken()) as url:
        assert httpx.post(url + "/v1/chat/completions", json=chat("PIN4711")).status_code == 500
    (span,) = memory.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "server_error"
    assert "PIN4711" not in span.to_json()


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans over OTLP/HTTP."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.received = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_spans_reach_a_collector_that_the_environment_names(tmp_path: Path, collector) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    endpoint = f"http://127.0.0.1:{collector.server_port}"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": "my-desk"}
    with Outside(shelf(tmp_path), env=env) as running:
        for n in range(5):
            body = chat("PIN4711", user="anna@example.org", stream=n == 0)
            assert running.post(body, headers={"traceparent": TRACEPARENT, "baggage": "a=hdr-9981"}).status_code == 200
        assert running.stop() == 0
        kept = running.kept()
    assert {path for path, _ in collector.received} == {"/v1/traces"}
    import gzip

    sent = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for _, body in collector.received]
    spans, services = [], set()
    for body in sent:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            spans += [span for scope in resource.scope_spans for span in scope.spans]
    ids = {a.value.string_value for span in spans for a in span.attributes if a.key == "gen_ai.response.id"}
    assert ids == kept.keys()
    assert len(spans) == 5
    assert {span.trace_id.hex() for span in spans} == {TRACEPARENT.split("-")[1]}
    assert services == {"my-desk"}
    assert not [secret for secret in SECRETS if any(secret.encode() in body for body in sent)]


def test_nothing_is_sent_or_even_loaded_by_default(tmp_path: Path, collector) -> None:
    """The control: the same gateway without the environment, and the switch of OpenTelemetry for off."""
    code = """
import os, sys
from whence.serve.backends.spans import export, spans
export(os.environ)
spans("http://127.0.0.1:1")
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    for more in ({}, endpoint | {"OTEL_SDK_DISABLED": "true"}, endpoint | {"OTEL_TRACES_EXPORTER": "none"}):
        said = subprocess.run(
            [sys.executable, "-c", code], env=clean | more, capture_output=True, text=True, check=True
        )
        assert said.stdout.strip() == "[]"
    with Outside(shelf(tmp_path), env=endpoint | {"OTEL_SDK_DISABLED": "true"}) as running:
        assert running.post(chat()).status_code == 200
        assert running.stop() == 0
    assert collector.received == []


def test_an_exporter_that_is_not_installed_is_named() -> None:
    with pytest.raises(Unmet, match="no exporter of spans is called zipkin"):
        export({"OTEL_TRACES_EXPORTER": "zipkin"})


def test_a_collector_that_is_gone_holds_up_nobody(tmp_path: Path) -> None:
    """Answers come, the gateway ends in order, what could not be sent is said without words."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        with Outside(shelf(tmp_path), env=env) as running:
            assert running.post(chat("PIN4711")).status_code == 200
            assert running.stop() == 0
            assert len(running.kept()) == 1
            assert any(line.get("library", "").startswith("opentelemetry") for line in running.lines())
            assert "PIN4711" not in running.log.read_text()
