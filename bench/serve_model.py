"""The tiny real model through the gateway, against the same model called in process.

python -m bench.serve_model ADAPTER CLIENTS COUNT       the calls in process, for `bench.serve model`
"""

from __future__ import annotations

import json
import queue
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path

from tests.models.makers import make_adapter
from tests.serve.shelf import shelve

from bench.machine import alone, describe
from bench.serve_load import prompt
from bench.serve_run import PERCENTILES, Run, child, load, missing
from whence.models import Reply, Request
from whence.models.backends.transformers_peft import TransformersModel
from whence.serve.engine import Engine, Job
from whence.store import Store

TOKENS = 16
"""Tokens of an answer, at most."""
ROUNDS = 4
"""The two ways take turns, since a shared machine is not equally fast all the time."""


def model(count: int) -> None:
    """The tiny base with a random adapter, through the gateway and in process."""
    print(f"# serve model: tiny base, one LoRA adapter, 16 tokens an answer, greedy ({describe()})")
    print(
        f"{'clients':>7} {'way':<11} {'answers/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'+p50':>7} {'+p99':>7} {'lost':>5}"
    )
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        store = Store.open(folder / ".whence", create=True, actor="bench@example.org")
        shelve(store, tiny_base(), {"desk@1": make_adapter(tiny_base(), folder / "adapter")})
        for clients in (1, 16):
            each = max(1, (count if clients == 1 else count // 4) // ROUNDS)
            asked = ["--clients", str(clients), "--count", str(each), "--max-tokens", str(TOKENS)]
            inside_, outside = [], []
            with child(sys.executable, "-m", "bench.serve_gateway", str(store.root)) as (gateway, url):
                for _ in range(ROUNDS):
                    inside_.append(Run(**alone("bench.serve_model", str(folder / "adapter"), str(clients), str(each))))
                    outside.append(load(url, folder, asked, {"gateway": gateway}))
            called, run = pooled(inside_), pooled(outside)
            lost = missing(store.root, run.received)
            for way, one, added in (("in process", called, ""), ("gateway", run, str(lost))):
                figures = f"{one.per_s():>9.1f} {one.ms(50):>8.2f} {one.ms(99):>8.2f}"
                more = [one.ms(p) - called.ms(p) for p in PERCENTILES[:2]]
                print(f"{clients:>7} {way:<11} {figures} {more[0]:>7.2f} {more[1]:>7.2f} {added:>5}", flush=True)


def pooled(runs: list[Run]) -> Run:
    """All these rounds as one."""
    return Run(
        latencies_s=[latency for run in runs for latency in run.latencies_s],
        received={name: text for run in runs for name, text in run.received.items()},
        errors=sum(run.errors for run in runs),
        seconds=sum(run.seconds for run in runs),
        cpu_s={},
    )


def tiny_base() -> Path:
    """The demo's base, made once."""
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS

    return cached_base(INTENTS)


def inside(adapter: Path, clients: int, count: int) -> Run:
    """`count` requests from each of `clients` threads, in this process: one thread calls the model, several share the
    gateway's queue, as nothing else makes batches of calls from threads."""
    model = TransformersModel(tiny_base(), {"desk@1": adapter})
    engine, latencies = Engine(model), []
    warm = max(1, count // 10)

    def queued(request: Request) -> None:
        over: queue.SimpleQueue[object] = queue.SimpleQueue()
        engine.submit(Job(request, lambda _: None, lambda outcome, *_: over.put(outcome)))
        if not isinstance(reply := over.get(), Reply):
            raise SystemExit(f"the model failed: {reply}")

    def client(first: int) -> None:
        for number in range(first, first + warm + count):
            request = Request(messages=prompt(number), adapter="desk@1", max_tokens=TOKENS)
            started = time.perf_counter()
            if clients == 1:
                model.generate([request])
            else:
                queued(request)
            if number >= first + warm:
                latencies.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client, args=(n * (warm + count),)) for n in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = (time.perf_counter() - began) * count / (warm + count)
    engine.stop()
    return Run(latencies_s=latencies, received={}, errors=0, seconds=seconds, cpu_s={})


if __name__ == "__main__":
    done = inside(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(asdict(done)))
