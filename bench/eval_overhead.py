"""CPU seconds of `evaluate` beside a bare loop over the same model, and memory as a suite grows.

    python -m bench.eval_overhead [--items 1000] [--pairs 5] [--growth 1000 10000 50000]

The model is the tiny base of the demo on generated questions, one thread, in one process: each way is done once
before the clock runs, then both in turn. The model's own seconds vary by more than what evaluate adds, so what either
way spends outside of them is compared. The loop asks the same batches and compares answers with labels; evaluate
also scores, keeps every answer and signs a record. For memory a scripted model answers, so that what grows is ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.machine import alone, describe, peak_kib


def put(folder: Path, items: int) -> tuple[Any, list[Any], list[str]]:
    """(store, generated questions, labels)."""
    from whence.demo.desk import Desk
    from whence.demo.generate import INTENTS, _suite
    from whence.records import Item
    from whence.store import Store

    desk = Desk(99, 500)
    rows = _suite(desk, "x", items, desk.customers)
    asked = [Item(id=row["id"], input=row["text"], expected=row["intent"]) for row in rows]
    return Store.open(folder / "store", create=True, actor="bench@example.org"), asked, sorted(INTENTS)


def overhead(items: int, pairs: int) -> None:
    """The ratio of CPU seconds, of each pair."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS
    from whence.evaluate import Contender, evaluate, put_suite
    from whence.evaluate.prompts import messages
    from whence.evaluate.run import BATCH
    from whence.models.backends.transformers_peft import TransformersModel
    from whence.models.port import Request
    from whence.records import Base, Fingerprint, Prompt

    with tempfile.TemporaryDirectory() as tmp:
        store, asked, labels = put(Path(tmp), items)
        model = Timed(TransformersModel(cached_base(INTENTS), {}, 1))
        said = Prompt(template="bare", text="")
        prompt = store.put(said)
        seen = Fingerprint(weights="b3:0", shapes="sha256:0", tokenizer="sha256:0", template="sha256:0")
        took: dict[str, list[tuple[float, float]]] = {"loop": [], "evaluate": []}
        for turn in range(pairs + 1):
            for way in ("loop", "evaluate"):
                some = asked[:64] if turn == 0 else asked
                base = store.put(Base(name=f"{way} {turn}", location="base", fingerprint=seen))
                suite = put_suite(store, f"part{turn}", "gate", "label", some, labels)
                begun, model.took_s = time.process_time(), 0.0
                if way == "loop":
                    right = 0
                    for start in range(0, len(some), BATCH):
                        batch = some[start : start + BATCH]
                        requests = [Request(messages=messages(said, [], item), max_tokens=16) for item in batch]
                        replies = model.generate(requests)
                        right += sum(
                            reply.text.strip() == item.expected for reply, item in zip(replies, batch, strict=True)
                        )
                else:
                    evaluate(store, Contender(model=model, base=base), suite, prompt, max_tokens=16)
                if turn:
                    took[way].append((time.process_time() - begun, model.took_s))
        print(json.dumps(took))


class Timed:
    """A model with the CPU seconds that it took."""

    def __init__(self, model: Any) -> None:
        self._model, self.took_s = model, 0.0

    def generate(self, requests: Any, on_text: Any = None) -> Any:
        """See the port."""
        begun = time.process_time()
        replies = self._model.generate(requests, on_text)
        self.took_s += time.process_time() - begun
        return replies


def memory(items: int) -> None:
    """What a suite of so many items takes, with answers of 100 words."""
    from whence.evaluate import Contender, evaluate, put_suite
    from whence.models.backends.scripted import ScriptedModel
    from whence.records import Base, Fingerprint, Prompt

    with tempfile.TemporaryDirectory() as tmp:
        store, asked, labels = put(Path(tmp), items)
        seen = Fingerprint(weights="b3:0", shapes="sha256:0", tokenizer="sha256:0", template="sha256:0")
        base = store.put(Base(name="base", location="base", fingerprint=seen))
        suite = put_suite(store, "gate", "gate", "label", asked, labels)
        before, begun = peak_kib(), time.process_time()
        model = ScriptedModel(lambda request: "word " * 100)
        prompt = store.put(Prompt(template="bare", text=""))
        evaluate(store, Contender(model=model, base=base), suite, prompt, max_tokens=128)
        print(json.dumps({"cpu": time.process_time() - begun, "mib": (peak_kib() - before) / 1024}))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--growth", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return overhead(*map(int, args.one)) if len(args.one) == 2 else memory(int(args.one[0]))
    print(f"# evaluations ({describe()})\n")
    took = alone("bench.eval_overhead", "--one", str(args.items), str(args.pairs))
    loop = statistics.median(whole for whole, _ in took["loop"])
    beside, ours = (statistics.median(whole - model for whole, model in took[way]) for way in ("loop", "evaluate"))
    print(f"{args.items:,} items: a bare loop {loop:.2f} CPU s, {beside:.3f} of them outside the model")
    print(f"evaluate outside the model {ours:.3f}: {(ours - beside) / loop:+.1%} of the loop\n")
    print("| items | CPU s | MiB added |\n| ---: | ---: | ---: |")
    for items in args.growth:
        one = alone("bench.eval_overhead", "--one", str(items))
        print(f"| {items:,} | {one['cpu']:.2f} | {one['mib']:,.0f} |", flush=True)
    return None


if __name__ == "__main__":
    main()
