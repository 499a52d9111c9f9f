"""The door to hosted models against a real HTTP server: what it sends, what it makes of servers that fail or lie."""

from __future__ import annotations

import json
import socket

import pytest

from models.hosted import completion, server
from whence.models import Guess, Reply, Request, Scored
from whence.models.backends import openai_http
from whence.models.backends.openai_http import OpenAIModel
from whence.records import BackendFailed, Unmet

ASKED = Request(messages=[{"role": "user", "content": "Is a whale a fish?"}], max_tokens=8)
NO = [{"No": -0.1, "Yes": -2.5}, {".": -0.01, "!": -5.0}]


def test_what_goes_out_and_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", "sk-123")
    with server(lambda *_: completion("No.", NO)) as seen:
        model = OpenAIModel(seen.url + "/", "tiny", "DESK_KEY")
        assert model.generate([ASKED]) == [Reply(text="No.", prompt_tokens=3, completion_tokens=2, finish="stop")]
        steps = tuple(tuple(Guess(text=t, logprob=v) for t, v in step.items()) for step in NO)
        assert model.logprobs([ASKED, ASKED], 5) == [Scored(text="No.", steps=steps)] * 2
    assert [h["path"] for h in seen.headers] == ["/v1/chat/completions"] * 3
    assert {h["Authorization"] for h in seen.headers} == {"Bearer sk-123"}
    plain = {"model": "tiny", "messages": ASKED.messages, "max_tokens": 8, "temperature": 0.0, "top_p": 1.0}
    assert seen.bodies == [plain, *[plain | {"logprobs": True, "top_logprobs": 5}] * 2]


def test_without_a_key_none_is_sent() -> None:
    with server(lambda *_: completion("No.")) as seen:
        OpenAIModel(seen.url, "tiny").generate([ASKED])
    assert "Authorization" not in seen.headers[0]


def test_a_server_that_tells_no_logprobs_is_compared_by_text() -> None:
    with server(lambda *_: completion("No.")) as seen:
        assert OpenAIModel(seen.url, "tiny").logprobs([ASKED], 5) == [Scored(text="No.", steps=())]


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_logprobs_is_asked_without_from_then_on(status: int) -> None:
    with server(lambda body, _: (status, b"no logprobs") if "logprobs" in body else completion("No.")) as seen:
        assert OpenAIModel(seen.url, "tiny").logprobs([ASKED, ASKED], 5) == [Scored(text="No.", steps=())] * 2
    assert ["logprobs" in body for body in seen.bodies] == [True, False, False]


@pytest.mark.fault
def test_a_wrong_key_is_told_once_and_not_repeated_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", "sk-secret")
    said = json.dumps({"error": {"message": "Incorrect API key provided: sk-secret."}}).encode()
    with (
        server(lambda *_: (401, said)) as seen,
        pytest.raises(BackendFailed, match="answered 401: Incorrect") as failed,
    ):
        OpenAIModel(seen.url, "tiny", "DESK_KEY").logprobs([ASKED], 5)
    assert len(seen.bodies) == 1
    assert "sk-secret" not in str(failed.value)


@pytest.mark.fault
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with server(lambda _, n: (status, b"busy") if n < 2 else completion("No.")) as seen:
        assert OpenAIModel(seen.url, "tiny").generate([ASKED])[0].text == "No."
    assert len(seen.bodies) == 3


@pytest.mark.fault
def test_what_does_not_pass_is_told_after_three_tries() -> None:
    with server(lambda *_: (500, b"<html>out of\nmemory</html>")) as seen, pytest.raises(BackendFailed) as failed:
        OpenAIModel(seen.url, "tiny").generate([ASKED])
    assert str(failed.value) == "127.0.0.1 answered 500: <html>out of memory</html>"
    assert len(seen.bodies) == 3


@pytest.mark.fault
def test_a_redirect_is_not_followed() -> None:
    with server(lambda *_: (307, b"")) as seen, pytest.raises(BackendFailed, match="answered 307: nothing"):
        OpenAIModel(seen.url, "tiny").generate([ASKED])
    assert len(seen.bodies) == 1


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + completion("No.")[1]
CUT_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"


