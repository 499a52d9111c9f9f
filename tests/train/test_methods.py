"""Every method: what it trains on, what is recorded, killed and resumed, and training again without some rows."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from lessons import add, freeze, recipe, start, talk

from whence.models import bond_of, check_binding, hold, must_answer
from whence.records import METHODS, BackendFailed, Base, Closure, Json, Recipe, Ref, Schedule, Unmet
from whence.store import Store, row_set
from whence.train import Outcome, compare, outcome, prepare, replay, step_of
from whence.train import job as jobs
from whence.train.backends.collate import Collate
from whence.train.backends.tokens import IGNORED, Side, Tokenised
from whence.train.backends.work import work
from whence.train.checkpoints import MARKER, seal
from whence.train.rewards import exact

pytestmark = pytest.mark.tiny

ANSWERS = ("card arrival", "lost card", "exchange rate")
ASKED: dict[str, dict[str, Json]] = {name: dict(method.parameters) for name, method in METHODS.items()}
ASKED["grpo"] |= {"generations": 2, "answer_tokens": 4, "reward": "length"}


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


REWARDS = """
def length(answer, content):
    return len(answer) + 0.5 * len(content["prompt"])

def broken(answer, content):
    return float("nan")
"""


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
def rewards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An installed package with two rewards."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "their_rewards.py").write_text(REWARDS)
    told = folder / "their_rewards-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: their-rewards\nVersion: 1\n")
    points = "\n".join(f"{name} = their_rewards:{name}" for name in ("length", "broken"))
    (told / "entry_points.txt").write_text(f"[whence.rewards]\n{points}\n")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory, base: Base, rewards: None) -> Iterator[dict[str, Bench]]:
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
    bench, done, known = benches[method], whole[method], METHODS[method]
    facts = done.report.facts
    assert (facts["rows_fed"], facts["rows_not_fed"]) == (16, {"truncated": 1, "shape": 1})
    assert set(bench.store.get_set(done.report.set)) == set(bench.ordinals[:16])
    assert (facts["steps"], sorted(facts["checkpoints"])) == (8, ["2", "4", "6", "8"])
    assert (facts["row_local"], facts["exact_replay"]) == (known.row_local, known.exact_replay)
    assert facts["why"] == known.why
    learnt = max(float(abs(value).max()) for name, value in weights(done).items() if "lora_B" in name)
    assert learnt > 0
    pieces = [text for text, spoken in bench.store.words(done.report.example) if spoken]
    assert len(pieces) == {"pair": 2, "prompt": 0}.get(known.reads, 1)


@pytest.mark.parametrize("method", METHODS)
def test_resumed_from_a_checkpoint_it_ends_with_the_same_bytes(
    benches: dict[str, Bench], whole: dict[str, Outcome], method: str
) -> None:
    bench = benches[method]
    run = bench.prepare(bench.asked(), bench.ordinals, attempt=1)
    shutil.copytree(whole[method].folder.parent / "checkpoint-4", place(bench, run) / "checkpoint-4")
    again = bench.train(bench.asked(), bench.ordinals, attempt=1)
    assert again.report.facts["resumed_from"] == 4
    assert compare(bench.store, whole[method].adapter.run, run)["identical"]
    assert again.report.facts["checkpoints"]["8"] == whole[method].report.facts["checkpoints"]["8"]


@pytest.mark.fault
def test_killed_and_started_again_it_ends_with_the_same_bytes(
    benches: dict[str, Bench], whole: dict[str, Outcome]
) -> None:
    bench = benches["dpo"]
    run = bench.prepare(bench.asked(), bench.ordinals, attempt=2)
    with start(bench.store, run) as worker:
        while not any((path / MARKER).exists() for path in place(bench, run).glob("checkpoint-*")):
            assert worker.poll() is None
            time.sleep(0.005)
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
    assert outcome(bench.store, run) is None
    assert bench.train(bench.asked(), bench.ordinals, attempt=2).report.facts["resumed_from"] >= 2
    assert compare(bench.store, whole["dpo"].adapter.run, run)["identical"]


@pytest.mark.parametrize("method", METHODS)
def test_replayed_without_some_rows_it_is_a_training_that_never_had_them(
    benches: dict[str, Bench], whole: dict[str, Outcome], method: str
) -> None:
    """GRPO too, with a reward that gives the same value twice; it is not promised only because others need not."""
    bench, original = benches[method], whole[method]
    frozen = bench.store.get(bench.store.get(original.adapter.closure, Closure).recipe, Recipe)
    assert frozen.schedule
    first = {ordinal: step_of(frozen.schedule, name, 0) for ordinal, name in ids(bench).items()}
    gone = sorted(first, key=first.__getitem__)[-2:]
    kept = [ordinal for ordinal in bench.ordinals if ordinal not in gone]
    from_step = min(first[ordinal] for ordinal in gone) // 2 * 2
    assert from_step >= 2
    scratch = bench.train(frozen, kept)
    under = json.loads((scratch.folder.parent / "checkpoint-2" / MARKER).read_text())["under"]
    run = bench.prepare(frozen, kept, attempt=1)
    copied = place(bench, run) / f"checkpoint-{from_step}"
    shutil.copytree(original.folder.parent / copied.name, copied)
    seal(copied, under)
    replayed = bench.train(frozen, kept, attempt=1)
    assert replayed.report.facts["resumed_from"] == from_step
    assert compare(bench.store, scratch.adapter.run, run)["identical"]
    assert replayed.adapter.weights != original.adapter.weights, "the rows had no effect"


@pytest.mark.parametrize("method", METHODS)
def test_only_methods_with_exact_replay_go_on_from_a_checkpoint(
    benches: dict[str, Bench], whole: dict[str, Outcome], method: str
) -> None:
    bench, original = benches[method], whole[method]
    frozen = bench.store.get(bench.store.get(original.adapter.closure, Closure).recipe, Recipe)
    last = max(ids(bench).items(), key=lambda row: step_of(frozen.schedule, row[1], 0))[0]
    planned = replay(bench.store, original.adapter.run, row_set([last]))
    assert (planned.checkpoint is not None) == METHODS[method].exact_replay
    assert planned.why is None or (method, planned.share) == ("grpo", 1.0)


def test_a_row_adds_the_same_whoever_is_in_its_micro_batch_where_the_table_says_so(benches: dict[str, Bench]) -> None:
    """One row a micro-batch against four, without dropout: the same sums but for the order of adding; not so KTO. Its
    rows are all good ones here, so that their answers become likelier and the mean that they are held against moves."""
    apart, settled = {}, {"dropout": 0.0, "schedule": Schedule(key="a", epochs=2, steps_per_epoch=2, divisor=4.0)}
    for method in ("sft", "dpo", "orpo", "reward", "kto"):
        bench = benches[method]
        rows = bench.ordinals[1:16:2] if method == "kto" else bench.ordinals
        beta = {"beta": 1.0} if method == "kto" else {}
        asked = [bench.asked(micro_batch_rows=size, **settled, **beta) for size in (1, 4)]
        one, four = (weights(bench.train(recipe, rows)) for recipe in asked)
        moved = [name for name in one if "lora_B" in name]  # from zero
        apart[method] = float(sum(abs(one[n] - four[n]).sum() for n in moved) / sum(abs(one[n]).sum() for n in moved))
    assert {method: gap < 3e-5 for method, gap in apart.items()} == {m: METHODS[m].row_local for m in apart}, apart


@pytest.mark.parametrize("method", METHODS)
def test_steps_without_rows_and_half_precision(benches: dict[str, Bench], method: str) -> None:
    """12 steps of which some are empty, in bfloat16."""
    bench = benches[method]
    sparse = Schedule(key="a", epochs=1, steps_per_epoch=12, divisor=4.0)
    done = bench.train(bench.asked(schedule=sparse, epochs=1, dtype="bfloat16"), bench.ordinals[:6])
    assert done.report.facts["steps"] == 12
    assert max(float(abs(value).max()) for name, value in weights(done).items() if "lora_B" in name) > 0


@pytest.mark.parametrize(("method", "each"), [("dpo", math.log(2)), ("kto", 0.5)])
def test_the_first_loss_is_that_of_an_untrained_adapter(benches: dict[str, Bench], method: str, each: float) -> None:
    """Nothing is learnt yet, so adapter and base agree: every row has the same loss, which is known."""
    bench, said = benches[method], []
    run = bench.prepare(bench.asked(epochs=1), bench.ordinals)
    work(bench.store, run, said.append)
    frozen = bench.store.get(bench.store.get(bench.outcome(run).adapter.closure, Closure).recipe, Recipe)
    assert frozen.schedule
    rows = sum(step_of(frozen.schedule, name, 0) == 0 for name in ids(bench).values())
    first = next(line for line in said if line.get("stage") == "training")
    assert (first["done"], frozen.schedule.divisor) == (1, 4.0)
    assert first["loss"] == pytest.approx(each * rows / 4.0, rel=1e-5)


def test_a_reward_model_is_a_scoring_adapter(benches: dict[str, Bench], whole: dict[str, Outcome], base: Base) -> None:
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    done = whole["reward"]
    settings = json.loads((done.folder / "adapter_config.json").read_text())
    assert (settings["task_type"], settings["modules_to_save"]) == ("SEQ_CLS", ["classifier", "score"])
    assert [name for name in weights(done) if "lora" not in name] == ["base_model.model.score.weight"]
    assert 0 <= done.report.facts["pair_accuracy"] <= 1
    with hold(done.folder) as adapter, hold(Path(base.location)) as held:
        binding = check_binding(adapter, held, bond_of(benches["reward"].store, done.adapter))
        assert (binding.answer, binding.bound) == ("exact", binding.tensors)
        with pytest.raises(Unmet, match="reward model"):
            must_answer(adapter)
    tokenizer = AutoTokenizer.from_pretrained(base.location)
    plain = AutoModelForSequenceClassification.from_pretrained(base.location, num_labels=1)
    plain.config.pad_token_id = tokenizer.pad_token_id
    model = PeftModel.from_pretrained(plain, done.folder).eval()
    higher = 0
    for number in range(16):
        content = row("reward", number)
        scores = [
            float(
                model(
                    **tokenizer.apply_chat_template(
                        [
                            {"role": "user", "content": content["prompt"]},
                            {"role": "assistant", "content": content[side]},
                        ],
                        tokenize=True,
                        return_dict=True,
                        return_tensors="pt",
                    )
                ).logits
            )
            for side in ("chosen", "rejected")
        ]
        higher += scores[0] > scores[1]
    assert higher / 16 == done.report.facts["pair_accuracy"], "the saved adapter does not score as the trained one did"


def test_a_reward_is_found_by_name_and_checked(benches: dict[str, Bench], whole: dict[str, Outcome]) -> None:
    bench = benches["grpo"]
    assert whole["grpo"].report.facts["answers_sampled"] == 16 * 2 * 2
    with pytest.raises(Unmet, match="no reward is called 'width'") as caught:
        bench.prepare(bench.asked(reward="width"), bench.ordinals)
    assert caught.value.expected == "one of exact, broken, length"
    with pytest.raises(BackendFailed, match="the reward broken gave nan"):
        bench.train(bench.asked(reward="broken"), bench.ordinals)


def test_where_no_sampled_answer_is_right_grpo_has_nothing_to_learn(benches: dict[str, Bench]) -> None:
    bench = benches["grpo"]
    done = bench.train(bench.asked(reward="exact", epochs=1), bench.ordinals)
    assert done.report.facts["final_loss"] == 0
    assert max(float(abs(value).max()) for name, value in weights(done).items() if "lora_B" in name) == 0


def test_exact_compares_with_the_completion() -> None:
    content = {
        "shape": "prompt_completion",
        "prompt": "?",
        "completion": [{"role": "assistant", "content": "lost card"}],
    }
    assert [exact(said, content) for said in (" lost card\n", "lost", "Lost card")] == [1.0, 0.0, 0.0]
    assert exact("yes", content | {"completion": "yes"}) == 1.0
    assert exact("", content | {"completion": [{"role": "assistant", "tool_calls": [{}]}]}) == 0.0


@pytest.mark.parametrize(
    ("method", "change", "says"),
    [
        ("sft", {"beta": 0.1}, "beta is not read by method sft"),
        ("dpo", {"beta": None}, "beta is missing; method dpo reads it"),
        ("reward", {"generations": 4}, "generations is not read by method reward"),
        ("dpo", {"beta": 0.0}, "beta is 0.0, more than 0 is needed"),
        ("grpo", {"generations": 1}, "generations is 1, at least 2 is needed"),
        ("grpo", {"answer_tokens": None, "beta": 0.1}, "beta is not.*; answer_tokens is missing"),
    ],
)
def test_a_parameter_of_another_method_is_refused(
    benches: dict[str, Bench], method: str, change: dict[str, Json], says: str
) -> None:
    with pytest.raises(Unmet, match=says):
        benches[method].prepare(benches[method].asked(**change), benches[method].ordinals)


def test_a_snapshot_without_rows_of_its_shape_is_refused(benches: dict[str, Bench]) -> None:
    bench = benches["kto"]
    with pytest.raises(Unmet, match=r"by kto \(shape: 1\)") as caught:
        bench.train(bench.asked(), bench.ordinals[-1:])
    assert "of the shape rated" in caught.value.expected


def test_ktos_mismatched_answer_is_the_one_before_it_in_the_step() -> None:
    def side(prompt: list[int], answer: list[int]) -> tuple[Side, ...]:
        ids = np.array(prompt + answer)
        return (Side(ids, np.array([IGNORED] * len(prompt) + answer)),)

    rows = Tokenised(sides=[side([1], [2, 3]), side([4, 5], [6]), side([7], [8])], contents=[{"label": True}] * 3)
    collate = Collate(rows, recipe(method="kto", beta=0.1, micro_batch_rows=2, max_length=4), pad=0)
    first, last = collate([{"row": number} for number in range(3)])
    assert first["input_ids"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert first["KL_input_ids"].tolist() == [[1, 8, 0, 0], [4, 5, 2, 3]]
    assert first["KL_completion_mask"].tolist() == [[0, 1, 0, 0], [0, 0, 1, 1]]
    assert last["KL_input_ids"].tolist() == [[7, 6]]
    assert last["label"].tolist() == [True]


def weights(done: Outcome) -> dict[str, npt.NDArray[np.float32]]:
    from safetensors.torch import load_file

    loaded = load_file(done.folder / "adapter_model.safetensors")
    return {name: tensor.float().numpy() for name, tensor in loaded.items()}


def place(bench: Bench, run: str) -> Path:
    return jobs.job(bench.store, run).folder


def ids(bench: Bench) -> dict[int, str]:
    """Ordinal → id of the rows that the method takes."""
    found = {row["ord"]: row["id"].hex() for part in bench.store.scan(["ord", "id"]) for row in part.to_pylist()}
    return {ordinal: found[ordinal] for ordinal in bench.ordinals[:16]}
