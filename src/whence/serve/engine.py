"""One queue, one worker, one model.

What waits when the model is free goes into the next batch together, whatever adapters it asks for; what arrives while
a batch runs waits for its end. There is no continuous batching: a long answer holds up those behind it. Text is handed
on as it comes; that an answer is over is told when its batch is.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from whence.models import Model, Reply, Request
from whence.records import BackendFailed, NotFound, Unmet

BATCH = 32
"""Requests in one call of the model."""
WAITING = 512
"""Requests that may wait; more are turned away."""

log = logging.getLogger("whence.serve")

Outcome = Reply | Unmet | NotFound | BackendFailed


@dataclass(slots=True)
class Job:
    """One request in the queue. `on_text` and `on_end` are called from the worker's thread."""

    request: Request
    on_text: Callable[[str], None]
    on_end: Callable[[Outcome, str, float], None]
    """called once with the reply or the error, the text that was given, and the seconds since it was queued"""
    cancelled: bool = False
    """set it to stop the answer"""
    queued_at: float = field(default_factory=time.monotonic)
    model_s: float = 0.0
    """seconds that its batch was in the model"""
    given: list[str] = field(default_factory=list)


class Engine:
    """The worker. `submit` from any thread."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._queue: queue.Queue[Job | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._work, name="whence-engine", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> bool:
        """Queue a job; False when too many wait."""
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            return False
        return True

    def waiting(self) -> int:
        """Requests in the queue."""
        return self._queue.qsize()

    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Answer what is queued, then end."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        last = False
        while not last:
            jobs, last = self._next()
            jobs = self._without_cancelled(jobs)
            if jobs:
                self._run(jobs)

    def _next(self) -> tuple[list[Job], bool]:
        """Wait for a job and take those that wait behind it; and whether the end was asked for."""
        job = self._queue.get()
        jobs: list[Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == BATCH:
                return jobs, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _without_cancelled(self, jobs: list[Job]) -> list[Job]:
        for job in jobs:
            if job.cancelled:
                nothing = Reply(text="", prompt_tokens=0, completion_tokens=0, finish="cancelled")
                self._end(job, nothing)
        return [job for job in jobs if not job.cancelled]

    def _run(self, jobs: list[Job]) -> None:
        """One call of the model. A request that it refuses before the first token does not take the others with it."""

        def on_text(i: int, piece: str) -> bool:
            jobs[i].given.append(piece)
            jobs[i].on_text(piece)
            return not jobs[i].cancelled

        outcomes: list[Outcome]
        taken_at = time.monotonic()
        try:
            outcomes = list(self._model.generate([job.request for job in jobs], on_text))
        except (Unmet, NotFound) as error:
            if len(jobs) > 1:
                for job in jobs:
                    self._run([job])
                return
            outcomes = [error]
        except BackendFailed as error:
            outcomes = [error] * len(jobs)
        except Exception as error:  # noqa: BLE001  the worker's outermost loop: the failure is recorded with each request
            log.error("the model failed with %s", type(error).__name__)
            outcomes = [BackendFailed(f"the model failed with {type(error).__name__}")] * len(jobs)
        model_s = time.monotonic() - taken_at
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.model_s = model_s
            self._end(job, outcome)

    def _end(self, job: Job, outcome: Outcome) -> None:
        try:
            job.on_end(outcome, "".join(job.given), time.monotonic() - job.queued_at)
        except Exception as error:  # noqa: BLE001  one request that cannot be kept must not stop the others
            log.error("an answer could not be handed over: %s", type(error).__name__)
