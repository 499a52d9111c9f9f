"""Training in a process of its own: what is recorded, killed and resumed, repeated, refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from lessons import add, freeze, recipe, start, steps, talk, talks

from whence.records import (
    Adapter,
    BackendFailed,
    Base,
    Closure,
    Damaged,
    Json,
    NotFound,
    Recipe,
    Ref,
    Schedule,
    Tier,
    Unmet,
)
from whence.store import Store, verify
from whence.train import Outcome, Progress, compare, outcome, prepare, step_of, train
from whence.train import job as jobs
from whence.train.backends.work import BEAT_S, work
from whence.train.checkpoints import MARKER

pytestmark = pytest.mark.tiny

TRUNCATED = talk("word " * 80, "lost card")


@dataclass
class Desk:
    """A project with a finished run."""

    store: Store
    base: Ref
    snapshot: Ref
    ordinals: list[int]
    run: Ref
    progress: list[Progress]

    def prepare(self, asked: Recipe, attempt: int = 0, snapshot: Ref | None = None) -> Ref:
        return prepare(self.store, self.base, snapshot or self.snapshot, asked, attempt=attempt)

    def outcome(self, run: str) -> Outcome:
        found = outcome(self.store, run)
        assert found
        return found

    def here(self, run: str) -> Outcome:
        """Train in this process, which has the libraries loaded."""
        work(self.store, run, lambda line: None)
        return self.outcome(run)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, base: Base) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("project")
    (folder / ".gitignore").write_text(".whence\nwhence.key\n")
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "start")):
        subprocess.run([*git, *words], cwd=folder, check=True)
    before = Path.cwd()
    os.chdir(folder)
    store = Store.open(folder / ".whence", create=True, actor="tester@example.org")
    ordinals = add(store, "desk", talks(24)) + add(store, "late", talks(8)) + add(store, "long", [TRUNCATED])
    snapshot, said = freeze(store, ordinals), []
    run = prepare(store, store.put(base), snapshot, recipe())
    train(store, run, on_progress=said.append)
    yield Desk(store, store.put(base), snapshot, ordinals, run, said)
    os.chdir(before)


def test_the_run_is_recorded_whole(desk: Desk) -> None:
    done, store = desk.outcome(desk.run), desk.store
    closure = store.get(done.adapter.closure, Closure)
    frozen = store.get(closure.recipe, Recipe)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert (closure.base, closure.snapshot, closure.code_commit, closure.code_clean) == (
        *(desk.base, desk.snapshot),
        *(head, True),
    )
    assert frozen.schedule is not None
    assert replace(frozen, schedule=None) == recipe()
    assert (frozen.schedule.steps_per_epoch, frozen.schedule.epochs) == (8, 2)
    facts = done.report.facts
    assert (facts["rows"], facts["rows_fed"], facts["rows_not_fed"]) == (33, 32, {"truncated": 1})
    assert facts["steps"] == 16
    assert facts["tokens_learnt"] == pytest.approx(frozen.schedule.divisor * 16)
    assert sorted(map(int, facts["checkpoints"])) == list(range(2, 17, 2))
    assert set(store.get_set(done.report.set)) == set(desk.ordinals[:-1])
    assert store.get_table(done.report.removed).to_pylist() == [{"ordinal": desk.ordinals[-1], "reason": "truncated"}]
    pieces = store.words(done.report.example)
    assert [text for text, learnt in pieces if learnt] == ["card arrival<|end|>"]
    assert done.report.conditions.threads == 1
    assert {"torch", "trl", "peft", "transformers"} <= done.report.conditions.packages.keys()
    assert any(line.startswith("torch==") for line in store.get_lines(closure.environment))
    kinds = [event.kind for event in store.events("run.*", about=desk.run)]
    assert kinds == ["run.planned", "run.finished"]
    assert verify(store) == []


def test_progress_is_told(desk: Desk) -> None:
    assert desk.progress[0] == Progress(stage="loading")
    last = [one for one in desk.progress if one.stage == "training"][-1]
    assert (last.done, last.total) == (16, 16)
    assert last.loss is not None


def test_the_adapter_is_plain_peft_without_a_path(desk: Desk, tiny_base: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = desk.outcome(desk.run).folder
    files = ["adapter_config.json", "adapter_model.safetensors", "whence.json"]
    assert sorted(p.name for p in folder.iterdir()) == files
    text = (folder / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == "tiny"
    assert str(tiny_base) not in text + (folder / "whence.json").read_text()
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), folder)
    learnt = [p for name, p in model.named_parameters() if "lora_B" in name]
    assert len(learnt) == 14
    assert all(float(p.abs().max()) > 0 for p in learnt)


def test_the_sidecar_tells_the_base_without_a_store(desk: Desk, tiny_base: Path, tmp_path: Path) -> None:
    from whence.models import check_binding, fingerprint, hold, read_sidecar

    other = shutil.copytree(tiny_base, tmp_path / "other")
    settings = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(settings | {"rope_theta": 1.0}))
    with hold(desk.outcome(desk.run).folder) as adapter, hold(tiny_base) as base, hold(other) as another:
        bond = read_sidecar(adapter.path)
        assert bond
        assert (bond.seen, bond.name, bond.base) == ("in training", "tiny", fingerprint(tiny_base))
        assert check_binding(adapter, base, bond).answer == "exact"
        assert check_binding(adapter, another, bond).answer == "same-shape-different-base"


def test_a_finished_run_is_up_to_date(desk: Desk) -> None:
    events, adapters = desk.store.head(), desk.store.count(Adapter)
    assert desk.prepare(recipe()) == desk.run
    assert train(desk.store, desk.run) == desk.outcome(desk.run).adapter_ref
    assert (desk.store.head(), desk.store.count(Adapter)) == (events, adapters)


@pytest.mark.fault
def test_killed_four_times_it_ends_with_the_same_bytes(desk: Desk) -> None:
    run = desk.prepare(recipe(), attempt=1)
    folder, chance = jobs.job(desk.store, run).folder, random.Random()
    kills = [
        kill_soon(desk.store, run, chance.uniform(0, 2)),
        kill_after_a_checkpoint(desk.store, run, folder, chance.uniform(0, 0.03)),
        kill_with_half_a_checkpoint(desk.store, run, folder),
        kill_the_parent(desk.store, run),
    ]
    assert kills == [-signal.SIGKILL] * 4
    assert outcome(desk.store, run) is None
    both = [start(desk.store, run), start(desk.store, run)]
    told = [steps(worker) for worker in both]
    assert [worker.wait() for worker in both] == [0, 0]
    assert sorted(map(bool, told)) == [False, True], "two workers trained one run"
    assert len(desk.store.events("run.planned", about=run)) == 1
    done = desk.outcome(run)
    assert done.report.facts["resumed_from"] >= 2
    said = compare(desk.store, desk.run, run)
    assert said["same_closure"]
    assert said["identical"]
    assert said["differing"] == {}
    assert said["conditions"]["threads"] == 1
    assert (said["checkpoints_compared"], said["first_difference"]) == (8, None)
    assert done.adapter.weights == desk.outcome(desk.run).adapter.weights


def kill_soon(store: Store, run: str, seconds: float) -> int:
    worker = start(store, run)
    time.sleep(seconds)
    worker.kill()
    return ended(worker)


def kill_after_a_checkpoint(store: Store, run: str, folder: Path, seconds: float) -> int:
    worker = start(store, run)
    wait_for(worker, "training")
    while not any((path / MARKER).exists() for path in folder.glob("checkpoint-*")):
        assert worker.poll() is None
        time.sleep(0.005)
    time.sleep(seconds)
    worker.kill()
    return ended(worker)


def kill_with_half_a_checkpoint(store: Store, run: str, folder: Path) -> int:
    worker = start(store, run)
    before = {path.name for path in folder.glob("checkpoint-*") if (path / MARKER).exists()}
    drain = threading.Thread(target=lambda: list(worker.stdout), daemon=True)
    drain.start()
    while worker.poll() is None:
        if any(not (path / MARKER).exists() for path in folder.glob("checkpoint-*") if path.name not in before):
            worker.kill()
    drain.join()
    return ended(worker)


PARENT = """
import sys
from pathlib import Path
from whence.store import Store
from whence.train import train
train(Store.open(Path(sys.argv[1])), sys.argv[2], on_progress=lambda p: print(p.stage, flush=True))
"""


def kill_the_parent(store: Store, run: str) -> int:
    """The worker of a killed parent is gone soon after."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(store.root), run], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert parent.stdout.readline().strip() == "loading"
    (worker,) = psutil.Process(parent.pid).children()
    while parent.stdout.readline().strip() != "training":
        assert parent.poll() is None
    worker.suspend()  # its next sign of life is due at once then, and not when all is trained
    parent.kill()
    time.sleep(2 * BEAT_S)
    worker.resume()
    worker.wait(timeout=60)
    return ended(parent)


