"""Answers in lines as people log OpenAI's API: request and response side by side, a completion with its messages, the
files of a batch."""

from __future__ import annotations

from collections.abc import Iterator

from whence.records import Json
from whence.serve.exchange import (
    Asked,
    Exchange,
    Misfit,
    Piece,
    Record,
    Score,
    Unpack,
    answer_of,
    count_at,
    finish_of,
    list_at,
    member,
    name_at,
    needed,
    number_at,
    object_at,
    span_s,
    thumb,
    time_at,
    turn,
    turns,
)

STARTS = ("started_at", "start_time", "timestamp", "time", "created_at")
ENDS = ("ended_at", "end_time", "finished_at")
OPTIONS = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop")


def claims(record: Record) -> bool:
    """Whether a record is of this kind."""
    return bool({"request", "response", "choices", "custom_id", "messages"} & record.keys())


def pieces(record: Record, unpack: Unpack) -> Iterator[Piece]:
    """What one record holds: an answer with its reaction, or a request whose answer is elsewhere."""
    custom, body = name_at(record, "custom_id"), record.get("body")
    if custom and isinstance(body, dict) and "response" not in record:
        yield Asked(name=custom, request=_asked(body))
        return
    response = record if "choices" in record else object_at(record, "response")
    if "body" in response or "status_code" in response or record.get("error"):
        if record.get("error") or response.get("status_code", 200) != 200:
            raise Misfit("failed_request")
        response = object_at(response, "body")
    if response.get("error"):
        raise Misfit("failed_request")
    if not response:
        raise Misfit("shape")
    made = _exchange(record, response, custom)
    yield made
    reaction = record.get("feedback")
    if reaction is not None and made.id:
        yield _reaction(reaction, made.id)


def _asked(request: Record) -> Json:
    return {"messages": turns(request.get("messages"))} | {n: request[n] for n in OPTIONS if request.get(n) is not None}


def _exchange(record: Record, response: Record, custom: str | None) -> Exchange:
    request = object_at(record, "request") or record
    asked = None if "messages" in request else custom
    if asked is None and "messages" not in request:
        raise Misfit("no_messages")
    choices = [choice for choice in list_at(response, "choices") if isinstance(choice, dict)]
    if not choices:
        raise Misfit("no_answer")
    start, usage = time_at(record, *STARTS), object_at(response, "usage")
    said = {} if asked else _asked(request)
    milliseconds = number_at(record, "latency_ms", "duration_ms")
    duration = number_at(record, "duration_s", "latency_s") if milliseconds is None else milliseconds / 1000
    return Exchange(
        id=name_at(response, "id") or name_at(record, "id"),
        asked=asked,
        at=needed(start or time_at(response, "created") or time_at(record, "created")),
        duration_s=span_s(start, time_at(record, *ENDS)) if duration is None else abs(duration),
        model=name_at(response, "model") if request is record else name_at(request, "model"),
        messages=said.pop("messages", []),
        answer=answer_of([_answer(choice) for choice in choices]),
        options=said,
        prompt_tokens=count_at(usage, "prompt_tokens", "input_tokens"),
        completion_tokens=count_at(usage, "completion_tokens", "output_tokens"),
        finish=finish_of(choices[0].get("finish_reason")),
        user=name_at(request, "user", "safety_identifier") or name_at(record, "user", "user_id"),
        consent=object_at(request, "metadata").get("consent"),
    )


def _answer(choice: Record) -> dict[str, Json]:
    if isinstance(choice.get("text"), str):
        return {"role": "assistant", "content": choice["text"]}
    return turn(choice.get("message"), "assistant")


def _reaction(said: Json, about: str) -> Score:
    """``{"rating": "up", "comment": …}``, or a bare thumb."""
    given = said if isinstance(said, dict) else {"rating": said}
    rating, text = member(given, "rating", "thumbs", "value"), member(given, "comment", "text")
    value = thumb(rating)
    if not isinstance(text, str | None) or (rating is not None and value is None and type(rating) not in (int, float)):
        raise Misfit("score")
    raw = number_at(given, "rating", "value") if rating is not None and value is None else None
    if value is None and raw is None and not text:
        raise Misfit("score")
    return Score(id=f"{about}:feedback", about=(about,), actor="user", value=value, raw=raw, text=text)
