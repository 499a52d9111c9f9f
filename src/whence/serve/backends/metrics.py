"""Prometheus metrics of one gateway, in a registry of its own.

Labels hold names of served releases, routes, statuses: a name that a client made up is never a label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from whence.models import Model, Reply, Request
from whence.models.port import OnText
from whence.records import NotFound, Unmet
from whence.serve.watch import Call

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
OUTSIDE_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32)


class Meters:
    """Counts requests and shows them as Prometheus reads them. Any thread may use it."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "whence_requests", "Requests that have ended.", ("route", "release", "status"), registry=registry
        )
        self._seconds = Histogram(
            "whence_request_seconds", "Answered chat requests, whole.", ("release",), buckets=SECONDS, registry=registry
        )
        self._outside = Histogram(
            "whence_outside_model_seconds",
            "Answered chat requests, less the time their batch was in the model.",
            ("release",),
            buckets=OUTSIDE_SECONDS,
            registry=registry,
        )
        self._tokens = Counter("whence_tokens", "Tokens of answers.", ("release", "direction"), registry=registry)
        self._batch = Histogram("whence_batch_requests", "Requests in a batch.", buckets=BATCHES, registry=registry)
        self._failures = Counter("whence_model_failures", "Batches that the model failed on.", registry=registry)
        self._ended = lru_cache(maxsize=256)(self._requests.labels)

    def count(self, call: Call) -> None:
        """Count a request that has ended."""
        release = call.release or ""
        self._ended(call.route, release, call.status).inc()
        if call.finish and call.status == 200:
            self._seconds.labels(release).observe(call.duration_s)
            self._outside.labels(release).observe(call.outside_s)
            self._tokens.labels(release, "in").inc(call.prompt_tokens)
            self._tokens.labels(release, "out").inc(call.completion_tokens)

    def show(self, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        """Name → (meaning, where to look when asked)."""
        from prometheus_client import Gauge

        for name, (meaning, look) in gauges.items():
            Gauge(name, meaning, registry=self._registry).set_function(look)

    def text(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def measured(self, model: Model) -> Model:
        """The model, its batches and failures counted."""
        return _Measured(model, self._batch.observe, self._failures.inc)


class _Measured:
    def __init__(self, model: Model, batch: Callable[[float], None], failed: Callable[[], None]) -> None:
        self._model, self._batch, self._failed = model, batch, failed

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        self._batch(len(requests))
        try:
            return self._model.generate(requests, on_text)
        except (Unmet, NotFound):
            raise
        except BaseException:
            self._failed()
            raise
