"""Training again without some rows, from a checkpoint, ends with the bytes of a training that never had them."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import lance
import pytest
from lessons import add, freeze, recipe, start, talks

from whence.data import leave_out
from whence.records import Base, Closure, Damaged, Recipe, Ref, Schedule, Snapshot, Step, Tier, Unmet
from whence.store import RowSet, Store, row_set, verify
from whence.train import Outcome, Replay, compare, line, outcome, plan, prepare, replay, stale, step_of
from whence.train import job as jobs
from whence.train.backends.work import work
from whence.train.checkpoints import MARKER, seal
from whence.train.replay import MADE_BY

pytestmark = pytest.mark.tiny


@dataclass
class Desk:
    """A store with a base and rows of two sources."""

    store: Store
    base: Ref
    ordinals: list[int]
    late: list[int]

    def train(self, snapshot: Ref, asked: Recipe, attempt: int = 0, **inputs: str) -> Outcome:
        run = prepare(self.store, self.base, snapshot, asked, inputs=inputs, attempt=attempt)
        work(self.store, run, lambda line: None)
        return self.outcome(run)

    def outcome(self, run: str) -> Outcome:
        found = outcome(self.store, run)
        assert found
        return found

    def frozen(self, done: Outcome) -> Recipe:
        return self.store.get(str(self.store.get(done.adapter.closure, Closure).recipe), Recipe)

    def snapshot(self, done: Outcome) -> Ref:
        found = self.store.get(done.adapter.closure, Closure).snapshot
        assert found
        return found

    def steps(self, done: Outcome) -> list[set[int]]:
        """The rows of each step, as ordinals, by the plan itself."""
        schedule = self.frozen(done).schedule
        assert schedule
        fed = self.store.get_set(str(done.report.set))
        rows = [row for part in self.store.scan(["ord", "id", "source"], fed) for row in part.to_pylist()]
        at = {row["id"].hex(): row["ord"] for row in rows}
        lists = plan(list(at), schedule, [row["source"] for row in rows])
        return [{at[name] for name in step} for step in lists]

    def first_steps(self, done: Outcome) -> dict[int, int]:
        """Row → the step in which it is first fed, earliest first."""
        steps = self.steps(done)
        found = {row: next(n for n, step in enumerate(steps) if row in step) for row in set().union(*steps)}
        return dict(sorted(found.items(), key=lambda one: one[1]))

    def latest(self, done: Outcome, count: int) -> RowSet:
        """The rows that are first fed last."""
        return row_set(list(self.first_steps(done))[-count:])

    def again(self, done: Outcome, gone: RowSet) -> tuple[Replay, Outcome]:
        """A replay without these rows."""
        planned = replay(self.store, done.adapter.run, gone)
        snapshot = leave_out(self.store, self.snapshot(done), gone)
        assert planned.checkpoint
        return planned, self.train(snapshot, self.frozen(done), **planned.checkpoint.inputs)

    def scratch(self, done: Outcome, made: Outcome) -> Outcome:
        """A training from the start on the rows of `made`, with the frozen plan."""
        return self.train(self.snapshot(made), self.frozen(done))

    def folder(self, done: Outcome) -> Path:
        return jobs.job(self.store, done.adapter.run).folder

    def same(self, a: Outcome, b: Outcome) -> bool:
        """Adapter files and all common checkpoints, byte for byte."""
        said = compare(self.store, a.adapter.run, b.adapter.run)
        assert said["differing"] == {}
        return said["identical"] and said["first_difference"] is None


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, base: Base) -> Iterator[Desk]:
    root = tmp_path_factory.mktemp("replay") / ".whence"
    with contextlib.closing(Store.open(root, create=True, actor="tester@example.org")) as store:
        yield Desk(store, store.put(base), add(store, "desk", talks(24)), add(store, "late", talks(8)))


def spread(desk: Desk) -> Recipe:
    """24 steps with dropout, a checkpoint every two, of a seed for which rows are first fed where the tests want some:
    ids, and so steps, are other ones in each store."""
    ids = [row["id"].hex() for part in desk.store.scan(["id"], row_set(desk.ordinals)) for row in part.to_pylist()]
    for seed in range(1000):
        asked = recipe(batch_rows=2, seed=seed)
        key = desk.store.put(asked).removeprefix("sha256:")
        schedule = Schedule(key=key, epochs=2, steps_per_epoch=12, divisor=1.0)
        steps = [step_of(schedule, name, 0) for name in ids]
        late = sorted(step for step in steps if step >= 6)
        if {0, 3} <= set(steps) and len(late) > 5 and late[0] < 8 <= late[5]:
            return asked
    raise AssertionError


@pytest.fixture(scope="module")
def first(desk: Desk) -> Outcome:
    """Trained on all rows of the first source."""
    return desk.train(freeze(desk.store, desk.ordinals), spread(desk))


@pytest.fixture
def whole(desk: Desk, first: Outcome) -> Iterator[Outcome]:
    """`first`, whose checkpoints a test may damage."""
    kept = shutil.copytree(desk.folder(first), desk.folder(first).with_suffix(".kept"))
    yield first
    shutil.rmtree(desk.folder(first))
    kept.rename(desk.folder(first))


def some(desk: Desk, first: Outcome) -> RowSet:
    """Five rows of which the first is fed in the middle of the first epoch."""
    return row_set([row for row, step in desk.first_steps(first).items() if step >= 6][:5])


@pytest.fixture(scope="module")
def five(desk: Desk, first: Outcome) -> tuple[RowSet, Replay, Outcome, Outcome]:
    """Five rows, what leaving them out comes to, the replay, and the training from the start."""
    gone = some(desk, first)
    planned, made = desk.again(first, gone)
    return gone, planned, made, desk.scratch(first, made)


def test_without_five_rows_it_is_a_training_that_never_had_them(
    desk: Desk, first: Outcome, five: tuple[RowSet, Replay, Outcome, Outcome]
) -> None:
    gone, planned, made, scratch = five
    assert (planned.fed, planned.gone, planned.erased, planned.steps) == (24, 5, 0, 24)
    assert planned.from_step == 6 <= planned.first_step < 8
    assert made.report.facts["replayed_from"] == made.report.facts["resumed_from"] == planned.from_step
    assert not {"replayed_from", "resumed_from"} & scratch.report.facts.keys()
    assert desk.same(made, scratch)
    assert made.adapter.closure == scratch.adapter.closure
    shared = made.report.facts["checkpoints"].keys()
    assert sorted(map(int, shared)) == list(range(6, 25, 2))
    assert not compare(desk.store, first.adapter.run, made.adapter.run)["identical"], "the rows had no effect"
    assert set(desk.store.get_set(str(made.report.set))) == set(desk.ordinals) - set(gone)
    assert desk.frozen(made) == desk.frozen(first)
    assert verify(desk.store) == []


def test_without_one_row(desk: Desk, first: Outcome) -> None:
    planned, made = desk.again(first, desk.latest(first, 1))
    assert planned.from_step >= 8
    assert desk.same(made, desk.scratch(first, made))


def test_without_a_source_that_was_trained_late(desk: Desk, first: Outcome) -> None:
    schedule = Schedule(
        key="ab",
        epochs=2,
        steps_per_epoch=6,
        divisor=80.0,
        tiers=(Tier(sources=("late",), rehearsal=0.0, first_step=9, steps=3),),
    )
    asked = recipe(schedule=schedule, checkpoint_every=4)
    late = desk.train(freeze(desk.store, desk.ordinals + desk.late, "tiered"), asked)
    assert sorted(map(int, late.report.facts["checkpoints"])) == [4, 8, 9, 12]
    planned, made = desk.again(late, row_set(desk.late))
    assert (planned.first_step, planned.from_step, planned.gone) == (9, 9, 8)
    assert desk.same(made, desk.scratch(late, made))
    assert made.adapter.weights != late.adapter.weights


def test_two_removals_in_turn(desk: Desk, first: Outcome, five: tuple[RowSet, Replay, Outcome, Outcome]) -> None:
    """A later row: from the first replay's own checkpoints. An earlier one: from those that it went on from."""
    _, _, made, _ = five
    later = desk.latest(made, 1)
    planned, twice = desk.again(made, later)
    assert planned.checkpoint.run == made.adapter.run
    assert planned.from_step >= 8
    assert desk.same(twice, desk.scratch(first, twice))
    earlier = next(row for row, step in desk.first_steps(twice).items() if step == 3)
    planned, thrice = desk.again(twice, row_set([earlier]))
    assert (planned.checkpoint.run, planned.from_step) == (first.adapter.run, 2)
    assert desk.same(thrice, desk.scratch(first, thrice))
    assert line(desk.store, thrice.adapter.run) == [thrice.adapter.run, first.adapter.run]
    assert line(desk.store, twice.adapter.run) == [twice.adapter.run, made.adapter.run, first.adapter.run]


