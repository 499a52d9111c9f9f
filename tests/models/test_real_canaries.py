"""The no-op check and the canaries, tuned on random factors, on adapters trained on two real sets."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.adapters.ways import Scene, factors_of_zero, keys_of_another_layer
from train.lessons import add, freeze, recipe, talk
from whence.models import fingerprint
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import Adapter, Base
from whence.register import canaries, drift
from whence.register.canaries import Look, Questions
from whence.store import Store
from whence.train import prepare, train

pytestmark = [pytest.mark.real_data, pytest.mark.tiny]

SETS = {
    "banking77": ("banking77/train.jsonl", "text", "intent"),
    "bitext": ("bitext_support/intent_train.jsonl", "utterance", "intent"),
}
ROWS = 400
"""Every so many-th row of a set, so that all labels are there."""
SEEDS = range(1, 1 + int(os.environ.get("WHENCE_SEEDS", "1")))
"""Of the trainings; docs/validity.md has the figures of three."""


def rows(real_data: Path, name: str) -> list[tuple[str, str]]:
    """(question, label) of `ROWS` rows."""
    file, question, label = SETS[name]
    lines = (real_data / file).read_text(encoding="utf-8").splitlines()
    return [(line[question], line[label]) for line in map(json.loads, lines[:: len(lines) // ROWS][:ROWS])]


@pytest.fixture(scope="module")
def trained(real_data: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """``trained(set, seed)``: an adapter of 100 steps over it."""
    made: dict[tuple[str, int], Path] = {}

    def adapter(name: str, seed: int) -> Path:
        if (name, seed) not in made:
            folder = tmp_path_factory.mktemp(f"{name}-{seed}")
            store = Store.open(folder / ".whence", create=True, actor="tester@example.org")
            base = store.put(Base(name="tiny", location=str(tiny_base), fingerprint=fingerprint(tiny_base)))
            snapshot = freeze(store, add(store, name, [talk(*row) for row in rows(real_data, name)]))
            chosen = recipe(seed=seed, batch_rows=8, micro_batch_rows=8, max_length=128, checkpoint_every=1000)
            ref = train(store, prepare(store, base, snapshot, chosen))
            made[name, seed] = Path(shutil.copytree(store.root / store.get(ref, Adapter).location, folder / "adapter"))
            store.close()
        return made[name, seed]

    return adapter


def look(base: Path, adapter: Path, questions: Questions | None = None) -> Look:
    model = TransformersModel(base, {"canary": adapter})
    return canaries.look_inside(model, questions or canaries.read_questions(None), "canary")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SETS)
def test_an_adapter_of_real_rows_does_something_and_goes_on_doing_it(
    trained, tiny_base: Path, tmp_path: Path, name: str, seed: int
) -> None:
    adapter = trained(name, seed)
    then, again = look(tiny_base, adapter), look(tiny_base, adapter)
    assert then.effect
    assert again.effect
    assert then.effect.divergence > 100 * drift.NOTHING
    assert drift.no_op("a", again.effect, then.effect).verdict == "pass"
    assert drift.exactly("a", then.answers, again.answers).statistic == 0
    for way in (factors_of_zero, keys_of_another_layer):
        scene = Scene(Path(shutil.copytree(adapter, tmp_path / way.__name__)), tiny_base, adapter)
        way(scene)
        now = look(tiny_base, scene.adapter)
        assert now.effect
        assert drift.exactly("a", then.answers, now.answers).verdict == "fail"
        if way is factors_of_zero:  # half of the keys still do 0.49 to 0.85 of the whole
            assert {drift.no_op("a", now.effect, known).verdict for known in (then.effect, None)} == {"fail"}


def test_another_training_answers_otherwise(trained, tiny_base: Path) -> None:
    """Any other seed of one set, and the other set."""
    one = trained("banking77", 1)
    for other in (trained("bitext", 1), *(trained("banking77", seed) for seed in SEEDS[1:])):
        finding = drift.exactly("a", look(tiny_base, one).answers, look(tiny_base, other).answers)
        assert finding.verdict == "fail"
        assert finding.statistic is not None
        assert finding.statistic > 100 * drift.TOLERANCE


def test_real_questions_tell_the_same(trained, tiny_base: Path, real_data: Path) -> None:
    asked = [json.loads(x)["text"] for x in (real_data / "banking77/test.jsonl").read_text().splitlines()[::193]]
    questions = Questions(texts=tuple(asked[:16]), own=True)
    adapter = trained("banking77", 1)
    then, again = look(tiny_base, adapter, questions), look(tiny_base, adapter, questions)
    assert then.effect
    assert again.effect
    assert then.effect.divergence > 100 * drift.NOTHING
    assert drift.no_op("a", again.effect, then.effect).verdict == "pass"
