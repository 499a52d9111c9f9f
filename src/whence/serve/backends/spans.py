"""OpenTelemetry spans of chat requests by the conventions for generative AI: names, counts, times; no message.

Nothing of OpenTelemetry is imported unless the environment asks for an exporter in the standard way or this process
uses its SDK already.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from whence.records import Unmet
from whence.records.errors import install
from whence.serve.log import tell
from whence.serve.watch import Call

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def export(env: Mapping[str, str]) -> None:
    """Send this process's spans where ``OTEL_…`` says; nowhere where it says nothing. Raises Unmet for an exporter
    that is not installed. For a process that is a gateway and nothing else."""
    named = [name.strip() for name in env.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()]
    if not named and any(env.get(name) for name in ENDPOINTS):
        named = ["otlp"]
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or named in ([], ["none"]):
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        tell("spans are not sent", logging.WARNING, reason=install("otel"))
        return
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": env.get("OTEL_SERVICE_NAME", "whence")}))
    for name in named:
        provider.add_span_processor(BatchSpanProcessor(_exporter(name, env)))
    trace.set_tracer_provider(provider)


def _exporter(name: str, env: Mapping[str, str]) -> Any:
    """An exporter by its name in OTEL_TRACES_EXPORTER. Raises Unmet."""
    if name == "otlp":
        protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", env.get("OTEL_EXPORTER_OTLP_PROTOCOL", ""))
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    found = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not found:
        raise Unmet(
            f"no exporter of spans is called {name}",
            "one that is installed, as OTEL_TRACES_EXPORTER names it",
            f"for otlp, {install('otel')}; or unset OTEL_TRACES_EXPORTER",
        )
    return found[0].load()()


def spans(url: str) -> Callable[[Call], None]:
    """What turns an ended call into a span of the gateway at `url`; nothing at all where no SDK is loaded."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return lambda call: None
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer, parts, context = trace.get_tracer("whence"), urlsplit(url), TraceContextTextMapPropagator()
    at = {"server.address": parts.hostname or "", "server.port": parts.port or 0}

    def span(call: Call) -> None:
        if call.route != "chat":
            return
        asked = call.ticket.model if call.ticket else None
        made = tracer.start_span(
            f"chat {asked}" if asked else "chat",
            context.extract({"traceparent": call.traceparent}) if call.traceparent else None,
            SpanKind.SERVER,
            {name: value for name, value in (at | _attributes(call)).items() if value is not None},
            start_time=call.started_at,
        )
        if call.status >= 500:
            made.set_status(Status(StatusCode.ERROR))
        made.end(call.started_at + int(call.duration_s * 1e9))

    return span


def _attributes(call: Call) -> dict[str, Any]:
    """Attributes by the semantic conventions; None where there is nothing to say."""
    said: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "whence",
        "http.response.status_code": call.status,
        "error.type": (call.code or str(call.status)) if call.status >= 400 else None,
    }
    if call.ticket is None:
        return said
    request = call.ticket.job.request
    said |= {
        "gen_ai.request.model": call.ticket.model,
        "gen_ai.request.stream": call.stream,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.top_p,
        "gen_ai.request.seed": request.seed,
        "gen_ai.response.model": call.release,
        "gen_ai.response.id": call.ticket.answer.id,
        "whence.release": call.ticket.release,
    }
    if call.finish:
        said |= {
            "gen_ai.response.finish_reasons": [call.finish],
            "gen_ai.usage.input_tokens": call.prompt_tokens,
            "gen_ai.usage.output_tokens": call.completion_tokens,
        }
    return said