def flip(folder: Path) -> None:
    file = folder / "optimizer.pt"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def forge(folder: Path) -> None:
    """Whole by its marker, and another than the one on record."""
    flip(folder)
    seal(folder, json.loads((folder / MARKER).read_text())["under"])


@pytest.mark.fault
@pytest.mark.parametrize(("fault", "why"), [(flip, "damaged"), (forge, "damaged"), (shutil.rmtree, "gone")])
def test_a_checkpoint_that_is_not_whole_is_passed_over_and_this_is_said(
    desk: Desk, whole: Outcome, fault: Callable[[Path], None], why: str
) -> None:
    gone = some(desk, whole)
    sound = replay(desk.store, whole.adapter.run, gone)
    assert (sound.passed_over, sound.from_step) == ((), 6)
    fault(desk.folder(whole) / f"checkpoint-{sound.from_step}")
    planned = replay(desk.store, whole.adapter.run, gone)
    assert [(one.step, one.why) for one in planned.passed_over] == [(sound.from_step, why)]
    assert planned.from_step == 4
    for step in (2, 4):
        shutil.rmtree(desk.folder(whole) / f"checkpoint-{step}", ignore_errors=True)
    none = replay(desk.store, whole.adapter.run, gone)
    assert (none.checkpoint, none.share, len(none.passed_over)) == (None, 1.0, 3)
    assert "gone or damaged" in none.why


