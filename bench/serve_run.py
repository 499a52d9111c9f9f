"""One load against one address: processes, figures, and what the record must hold afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.machine import alone
from whence.records import Trace
from whence.store import Store, verify

PERCENTILES = (50, 99, 99.9)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one load brought."""

    latencies_s: list[float]
    received: dict[str, str]
    """id → answer, warm-up included"""
    errors: int
    seconds: float
    cpu_s: dict[str, float]
    """process → CPU seconds during the load"""

    def ms(self, percent: float) -> float:
        """This percentile of the latency, in milliseconds."""
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def per_s(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds


@contextmanager
def child(*command: str, env: Mapping[str, str] = os.environ) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that prints its address; ended by SIGTERM, in order."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(env))
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise SystemExit(f"{' '.join(command)} did not start")
        yield process, url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)


def cpu(process: subprocess.Popen[str]) -> float:
    """CPU seconds of a process and its children."""
    family = psutil.Process(process.pid)
    return sum(sum(one.cpu_times()[:2]) for one in (family, *family.children(recursive=True)))


def load(url: str, folder: Path, how: Sequence[str], watched: Mapping[str, subprocess.Popen[str]]) -> Run:
    """Run the generator against this address and read what it received."""
    out = folder / "received.jsonl"
    before = {name: cpu(process) for name, process in watched.items()}
    said = alone("bench.serve_load", url, str(out), *how)
    spent = {name: cpu(process) - before[name] for name, process in watched.items()} | {"generator": said["cpu_s"]}
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    fine = [answer for answer in answers if answer[1] == 200]
    return Run(
        latencies_s=[answer[0] for answer in fine if answer[0] is not None],
        received={answer[2]: answer[3] for answer in fine},
        errors=len(answers) - len(fine) + said["unanswered"],
        seconds=said["seconds"],
        cpu_s=spent,
    )


def missing(root: Path, received: Mapping[str, str]) -> int:
    """Answers that are not in the record with their words. The record must be whole besides."""
    store = Store.open(root)
    if store.recover_traces():
        raise SystemExit("the gateway stopped in order and left traces unrecorded")
    traces = {trace.id: trace.content for _, trace in store.all(Trace)}
    lost = sum(name not in traces or store.words(traces[name])["answer"] != text for name, text in received.items())
    if findings := verify(store):
        raise SystemExit(f"verify found {len(findings)} faults: {findings[0]}")
    return lost
