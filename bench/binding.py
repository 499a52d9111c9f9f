"""Adapters and bases that are not what they were in training: what plain PEFT does with them, and what whence does.

    python -m bench.binding            # the fault set through both, side by side; then speed
    python -m bench.binding --gib 4    # verification of a base of this size

The faults are those of tests/faults/adapters; each is made with real files and a real tiny model. *Wrong* means: it
loaded, and prompt ids, end tokens or next-token logits are not those of the adapter on the base it was trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.machine import describe

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "warning"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=1.0, help="size of the base that is verified")
    parser.add_argument("--speed-only", action="store_true")
    asked = parser.parse_args()
    print(describe(), "\n")
    if not asked.speed_only:
        faults()
    speed(asked.gib)
    request()


def faults() -> None:
    """The fault set and the controls through plain PEFT and through whence."""
    from transformers.utils import logging

    from faults.adapters.plain import answer, outcome
    from faults.adapters.ways import CONTROLS, WAYS, Scene
    from models.makers import make_adapter
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS
    from whence.models import bond_to, check_binding, hold

    logging.disable_progress_bar()
    counted: dict[str, Counter[str]] = {"fault": Counter(), "control": Counter()}
    print(f"{'':<8}{'change':<44}{'plain PEFT':<20}whence")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        base = Path(shutil.copytree(cached_base(INTENTS), home / "trained/base"))
        trained = Scene(make_adapter(base, home / "trained/one", 1), base, make_adapter(base, home / "trained/two", 2))
        bond, answers_then = bond_to(trained.adapter, trained.base), answer(trained.base, trained.adapter)
        for kind, ways in (("fault", WAYS), ("control", CONTROLS)):
            for way in ways:
                place = home / "now"
                scene = Scene(
                    *(Path(shutil.copytree(f, place / f.name)) for f in (trained.adapter, base, trained.other))
                )
                way(scene)
                loaded, answers = outcome(scene.base, scene.adapter, answers_then)
                with hold(scene.adapter) as one, hold(scene.base) as two:
                    ours = check_binding(one, two, bond).answer
                counted[kind].update(
                    [f"peft {loaded} {answers}", f"whence {'served' if ours == 'exact' else 'refused'}"]
                )
                theirs = loaded if loaded == "refused" else f"{loaded}, {answers}"
                print(f"{kind:<8}{way.__name__:<44}{theirs:<20}{ours}")
                shutil.rmtree(place)
    print()
    for kind, count in counted.items():
        wrong = count["peft silent wrong"] + count["peft warned wrong"]
        total = count["whence served"] + count["whence refused"]
        right = count["peft silent right"] + count["peft warned right"]
        print(
            f"{total} {kind}s: plain PEFT refused {count['peft refused —']}, answered wrong {wrong} "
            f"({count['peft silent wrong']} without a word), right {right}; "
            f"whence refused {count['whence refused']}, served {count['whence served']}"
        )


def speed(gib: float) -> None:
    """Fingerprint of a base in one file that lies in the page cache, beside SHA-256 of the same bytes."""
    from whence.models import fingerprint

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tensors, rows = 64, int(gib * (1 << 30)) // 64 // 4096 // 2
        size = rows * 4096 * 2
        entries = {
            f"model.layers.{i}.weight": {
                "dtype": "BF16",
                "shape": [rows, 4096],
                "data_offsets": [i * size, (i + 1) * size],
            }
            for i in range(tensors)
        }
        header = json.dumps(entries).encode()
        with (folder / "model.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            for _ in range(tensors):
                file.write(os.urandom(1 << 20) * (size >> 20) + bytes(size & 0xFFFFF))
        (folder / "config.json").write_text("{}")
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}))
        data = (folder / "model.safetensors").stat().st_size
        (folder / "model.safetensors").read_bytes()
        before = time.process_time(), time.perf_counter()
        fingerprint(folder)
        ours = time.process_time() - before[0], time.perf_counter() - before[1]
        before = time.process_time(), time.perf_counter()
        with (folder / "model.safetensors").open("rb") as file:
            hashlib.file_digest(file, "sha256")
        theirs = time.process_time() - before[0], time.perf_counter() - before[1]
        per = data / 1e9
        print(
            f"\nverification of {per:.2f} GB, warm: {ours[0] / per:.2f} CPU s a GB ({ours[1] / per:.2f} wall); "
            f"SHA-256 of the file: {theirs[0] / per:.2f} ({theirs[1] / per:.2f}); ratio {theirs[0] / ours[0]:.1f}"
        )


def request() -> None:
    """What each request pays for knowing that the files are those that were checked."""
    from models.makers import make_adapter
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS
    from whence.models import hold

    with tempfile.TemporaryDirectory() as scratch, ExitStack() as held:
        base = cached_base(INTENTS)
        files = [held.enter_context(hold(f)) for f in (make_adapter(base, Path(scratch) / "one", 1), base)]
        took = []
        for _ in range(20_000):
            before = time.perf_counter_ns()
            for one in files:
                one.check()
            took.append((time.perf_counter_ns() - before) / 1000)
    took.sort()
    print(f"per request: {took[len(took) // 2]:.1f} µs median, {took[len(took) * 99 // 100]:.1f} µs p99")


if __name__ == "__main__":
    main()
