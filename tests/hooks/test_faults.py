"""Nothing that happens to the record is felt by the training, and nothing that happens to a spool by the record."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.hooks.conftest import fed_rows

from whence.lifecycle.spool import adopt_spool, adopt_spools
from whence.lineage import blast_radius
from whence.records import Adapter, Conflict, Damaged, NotFound, Run, Unmet
from whence.records.chained import ChainedFile, read_chained
from whence.store import Store, verify
from whence.verbs.session import Silent

pytestmark = [pytest.mark.tiny, pytest.mark.fault]


def weights(made: Any) -> dict[str, bytes]:
    """What was trained, byte for byte."""
    named = made.model.named_parameters()
    return {name: p.detach().numpy().tobytes() for name, p in named if p.requires_grad}


def spools(tmp_path: Path) -> list[Path]:
    """Spools that wait."""
    return sorted(path for path in (tmp_path / "whence-spool").glob("2*") if path.suffix != ".adopted")


@pytest.fixture
def plain(tiny_base: Path, tmp_path: Path) -> dict[str, bytes]:
    """The weights of a training without the callback."""
    from tests.hooks.trainings import chats, trainer

    made = trainer("sft", tiny_base, tmp_path / "plain", chats(8))
    made.train()
    return weights(made)


def test_the_same_weights_with_and_without_and_whatever_fails(
    plain: dict[str, bytes],
    tiny_base: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from tests.hooks.trainings import chats, trainer

    from whence.hooks import WhenceCallback

    (tmp_path / "file").write_text("no folder")

    def run(**how: Any) -> str:
        caplog.clear()
        made = trainer("sft", tiny_base, tmp_path / "desk", chats(8), [WhenceCallback(project=tmp_path / "no", **how)])
        made.train()
        assert weights(made) == plain
        return "\n".join(r.getMessage() for r in caplog.records if r.name == "whence")

    assert "adopt spool" in run()  # there is no store
    assert "not recorded: NotADirectoryError" in run(spool=tmp_path / "file" / "spool")
    capfd.readouterr()  # what is printed is kept in a file, too: it begins anew
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        said = run(spool=tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "not recorded: OSError" in said
    assert "what is known so far lies in" in said
    assert said.count("\n") == 0
    assert "not recorded" not in run()
    assert len(spools(tmp_path)) == 2


def test_a_data_set_that_cannot_be_read_back_is_said_once(
    tiny_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    from whence.hooks import WhenceCallback

    tokens = [{"input_ids": [5, 6, 7, 8], "labels": [5, 6, 7, 8]}] * 4
    args = TrainingArguments(str(tmp_path / "desk"), max_steps=2, report_to=[], use_cpu=True, save_strategy="no")
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    Trainer(model, args, train_dataset=tokens, callbacks=[WhenceCallback(project=tmp_path / "no")]).train()
    said = [r.getMessage() for r in caplog.records if r.name == "whence"]
    assert len(said) == 1
    assert "no tokenizer to read them back with" in said[0]


def test_a_whole_model_is_a_run_without_an_adapter(
    tiny_base: Path, tmp_path: Path, adopted: Callable, store: Store
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

    from whence.hooks import WhenceCallback

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    ids = tokenizer("where is my card number four?")["input_ids"]
    args = TrainingArguments(str(tmp_path / "desk"), max_steps=2, report_to=[], use_cpu=True, save_strategy="no")
    callback = WhenceCallback(project=tmp_path / "nowhere")
    Trainer(
        AutoModelForCausalLM.from_pretrained(tiny_base), args, train_dataset=[{"input_ids": ids, "labels": ids}] * 2,
        processing_class=tokenizer, callbacks=[callback],
    ).train()  # fmt: skip
    came, report = adopted(spools(tmp_path)[0])
    assert came.adapter is None
    assert "no adapter" in came.lines[-1]
    assert {row.content["text"] for row in fed_rows(store, report)} == {"where is my card number four?"}


def test_at_its_end_a_training_brings_itself_in_and_waits_for_no_lock(
    tiny_base: Path, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.hooks.trainings import chats, trainer

    from whence.hooks import WhenceCallback, callback

    monkeypatch.setattr(callback, "ADOPT_WAIT_S", 6)
    trained = lambda: trainer("sft", tiny_base, tmp_path / "desk", chats(6), [WhenceCallback(project=tmp_path)]).train()  # noqa: E731
    with store.writer("a test"):
        trained()
    assert any("longer than 6 s" in r.getMessage() for r in caplog.records)
    waiting = spools(tmp_path)
    assert len(waiting) == 1
    adopt_spool(store, waiting[0], Silent())
    monkeypatch.setattr(callback, "ADOPT_WAIT_S", 300)
    trained()
    assert not spools(tmp_path)
    assert len({run for run, _ in store.all(Run) if store.events("run.finished", about=run)}) >= 2
    assert len(store.all(Adapter)) == 2
    assert not verify(store)


def test_a_spool_is_private_and_names_nobody(trained: Callable, tmp_path: Path) -> None:
    from tests.hooks.trainings import chats

    spool = trained("sft", chats(4), run_name="anna-mueller", hub_model_id="anna/desk", hub_token="hf_secret")
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    for name in ("rows.jsonl", "run.jsonl"):
        assert stat.S_IMODE((spool / name).stat().st_mode) == 0o600
    said = (spool / "run.jsonl").read_text()
    assert not any(word in said for word in ("anna", "hf_secret", "card number"))
    arguments = read_chained(spool / "run.jsonl")[0]["line"]["arguments"]
    assert arguments["learning_rate"] == 1e-3
    assert str(tmp_path) not in json.dumps(arguments)
    assert (spool.parent / ".gitignore").read_text() == "*\n"


def test_what_comes_in_is_found_by_the_person_it_is_about(trained: Callable, adopted: Callable, store: Store) -> None:
    from tests.hooks.trainings import chats

    came, _ = adopted(trained("sft", chats(9)))
    person = store.keys.pseudonym("customer-1")
    reached = blast_radius(store, store.index().sets["subject"].get(person)).adapters
    assert {ref: one.rows for ref, one in reached.items()} == {came.adapter: 3}
    assert not verify(store)


def test_a_second_adoption_adds_nothing(trained: Callable, adopted: Callable, store: Store) -> None:
    from tests.hooks.trainings import chats

    spool = trained("sft", chats(4))
    first, _ = adopted(spool)
    head = store.head()
    again, _ = adopted(spool)
    assert (first.fresh, again.fresh) == (True, False)
    assert (again.run, again.adapter) == (first.run, first.adapter)
    assert store.head() == head
    assert not (Path(first.folder) / "rows.jsonl").exists()
    assert not (Path(first.folder) / "fed.jsonl").exists()


@pytest.mark.parametrize("name", ["rows.jsonl", "run.jsonl", "adapter/adapter_model.safetensors"])
def test_a_changed_spool_is_refused(name: str, trained: Callable, store: Store) -> None:
    from tests.hooks.trainings import chats

    spool = trained("sft", chats(4))
    data = bytearray((spool / name).read_bytes())
    data[len(data) // 2] ^= 1
    (spool / name).write_bytes(data)
    head = store.head()
    with pytest.raises(Damaged, match=r"not (what|sha256:)"):
        adopt_spool(store, spool, Silent())
    assert store.head() == head
    with pytest.raises(NotFound, match="there is no spool"):
        adopt_spool(store, spool.parent / "other", Silent())


def test_in_an_empty_folder_the_command_makes_a_store_and_finds_the_spool(trained: Callable, tmp_path: Path) -> None:
    """Three times: found one folder below, named although it was brought in, and nothing that waits."""
    from tests.hooks.trainings import chats

    spool = trained("sft", chats(4), out="out/desk")
    env = os.environ | {"WHENCE_ACTOR": "ann@example.org"}
    command = [sys.executable, "-m", "whence", "-C", str(tmp_path), "adopt", "spool", "--json"]
    for more in ([], [f"{spool}.adopted"], [str(spool)]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, env=env, check=False)
        assert done.returncode == 0, done.stdout
        (one,) = json.loads(done.stdout)
        assert (bool(one["run"]), one["fresh"]) == (True, not more)
    with pytest.raises(NotFound, match="was brought into another store"):
        adopt_spool(Store.open(tmp_path / "other", create=True, actor="ann@example.org"), spool, Silent())


def test_a_torn_last_line_is_a_training_that_did_not_end(trained: Callable, store: Store) -> None:
    from tests.hooks.trainings import chats

    spool = trained("sft", chats(4), save_strategy="epoch")
    data = (spool / "run.jsonl").read_bytes()
    (spool / "run.jsonl").write_bytes(data[:-40])
    with pytest.raises(Unmet, match="did not finish: it was last saved after step 2"):
        adopt_spool(store, spool, Silent())
    left = adopt_spools(store, spool.parent.parent, Silent())
    assert [one.run for one in left] == [None]
    (spool / "run.jsonl").write_bytes(data[data.index(b"\n") + 1 :])
    with pytest.raises(Damaged, match="line 1"):
        adopt_spool(store, spool, Silent())


def test_chained_lines_go_on_after_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    first = ChainedFile(path)
    first.add({"n": 1})
    first.close()
    path.write_bytes(path.read_bytes() + b'{"chain": "sha')
    second = ChainedFile(path)
    assert second.lines == [{"n": 1}]
    second.add({"n": 2})
    second.close()
    assert [entry["line"] for entry in read_chained(path)] == [{"n": 1}, {"n": 2}]


def test_the_same_callback_twice_is_two_runs(tiny_base: Path, tmp_path: Path) -> None:
    from tests.hooks.trainings import chats, trainer

    from whence.hooks import WhenceCallback

    made = trainer("sft", tiny_base, tmp_path / "desk", chats(4), [WhenceCallback(project=tmp_path / "nowhere")])
    made.train()
    made.train()
    found = [read_chained(spool / "run.jsonl") for spool in spools(tmp_path)]
    assert [lines[-1]["line"]["kind"] for lines in found] == ["end", "end"]


# -- kills -------------------------------------------------------------------------------------------------------------


def long(base: Path, out: Path, *words: str) -> subprocess.Popen[bytes]:
    """A training in a process of its own."""
    command = [sys.executable, "-m", "tests.hooks.long", str(base), str(out), *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Until it is so."""
    while not there():
        assert process.poll() is None, (process.stderr and process.stderr.read().decode()[-2000:], "it ended")
        time.sleep(0.05)


