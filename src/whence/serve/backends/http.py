"""The HTTP door, built on FastAPI. It parses, asks the gateway, and spells out what comes back; it logs no content."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from whence.models import Reply
from whence.records import BackendFailed, Conflict, NotFound, Unmet, WhenceError
from whence.serve import protocol

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from fastapi.responses import Response

    from whence.serve.desk import Desk, Ticket

BODY_BYTES = 2 << 20
"""The largest body that is read."""
STATUS = {NotFound: 404, Unmet: 400, Conflict: 503, BackendFailed: 500}
CODES = {404: "not_found", 400: "invalid_request", 503: "unavailable", 500: "server_error"}

log = logging.getLogger("whence.serve")

Handler = Callable[["Request"], Awaitable["Response"]]


class TooLarge(Exception):
    """A body over `BODY_BYTES`."""


def build_app(desk: Desk, token: str | None) -> FastAPI:
    """The ASGI application of one gateway; with `token`, each /v1 request must bear it."""
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    app = FastAPI(title="whence", openapi_url=None, docs_url=None, redoc_url=None)

    async def health(_: Request) -> Response:
        fine = desk.alive()
        return JSONResponse({"status": "ok" if fine else "the model's worker has ended"}, 200 if fine else 503)

    async def models(_: Request) -> Response:
        names = await asyncio.to_thread(desk.names)
        return JSONResponse(protocol.models(names, desk.created))

    async def feedback(request: Request) -> Response:
        body = protocol.parse_feedback(await _read(request))
        name = await asyncio.to_thread(desk.react, body)
        return JSONResponse({"object": "feedback", "id": name, "trace": body.trace}, 201)

    async def chat(request: Request) -> Response:
        return await _chat(desk, request)

    app.add_route("/healthz", _guarded(health, None), methods=["GET"])
    app.add_route("/v1/models", _guarded(models, token), methods=["GET"])
    app.add_route("/v1/feedback", _guarded(feedback, token), methods=["POST"])
    app.add_route("/v1/chat/completions", _guarded(chat, token), methods=["POST"])
    app.add_exception_handler(404, _plain_error)
    app.add_exception_handler(405, _plain_error)
    return app


async def _plain_error(_: Request, failure: Any) -> Response:
    from fastapi.responses import JSONResponse

    return JSONResponse(protocol.error("there is no such endpoint", "unknown_url"), failure.status_code)


def _guarded(handler: Handler, token: str | None) -> Handler:
    """A handler behind the token, whose every failure is an answer in OpenAI's shape without a traceback."""
    from fastapi.responses import JSONResponse
    from starlette.requests import ClientDisconnect

    async def guarded(request: Request) -> Response:
        try:
            if token is not None and not _bears(request, token):
                body = protocol.error("the bearer token is missing or wrong", "invalid_api_key", "authentication_error")
                return JSONResponse(body, 401, headers={"WWW-Authenticate": "Bearer"})
            return await handler(request)
        except TooLarge:
            return JSONResponse(protocol.error(f"the body is over {BODY_BYTES} bytes", "request_too_large"), 413)
        except WhenceError as failure:
            return _failed(failure)
        except ClientDisconnect:
            return JSONResponse(protocol.error("the client has gone", "cancelled"), 499)
        except Exception as failure:  # noqa: BLE001  a request's outermost loop; content could be in the message
            log.error("%s failed with %s", request.url.path, type(failure).__name__)
            return JSONResponse(protocol.error("the server failed", "server_error", "server_error"), 500)

    return guarded


def _failed(failure: WhenceError) -> Response:
    from fastapi.responses import JSONResponse

    status = next((status for kind, status in STATUS.items() if isinstance(failure, kind)), 500)
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse(protocol.error(str(failure), CODES[status], kind), status)


def _bears(request: Request, token: str) -> bool:
    said = request.headers.get("authorization", "")
    scheme, _, given = said.partition(" ")
    return hmac.compare_digest(given.strip().encode(), token.encode()) and scheme.lower() == "bearer"


async def _read(request: Request) -> bytes:
    """The body, at most `BODY_BYTES` of it, whatever length was announced."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > BODY_BYTES:
        raise TooLarge
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise TooLarge
    return bytes(body)


async def _chat(desk: Desk, request: Request) -> Response:
    from fastapi.responses import JSONResponse, StreamingResponse

    body = protocol.parse_chat(await _read(request))
    loop = asyncio.get_running_loop()
    arrivals: asyncio.Queue[str | Reply | WhenceError] = asyncio.Queue()

    def arrive(item: str | Reply | WhenceError) -> None:
        loop.call_soon_threadsafe(arrivals.put_nowait, item)

    consent = request.headers.get("x-whence-consent")
    try:
        ticket = await asyncio.to_thread(desk.ask, body, consent, arrive)
    except NotFound as failure:
        return JSONResponse(protocol.error(str(failure), "model_not_found", param="model"), 404)
    headers = {"x-whence-release": ticket.release, "x-whence-trace": ticket.answer.id}
    first = await arrivals.get()
    if isinstance(first, WhenceError):
        return _failed(first)
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return StreamingResponse(
            _events(ticket, first, arrivals, usage), media_type="text/event-stream", headers=headers
        )
    while isinstance(first, str):
        first = await arrivals.get()
    if isinstance(first, WhenceError):
        return _failed(first)
    return JSONResponse(ticket.answer.whole(first), headers=headers)


async def _events(
    ticket: Ticket, item: str | Reply | WhenceError, arrivals: asyncio.Queue[Any], with_usage: bool
) -> AsyncIterator[str]:
    """Server-sent events: role, text as it comes, why it ended, counts where asked for, ``[DONE]``."""
    answer = ticket.answer
    try:
        yield _event(answer.chunk({"role": "assistant", "content": ""}))
        while isinstance(item, str):
            yield _event(answer.chunk({"content": item}))
            item = await arrivals.get()
        if isinstance(item, WhenceError):
            yield _event(protocol.error(str(item), "server_error", "server_error"))
            return
        yield _event(answer.chunk({}, item.finish))
        if with_usage:
            yield _event(answer.usage_chunk(item))
        yield "data: [DONE]\n\n"
    finally:
        ticket.cancel()


def _event(value: Any) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
