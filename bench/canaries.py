"""Canaries: how far equal models differ, how much adapters do, how often the two-sample test is wrong and right.

    python -m bench.canaries [tolerance | effects | samples | cost]...

tolerance: one look in processes of other threads, CPU capability and dtype, beside small changes of the weights.
effects: what adapters of several sizes do, the same adapter elsewhere, and adapters that lost something.
samples: false alarms and power of the comparison of hosted models. Each answer is drawn from a pool that the real tiny
model gave at temperature 1, so that looks at the same pool differ by sampling alone; a change is another pool's answers
in a share of the draws. The test is the one that is shipped, with 999 relabellings instead of 9,999 where there
are several questions.
cost: CPU seconds that `whence run` spends on keeping the canaries of a new adapter.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import describe

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}

LOOKS = 2000
"""Pairs of looks for a false-alarm rate; an eighth of that for a power."""
POOL = 200
"""Answers of the tiny model to each question."""
SHAPES = ((1, 5), (4, 5), (16, 3), (16, 5), (16, 10))
"""Questions, answers to each."""
SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)
"""Of the answers that come from another model after a change."""


def quiet() -> None:
    import warnings

    from transformers.utils import logging

    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def base() -> Path:
    """The demo's tiny base."""
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS

    return cached_base(INTENTS)


def look(at: Path, adapter: Path, threads: int | None = None) -> Any:
    """The canaries' answers and the adapter's effect."""
    from whence.models.backends.transformers_peft import TransformersModel
    from whence.register import canaries

    model = TransformersModel(at, {"canary": adapter}, threads=threads)
    return canaries.look_inside(model, canaries.read_questions(None), "canary")


def cast(folder: Path, out: Path) -> Path:
    """The base in bfloat16."""
    from models.makers import rewrite

    def down(tensors: dict[str, Any]) -> dict[str, Any]:
        import torch

        return {n: t.to(torch.bfloat16) for n, t in tensors.items()}

    return rewrite(folder, out, down, config={"dtype": "bfloat16"})


# -- tolerance ---------------------------------------------------------------------------------------------------------

CAPABILITIES = ("default", "avx2")


def tolerance() -> None:
    """The largest difference of a log-probability between processes."""
    from models.makers import make_adapter, rewrite
    from whence.register import drift

    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        adapter = make_adapter(base(), home / "adapter", 1, 0.1)
        for dtype, at in (("float32", base()), ("bfloat16", cast(base(), home / "bf16"))):
            first = child(at, adapter, home, 1, "avx2")
            worst: dict[str, float] = {}
            for threads in (1, 2, 4):
                for capability in CAPABILITIES:
                    now = child(at, adapter, home, threads, capability)
                    key = "same capability" if capability == "avx2" else f"avx2 and {capability}"
                    found = max(drift.difference(a[0], b[0]) for a, b in zip(first, now, strict=True))
                    worst[key] = max(worst.get(key, 0.0), found)
            print(f"{dtype:<10}" + "; ".join(f"{k}, 1 to 4 threads: {v:.2g}" for k, v in worst.items()))
        then = look(base(), adapter).answers
        for name, by in (("one value of the embedding by 0.001", 1e-3), ("all weights by 0.001 %", None)):

            def change(ts: dict[str, Any], by: float | None = by) -> dict[str, Any]:
                if by is None:
                    return {n: t * (1 + 1e-5) if t.dim() == 2 else t for n, t in ts.items()}
                ts["model.embed_tokens.weight"][300, 0] += by
                return ts

            other = rewrite(base(), home / name.replace(" ", "-").replace("%", ""), change)
            print(f"{name}: {drift.exactly('x', then, look(other, adapter).answers).statistic:.2g}")


def child(at: Path, adapter: Path, home: Path, threads: int, capability: str) -> Any:
    """A look in a process of its own."""
    import subprocess

    from whence.register import canaries

    env = os.environ | {"ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": str(threads)}
    env |= {"ONEDNN_MAX_CPU_ISA": {"default": "SSE41", "avx2": "AVX2"}[capability]}
    out = home / "answers.json"
    words = [sys.executable, "-m", "bench.canaries", "--one", str(at), str(adapter), str(threads), str(out)]
    subprocess.run(words, env=env, check=True, capture_output=True)
    return [[canaries._read(line)] for line in json.loads(out.read_text())]


def one(at: str, adapter: str, threads: str, out: str) -> None:
    """What `child` runs."""
    from whence.register import canaries

    seen = look(Path(at), Path(adapter), int(threads))
    Path(out).write_text(json.dumps([canaries._plain(given[0]) for given in seen.answers]))


# -- effects -----------------------------------------------------------------------------------------------------------


def effects() -> None:
    """Effect now over effect then."""
    import shutil

    from faults.adapters.ways import Scene, alpha_scaled, keys_of_another_layer, one_layer_only
    from models.makers import make_adapter

    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        low = cast(base(), home / "bf16")
        ways: dict[str, Any] = {
            "base in bfloat16": None,
            "alpha × 4": alpha_scaled,
            "one of two layers": one_layer_only,
            "keys of a layer lost": keys_of_another_layer,
        }
        ratios: dict[str, list[float]] = {name: [] for name in ("again", *ways)}
        for scale in (0.05, 0.1, 0.3):
            for seed in range(1, 6):
                adapter = make_adapter(base(), home / f"{scale}-{seed}", seed, scale)
                then = look(base(), adapter).effect
                print(f"scale {scale}, seed {seed}: {then}")
                ratios["again"].append(look(base(), adapter).effect.divergence / then.divergence)
                for name, way in ways.items():
                    scene = Scene(Path(shutil.copytree(adapter, home / "now")), base(), adapter)
                    if way:
                        way(scene)
                    now = look(base() if way else low, scene.adapter).effect
                    ratios[name].append(now.divergence / then.divergence)
                    shutil.rmtree(home / "now")
        for name, found in ratios.items():
            inside = sum(0.5 <= ratio <= 2 for ratio in found)
            print(f"{name:<24}{min(found):.3g} to {max(found):.3g}; inside [0.5, 2]: {inside} of {len(found)}")