def ended(process: subprocess.Popen[str]) -> int:
    with process:
        return process.wait()


def wait_for(worker: subprocess.Popen[str], stage: str) -> None:
    for line in worker.stdout:
        if json.loads(line).get("stage") == stage:
            return
    raise AssertionError(worker.stderr.read())


def test_another_seed_is_another_adapter(desk: Desk) -> None:
    other = desk.prepare(recipe(seed=8))
    desk.here(other)
    said = compare(desk.store, desk.run, other)
    assert not said["identical"]
    assert not said["same_closure"]
    assert said["first_difference"] == 2


def test_removing_rows_leaves_every_earlier_step_as_it_was(desk: Desk) -> None:
    """Rows of a tier are trained late; without them all checkpoints up to their first step are the same bytes. Most of
    the 40 steps are empty here."""
    frozen = desk.store.get(desk.store.get(desk.outcome(desk.run).adapter.closure, Closure).recipe, Recipe)
    tier = Tier(sources=("late",), rehearsal=0.0, first_step=30, steps=10)
    schedule = replace(frozen.schedule, steps_per_epoch=20, tiers=(tier,))
    asked = replace(frozen, schedule=schedule, checkpoint_every=7)
    whole = desk.here(desk.prepare(asked))
    kept = freeze(desk.store, desk.ordinals[:24])
    without = desk.here(desk.prepare(asked, snapshot=kept))
    a, b = whole.report.facts["checkpoints"], without.report.facts["checkpoints"]
    assert sorted(map(int, a)) == sorted(map(int, b)) == [7, 14, 21, 28, 30, 35]
    ids = [
        row["id"].hex()
        for part in desk.store.scan(["id", "source"])
        for row in part.to_pylist()
        if row["source"] == "late"
    ]
    first = min(step_of(schedule, name, 0, "late") for name in ids)
    assert first >= 30
    assert [step for step in a if a[step] == b[step]] == [step for step in a if int(step) <= first]
    assert whole.adapter.weights != without.adapter.weights
    assert desk.store.get(whole.adapter.closure, Closure).recipe == desk.store.put(asked)


