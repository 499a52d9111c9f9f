"""From nothing to a true answer: adopt an adapter with its JSONL, withdraw one row, see what must come down.

    python -m bench.three_commands [--rows 10000] [--runs 5] [--python PYTHON]

Each command is a process of its own, in an environment with the core install alone; one is made in a temporary folder
unless `--python` names its interpreter. The rows are banking77's training messages from WHENCE_DATA, repeated under new
ids where more are asked for, and generated ones where it is absent. The adapter has the tensors of a LoRA of rank 16 on
the attention of a model of 7 billion parameters (67 MB), with random values; its base is not named. Every run begins in
an empty folder; the files lie in the page cache. The median of wall seconds, and CPU seconds of the whole process tree.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from bench.machine import describe

LAYERS, HIDDEN, RANK = 32, 4096, 16
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--python", help="interpreter of an environment with the core install")
    asked = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        python = asked.python or core(home / "core")
        packages = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
        heavy = [name for name in ("torch", "transformers", "peft") if f"\n{name} " in packages]
        print(f"{len(packages.splitlines()) - 2} packages; of torch, transformers, peft: {', '.join(heavy) or 'none'}")
        adapter(home / "support-lora")
        source = rows(home / "train.jsonl", asked.rows)
        first = json.loads((home / "train.jsonl").read_text().splitlines()[0])["id"]
        commands = {
            "adopt ../support-lora --data ../train.jsonl --live http://gpu1:8000/v1": [],
            f"rights withdraw --row train:{first}": [],
            f"ask blast-radius --row train:{first}": [],
        }
        for number in range(asked.runs):
            folder = home / f"run{number}"
            folder.mkdir()
            for command, took in commands.items():
                took.append(measured([python, "-m", "whence", *command.split()], folder))
        print(
            f"{asked.rows:,} rows ({source}), adapter of {size(home / 'support-lora') / 1e6:.0f} MB; {asked.runs} runs"
        )
        print(f"\n{'wall s':>8}{'CPU s':>8}  command")
        for command, took in commands.items():
            wall, cpu = (statistics.median(column) for column in zip(*took, strict=True))
            print(f"{wall:>8.2f}{cpu:>8.2f}  whence {command}")
        whole = [sum(part) for part in zip(*([one[0] for one in took] for took in commands.values()), strict=True)]
        print(f"{statistics.median(whole):>8.2f}{'':8}  all three")


def core(place: Path) -> str:
    """An environment with this checkout and nothing but what it needs."""
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python, root = str(place / "bin/python"), Path(__file__).parents[1]
    install = [python, "-m", "pip", "install", "-q", "-c", str(root / "constraints.txt"), "-e", str(root)]
    began = time.monotonic()
    subprocess.run(install, check=True)
    print(f"core install: {time.monotonic() - began:.0f} s")
    return python


def adapter(folder: Path) -> None:
    """A PEFT folder."""
    folder.mkdir()
    random, tensors = np.random.default_rng(0), {}
    for layer in range(LAYERS):
        for module in MODULES:
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{name}.lora_A.weight"] = random.standard_normal((RANK, HIDDEN), np.float32)
            tensors[f"{name}.lora_B.weight"] = random.standard_normal((HIDDEN, RANK), np.float32)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": 32, "target_modules": list(MODULES)}
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"task_type": "CAUSAL_LM"}))


def rows(path: Path, count: int) -> str:
    """Messages with ids; where they are from."""
    data = os.environ.get("WHENCE_DATA")
    if data and Path(data, "banking77/train.jsonl").is_file():
        lines = [json.loads(line) for line in Path(data, "banking77/train.jsonl").read_text().splitlines()]
        pairs, source = [(line["text"], line["intent"]) for line in lines], "banking77"
    else:
        pairs, source = [(f"where is card {n}?", "card_arrival") for n in range(1000)], "generated"
    with path.open("w", encoding="utf-8") as file:
        for n, (prompt, completion) in enumerate(islice(cycle(pairs), count)):
            file.write(json.dumps({"id": f"t{n}", "prompt": prompt, "completion": completion}) + "\n")
    return source


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """(wall, CPU) seconds of a command that must succeed; a question's answer may be that something must come down."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"WHENCE_ACTOR": "bench@example.org"}, capture_output=True, check=False
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 2):
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr.decode()[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


if __name__ == "__main__":
    main()
