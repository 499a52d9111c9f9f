"""Who may ask the gateway what: with and without a token, from a browser, over the network."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve.outside import chat
from serve.shelf import paper_adapter, paper_base, shelve
from whence import feedback
from whence.models import ScriptedModel
from whence.records import Trace
from whence.serve import Gateway, Settings
from whence.serve.backends import http as door
from whence.store import Store

TOKEN = "tok-5d41402abc4b2a76b9719d911017c592"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATHS = {"/healthz", "/metrics", "/v1/models", "/v1/feedback", "/v1/chat/completions"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.open(tmp_path / ".whence", create=True, actor="tester@example.org")
    shelve(made, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    return made


@pytest.fixture
def served(store: Store) -> Iterator[httpx.Client]:
    model = ScriptedModel(lambda r: "you said " + r.messages[-1]["content"])
    gateway = Gateway(store, ["desk"], Settings(port=0), model_factory=lambda b, a: model, feedback=feedback.send)
    with gateway as url, httpx.Client(base_url=url, timeout=30) as http:
        yield http


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> httpx.Client:
    monkeypatch.setenv("WHENCE_TOKEN", TOKEN)
    return request.getfixturevalue("served")


def test_these_are_all_doors(store: Store) -> None:
    """A path that is added must be thought of here."""
    assert door.doors(None, None, lambda: (b"", "")).keys() == PATHS  # type: ignore[arg-type]


WRONG = (
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": TOKEN},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
    {"Authorization": f"Bearer {TOKEN.upper()}"},
    {"Authorization": f"Bearer {TOKEN} {TOKEN}"},
    {"Authorization": b"Bearer \xff\xfe"},
    {"Cookie": f"Authorization=Bearer {TOKEN}"},
    {"X-Api-Key": TOKEN},
)


@pytest.mark.parametrize("headers", WRONG)
def test_without_the_token_there_is_nothing_but_health(guarded: httpx.Client, store: Store, headers: dict) -> None:
    for path in PATHS - {"/healthz"}:
        method = "GET" if path in ("/metrics", "/v1/models") else "POST"
        refused = guarded.request(method, path, params={"token": TOKEN}, json=chat(), headers=headers)
        assert refused.status_code == 401, path
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "desk" not in refused.text
    assert guarded.get("/healthz", headers=headers).json() == {"status": "ok"}
    assert store.all(Trace) == []


def test_with_the_token_all_doors_open(guarded: httpx.Client) -> None:
    answer = guarded.post("/v1/chat/completions", json=chat(), headers=BEARER)
    assert answer.status_code == 200
    body = {"trace": answer.json()["id"], "intent": "flag"}
    assert guarded.post("/v1/feedback", json=body, headers=BEARER).status_code == 201
    assert guarded.get("/v1/models", headers=BEARER).status_code == 200
    assert guarded.get("/metrics", headers={"Authorization": f"bearer  {TOKEN}"}).status_code == 200


def test_tokens_are_compared_in_constant_time(guarded: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each decision is `hmac.compare_digest` over the whole of both, also where the scheme is wrong or nothing came."""
    compared, real = [], hmac.compare_digest

    def watched(given: bytes, right: bytes) -> bool:
        compared.append((given, right))
        return real(given, right)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    for sent in (f"Bearer {TOKEN}", "Bearer x", f"Basic {TOKEN}", ""):
        guarded.get("/v1/models", headers={"Authorization": sent})
    right = TOKEN.encode()
    assert compared == [(right, right), (b"x", right), (right, right), (b"", right)]


def test_no_door_gives_back_what_was_said(guarded: httpx.Client) -> None:
    """Whoever holds the token may ask and react; the conversations of others are in the store only."""
    said = guarded.post(
        "/v1/chat/completions", json=chat("my PIN is 471193650127", user="annabella"), headers=BEARER
    ).json()
    inner = [f"/v1/{kind}/{said['id']}" for kind in ("chat/completions", "traces", "feedback")]
    for path in (*PATHS, *inner):
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
            answer = guarded.request(method, path, headers=BEARER)
            assert not re.search(r"471193650127|annabella|" + said["id"], answer.text), (method, path)
    wrong = guarded.post("/v1/feedback", json={"trace": said["id"], "intent": "no"}, headers=BEARER)
    assert "471193650127" not in wrong.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example:8321"},
        {"Origin": "http://["},
        {"Host": "evil.example:8321"},
        {"Host": "127.0.0.1.nip.io"},
        {"Host": ""},
        {"Host": "192.168.0.7:8321"},
    ],
)
def test_a_web_page_cannot_use_a_gateway_without_a_token(served: httpx.Client, store: Store, headers: dict) -> None:
    """A page in a browser on this machine reaches loopback: by a plain POST, or under a name that leads here."""
    for path in PATHS - {"/healthz"}:
        method = "GET" if path in ("/metrics", "/v1/models") else "POST"
        refused = served.request(method, path, headers={"content-type": "text/plain"} | headers, json=chat())
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "foreign_origin"
        assert "access-control-allow-origin" not in refused.headers
    assert store.all(Trace) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8321", "127.8.8.8", "[::1]:8321", "LOCALHOST:1"])
def test_this_machine_s_own_names_pass(served: httpx.Client, host: str) -> None:
    assert served.post("/v1/chat/completions", json=chat(), headers={"Host": host}).status_code == 200
    assert served.get("/v1/models", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


def test_no_answer_lets_a_browser_read_it(guarded: httpx.Client) -> None:
    """No header of ours opens an answer to pages from elsewhere, asked for as browsers ask before they send."""
    ask = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for path in PATHS:
        for method in ("GET", "POST", "OPTIONS"):
            answer = guarded.request(method, path, headers=ask | BEARER, json=chat())
            assert not [name for name in answer.headers if name.startswith("access-control")], path