# -- samples -----------------------------------------------------------------------------------------------------------


def pools() -> dict[str, list[list[Any]]]:
    """For each model, for each question: `POOL` answers at temperature 1."""
    from models.makers import make_adapter
    from whence.models import Request
    from whence.models.backends.transformers_peft import TransformersModel
    from whence.register import canaries

    with tempfile.TemporaryDirectory() as scratch:
        model = TransformersModel(base(), {"other": make_adapter(base(), Path(scratch) / "a", 1, 0.1)})
        made: dict[str, list[list[Any]]] = {}
        for name in (None, "other"):
            requests = [
                Request(messages=[{"role": "user", "content": text}], adapter=name, max_tokens=8, temperature=1.0)
                for text in canaries.read_questions(None).texts
                for _ in range(POOL)
            ]
            scored = model.logprobs(requests, 5)
            made[name or "base"] = [scored[i : i + POOL] for i in range(0, len(scored), POOL)]
    return made


@dataclass(frozen=True, slots=True)
class Server:
    """How a simulated server answers."""

    pools: dict[str, list[list[Any]]]
    steady: float = 0.0
    """chance that an answer is the pool's first, as at temperature 0"""
    noise: float | None = None
    """standard deviation of what its arithmetic adds to log-probabilities, nats; None: it tells none"""

    def look(self, random: np.random.Generator, asked: Sequence[int], repeats: int, share: float) -> list[list[Any]]:
        """Answers to these questions. share: chance of each to be the other model's."""
        return [[self._answer(random, q, share) for _ in range(repeats)] for q in asked]

    def _answer(self, random: np.random.Generator, q: int, share: float) -> Any:
        pool = self.pools["other" if random.random() < share else "base"][q]
        found = pool[0 if random.random() < self.steady else random.integers(POOL)]
        if self.noise is None:
            return replace(found, steps=())
        first = tuple(replace(g, logprob=g.logprob + self.noise * random.normal()) for g in found.steps[0])
        return replace(found, steps=(first,))


def rate(server: Server, questions: int, repeats: int, share: float, looks: int) -> float:
    """Share of comparisons that say fail."""
    from whence.register import drift

    found = 0
    for seed in range(looks):
        random = np.random.default_rng(seed)
        asked = random.permutation(len(server.pools["base"]))[:questions]
        then, now = (server.look(random, asked, repeats, s) for s in (0.0, share))
        found += drift.by_sample("x", then, now).verdict == "fail"
    return found / looks


def samples() -> None:
    """False alarms at alpha and power, for questions × answers each."""
    from whence.register.drift import ALPHA
    from whence.stats import twosample

    made = pools()
    kinds = [len({a.text for a in pool}) for pool in made["base"]]
    print(f"the tiny model words an answer in {min(kinds)} to {max(kinds)} ways of {POOL}; alpha {ALPHA:g}")
    servers = {
        "temperature 1, texts alone": Server(made),
        "temperature 1, log-probabilities ± 0.02": Server(made, noise=0.02),
        "19 of 20 answers the same, texts alone": Server(made, steady=0.95),
    }
    for name, server in servers.items():
        print(f"\n{name}\n{'questions × answers':<22}{'no change':>10}" + "".join(f"{s:>8.0%}" for s in SHARES))
        for questions, repeats in SHAPES:
            twosample.DRAWS = 999 if questions > 1 else 9_999  # there the smallest p is close to alpha
            alarms = rate(server, questions, repeats, 0.0, LOOKS)
            power = [rate(server, questions, repeats, share, LOOKS // 8) for share in SHARES]
            print(
                f"{f'{questions} × {repeats}':<22}{alarms:>10.2%}" + "".join(f"{found:>8.0%}" for found in power),
                flush=True,
            )


# -- cost --------------------------------------------------------------------------------------------------------------


def cost() -> None:
    """CPU seconds for the first look, at a model that is loaded and has answered before."""
    from models.makers import make_adapter
    from whence.models.backends.transformers_peft import TransformersModel
    from whence.register import canaries

    with tempfile.TemporaryDirectory() as scratch:
        model = TransformersModel(base(), {"canary": make_adapter(base(), Path(scratch) / "a", 1)})
        questions = canaries.read_questions(None)
        canaries.look_inside(model, questions, "canary")
        took = []
        for _ in range(10):
            before = time.process_time()
            canaries.look_inside(model, questions, "canary")
            took.append(time.process_time() - before)
        print(f"look with effect, 16 questions: {sorted(took)[5]:.3f} CPU s (median of 10)")


PARTS = {"tolerance": tolerance, "effects": effects, "samples": samples, "cost": cost}


def main() -> None:
    """Print what was asked for, or all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    quiet()
    if asked.one:
        one(*asked.one)
        return
    print(describe())
    for part in asked.parts or PARTS:
        print(f"\n# {part}")
        PARTS[part]()


if __name__ == "__main__":
    main()