@pytest.mark.fault
def test_from_an_earlier_checkpoint_it_ends_with_the_same_bytes(
    desk: Desk, whole: Outcome, five: tuple[RowSet, Replay, Outcome, Outcome]
) -> None:
    gone, sound, _, scratch = five
    flip(desk.folder(whole) / f"checkpoint-{sound.from_step}")
    planned, made = desk.again(whole, gone)
    assert planned.from_step == 4
    assert desk.same(made, scratch)


@pytest.mark.fault
def test_one_that_is_damaged_after_it_was_chosen_is_refused(desk: Desk, whole: Outcome) -> None:
    gone = desk.latest(whole, 3)
    planned = replay(desk.store, whole.adapter.run, gone)
    flip(desk.folder(whole) / f"checkpoint-{planned.from_step}")
    snapshot = leave_out(desk.store, desk.snapshot(whole), gone)
    with pytest.raises(Damaged, match="gone or damaged"):
        desk.train(snapshot, desk.frozen(whole), **planned.checkpoint.inputs)


def test_a_checkpoint_that_has_seen_the_rows_is_refused_and_gives_other_bytes(
    desk: Desk, first: Outcome, five: tuple[RowSet, Replay, Outcome, Outcome]
) -> None:
    """The control of all of the above: taken over by hand, behind the check, the bytes do differ."""
    _, planned, made, scratch = five
    step = str(max(map(int, first.report.facts["checkpoints"])) - 2)
    assert int(step) > planned.first_step
    inputs = {"checkpoint": first.report.facts["checkpoints"][step], MADE_BY: first.adapter.run}
    with pytest.raises(Unmet, match=f"fed from step {planned.first_step} on"):
        desk.train(desk.snapshot(made), desk.frozen(first), **inputs)
    run = prepare(desk.store, desk.base, desk.snapshot(made), desk.frozen(first), attempt=7)
    under = json.loads((desk.folder(scratch) / "checkpoint-2" / MARKER).read_text())["under"]
    copied = jobs.job(desk.store, run).folder / f"checkpoint-{step}"
    shutil.copytree(desk.folder(first) / copied.name, copied)
    seal(copied, under)
    work(desk.store, run, lambda line: None)
    assert not desk.same(desk.outcome(run), scratch)


