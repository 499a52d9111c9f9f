"""Every method: what it trains on, what is recorded, killed and resumed, and training again without some rows."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lessons import add, freeze, recipe, start, talk

from whence.records import METHODS, Base, Closure, Json, Recipe, Ref, Snapshot, Unmet
from whence.store import Store
from whence.train import Outcome, outcome, prepare
from whence.train import job as jobs
from whence.train.backends.work import work
from whence.train.checkpoints import MARKER, seal

pytestmark = pytest.mark.tiny

ANSWERS = ("card arrival", "lost card", "exchange rate")
ASKED: dict[str, dict[str, Json]] = {name: dict(method.parameters) for name, method in METHODS.items()}
ASKED["grpo"] |= {"generations": 2, "answer_tokens": 4}
LOCAL = ("dpo", "orpo", "reward")


def prompt(number: int) -> str:
    return f"please tell me about my card number {number}" + " again" * (number % 5)


def row(method: str, number: int) -> Json:
    """A row that the method takes."""
    good, bad = ANSWERS[number % 3], ANSWERS[(number + 1) % 3] + " now" * (number % 2)
    asked, shape = {"prompt": prompt(number)}, METHODS[method].shapes[0]
    return {
        "preference": {"shape": "preference", **asked, "chosen": good, "rejected": bad},
        "rated": {"shape": "rated", **asked, "completion": good if number % 2 else bad, "label": bool(number % 2)},
        "prompt_completion": {"shape": "prompt_completion", **asked, "completion": good},
        "chat": talk(prompt(number), good),
    }[shape]


@dataclass
class Bench:
    """A store of its own for one method: 16 rows that it takes, one that is too long, one of another shape."""

    method: str
    store: Store
    base: Ref
    ordinals: list[int]

    def asked(self, **changes: Json) -> Recipe:
        settled = {"method": self.method, "checkpoint_every": 2, "dropout": 0.1, "batch_rows": 4, **ASKED[self.method]}
        return recipe(**settled | changes)

    def prepare(self, asked: Recipe, ordinals: list[int], attempt: int = 0) -> Ref:
        return prepare(self.store, self.base, freeze(self.store, ordinals), asked, attempt=attempt)

    def train(self, asked: Recipe, ordinals: list[int], attempt: int = 0) -> Outcome:
        run = self.prepare(asked, ordinals, attempt)
        work(self.store, run, lambda line: None)
        return self.outcome(run)

    def outcome(self, run: str) -> Outcome:
        found = outcome(self.store, run)
        assert found
        return found


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory, base: Base) -> Iterator[dict[str, Bench]]:
    made = {}
    with contextlib.ExitStack() as stack:
        for method in METHODS:
            root = tmp_path_factory.mktemp(method) / ".whence"
            store = stack.enter_context(contextlib.closing(Store.open(root, create=True, actor="tester@example.org")))
            long = row(method, 0)
            long |= {"messages": talk("word " * 80, "x")["messages"]} if method == "sft" else {"prompt": "word " * 80}
            rows = [*(row(method, number) for number in range(16)), long, {"shape": "text", "text": "plain"}]
            made[method] = Bench(method, store, store.put(base), add(store, "desk", rows))
        yield made


@pytest.fixture(scope="module")
def whole(benches: dict[str, Bench]) -> dict[str, Outcome]:
    """Each method trained once on all of its rows."""
    return {name: bench.train(bench.asked(), bench.ordinals) for name, bench in benches.items()}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_trains_and_says_what_it_fed(
    benches: dict[str, Bench], whole: dict[str, Outcome], method: str
) -> None:
    bench, facts = benches[method], whole[method].report.facts
    assert (facts["rows_fed"], facts["rows_not_fed"]) == (16, {"truncated": 1, "shape": 1})
    assert set(bench.store.get_set(whole[method].report.set)) == set(bench.ordinals[:16])
    assert facts["steps"] == 8
    assert facts["row_local"] is METHODS[method].row_local
    assert facts["exact_replay"] is METHODS[method].exact_replay
    assert facts["why"] == METHODS[method].why
    print(method, facts["final_loss"], facts["import_cpu_s"], facts["train_cpu_s"])
