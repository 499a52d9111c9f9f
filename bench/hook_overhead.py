"""CPU time of a TRL training with `WhenceCallback` beside the same training without it.

    python -m bench.hook_overhead [--rows 640] [--epochs 1 12] [--pairs 5]

Both are processes of their own, started at once, each on a core of its own, which they exchange from pair to pair. CPU
seconds are those of the whole process and of what it waited for, the witness included, from its start to its end; there
is no store, so the spool stays. Two lengths of training separate what is paid once (the rows written, the witness, the
adapter kept) from what each step costs. Since the CPU seconds of a shared machine differ by more than that, its
share is counted a second time from inside: the CPU seconds of its events and of the witness. What it takes to bring the
spool in comes after the training and is measured on its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.machine import describe
from bench.train_overhead import Command, spent, write_rows
from whence.demo.base import cached_base
from whence.demo.generate import INTENTS
from whence.store import Store


def train(base: Path, rows: Path, out: Path, epochs: int, hooked: bool) -> None:
    """One training, as a user writes it."""
    import datasets
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    callbacks = []
    if hooked:
        before = time.process_time()
        from whence.hooks import WhenceCallback

        callbacks = [timed(WhenceCallback(project=out / "nowhere"), time.process_time() - before)]
    settings = SFTConfig(
        str(out / "run"), num_train_epochs=epochs, per_device_train_batch_size=16, learning_rate=4e-3, max_length=256,
        report_to=[], use_cpu=True, bf16=False, gradient_checkpointing=False, disable_tqdm=True,
    )  # fmt: skip
    SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=settings,
        train_dataset=datasets.Dataset.from_json(str(rows), cache_dir=str(out / "cache")),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"),
        callbacks=callbacks,
    ).train()
    if hooked:
        witness = resource.getrusage(resource.RUSAGE_CHILDREN)
        inside = {**callbacks[0].spent, "witness": witness.ru_utime + witness.ru_stime}
        (out / "inside.json").write_text(json.dumps(inside))


def timed(callback: Any, importing: float) -> Any:
    """The callback, adding up the CPU seconds of its events."""
    callback.spent = {"import": importing}
    for name in ("train_begin", "epoch_begin", "substep_end", "step_end", "save", "train_end"):
        setattr(callback, f"on_{name}", _timed(callback, name, getattr(callback, f"on_{name}")))
    return callback


def _timed(callback: Any, name: str, event: Any) -> Any:
    def run(*args: Any, **named: Any) -> None:
        before = time.process_time()
        event(*args, **named)
        callback.spent[name] = callback.spent.get(name, 0.0) + time.process_time() - before

    return run


def command(rows: Path, out: Path, epochs: int, hooked: bool) -> Command:
    """The same as a process to be."""
    out.mkdir(parents=True)
    words = ("-m", "bench.hook_overhead", "--train", str(rows), str(out), str(epochs), str(int(hooked)))
    return Command(words, dict(os.environ))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--epochs", type=int, nargs=2, default=(1, 12))
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    steps = [epochs * -(-args.rows // 16) for epochs in args.epochs]
    cached_base(INTENTS)
    with tempfile.TemporaryDirectory() as tmp:
        folder, rows = Path(tmp), Path(tmp) / "rows.jsonl"
        write_rows(rows, args.rows)
        print(f"# hook: {args.rows} chats, {steps[0]} and {steps[1]} steps, {args.pairs} pairs ({describe()})")
        print(f"{'pair':>4} {'steps':>6} {'with CPU s':>11} {'without CPU s':>14} {'overhead':>9}", flush=True)
        took: dict[bool, list[list[float]]] = {True: [[], []], False: [[], []]}
        for pair in range(args.pairs):
            for i, epochs in enumerate(args.epochs):
                order = [True, False] if pair % 2 else [False, True]
                commands = [command(rows, folder / f"{pair}-{epochs}-{int(way)}", epochs, way) for way in order]
                for way, cpu in zip(order, spent(*commands), strict=True):
                    took[way][i].append(cpu)
                hooked, plain = took[True][i][-1], took[False][i][-1]
                print(
                    f"{pair + 1:>4} {steps[i]:>6} {hooked:>11.2f} {plain:>14.2f} {hooked / plain - 1:>9.1%}", flush=True
                )
        report(took, steps)
        for i, epochs in enumerate(args.epochs):
            inside = json.loads((folder / f"0-{epochs}-1" / "inside.json").read_text())
            total, plain = sum(inside.values()), statistics.median(took[False][i])
            parts = ", ".join(f"{name} {1000 * cpu:.0f}" for name, cpu in inside.items())
            print(f"from inside, {steps[i]} steps: {total:.2f} CPU s, {total / plain:.1%} (ms: {parts})")
        Store.open(folder / ".whence", create=True, actor="bench@example.org").close()
        spools = folder / f"0-{args.epochs[0]}-1" / "whence-spool"
        spool = next(path for path in spools.glob("2*"))
        words = ("-m", "whence", "-C", str(folder), "adopt", "spool", str(spool))
        print(f"bringing one spool in, afterwards: {spent(Command(words, dict(os.environ)))[0]:.2f} CPU s")


def report(took: dict[bool, list[list[float]]], steps: list[int]) -> None:
    """Medians of the pairs' differences: whole processes, what is paid once, what each step costs."""
    more, plain = [], []
    for i, count in enumerate(steps):
        pairs = list(zip(took[True][i], took[False][i], strict=True))
        more.append(statistics.median(hooked - alone for hooked, alone in pairs))
        plain.append(statistics.median(took[False][i]))
        print(f"{count} steps: {more[-1]:+.2f} CPU s of {plain[-1]:.2f}, {more[-1] / plain[-1]:+.1%}")
    each = [(one[1] - one[0]) / (steps[1] - steps[0]) for one in (more, plain)]
    once = [one[0] - step * steps[0] for one, step in zip((more, plain), each, strict=True)]
    print(f"a step: {each[0] * 1000:+.2f} ms of {each[1] * 1000:.1f}; once: {once[0]:+.2f} s of {once[1]:.2f}")


if __name__ == "__main__":
    if "--train" in sys.argv:
        data, into, count, way = sys.argv[2:]
        train(cached_base(INTENTS), Path(data), Path(into), int(count), way == "1")
    else:
        main()
