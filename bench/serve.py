"""What the gateway costs: added latency, CPU, and traces that are missing from the record.

    python -m bench.serve model                                     the tiny real model, 1 and 16 clients
    python -m bench.serve record --rate 500 --seconds 120           a scripted model behind HTTP, an open loop
    python -m bench.serve record --rate 500 --seconds 120 --peer litellm

`model`: the same prompts, greedy, to the same `TransformersModel`: through the gateway in a process of its own, and by
calls in process, from 1 thread straight into `generate` and from 16 threads through the gateway's own queue, which is
what makes batches of them. The difference is HTTP, checks, and the record.

`record`: the generator asks the scripted upstream itself, then the gateway before it, on one schedule; added latency is
the difference of their percentiles. Afterwards every answer that was received must be in the record, word for word.
The peer is LiteLLM's proxy in an environment of its own (made once, in the cache), with one worker, no database, no
telemetry, and a callback that keeps the same trace; see `bench/serve_litellm_log.py`. Nothing here bears a token.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.serve.shelf import paper_adapter, paper_base, shelve

from bench.machine import describe
from bench.serve_litellm import LITELLM, litellm
from bench.serve_model import model
from bench.serve_run import PERCENTILES, Run, child, load, missing
from whence.store import Store


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(dest="way", required=True)
    real = ways.add_parser("model")
    real.add_argument("--count", type=int, default=300, help="requests of one client; 16 clients send a quarter each")
    alone_ = ways.add_parser("record")
    alone_.add_argument("--rate", type=float, default=500, help="requests a second")
    alone_.add_argument("--seconds", type=float, default=120)
    alone_.add_argument("--peer", choices=["litellm"])
    args = parser.parse_args()
    if args.way == "model":
        model(args.count)
    else:
        record(args.rate, args.seconds, args.peer)


def record(rate: float, seconds: float, peer: str | None) -> None:
    """The upstream itself, then each gateway before it."""
    how = ["--rate", str(rate), "--seconds", str(seconds)]
    print(f"# serve record: {rate:g} requests/s for {seconds:g} s, exponential gaps ({describe()})")
    print(f"{'way':<16} {'answers/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'p99.9 ms':>8} {'+p50':>7} {'+p99':>7} ", end="")
    print(f"{'errors':>6} {'traces lost':>11}   CPU s")
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        with child(sys.executable, "-m", "bench.serve_upstream") as (upstream, url):
            direct = load(url, folder, how, {"upstream": upstream})
            say("upstream itself", direct, direct, "")
            shown, lost = whence(folder, url, upstream, how)
            say("whence", shown, direct, str(lost))
            if peer == "litellm":
                shown, lost = litellm(folder, url, upstream, how)
                say(f"LiteLLM {LITELLM}", shown, direct, str(lost))


def say(way: str, run: Run, direct: Run, lost: str) -> None:
    """One row."""
    figures = " ".join(f"{run.ms(p):>8.2f}" for p in PERCENTILES)
    added = " ".join(f"{run.ms(p) - direct.ms(p):>7.2f}" for p in PERCENTILES[:2])
    spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in run.cpu_s.items())
    print(f"{way:<16} {run.per_s():>9.1f} {figures} {added} {run.errors:>7} {lost:>11}   {spent}", flush=True)


def whence(folder: Path, upstream_url: str, upstream: subprocess.Popen[str], how: Sequence[str]) -> tuple[Run, int]:
    """Our gateway before the upstream, and the traces it lost."""
    store = Store.open(folder / "whence" / ".whence", create=True, actor="bench@example.org")
    shelve(store, paper_base(folder / "base"), {"desk@1": paper_adapter(folder / "adapter")})
    command = (sys.executable, "-m", "bench.serve_gateway", str(store.root), upstream_url)
    with child(*command) as (gateway, url):
        run = load(url, folder, how, {"gateway": gateway, "upstream": upstream})
    return run, missing(store.root, run.received)


if __name__ == "__main__":
    main()