SHORT = Schedule(key="ab", epochs=1, steps_per_epoch=4, divisor=50.0)
SETTLED = {"epochs": 1, "warmup_steps": 1, "schedule": SHORT}


@pytest.fixture(scope="module")
def short(desk: Desk) -> Outcome:
    return desk.here(desk.prepare(recipe(**SETTLED)))


@pytest.mark.parametrize(
    "change",
    [
        *({"rank": 5}, {"alpha": 9}, {"dropout": 0.2}, {"target_modules": "q_proj,v_proj"}, {"learning_rate": 3e-3}),
        *({"lr_schedule": "constant"}, {"lr_schedule": "cosine"}, {"warmup_steps": 2}, {"weight_decay": 0.1}),
        *({"max_grad_norm": 0.1}, {"seed": 8}, {"max_length": 16}, {"micro_batch_rows": 2}, {"dtype": "bfloat16"}),
        *({"schedule": replace(SHORT, key="ac")}, {"schedule": replace(SHORT, divisor=51.0)}),
    ],
    ids=str,
)
def test_every_part_of_the_recipe_is_followed(desk: Desk, short: Outcome, change: dict[str, Json]) -> None:
    assert desk.here(desk.prepare(recipe(**SETTLED | change))).adapter.weights != short.adapter.weights