@pytest.mark.fault
def test_killed_in_the_middle_it_ends_with_the_same_bytes(
    desk: Desk, first: Outcome, five: tuple[RowSet, Replay, Outcome, Outcome]
) -> None:
    _, planned, made, scratch = five
    inputs = planned.checkpoint.inputs
    run = prepare(desk.store, desk.base, desk.snapshot(made), desk.frozen(first), inputs=inputs, attempt=1)
    folder = jobs.job(desk.store, run).folder
    half = folder / f"checkpoint-{planned.from_step}.part"
    half.mkdir(parents=True)
    (half / "optimizer.pt").write_bytes(b"half a copy")
    later = folder / f"checkpoint-{planned.from_step + 2}"
    with start(desk.store, run) as worker:
        while not (later / MARKER).exists():
            assert worker.poll() is None
            time.sleep(0.005)
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
    assert outcome(desk.store, run) is None
    work(desk.store, run, lambda line: None)
    done = desk.outcome(run)
    assert done.report.facts["resumed_from"] > done.report.facts["replayed_from"] == planned.from_step
    assert not half.exists()
    assert desk.same(done, scratch)
    assert desk.same(done, made)


def test_what_it_says_of_the_cost_is_what_the_plan_has(desk: Desk, first: Outcome) -> None:
    for count in (1, 3, 9):
        gone = desk.latest(first, count)
        planned, steps = replay(desk.store, first.adapter.run, gone), desk.steps(first)
        assert planned.first_step == next(n for n, step in enumerate(steps) if step & set(gone))
        assert planned.from_step == planned.first_step // 2 * 2
        left = [len(step - set(gone)) for step in steps]
        assert planned.share == pytest.approx(sum(left[planned.from_step :]) / sum(left))
        took = first.report.facts["train_cpu_s"]
        assert planned.train_cpu_s == pytest.approx(took * sum(left) / sum(map(len, steps)))
        assert planned.start_cpu_s > 0
    early = row_set([min(desk.steps(first)[0])])
    planned = replay(desk.store, first.adapter.run, early)
    assert (planned.first_step, planned.checkpoint, planned.share) == (0, None, 1.0)
    assert "before step 0" in planned.why


def test_rows_that_it_was_never_fed_need_nothing_done(desk: Desk, first: Outcome) -> None:
    planned = replay(desk.store, first.adapter.run, row_set(desk.late))
    assert (planned.gone, planned.first_step, planned.checkpoint) == (0, None, None)


def test_without_any_row_left_there_is_nothing_to_train(desk: Desk, first: Outcome) -> None:
    with pytest.raises(Unmet, match="nothing is left to train on: all 24 rows"):
        replay(desk.store, first.adapter.run, row_set(desk.ordinals))


def test_an_unfinished_run_is_not_replayed(desk: Desk) -> None:
    run = prepare(desk.store, desk.base, freeze(desk.store, desk.ordinals), recipe(seed=99))
    with pytest.raises(Unmet, match="not finished"):
        replay(desk.store, run, row_set([0]))


