"""What asking costs in a registry of many adapters: `ask due`, `model list`, `model search`.

    python -m bench.registry [--adapters 1000 10000 100000] [--keep FOLDER]

The store is written with `put_many`: every adapter has a closure, a run and a report of its own, one in ten is
released, one in a hundred deployed; they share 40 bases, 200 sources, 2,000 snapshots and 20 environments, and belong
to 50 projects, 10 of which have an owner without a backup. Each question is a process of its own: verb is the wall time
of `w.ask.due()` and the like, CPU its CPU time, whole the wall time of the command as a person runs it, best of three.
The very first question after many adapters came reads them all, and keeps what it read; it is on a line of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.machine import alone, describe

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
LIVE_EVERY, RELEASED_EVERY = 100, 10
QUESTIONS = ("due", "list", "search")


def build(folder: Path, count: int) -> None:
    """A store with this many adapters."""
    from whence.records import (
        Adapter,
        Base,
        Closure,
        Conditions,
        Deployment,
        Fingerprint,
        ForeignRecipe,
        Ownership,
        Ref,
        Release,
        Run,
        RunReport,
        Snapshot,
        Source,
    )
    from whence.store import Store

    store = Store.open(folder / ".whence", create=True, clock=lambda: NOW, actor="bench@example.org")
    hosted = ("gpt-4o-2024-08-06", "gpt-4.1-mini-2025-04-14", "gpt-3.5-turbo-0125")
    prints = [_print(Fingerprint, n) for n in range(40)]
    names = [hosted[n] if n < len(hosted) else f"base-{n}" for n in range(40)]
    bases = store.put_many(
        Base(name=names[n], location=names[n], fingerprint=prints[n] if n >= len(hosted) else None) for n in range(40)
    )
    sources = store.put_many(
        Source(name=f"source-{n}", kind="licensed", location=f"data/{n}.jsonl", purge_at=NOW + timedelta(days=n * 5))
        for n in range(200)
    )
    reads = store.put_many(Run(activity="ingest", used=(ref,), inputs={"file": f"b3:{ref[7:]}"}) for ref in sources)
    empty = store.blobs.put(b"")
    snapshots = store.put_many(
        Snapshot(name=f"snapshot-{n}", rows=n, root=f"tree64:{n}", set=empty, steps=(), parents=(reads[n % 200],))
        for n in range(2_000)
    )
    lists = [store.put_lines([f"torch=={n}.0", f"transformers==5.{n}"]) for n in range(20)]
    recipe = store.put(ForeignRecipe(trainer="SFTTrainer", arguments=None, lora=None))
    for p in range(50):
        store.put(Ownership(about=f"project-{p}", accountable=f"p{p}@example.org", since=NOW,
                            backup=f"p{p + 1}@example.org" if p % 5 else None))  # fmt: skip
    conditions = Conditions(
        python="3.11.9", platform="Linux", cpu="cpu", cpu_capability="AVX2", threads=1, device="cpu", packages={}
    )
    for start in range(0, count, 10_000):
        many = range(start, min(start + 10_000, count))
        runs = store.put_many(
            Run(activity="train", used=(bases[n % 40], snapshots[n % 2_000], recipe), inputs={"n": str(n)})
            for n in many
        )
        store.put_many(
            RunReport(run=run, started_at=NOW - timedelta(days=n % 700), duration_s=1.0, cpu_s=1.0,
                      conditions=conditions)
            for n, run in zip(many, runs, strict=True)
        )  # fmt: skip
        closures = store.put_many(
            Closure(base=bases[n % 40], snapshot=snapshots[n % 2_000], recipe=recipe, code_commit=f"{n:040x}",
                    code_clean=True, environment=lists[n % 20])
            for n in many
        )  # fmt: skip
        adapters = store.put_many(
            Adapter(name=f"project-{n % 50}", closure=closure, run=run, weights=f"b3:{n:064x}", config="sha256:0",
                    base=prints[n % 40], location=f"runs/{n}", bytes=1)
            for n, closure, run in zip(many, closures, runs, strict=True)
        )  # fmt: skip
        made = [(n, adapter) for n, adapter in zip(many, adapters, strict=True) if n % RELEASED_EVERY == 0]
        releases = store.put_many(Release(name=f"project-{n % 50}@{n}", adapter=a, verdict=None) for n, a in made)
        live: list[Ref] = [r for (n, _), r in zip(made, releases, strict=True) if n % LIVE_EVERY == 0]
        deployments = store.put_many(
            Deployment(release=r, endpoint="https://models.example.org", started_at=NOW, lease_s=None) for r in live
        )
        store.append_many([("deployment.declared", d, None, None, None) for d in deployments])
    store.close()


def _print(kind: Any, n: int) -> Any:
    return kind(weights=f"b3:{n:064x}", shapes="sha256:1", tokenizer="sha256:2", template="sha256:3")


def ask(question: str, folder: Path) -> None:
    """One question, in this process."""
    import whence

    with whence.open(folder, clock=lambda: NOW) as w:
        started, cpu = time.monotonic(), time.process_time()
        if question == "due":
            found = len(w.ask.due().things)
        elif question == "list":
            found = len(w.model.list())
        else:
            found = len(w.model.search("project-7"))
        took = {"wall_s": time.monotonic() - started, "cpu_s": time.process_time() - cpu}
        print(json.dumps({**took, "found": found}))


def whole(question: str, folder: Path) -> float:
    """Seconds of the command as a user runs it."""
    words = {"due": ["ask", "due"], "list": ["model", "list"], "search": ["model", "search", "project-7"]}[question]
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "whence", *words], cwd=folder, stdout=subprocess.DEVNULL, check=False,
                   env={**os.environ, "WHENCE_ACTOR": "bench@example.org"})  # fmt: skip
    return time.monotonic() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapters", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--keep", type=Path, help="build the stores here, or use those that are there")
    parser.add_argument("--one", nargs=2, metavar=("QUESTION", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        ask(args.one[0], Path(args.one[1]))
        return
    print(f"# registry ({describe()})")
    print(f"{'adapters':>9} {'question':<8} {'found':>8} {'verb s':>8} {'CPU s':>8} {'whole s':>8}")
    with tempfile.TemporaryDirectory() as tmp:
        for count in args.adapters:
            folder = (args.keep or Path(tmp)) / str(count)
            if not folder.exists():
                folder.mkdir(parents=True)
                build(folder, count)
            (folder / ".whence/index/adapters.arrow").unlink(missing_ok=True)
            first = alone("bench.registry", "--one", "due", str(folder))
            print(f"{count:>9,} {'first':<8} {first['found']:>8,} {first['wall_s']:>8.2f} {first['cpu_s']:>8.2f}")
            for question in QUESTIONS:
                took = [alone("bench.registry", "--one", question, str(folder)) for _ in range(3)]
                command = min(whole(question, folder) for _ in range(3))
                verb, cpu = (min(t[what] for t in took) for what in ("wall_s", "cpu_s"))
                found = took[0]["found"]
                print(f"{count:>9,} {question:<8} {found:>8,} {verb:>8.2f} {cpu:>8.2f} {command:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
