"""The HTTP door, built on Starlette. It parses, asks the gateway, spells out what comes back, and logs no content."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from whence.models import Reply
from whence.records import BackendFailed, Conflict, NotFound, Unmet, WhenceError
from whence.serve import protocol
from whence.serve.backends.server import loopback
from whence.serve.desk import Busy, Headers
from whence.serve.log import tell
from whence.serve.watch import CLOSED, Asgi, Call, Scope, Watch

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from whence.serve.desk import Desk, Ticket

BODY_BYTES = 2 << 20
"""The largest body that is read."""
BODY_S = 30.0
"""Seconds in which a body must have come."""
RETRY_S = 1
"""Seconds after which one that found no room may come again."""
STATUS = {NotFound: 404, Unmet: 400, Conflict: 503, BackendFailed: 500}
CODES = {404: "not_found", 400: "invalid_request", 503: "unavailable", 500: "server_error"}

Handler = Callable[["Request"], Awaitable["Response"]]
Door = tuple[str, Handler]
"""A method (GET is HEAD too), and who handles it."""
Arrivals = asyncio.Queue[str | Reply | WhenceError]


class TooLarge(Exception):
    """A body over `BODY_BYTES`."""


class TooSlow(Exception):
    """A body that took longer than `BODY_S`."""


def doors(desk: Desk, token: str | None, exposition: Callable[[], tuple[bytes, str]]) -> dict[str, Door]:
    """All that one gateway answers to; with `token`, each request but that for health must bear it.

    exposition: the metrics' text and its content type.
    """
    from starlette.responses import JSONResponse, Response

    async def health(_: Request) -> Response:
        fine = desk.alive()
        return JSONResponse({"status": "ok" if fine else "the model's worker has ended"}, 200 if fine else 503)

    async def metrics(_: Request) -> Response:
        text, kind = await asyncio.to_thread(exposition)
        return Response(text, headers={"content-type": kind})

    async def models(_: Request) -> Response:
        names = await asyncio.to_thread(desk.names)
        return JSONResponse(protocol.models(names, desk.created))

    async def feedback(request: Request) -> Response:
        body = protocol.parse_feedback(await _read(request))
        name = await asyncio.to_thread(desk.react, body)
        return JSONResponse({"object": "feedback", "id": name, "trace": body.trace}, 201)

    async def chat(request: Request) -> Response:
        return await _chat(desk, request)

    return {
        "/healthz": ("GET", _guarded(health, "health", None)),
        "/metrics": ("GET", _guarded(metrics, "metrics", token)),
        "/v1/models": ("GET", _guarded(models, "models", token)),
        "/v1/feedback": ("POST", _guarded(feedback, "feedback", token)),
        "/v1/chat/completions": ("POST", _guarded(chat, "chat", token)),
    }


def build_app(doors: Mapping[str, Door]) -> Asgi:
    """The ASGI application behind these doors. It runs inside a `Watch`.

    This table stands in place of Starlette's router and layers, whose cost is felt at hundreds of requests a second.
    """
    from starlette.requests import Request

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        method, handler = doors.get(scope["path"], (None, None))
        if handler is not None and scope["method"] in (method, "HEAD" if method == "GET" else None):
            response = await handler(request)
        else:
            status = 404 if handler is None else 405
            response = _refused(scope["call"], status, "there is no such endpoint", "unknown_url")
        await response(scope, receive, send)

    return app


def _guarded(handler: Handler, route: str, token: str | None) -> Handler:
    """A handler behind the token, whose every failure is an answer in OpenAI's shape without a traceback."""
    from starlette.requests import ClientDisconnect

    async def guarded(request: Request) -> Response:
        call: Call = request.scope["call"]
        call.route = route
        try:
            if token is None and route != "health" and _foreign(request):
                return _refused(call, 403, "a web page or another machine asks, and no token is set", "foreign_origin")
            if token is not None and not _bears(request, token):
                return _refused(call, 401, "the bearer token is missing or wrong", "invalid_api_key")
            return await handler(request)
        except TooLarge:
            return _refused(call, 413, f"the body is over {BODY_BYTES} bytes", "request_too_large")
        except TooSlow:
            return _refused(call, 408, f"the body did not come within {BODY_S:g} s", "request_timeout")
        except WhenceError as failure:
            return _failed(call, failure)
        except ClientDisconnect:
            return _refused(call, CLOSED, "the client has gone", "cancelled")
        except Exception as failure:  # noqa: BLE001  a request's outermost loop; content could be in the message
            tell("request failed", logging.ERROR, route=route, error=type(failure).__name__)
            return _refused(call, 500, "the server failed", "server_error")

    return guarded


def _failed(call: Call, failure: WhenceError) -> Response:
    status = next((status for kind, status in STATUS.items() if isinstance(failure, kind)), 500)
    return _refused(call, status, str(failure), CODES[status], again=isinstance(failure, Busy))


