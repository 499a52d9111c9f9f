"""CPU time of a step of each method.

    python -m bench.train_methods [--rows 320]

One process, one torch thread. Measured is what the run's report calls ``train_cpu_s``: building the trainer, the steps
and the checkpoint at the end; the first run, which loads the libraries' last parts, is done twice and counted once.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bench.machine import describe
from bench.train_overhead import RECIPE
from whence.demo.base import cached_base
from whence.demo.generate import INTENTS
from whence.models import fingerprint
from whence.records import METHODS, Base, Json, Snapshot, content_digest, encode, row_id
from whence.store import Store, batch, row_set
from whence.train import outcome, prepare
from whence.train.backends.work import work


def row(shape: str, number: int) -> Json:
    """A short question with an answer, and a worse one where the shape has two."""
    rng = random.Random(number)
    words = ["card", "payment", "transfer", "refund", "balance", "app", "branch", "limit", "fee", "account"]
    prompt = " ".join(rng.choices(words, k=rng.randrange(6, 30)))
    good, bad = rng.sample(INTENTS, 2)
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": good}]
    return {
        "chat": {"shape": shape, "messages": turns},
        "preference": {"shape": shape, "prompt": prompt, "chosen": good, "rejected": bad},
        "rated": {"shape": shape, "prompt": prompt, "completion": good, "label": bool(number % 2)},
        "prompt_completion": {"shape": shape, "prompt": prompt, "completion": good},
    }[shape]


def measured(folder: Path, method: str, count: int) -> dict[str, Json]:
    """The facts of one run of this method."""
    with closing(Store.open(folder / ".whence", create=True, actor="bench@example.org")) as store:
        contents = [row(METHODS[method].shapes[0], number) for number in range(count)]
        key = store.keys.get("source:bench")
        told = [content_digest(key, content) for content in contents]
        rows = [
            (row_id(key, "bench", str(n), d), "bench", str(n), c["shape"], encode(c).decode(), d, *[None] * 6)
            for n, (c, d) in enumerate(zip(contents, told, strict=True))
        ]
        with store.writer("bench"):
            first = store.add_rows(batch(list(zip(*rows, strict=True))), "bench")
        every = row_set(range(first, first + count))
        snapshot = Snapshot(name="bench", rows=count, root=store.root_of(every), set=store.put_set(every), steps=())
        base = cached_base(INTENTS)
        base_ref = store.put(Base(name="tiny", location=str(base), fingerprint=fingerprint(base)))
        asked = replace(RECIPE, method=method, micro_batch_rows=8, checkpoint_every=1000)
        run = prepare(store, base_ref, store.put(snapshot), replace(asked, **METHODS[method].parameters))
        work(store, run, lambda line: None)
        done = outcome(store, run)
        assert done
        return done.report.facts


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=320)
    rows = parser.parse_args().rows
    print(describe())
    with tempfile.TemporaryDirectory() as place:
        measured(Path(place) / "warm", "sft", rows)
        for method in METHODS:
            facts = measured(Path(place) / method, method, rows)
            print(f"| `{method}` | {1000 * facts['train_cpu_s'] / facts['steps']:.0f} |")


if __name__ == "__main__":
    main()
