"""Answers in OpenTelemetry's GenAI spans, as OTLP spells them in JSON: messages in attributes of the span (the current
convention), in its events, or numbered in its attributes (the two older ones); and in the log record
``gen_ai.client.inference.operation.details``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from whence.records import Json
from whence.serve.exchange import (
    Exchange,
    Misfit,
    Piece,
    Record,
    Score,
    Unpack,
    answer_of,
    count_at,
    each,
    finish_of,
    list_at,
    member,
    name_at,
    needed,
    number_at,
    span_s,
    time_at,
    turn,
)

INPUT, OUTPUT, SYSTEM = "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"
DETAILS = "gen_ai.client.inference.operation.details"
JUDGED = "gen_ai.evaluation.result"
OPTIONS = ("max_tokens", "temperature", "top_p", "seed", "stop_sequences")
ROLES = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
"""Event of the older convention → whose turn it is."""
_numbered = re.compile(r"gen_ai\.(prompt|completion)\.(\d{1,6})\.(role|content|finish_reason)").fullmatch
NANO = 1e-9


def claims(record: Record) -> bool:
    """Whether a record is of this kind."""
    held = {"resourceSpans", "scopeSpans", "resourceLogs", "scopeLogs"} & record.keys()
    return bool(held) or {"spanId", "startTimeUnixNano"} <= record.keys()


def pieces(record: Record, unpack: Unpack) -> Iterator[Piece]:
    """What one record holds: an export of many spans, the part of one resource, or a span."""
    return each(_spans(record), lambda span: _read(span, unpack))


def _spans(record: Any) -> Iterator[Any]:
    inner = next((n for n in ("resourceSpans", "scopeSpans", "spans", "resourceLogs", "scopeLogs", "logRecords")
                  if isinstance(record, dict) and n in record), None)  # fmt: skip
    if inner is None:
        yield record
    elif not isinstance(record[inner], list):
        yield None
    else:
        for part in record[inner]:
            yield from _spans(part)


def _read(span: Json, unpack: Unpack) -> Iterator[Piece]:
    if not isinstance(span, dict):
        raise Misfit("shape")
    said = _attributes(span)
    events = [(e.get("name"), _attributes(e)) for e in list_at(span, "events") if isinstance(e, dict)]
    for name, more in events:
        if name == DETAILS:
            said = said | more
    if not any(key.startswith("gen_ai.") for key in said):
        raise Misfit("no_answer")
    if member(span, "traceId") is None or member(span, "spanId") is None:
        raise Misfit("no_id")
    group = f"otel-{name_at(span, 'traceId')}-{name_at(span, 'spanId')}"
    exchange = _exchange(span, said, events, group, unpack)
    yield exchange
    judged = [more for name, more in events if name == JUDGED]
    yield from each(enumerate(judged), lambda one: [_judged(one[1], exchange.id or group, one[0])])


def _exchange(span: Record, said: Record, events: list[Any], group: str, unpack: Unpack) -> Exchange:
    conversation, answers, ends = _words(said, events, unpack)
    if not answers:
        failed = isinstance(span.get("status"), dict) and span["status"].get("code") in (2, "STATUS_CODE_ERROR")
        raise Misfit("failed_request" if failed else "no_answer")
    if not conversation:
        raise Misfit("no_messages")
    start = time_at(span, "startTimeUnixNano", "timeUnixNano", unit_s=NANO)
    reasons = said.get("gen_ai.response.finish_reasons")
    ends += reasons if isinstance(reasons, list) else [reasons]
    options = {name: said.get(f"gen_ai.request.{name}") for name in OPTIONS}
    return Exchange(
        id=name_at(said, "gen_ai.response.id") or group,
        group=group,
        at=needed(start),
        duration_s=span_s(start, time_at(span, "endTimeUnixNano", unit_s=NANO)),
        model=name_at(said, "gen_ai.request.model", "gen_ai.response.model"),
        messages=conversation,
        answer=answer_of(answers),
        options={name: value for name, value in options.items() if value is not None},
        prompt_tokens=count_at(said, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        completion_tokens=count_at(said, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        finish=next((end for end in map(finish_of, ends) if end), None),
        user=name_at(said, "enduser.id", "user.id"),
    )


def _words(said: Record, events: list[Any], unpack: Unpack) -> tuple[list[Json], list[Any], list[Json]]:
    """(conversation, answers, why each ended), from the first convention that the span follows."""
    if said.get(OUTPUT) is not None or said.get(INPUT) is not None:
        system = [_from_parts({"role": "system", "parts": p}) for p in [_list(said.get(SYSTEM), unpack)] if p]
        asked, given = _list(said.get(INPUT), unpack), _list(said.get(OUTPUT), unpack)
        ends = [one.get("finish_reason") for one in given if isinstance(one, dict)]
        return system + [_from_parts(one) for one in asked], [_from_parts(one) for one in given], ends
    numbered = _by_number(said)
    if numbered["completion"]:
        ends = [one.get("finish_reason") for one in numbered["completion"]]
        return (
            [turn(t, "user") for t in numbered["prompt"]],
            [turn(t, "assistant") for t in numbered["completion"]],
            ends,
        )
    conversation, answers, ends = [], [], []
    for name, more in events:
        if name in ROLES:
            conversation.append(_event_turn(more, ROLES[name], unpack))
        elif name == "gen_ai.choice":
            answers.append(_event_turn(more, "assistant", unpack))
            ends.append(more.get("finish_reason"))
        elif name == "gen_ai.content.prompt":
            conversation += _content(more.get("gen_ai.prompt"), "user", unpack)
        elif name == "gen_ai.content.completion":
            answers += _content(more.get("gen_ai.completion"), "assistant", unpack)
    return conversation, answers, ends


def _from_parts(one: Json) -> dict[str, Json]:
    """A turn of the current convention: text, calls and results of tools; other parts stay as they are."""
    if not isinstance(one, dict) or not isinstance(one.get("role"), str):
        raise Misfit("messages")
    if "parts" not in one:
        return turn(one)
    texts, calls, others, out = [], [], [], {"role": one["role"], "content": ""}
    for part in list_at(one, "parts"):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind is None:
            raise Misfit("messages")
        if kind == "text" and isinstance(part.get("content"), str):
            texts.append(part["content"])
        elif kind == "tool_call":
            function = {"name": part.get("name"), "arguments": part.get("arguments")}
            calls.append({"id": part.get("id"), "type": "function", "function": function})
        elif kind == "tool_call_response" and isinstance(member(part, "response", "result"), str):
            out["tool_call_id"] = part.get("id")
            texts.append(member(part, "response", "result"))
        else:
            others.append(part)
    out["content"] = "".join(texts)
    return out | ({"tool_calls": calls} if calls else {}) | ({"parts": others} if others else {})


def _by_number(said: Record) -> dict[str, list[dict[str, Json]]]:
    """``gen_ai.prompt.0.role`` and its like, in order."""
    found: dict[str, dict[int, dict[str, Json]]] = {"prompt": {}, "completion": {}}
    for key, value in said.items():
        if match := _numbered(key):
            found[match[1]].setdefault(int(match[2]), {})[match[3]] = value
    return {which: [turns[n] for n in sorted(turns)] for which, turns in found.items()}


def _event_turn(more: Record, role: str, unpack: Unpack) -> dict[str, Json]:
    """A turn of an event: its members are attributes, or one of them spells it as JSON."""
    spelled = member(more, "message", "gen_ai.event.content", "event_body")
    inner = unpack(spelled) if isinstance(spelled, str) else spelled
    if isinstance(inner, dict):
        message = inner.get("message")
        return turn(message if isinstance(message, dict) else inner, role)
    return turn({"content": inner} | dict(more) if isinstance(inner, str) else more, role)


def _content(value: Json, role: str, unpack: Unpack) -> list[dict[str, Json]]:
    value = unpack(value) if isinstance(value, str) else value
    return [turn(v, role) for v in value] if isinstance(value, list) else [turn({"content": value}, role)]


def _list(value: Json, unpack: Unpack) -> list[Json]:
    value = unpack(value) if isinstance(value, str) else value
    if value is None:
        return []
    if not isinstance(value, list):
        raise Misfit("messages")
    return value


def _judged(more: Record, about: str, number: int) -> Score:
    label, why = more.get("gen_ai.evaluation.score.label"), more.get("gen_ai.evaluation.explanation")
    if not isinstance(label, str | None) or not isinstance(why, str | None):
        raise Misfit("score")
    name = name_at(more, "gen_ai.evaluation.name") or "evaluation"
    text = "\n".join([f"{name}: {label}"] * bool(label) + [why] * bool(why))
    raw = number_at(more, "gen_ai.evaluation.score.value")
    if raw is None and not text:
        raise Misfit("score")
    return Score(id=f"{about}:{name}:{number}", about=(about,), actor="judge", raw=raw, text=text or None)


# -- OTLP's spelling of attributes -------------------------------------------------------------------------------------


def _attributes(holder: Record) -> dict[str, Json]:
    return _pairs(list_at(holder, "attributes"))


def _pairs(listed: list[Json]) -> dict[str, Json]:
    found = {}
    for pair in listed:
        if not isinstance(pair, dict) or not isinstance(pair.get("key"), str):
            raise Misfit("attributes")
        found[pair["key"]] = _plain(pair.get("value"))
    return found


def _plain(value: Json) -> Json:
    if not isinstance(value, Mapping) or len(value) > 1:
        raise Misfit("attributes")
    for kind, held in value.items():
        if kind == "intValue":
            if isinstance(held, str) and re.fullmatch(r"-?\d{1,19}", held):
                return int(held)
            if type(held) is not int:
                raise Misfit("attributes")
        if kind in ("arrayValue", "kvlistValue"):
            inner = list_at(held, "values") if isinstance(held, dict) else None
            if inner is None:
                raise Misfit("attributes")
            return [_plain(one) for one in inner] if kind == "arrayValue" else _pairs(inner)
        return held
    return None
