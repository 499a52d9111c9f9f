"""``whence model rebuild NAME --without ROWS``: made again without them, proven or not, and what is told."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lessons import add, freeze, recipe, talks

import whence
from whence.cli.rebuild import code, text
from whence.data import leave_out
from whence.lifecycle.rebuild import PROOFS, Rebuilt, Replayed, without
from whence.models import fingerprint
from whence.records import Base, Closure, Recipe, Ref, Run, Schedule
from whence.store import RowSet, Store, row_set
from whence.train import Outcome, attempt, outcome, prepare, recorded, replay, step_of
from whence.train import job as jobs
from whence.train.backends.work import work
from whence.train.checkpoints import MARKER, seal
from whence.train.replay import first_step

pytestmark = pytest.mark.tiny

Says = Callable[..., Any]


@pytest.fixture
def lines(says: Says) -> Callable[..., str]:
    """What a command printed, on one line."""
    return lambda *words, code=0: " ".join(says(*words, code=code).split())


@dataclass
class Shop:
    """A folder with a store in it, and one adapter on record: ``desk``."""

    folder: Path
    store: Store
    first: Outcome
    rows: list[int]
    """rows in the order of their first step"""

    def word(self, ordinal: int) -> str:
        """What `--without` calls a row."""
        row = self.store.row(ordinal)
        return f"row:{row.source}:{row.record}"

    def asked(self, gone: RowSet) -> tuple[Ref, Ref, Recipe]:
        """(base, snapshot, frozen recipe) of a training without these rows."""
        closure = self.store.get(self.first.adapter.closure, Closure)
        snapshot = leave_out(self.store, Ref(str(closure.snapshot)), gone)
        return Ref(str(closure.base)), snapshot, self.store.get(str(closure.recipe), Recipe)

    def replayed(self, gone: RowSet) -> Ref:
        """The run of a replay, trained in this process."""
        planned = replay(self.store, self.first.adapter.run, gone)
        assert planned.checkpoint
        run = attempt(self.store, *self.asked(gone), inputs=planned.checkpoint.inputs)
        work(self.store, run, lambda line: None)
        return run

    def state(self) -> tuple[Any, ...]:
        return self.store.head(), self.store.mark()


@pytest.fixture(scope="module")
def _shop(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(tiny_base, folder / "tiny-base")
    with contextlib.closing(Store.open(folder / ".whence", create=True, actor="tester@example.org")) as store:
        desk = add(store, "desk", talks(24))
        add(store, "other", talks(2))
        base = store.put(Base(name="tiny", location="./tiny-base", fingerprint=fingerprint(folder / "tiny-base")))
        ids = {
            o: row["id"].hex() for o in desk for part in store.scan(["id"], row_set([o])) for row in part.to_pylist()
        }
        asked = recipe(batch_rows=3)
        key = store.put(asked).removeprefix("sha256:")
        schedule = Schedule(key=key, epochs=2, steps_per_epoch=8, divisor=1.0)
        rows = sorted(desk, key=lambda ordinal: step_of(schedule, ids[ordinal], 0))
        (child,) = add(store, "made", talks(1), parents=[rows[-1:]])
        run = prepare(store, base, freeze(store, desk), asked)
        work(store, run, lambda line: None)
        done = outcome(store, run)
        assert done
        assert store.index().descendants(row_set(rows[-1:])) == row_set([child])
        yield Shop(folder, store, done, rows)


@pytest.fixture
def shop(_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(_shop.folder)
    return _shop


def test_rows_of_a_low_weight_are_rebuilt_without_to_the_byte(shop: Shop) -> None:
    """Some are never fed; what they weigh stays as it was when others go."""
    store, light = shop.store, dict.fromkeys(shop.rows[::2], 0.3)
    base = Ref(str(store.get(shop.first.adapter.closure, Closure).base))
    run = prepare(store, base, freeze(store, shop.rows, "light", light), recipe(batch_rows=3))
    work(store, run, lambda line: None)
    done = recorded(store, run)
    assert done
    fed, facts = set(store.get_set(done.report.set)), done.report.facts
    assert set(shop.rows[1::2]) < fed < set(shop.rows)
    assert facts["rows_not_fed"] == {"lowered": 24 - len(fed)}
    schedule = store.get(str(store.get(done.adapter.closure, Closure).recipe), Recipe).schedule
    assert schedule
    assert (schedule.steps_per_epoch, schedule.steps) == (6, 12)  # 12 rows and 0.3 times 12 others, three a step
    rows = row_set(one for one in fed if one in light)
    goes = max(rows, key=lambda one: first_step(store, schedule, row_set([one])) or 0)
    made = without(store, done.adapter_ref, row_set([goes]), shop.folder, lambda *_: None, prove=True)
    assert (made.outcome, made.plan.gone) == ("proven", 1)
    assert made.plan.from_step > 0


def test_it_is_made_and_proven_by_a_training_from_the_start(shop: Shop, says: Says, lines: Says) -> None:
    word, before = shop.word(shop.rows[-1]), shop.state()
    told = says("model", "rebuild", "desk", "--without", word, "--estimate", "--json")
    assert (told["outcome"], told["adapter"], told["proof"]) == ("estimated", None, None)
    assert shop.state() == before
    made = says("model", "rebuild", "desk", "--without", word, "--prove", "--json")
    assert made["outcome"] == "proven"
    assert made["plan"] == told["plan"]
    assert (made["plan"]["gone"], made["plan"]["fed"]) == (1, 24)
    assert made["plan"]["from_step"] > 0
    proof = made["proof"]
    assert (proof["identical"], proof["same_rows"], proof["first_difference"], proof["differing"]) == (
        *(True, True, None),
        {},
    )
    assert proof["checkpoints_compared"] == 1 + (16 - made["plan"]["from_step"]) // 2
    done, scratch = recorded(shop.store, made["run"]), recorded(shop.store, proof["run"])
    assert done.report.facts["replayed_from"] == made["plan"]["from_step"]
    assert "replayed_from" not in scratch.report.facts
    (left,) = made["stale"]
    assert left["run"] == shop.first.adapter.run
    assert len(left["checkpoints"]) == (16 - made["plan"]["from_step"]) // 2
    assert left["adapter"] == str(shop.first.folder)
    now = shop.state()
    said = lines("model", "rebuild", str(made["original"]), "--without", word, "--prove")
    assert shop.state() == now, "it was done again"
    assert "1 of 24 rows that it was trained on go; first fed in step" in said
    assert "proven: a training from the start on the rows that stay gave the same bytes" in said
    assert "still there, and has seen rows that went: of run" in said


def test_a_proof_that_fails_says_so(shop: Shop, says: Says, lines: Says) -> None:
    """The training from the start is set up to have seen the row."""
    gone = row_set(shop.rows[-2:-1])
    run = shop.replayed(gone)
    place, mine = jobs.job(shop.store, run).folder, shop.first.folder.parent
    scratch = prepare(shop.store, *shop.asked(gone))
    copied = jobs.job(shop.store, scratch).folder / "checkpoint-14"
    shutil.copytree(mine / copied.name, copied)
    seal(copied, json.loads((place / "checkpoint-14" / MARKER).read_text())["under"])
    work(shop.store, scratch, lambda line: None)
    said = lines("model", "rebuild", "desk@0", "--without", "row:desk:r0", code=1)
    assert "nothing in the record is called 'desk@0'" in said
    said = lines("model", "rebuild", shop.first.adapter_ref, "--without", shop.word(*gone), "--prove", code=2)
    assert "NOT PROVEN: a training from the start on the rows that stay gave other bytes" in said
    assert "from the checkpoint of step 14 on" in said
    made = says("model", "rebuild", shop.first.adapter_ref, "--without", shop.word(*gone), "--json")
    assert made["outcome"] == "made"


def test_bytes_made_under_other_conditions_prove_nothing(
    shop: Shop, says: Says, lines: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without AVX the same training ends with other bytes. A proof passes over it, and trains once more."""
    gone = row_set(shop.rows[-3:-2])
    replayed = recorded(shop.store, shop.replayed(gone))
    assert replayed
    with monkeypatch.context() as other:
        other.setenv("ATEN_CPU_CAPABILITY", "default")
        said = lines("model", "rebuild", replayed.adapter_ref, code=4)
    assert "other bytes, from the checkpoint of step" in said
    assert "differing: cpu_capability" in said
    assert "→ DEFAULT equal bytes are promised under equal conditions only" in said
    made = says("model", "rebuild", shop.first.adapter_ref, "--without", shop.word(*gone), "--prove", "--json")
    assert (made["outcome"], made["run"]) == ("proven", replayed.adapter.run)
    assert shop.store.get(made["proof"]["run"], Run).attempt == 1


