"""OpenAI's chat-completion bodies: what a client sends, checked; what it gets back.

Unknown fields are ignored, as OpenAI's clients add them freely. Fields that would change the answer and are not
honoured here are refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from whence.models import Reply, Request
from whence.records import Json, Unmet, encode

NOT_HONOURED: dict[str, tuple[Json, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "response_format": ({"type": "text"},),
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "repetition_penalty": (1, 1.0),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "top_k": (0, -1),
    "min_p": (0, 0.0),
    "min_tokens": (0,),
    "stop_token_ids": ([],),
    "ignore_eos": (False,),
    "echo": (False,),
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": (),
    "guided_grammar": (),
    "structured_outputs": (),
}
"""Field → the values that ask for nothing; null always does."""

PASSED_ON = ("name", "tool_call_id")
"""Members of a turn that go to the chat template beside role, content and tool_calls."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a turn's content."""

    type: Literal["text"]
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    name: str | None = None
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a stream carries besides text."""

    include_usage: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatBody:
    """The body of ``POST /v1/chat/completions``."""

    model: str
    messages: Annotated[list[Turn], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackBody:
    """The body of ``POST /v1/feedback``."""

    trace: str
    """the answer's id"""
    intent: Literal["rating", "correction", "flag", "comment"]
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    text: str | None = None
    actor: str = "user"


_bodies = {kind: TypeAdapter(kind) for kind in (ChatBody, FeedbackBody)}


def parse_chat(raw: bytes) -> ChatBody:
    """A checked body. Raises Unmet with every fault, quoting no content."""
    body: ChatBody
    body, sent = _parse(ChatBody, raw)
    for name, nothing in NOT_HONOURED.items():
        value = sent.get(name)
        if value is not None and not any(value == idle and type(value) is type(idle) for idle in nothing):
            raise Unmet(
                f"the option {name} is not honoured by this server", "a request without it", f"leave out {name}"
            )
    return body


def parse_feedback(raw: bytes) -> FeedbackBody:
    """A checked body. Raises Unmet with every fault."""
    body: FeedbackBody
    body, _ = _parse(FeedbackBody, raw)
    return body


def _parse(kind: Any, raw: bytes) -> tuple[Any, Json]:
    """The body, and all that was sent with it."""
    try:
        body, sent = _bodies[kind].validate_json(raw, strict=True), json.loads(raw)
        json.dumps(sent, ensure_ascii=False).encode()
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(p) for p in e['loc']) or 'body'}: {e['msg']}" for e in error.errors(include_url=False)
        ]
        raise Unmet("the request is not valid: " + "; ".join(faults[:10])) from None
    except (UnicodeEncodeError, RecursionError, ValueError):
        said = "it holds half characters (lone surrogates), a number of thousands of digits, or nests too deep"
        raise Unmet(f"the request is not valid: {said}") from None
    return body, sent


def to_request(body: ChatBody, adapter: str, default_tokens: int) -> Request:
    """What the model is asked. OpenAI's temperature defaults to 1, and so does ours. Raises Unmet for a tool call that
    could not be kept."""
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    messages = [_turn(turn) for turn in body.messages]
    if any(turn.tool_calls for turn in body.messages):
        _keepable(messages)
    return Request(
        messages=messages,
        adapter=adapter,
        max_tokens=body.max_completion_tokens or body.max_tokens or default_tokens,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=body.seed,
        stop=[text for text in stop if text],
    )


def _turn(turn: Turn) -> Json:
    """A turn as chat templates read it: text content, no ``developer``, tool arguments as objects."""
    content = turn.content if isinstance(turn.content, str | None) else "".join(part.text for part in turn.content)
    out: dict[str, Json] = {"role": "system" if turn.role == "developer" else turn.role, "content": content or ""}
    if turn.tool_calls:
        out["tool_calls"] = [_call(call) for call in turn.tool_calls]
    return out | {name: value for name in PASSED_ON if (value := getattr(turn, name)) is not None}


def _call(call: Json) -> Json:
    function = call.get("function")
    try:
        return call | {"function": function | {"arguments": json.loads(function["arguments"])}}
    except (KeyError, TypeError, ValueError, RecursionError):
        return call


def _keepable(messages: Json) -> None:
    try:
        encode(messages)
    except (ValueError, RecursionError) as error:
        raise Unmet(
            f"the request is not valid: a tool call cannot be kept ({type(error).__name__})",
            "numbers that are finite, whole characters, less nesting",
            "send its arguments as the model gave them",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What every part of one answer says about itself."""

    id: str
    """the trace's id"""
    release: str
    """``NAME@N``"""
    fingerprint: str
    """first 16 hex digits of the release's digest"""
    created: int
    """seconds since 1970"""

    def _head(self, kind: str) -> dict[str, Json]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.release,
            "system_fingerprint": self.fingerprint,
        }

    def whole(self, reply: Reply) -> Json:
        """The body of an answer that is not streamed."""
        message = {"role": "assistant", "content": reply.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
        return self._head("chat.completion") | {"choices": [choice], "usage": usage(reply)}

    def chunk(self, delta: Json, finish: str | None = None) -> Json:
        """One part of a streamed answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def usage_chunk(self, reply: Reply) -> Json:
        """The part that counts, last before the end, where it was asked for."""
        return self._head("chat.completion.chunk") | {"choices": [], "usage": usage(reply)}


def usage(reply: Reply) -> Json:
    """Tokens in and out."""
    total = reply.prompt_tokens + reply.completion_tokens
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": total,
    }


def error(message: str, code: str, kind: str = "invalid_request_error", param: str | None = None) -> Json:
    """OpenAI's shape of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def models(names: Sequence[str], created: int) -> Json:
    """The body of ``GET /v1/models``."""
    data = [{"id": name, "object": "model", "created": created, "owned_by": "whence"} for name in names]
    return {"object": "list", "data": data}
