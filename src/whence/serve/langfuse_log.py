"""Answers in what Langfuse exports: whole traces, observations, scores; as the API, the pages and the blob storage
spell them (``traceId`` or ``trace_id``). A time without a zone is UTC there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

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
    object_at,
    span_s,
    time_at,
    turn,
    turns,
)

KINDS = ("SPAN", "EVENT", "GENERATION", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL")
ACTORS = {"ANNOTATION": "reviewer", "EVAL": "judge", "API": "program"}
"""Langfuse's source of a score → who gave it."""
OPTIONS = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop")


def claims(record: Record) -> bool:
    """Whether a record is of this kind."""
    inner = record.get("trace")
    return (
        record.get("type") in KINDS
        or "observations" in record
        or (isinstance(inner, dict) and "timestamp" in inner)
        or _is_score(record)
        or (
            {"id", "timestamp"} <= record.keys()
            and bool({"input", "output", "sessionId", "session_id"} & record.keys())
        )
    )


def _is_score(record: Record) -> bool:
    return bool({"dataType", "data_type"} & record.keys()) and bool({"traceId", "trace_id"} & record.keys())


def pieces(record: Record, unpack: Unpack) -> Iterator[Piece]:
    """What one record holds: a trace with its parts, an observation, a score."""
    if _is_score(record):
        yield _score(record)
    elif record.get("type") in KINDS:
        yield _observation(record, record, unpack)
    else:
        trace = object_at(record, "trace") or record
        observations = [o for o in list_at(record, "observations") if not isinstance(o, str)]  # a list names them by id
        generated = [o for o in observations if isinstance(o, dict) and o.get("type") == "GENERATION"]
        if generated or not ("input" in trace and "output" in trace):
            yield from each(observations, lambda part: [_observation(part, trace, unpack)])
        else:
            yield _exchange(trace, trace, "", unpack)
        scores = list_at(record, "scores") or list_at(trace, "scores")
        yield from each(scores, lambda part: [] if isinstance(part, str) else [_score(part)])


def _observation(part: Json, trace: Record, unpack: Unpack) -> Piece:
    if not isinstance(part, dict):
        raise Misfit("shape")
    if part.get("type") != "GENERATION":
        raise Misfit("no_answer")
    return _exchange(part, trace, name_at(part, "traceId", "trace_id") or name_at(trace, "id") or "", unpack)


def _exchange(part: Record, trace: Record, group: str, unpack: Unpack) -> Exchange:
    """One answer; `part` is the observation, or the trace itself where the exchange is the whole of it."""
    name = name_at(part, "id")
    if name is None:
        raise Misfit("no_id")
    if part.get("level") == "ERROR" and part.get("output") is None:
        raise Misfit("failed_request")
    if member(part, "output") is None:
        raise Misfit("no_answer")
    start = needed(time_at(part, "startTime", "start_time", "timestamp", zone=False))
    latency = number_at(part, "latency")
    end = time_at(part, "endTime", "end_time", zone=False)
    usage = _object(part, unpack, "usageDetails", "usage_details") | _object(part, unpack, "usage")
    options = _object(part, unpack, "modelParameters", "model_parameters")
    return Exchange(
        id=f"langfuse-{name}",
        group=f"langfuse-{group}" if group else None,
        at=start,
        duration_s=span_s(start, end) if end or latency is None or latency < 0 else latency,
        model=name_at(part, "model", "providedModelName", "provided_model_name"),
        messages=_conversation(part.get("input"), unpack),
        answer=_answer(part.get("output"), unpack),
        options={option: options[option] for option in OPTIONS if options.get(option) is not None},
        prompt_tokens=count_at(usage, "input", "promptTokens", "inputTokens", "prompt_tokens"),
        completion_tokens=count_at(usage, "output", "completionTokens", "outputTokens", "completion_tokens"),
        finish=finish_of(_object(part, unpack, "metadata").get("finish_reason")),
        user=name_at(part, "userId", "user_id") or name_at(trace, "userId", "user_id"),
        consent=_object(trace, unpack, "metadata").get("consent"),
    )


def _object(part: Record, unpack: Unpack, *names: str) -> Mapping[str, Json]:
    """An object, or the text that spells it; anything else holds nothing that is read."""
    value = member(part, *names)
    value = unpack(value) if isinstance(value, str) else value
    return value if isinstance(value, dict) else {}


def _conversation(value: Json, unpack: Unpack) -> list[Json]:
    value = unpack(value) if isinstance(value, str) else value
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, dict) and "role" in value:
        value = [value]
    if isinstance(value, list) and value and all(isinstance(v, dict) and "role" in v for v in value):
        return turns(value)
    if value is None:
        raise Misfit("no_messages")
    return [{"role": "user", "content": _text(value)}]


def _answer(value: Json, unpack: Unpack) -> dict[str, Json]:
    value = unpack(value) if isinstance(value, str) else value
    if isinstance(value, list) and value and all(isinstance(v, dict) and "role" in v for v in value):
        value = value[-1]
    if isinstance(value, dict) and isinstance(value.get("choices"), list):
        chosen = [c.get("message") for c in value["choices"] if isinstance(c, dict)]
        return answer_of([turn(one, "assistant") for one in chosen or [None]])
    if isinstance(value, dict) and (isinstance(value.get("content"), str) or value.get("tool_calls")):
        return answer_of([turn(value, "assistant")])
    return {"answer": _text(value)}


def _text(value: Json) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        raise Misfit("messages") from None


def _score(score: Json) -> Score:
    if not isinstance(score, dict):
        raise Misfit("shape")
    name, part = name_at(score, "id"), name_at(score, "observationId", "observation_id")
    whole = name_at(score, "traceId", "trace_id")
    if name is None or not (part or whole):
        raise Misfit("score")
    kind, value = member(score, "dataType", "data_type"), number_at(score, "value") if _numeric(score) else None
    said = member(score, "stringValue", "string_value") or (None if _numeric(score) else score.get("value"))
    comment = score.get("comment")
    if not isinstance(comment, str | None) or not isinstance(said, str | None):
        raise Misfit("score")
    thumb = None
    if kind == "BOOLEAN" and value is not None:
        if value not in (0.0, 1.0):
            raise Misfit("score")
        thumb, value = value * 2 - 1, None
    if kind == "CATEGORICAL":
        value = None  # the number of the category; its name is the answer
    words = [f"{name_at(score, 'name') or 'score'}: {said}"] if said and kind != "BOOLEAN" else []
    text = "\n".join(words + ([comment] if comment and comment.strip() else []))
    if thumb is None and value is None and not text:
        raise Misfit("score")
    return Score(
        id=f"langfuse-{name}",
        about=tuple(f"langfuse-{one}" for one in ([part] if part else [whole])),
        actor=ACTORS.get(str(score.get("source")), "program"),
        value=thumb,
        raw=value,
        text=text or None,
        at=time_at(score, "timestamp", zone=False),
    )


def _numeric(score: Record) -> bool:
    return type(score.get("value")) in (int, float)