def test_other_conditions_that_the_process_finds_are_told(
    shop: Shop, says: Says, lines: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = row_set(shop.rows[-4:-3])
    with monkeypatch.context() as other:
        planned = replay(shop.store, shop.first.adapter.run, gone)
        run = attempt(shop.store, *shop.asked(gone), inputs=planned.checkpoint.inputs)
        other.setenv("MKL_CBWR", "COMPATIBLE")
        work(shop.store, run, lambda line: None)
    made = says("model", "rebuild", shop.first.adapter_ref, "--without", shop.word(*gone), "--json")
    assert (made["run"], made["outcome"], made["plan"]["from_step"]) == (run, "made", 0)
    assert list(made["plan"]["differing"]) == ["cpu_capability"]
    said = lines("model", "rebuild", shop.first.adapter_ref, "--without", shop.word(*gone))
    assert "from the start, 16 steps: the conditions are not those of the run" in said
    assert "not proven: no training from the start was asked for" in said


def test_rows_that_were_never_trained_on_need_nothing(shop: Shop, lines: Says) -> None:
    before = shop.state()
    said = lines("model", "rebuild", shop.first.adapter_ref, "--without", "source:other", "--prove")
    assert said == "nothing to do: none of the 24 rows that it was trained on goes"
    assert shop.state() == before


@pytest.mark.parametrize(
    ("words", "says_", "code"),
    [
        (("--without", "source:desk"), "nothing is left to train on: all 24 rows", 1),
        (("--without", "source:nobody"), "no source is called 'nobody'", 1),
        (("--without", "row:desk:r99"), "nothing in the record is called 'desk:r99'", 1),
        (("--without", "desk"), "no case is called 'desk'", 1),
        (("--without", "licence:MIT"), "licence:MIT: no row of this store is meant by it", 1),
        (("--prove",), "goes with --without", 3),
        (("--estimate",), "goes with --without", 3),
    ],
)
def test_what_cannot_be_done_is_said(shop: Shop, says: Says, words: tuple[str, ...], says_: str, code: int) -> None:
    before = shop.state()
    assert says_ in says("model", "rebuild", shop.first.adapter_ref, *words, code=code)
    assert shop.state() == before


@pytest.mark.fault
def test_without_the_base_nothing_is_begun(shop: Shop, says: Says, lines: Says) -> None:
    place, before = shop.folder / "tiny-base", shop.state()
    place.rename(place.with_suffix(".gone"))
    try:
        for words in (("--without", "row:desk:r0"), ()):
            said = lines("model", "rebuild", shop.first.adapter_ref, *words, code=1)
            assert "there is no folder ./tiny-base" in said
        assert shop.state() == before
        says("model", "rebuild", shop.first.adapter_ref, "--without", "row:desk:r0", "--estimate")
    finally:
        place.with_suffix(".gone").rename(place)


def test_the_verb_gives_what_the_command_prints(shop: Shop) -> None:
    with whence.open(shop.folder) as w:
        found = w.model.rebuild(shop.first.adapter_ref, without=["row:desk:r1"], estimate=True)
        assert isinstance(found, Replayed)
        assert (found.outcome, found.plan.gone, found.original) == ("estimated", 1, shop.first.adapter_ref)
        with pytest.raises(whence.Unmet, match="no rows are named"):
            w.model.rebuild(shop.first.adapter_ref, prove=True)


def test_equal_bytes_are_not_asked_of_other_conditions(shop: Shop) -> None:
    def made(identical: bool, first: int | None, **differing: Any) -> Rebuilt:
        return Rebuilt(
            run=Ref("sha256:" + "0" * 64),
            same_closure=True,
            same_rows=True,
            identical=identical,
            conditions={},
            differing=differing,
            checkpoints_compared=3,
            first_difference=first,
        )

    assert [made(True, None).outcome, made(True, None, threads=[1, 2]).outcome] == ["pass", "pass"]
    assert [made(False, 4).outcome, made(True, 4).outcome, made(False, None).outcome] == ["fail"] * 3
    apart = made(False, 4, threads=[1, 2])
    assert apart.outcome == "abstain"
    plan = replay(shop.store, shop.first.adapter.run, row_set(shop.rows[-1:]))
    told = Replayed(outcome=PROOFS[apart.outcome], original=shop.first.adapter_ref, plan=plan, mediated=2, proof=apart)
    assert code(told) == 4
    said = " ".join(text(told).split())
    assert "neither proven nor disproven: a training from the start" in said
    assert "differing: threads 1 → 2" in said
    assert "2 rows that stay were written by a model that was trained on those that go" in said