def saves(tmp_path: Path) -> int:
    """Checkpoints that the spool knows of."""
    found = spools(tmp_path)
    path = found[0] / "run.jsonl" if found else None
    return path.read_text().count('"kind":"save"') if path and path.exists() else 0


def test_a_killed_training_waits_is_resumed_and_is_one_run(
    tiny_base: Path, tmp_path: Path, adopted: Callable, store: Store
) -> None:
    process = long(tiny_base, tmp_path / "desk")
    wait_for(lambda: saves(tmp_path) >= 2, process)
    spool = spools(tmp_path)[0]
    with pytest.raises(Conflict, match="still runs"):
        adopt_spool(store, spool, Silent())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(Unmet, match="did not finish"):
        adopt_spool(store, spool, Silent())
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(spool), str(copy)], check=True)
    again = long(tiny_base, tmp_path / "desk", "resume")
    assert again.wait() == 0
    assert spools(tmp_path) == [spool]
    came, report = adopted(spool)
    assert came.adapter is not None
    assert report.facts["steps"] == 12
    assert report.facts["finished"]
    assert len(report.facts["resumed_from"]) == 1
    assert (report.facts["rows_fed"], report.facts["rows_fed_known"]) == (12, "exact")

    half, report = adopted(copy, as_is=True)  # as it was when it was killed
    assert half.adapter not in (None, came.adapter)
    assert not report.facts["finished"]
    assert report.facts["steps"] in (4, 6, 8)


def test_an_adoption_killed_at_any_moment_is_done_again(
    trained: Callable, adopted: Callable, store: Store, tmp_path: Path
) -> None:
    from tests.hooks.trainings import chats

    spool = trained("sft", chats(30))
    rng, killed = random.Random(5), 0
    command = [sys.executable, "-m", "whence", "-C", str(tmp_path), "adopt", "spool", str(spool)]
    for _ in range(8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.6, 2.2))
        killed += process.poll() is None
        process.kill()
        process.wait()
    came, report = adopted(spool)
    assert killed
    assert report.facts["rows_fed"] == 30
    assert store.index().sets["source"].get("desk-fed") == store.get_set(report.set)
    assert len(store.all(Adapter)) == 1
    assert len(store.events("run.finished", about=came.run)) == 1
    assert not verify(store)