def test_what_does_not_decide_the_weights_does_not_change_them(desk: Desk, short: Outcome) -> None:
    for change in ({"checkpoint_every": 1}, {"batch_rows": 9}):
        again = desk.here(desk.prepare(recipe(**SETTLED | change)))
        assert again.adapter.weights == short.adapter.weights


def test_a_loss_that_is_no_number_stops_the_run(desk: Desk) -> None:
    with pytest.raises(BackendFailed, match="the loss of step"):
        desk.here(desk.prepare(recipe(learning_rate=1e30, max_grad_norm=1e30, warmup_steps=0)))


@pytest.mark.fault
def test_a_killed_worker_is_reported(desk: Desk) -> None:
    def kill(progress: Progress) -> None:
        next(one for one in psutil.Process().children() if "whence.train.worker" in one.cmdline()).kill()

    with pytest.raises(BackendFailed, match="code -9"):
        train(desk.store, desk.prepare(recipe(), attempt=5), on_progress=kill)


def test_another_base_under_the_same_name_is_refused(desk: Desk, base: Base) -> None:
    other = replace(base, fingerprint=replace(base.fingerprint, weights="b3:00"))
    run = prepare(desk.store, desk.store.put(other), desk.snapshot, recipe())
    with pytest.raises(Unmet, match="its weights differ") as caught:
        train(desk.store, run)
    assert caught.value.do.startswith("restore it")
    assert desk.store.events("run.planned", about=run) == []


def test_packages_that_changed_since_the_plan_are_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = jobs.job(desk.store, desk.prepare(recipe(), attempt=6))
    jobs.freeze(desk.store, asked, sources=["chats"] * 32, weights=np.ones(32), units=100, code=desk.store.root.parent)
    assert jobs.planned(desk.store, asked)
    now = jobs.surroundings.packages() | {"torch": "9.0"}
    monkeypatch.setattr(jobs.surroundings, "packages", lambda: now)
    with pytest.raises(Unmet, match=r"torch \S+ → 9.0$|torch \S+ → 9.0\n"):
        jobs.planned(desk.store, asked)


@pytest.mark.fault
def test_a_changed_adapter_is_damage(desk: Desk) -> None:
    file = desk.outcome(desk.run).folder / "adapter_model.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(Damaged, match="not the one"):
            train(desk.store, desk.run)
        file.unlink()
        with pytest.raises(Damaged, match="cannot be read"):
            train(desk.store, desk.run)
    finally:
        file.write_bytes(whole)
    assert train(desk.store, desk.run)


def test_a_snapshot_without_answers_is_refused(desk: Desk) -> None:
    run = desk.prepare(recipe(), snapshot=freeze(desk.store, desk.ordinals[-1:]))
    with pytest.raises(Unmet, match="truncated: 1"):
        desk.here(run)


@pytest.mark.parametrize("change", [{"epochs": 0}, {"micro_batch_rows": 0}, {"rank": -1}])
def test_a_recipe_that_cannot_run_is_refused(desk: Desk, change: dict[str, Json]) -> None:
    with pytest.raises(Unmet, match=next(iter(change))):
        desk.prepare(recipe(**change))


def test_what_is_no_training_run_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        prepare(desk.store, desk.snapshot, desk.base, recipe())
    with pytest.raises(NotFound):
        train(desk.store, desk.snapshot)
    with pytest.raises(Unmet, match="not finished"):
        compare(desk.store, desk.run, desk.prepare(recipe(), attempt=9))