def _refused(
    call: Call, status: int, said: str, code: str, *, again: bool = False, param: str | None = None
) -> Response:
    """An answer in OpenAI's shape of an error. again: the same request may be taken later."""
    from starlette.responses import JSONResponse

    call.code = code
    kind = "authentication_error" if status == 401 else "invalid_request_error" if status < 500 else "server_error"
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": str(RETRY_S)} if again else {}
    if status in (408, 413):
        headers["Connection"] = "close"
    return JSONResponse(protocol.error(said, code, kind, param), status, headers)


def _bears(request: Request, token: str) -> bool:
    """Whether the request bears the token; compared in constant time, and the scheme only after it."""
    said = request.headers.get("authorization", "")
    scheme, _, given = said.partition(" ")
    return hmac.compare_digest(given.strip().encode("latin-1"), token.encode()) and scheme.lower() == "bearer"


def _foreign(request: Request) -> bool:
    """Whether a browser asks for a page from elsewhere, or under a name of elsewhere that leads here: what reaches a
    loopback address need not be meant by its user."""
    return _elsewhere(request.headers.get("host", ""), request.headers.get("origin"))


@lru_cache(maxsize=64)
def _elsewhere(host: str, origin: str | None) -> bool:
    try:
        named = [urlsplit("//" + host).hostname]
        named += [urlsplit(origin).hostname] if origin is not None else []
    except ValueError:
        return True
    return not all(host and loopback(host) for host in named)


async def _read(request: Request) -> bytes:
    """The body, at most `BODY_BYTES` of it within `BODY_S`, whatever length was announced.

    Raises Unmet for a body of two lengths, TooLarge, TooSlow, Busy where other bodies take the room.
    """
    call: Call = request.scope["call"]
    watch: Watch = request.scope["watch"]
    announced = request.headers.get("content-length", "0")
    if "content-length" in request.headers and "transfer-encoding" in request.headers:
        raise Unmet("the request names a length and chunks as well", "one of them", "leave one out")
    if announced.isdigit() and int(announced) > BODY_BYTES:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                watch.hold(call, len(part))
                body += part
                if len(body) > BODY_BYTES:
                    raise TooLarge
    except TimeoutError:
        raise TooSlow from None
    return bytes(body)


async def _chat(desk: Desk, request: Request) -> Response:
    from starlette.responses import JSONResponse, StreamingResponse

    call: Call = request.scope["call"]
    call.traceparent = request.headers.get("traceparent")
    body = protocol.parse_chat(await _read(request))
    call.stream = bool(body.stream)
    loop = asyncio.get_running_loop()
    arrivals: Arrivals = asyncio.Queue()

    def arrive(item: str | Reply | WhenceError) -> None:
        if body.stream or not isinstance(item, str):
            loop.call_soon_threadsafe(arrivals.put_nowait, item)

    shadow = request.headers.get("x-whence-shadow", "").lower() == "true"
    said = Headers(consent=request.headers.get("x-whence-consent"), shadow=shadow)
    try:
        asked, model = (body, said, arrive), desk.at_hand(body)
        ticket = desk.ask(*asked, model) if model else await asyncio.to_thread(desk.ask, *asked)
        call.ticket = ticket
    except NotFound as failure:
        return _refused(call, 404, str(failure), "model_not_found", param="model")
    headers = {"x-whence-release": ticket.release, "x-whence-trace": ticket.answer.id}
    gone = asyncio.create_task(_cancelled_when_gone(request, ticket))
    try:
        item = await arrivals.get()
    except asyncio.CancelledError:
        ticket.cancel()
        raise
    finally:
        gone.cancel()
    if isinstance(item, WhenceError):
        return _failed(call, item)
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        parts = _events(call, ticket, item, arrivals, usage)
        return StreamingResponse(parts, media_type="text/event-stream", headers=headers)
    assert isinstance(item, Reply)
    call.answered(item)
    if item.finish == "cancelled":
        return _refused(call, CLOSED, "the client has gone", "cancelled")
    return JSONResponse(ticket.answer.whole(item), headers=headers)


async def _cancelled_when_gone(request: Request, ticket: Ticket) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    ticket.cancel()


async def _events(
    call: Call, ticket: Ticket, item: str | Reply | WhenceError, arrivals: Arrivals, with_usage: bool
) -> AsyncIterator[str]:
    """Server-sent events: role, text as it comes, why it ended, counts where asked for, ``[DONE]``."""
    answer = ticket.answer
    call.code = "cancelled"
    try:
        yield _event(answer.chunk({"role": "assistant", "content": ""}))
        while isinstance(item, str):
            yield _event(answer.chunk({"content": item}))
            item = await arrivals.get()
        if isinstance(item, WhenceError):
            call.code = "server_error"
            yield _event(protocol.error(str(item), "server_error", "server_error"))
            return
        call.answered(item)
        yield _event(answer.chunk({}, item.finish))
        if with_usage:
            yield _event(answer.usage_chunk(item))
        yield "data: [DONE]\n\n"
        call.code = None
    finally:
        ticket.cancel()


def _event(value: Any) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