def test_under_other_conditions_nothing_is_gone_on_from(
    desk: Desk, first: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found out before, and by the training process, which alone knows all of them."""
    gone = desk.latest(first, 2)
    sound = replay(desk.store, first.adapter.run, gone)
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    planned = replay(desk.store, first.adapter.run, gone)
    assert planned.checkpoint is None
    assert list(planned.differing) == ["cpu_capability"]
    assert "conditions" in planned.why
    snapshot = leave_out(desk.store, desk.snapshot(first), gone)
    facts = desk.train(snapshot, desk.frozen(first), **sound.checkpoint.inputs).report.facts
    assert not {"replayed_from", "resumed_from"} & facts.keys()
    assert list(facts["conditions_differ"]) == ["cpu_capability"]


def test_what_is_stale_is_what_was_trained_after(desk: Desk, whole: Outcome) -> None:
    found = stale(desk.store, whole.adapter.run, 4)
    assert sorted(path.name for path in found.checkpoints) == sorted(f"checkpoint-{n}" for n in range(6, 25, 2))
    assert found.adapter == whole.folder
    assert found.example == (desk.ordinals[0], whole.report.example)
    (desk.folder(whole) / "checkpoint-26.part").mkdir()
    shutil.rmtree(whole.folder)
    found = stale(desk.store, whole.adapter.run, 24)
    assert [path.name for path in found.checkpoints] == ["checkpoint-26.part"]
    assert found.adapter is None


def test_the_snapshot_says_of_each_row_why_it_is_not_there(desk: Desk, first: Outcome) -> None:
    store = desk.store
    parents = desk.ordinals[:2]
    (child,) = add(store, "made", talks(1), parents=[parents])
    before = freeze(store, [*desk.ordinals, child], "family")
    gone = row_set([parents[1], child, *desk.late])
    made = store.get(leave_out(store, before, gone), Snapshot)
    assert (made.name, made.rows, made.parents) == ("family", 23, (before,))
    assert store.snapshot_rows(made) == row_set(set(desk.ordinals) - set(gone))
    step = store.get(made.steps[-1], Step)
    assert (step.seen, step.kept, step.reasons) == (25, 23, {"derived": 1, "named": 1})
    assert store.get_table(step.removed).to_pylist() == [
        {"ordinal": parents[1], "reason": "named", "because": None},
        {"ordinal": child, "reason": "derived", "because": parents[1]},
    ]
    assert leave_out(store, before, gone) == leave_out(store, before, gone | row_set(desk.late))


def test_a_row_that_was_erased_since_goes_too(desk: Desk, base: Base, tmp_path: Path) -> None:
    """In a store of its own. The checkpoint is from before the erased row, though nobody named it."""
    with contextlib.closing(Store.open(tmp_path / ".whence", create=True, actor="tester@example.org")) as store:
        mine = Desk(store, store.put(base), add(store, "desk", talks(24)), [])
        done = mine.train(freeze(store, mine.ordinals), spread(mine))
        erased = next(row for row, step in mine.first_steps(done).items() if step == 3)
        named = mine.latest(done, 1)
        sound = replay(store, done.adapter.run, named)
        assert sound.from_step > 3
        lance.dataset(str(store.root / "rows.lance")).update({"content": "NULL"}, where=f"ord = {erased}")
        snapshot = leave_out(store, mine.snapshot(done), named)
        with contextlib.closing(Store.open(store.root, actor="tester@example.org")) as reopened:
            again = replace(mine, store=reopened)
            planned = replay(reopened, done.adapter.run, named)
            assert (planned.gone, planned.erased, planned.first_step, planned.from_step) == (2, 1, 3, 2)
            with pytest.raises(Unmet, match="fed from step 3 on"):
                again.train(snapshot, again.frozen(done), **sound.checkpoint.inputs)