@pytest.mark.fault
@pytest.mark.parametrize("cut", [None, CUT, CUT_CHUNK, b"220 mail ready\r\n"])
def test_an_answer_that_is_cut_off_is_no_answer(cut: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where what came so far reads as one."""
    monkeypatch.setattr(openai_http.time, "sleep", lambda _: None)
    with server(lambda *_: cut) as seen, pytest.raises(BackendFailed, match=r"127\.0\.0\.1 cannot be asked"):
        OpenAIModel(seen.url, "tiny").generate([ASKED])
    assert len(seen.bodies) == 3
    with server(lambda _, n: cut if n == 0 else completion("No.")) as seen:
        assert OpenAIModel(seen.url, "tiny").generate([ASKED])[0].text == "No."


@pytest.mark.fault
def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_http.time, "sleep", lambda _: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        with pytest.raises(BackendFailed, match="check the address and the network"):
            OpenAIModel(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny").generate([ASKED])


def lying(**choice: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": "No."}} | choice]}).encode()


LIES = {
    "nothing": b"",
    "no JSON": b"No.",
    "JSON, cut": b'{"choices": [',
    "not UTF-8": b'{"choices": "\xff"}',
    "too deep": b"[" * 100_000,
    "a list": b"[1]",
    "a number": b"4",
    "null": b"null",
    "no choices": b'{"choices": []}',
    "choices as text": b'{"choices": "No."}',
    "no message": b'{"choices": [{}]}',
    "content as parts": lying(message={"content": [{"text": "No."}]}),
    "content as a number": lying(message={"content": 4}),
    "logprobs as text": lying(logprobs="none"),
    "logprobs as a number": lying(logprobs={"content": 4}),
    "tokens as numbers": lying(logprobs={"content": [4]}),
    "no value": lying(logprobs={"content": [{"token": "No"}]}),
    "a value that is none": lying(logprobs={"content": [{"token": "No", "logprob": "likely"}]}),
    "a null value": lying(logprobs={"content": [{"token": "No", "logprob": None}]}),
    "more than certain": lying(logprobs={"content": [{"token": "No", "logprob": 0.5}]}),
}


@pytest.mark.fault
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lying_body_is_a_failure_of_the_server_and_not_an_answer(lie: bytes) -> None:
    with server(lambda *_: (200, lie)) as seen, pytest.raises(BackendFailed, match="no chat completion"):
        OpenAIModel(seen.url, "tiny").logprobs([ASKED], 5)


@pytest.mark.fault
@pytest.mark.parametrize("usage", [b"4", b'"much"', b'{"prompt_tokens": "many"}', b'{"prompt_tokens": [1]}'])
def test_a_lie_about_usage_too(usage: bytes) -> None:
    body = lying()[:-1] + b', "usage": ' + usage + b"}"
    with server(lambda *_: (200, body)) as seen, pytest.raises(BackendFailed, match="no chat completion"):
        OpenAIModel(seen.url, "tiny").generate([ASKED])


def test_probabilities_that_are_no_numbers_count_as_not_told() -> None:
    body = lying(logprobs={"content": [{"token": "No", "logprob": float("nan")}]})
    with server(lambda *_: (200, body)) as seen:
        assert OpenAIModel(seen.url, "tiny").logprobs([ASKED], 5)[0].steps == ()


@pytest.mark.fault
def test_a_body_without_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_http, "MOST_BYTES", 1 << 20)
    with server(lambda *_: completion("x" * (2 << 20))) as seen, pytest.raises(BackendFailed, match="more than 1 MiB"):
        OpenAIModel(seen.url, "tiny").generate([ASKED])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.org/v1",
        "ftp://example.org/v1",
        "https://",
        "https://ann:secret@example.org/v1",
        "https://example.org/v1?key=secret",
        "https://example.org/v1#secret",
        "https://example.org:port/v1",
        "https://example.org:99999/v1",
        "https://[::1/v1",
        "https://example.org/v1\r\nX: secret",
    ],
)
def test_an_address_that_cannot_be_asked_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Unmet, match="the address of the hosted model") as refused:
        OpenAIModel(url, "tiny")
    assert "secret" not in str(refused.value)


def test_a_key_that_is_not_there_or_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESK_KEY", raising=False)
    with pytest.raises(Unmet, match="holds no DESK_KEY"):
        OpenAIModel("https://example.org/v1", "tiny", "DESK_KEY")
    monkeypatch.setenv("DESK_KEY", "sk-123\n")
    with pytest.raises(Unmet, match="DESK_KEY holds characters"):
        OpenAIModel("https://example.org/v1", "tiny", "DESK_KEY")


def test_a_key_goes_nowhere_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_KEY", "sk-123")
    with pytest.raises(Unmet, match=r"example\.org unencrypted"):
        OpenAIModel("http://example.org/v1", "tiny", "DESK_KEY")
    OpenAIModel("http://localhost:8000/v1", "tiny", "DESK_KEY")
