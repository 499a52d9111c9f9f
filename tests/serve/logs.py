"""Lines of logs, as OpenAI's users, Langfuse and OpenTelemetry write them."""

from __future__ import annotations

import json
from typing import Any

T0 = 1_790_000_000
"""2026-09-21"""


def pair(number: int, **more: Any) -> dict[str, Any]:
    """A request and its response, as people log them."""
    return {
        "request": {"model": "desk", "messages": [{"role": "user", "content": f"Where is order {number}?"}],
                    "temperature": 0.2, "user": "anna@example.org"},
        "response": {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": T0 + number, "model": "desk",
                     "choices": [{"index": 0, "message": {"role": "assistant", "content": f"On its way, {number}."},
                                  "finish_reason": "stop"}],
                     "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}},
    } | more  # fmt: skip


def span(number: int, **attributes: Any) -> dict[str, Any]:
    """A GenAI span of the current convention."""
    said = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "desk", "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3, "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be kind."}]),
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "Hi."}], "finish_reason": "stop"}]),
    } | attributes  # fmt: skip
    return {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "chat desk", "kind": 3,
            "startTimeUnixNano": str(T0 * 10**9), "endTimeUnixNano": str(T0 * 10**9 + 1_500_000_000),
            "attributes": spelled(said)}  # fmt: skip


def spelled(said: dict[str, Any]) -> list[dict[str, Any]]:
    """OTLP's spelling of attributes."""

    def value(held: Any) -> dict[str, Any]:
        if isinstance(held, list):
            return {"arrayValue": {"values": [value(one) for one in held]}}
        if isinstance(held, dict):
            return {"kvlistValue": {"values": spelled(held)}}
        kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
        return {kinds[type(held)]: str(held) if type(held) is int else held}

    return [{"key": key, "value": value(held)} for key, held in said.items() if held is not None]


def exported(*spans: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def generation(number: int, **more: Any) -> dict[str, Any]:
    """A Langfuse observation as its API spells one."""
    return {
        "id": f"obs{number}", "traceId": f"tr{number}", "type": "GENERATION", "name": "answer", "model": "desk",
        "startTime": "2026-09-21T10:00:00.000Z", "endTime": "2026-09-21T10:00:02.250Z",
        "input": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}],
        "output": {"role": "assistant", "content": "Hi."}, "usage": {"input": 9, "output": 2, "total": 11},
        "modelParameters": {"temperature": 0.5},
    } | more  # fmt: skip


def score(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"s{number}", "traceId": f"tr{number}", "observationId": None, "name": "helpful",
            "source": "API", "dataType": "BOOLEAN", "value": 1, "timestamp": "2026-09-22T08:00:00.000Z",
            "comment": None} | more  # fmt: skip
