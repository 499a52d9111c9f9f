"""What the gate says of real adapters whose true difference is known: 500 random parts of 20,000 generated items.

    python -m bench.gate_models [--items 20000] [--parts 500]

Four adapters are trained on the demo's desk: two that differ in their seed alone, one with a lower learning rate, and
one that was taught for less long. All answer the same generated questions; what they differ by on all of them is taken
for the truth. Then the gate of `bench.gate` (`min_gain = -0.03`) judges one against the other on random parts of as
many items as it asks for, and of a fourth as many. The bank and its customers are invented: this shows rates of
verdicts, not how good a model is.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from bench.machine import describe

MARGIN, ALPHA = 0.03, 0.05
WAYS = {
    "first": ("", ""),
    "other seed": ("[recipe]", "[recipe]\nseed = 1"),
    "slower": ("learning_rate = 4e-3", "learning_rate = 3e-3"),
    "taught less": ("epochs = 2", "epochs = 1"),
}
"""Adapter → what stands in the project file, and what in its stead."""


def answered(folder: Path, items: int, ways: dict[str, tuple[str, str]] = WAYS) -> dict[str, np.ndarray]:
    """Adapter → which of the generated questions it has right."""
    import whence
    from whence.demo.desk import Desk
    from whence.demo.generate import _suite
    from whence.demo.walk import _build
    from whence.evaluate import Contender, evaluate, put_suite
    from whence.evaluate.gates import states
    from whence.lifecycle.model import LazyModel
    from whence.records import Evaluation, Item, Prompt

    class Quiet:
        def stage(self, *_: object) -> None: ...
        def progress(self, *_: object) -> None: ...

    truth = _build(folder, Quiet(), lambda *_: None)  # type: ignore[arg-type]
    desk = Desk(99, 500)
    asked = [
        Item(id=row["id"], input=row["text"], expected=row["intent"])
        for row in _suite(desk, "x", items, desk.customers)
    ]
    text, found = (folder / "whence.toml").read_text(), dict[str, np.ndarray]()
    for name, (usual, other) in ways.items():
        assert usual in text
        (folder / "whence.toml").write_text(text.replace(usual, other, 1))
        with whence.open(folder, create=True) as w:
            out = w.run("train")
            assert out.base
            assert out.adapter
            suite = put_suite(w.store, "many", "fresh", "label", asked, truth["intents"])
            model = LazyModel(w.store, out.base, out.adapter, 1)
            contender = Contender(model=model, base=out.base, adapter=out.adapter, adapter_name=model.name)
            prompt = w.store.put(Prompt(template="bare", text=""))
            made = w.store.get(evaluate(w.store, contender, suite, prompt, max_tokens=16), Evaluation)
            said = states(w.store, made)
            found[name] = np.array([said[item.id] == "right" for item in asked])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--parts", type=int, default=500)
    args = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    from whence.evaluate.rules import gain_outcome, items_asked
    from whence.stats import mcnemar

    with tempfile.TemporaryDirectory() as tmp:
        right = answered(Path(tmp), args.items)
    print(f"# the gate with real adapters ({describe()}), {args.items:,} items, {args.parts} random parts each\n")
    print("| candidate against baseline | right | true change [95 %] | differ | items a part | pass | abstain | fail |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    rng = np.random.default_rng(0)
    for old, new in (("first", "other seed"), ("first", "slower"), ("first", "taught less"), ("slower", "first")):
        gained, lost = right[new] & ~right[old], right[old] & ~right[new]
        all_of = mcnemar(int(gained.sum()), int(lost.sum()), args.items)
        differ = float((gained | lost).mean())
        asked = min(args.items // 2, items_asked(MARGIN, differ, ALPHA))
        for n in (asked, asked // 4):
            said = Counter[str]()
            for _ in range(args.parts):
                some = rng.choice(args.items, n, replace=False)
                said[gain_outcome(mcnemar(int(gained[some].sum()), int(lost[some].sum()), n), -MARGIN, ALPHA)] += 1
            shares = " | ".join(f"{said[one] / args.parts:.1%}" for one in ("pass", "abstain", "fail"))
            change = f"{all_of.statistic:+.1%} [{all_of.low:+.1%}, {all_of.high:+.1%}]"
            both = f"{right[new].mean():.1%} against {right[old].mean():.1%}"
            print(f"| {new} against {old} | {both} | {change} | {differ:.1%} | {n:,} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
