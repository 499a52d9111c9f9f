"""Adapters that exist come into the record with what is proven, claimed and missing; bad folders do not."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import whence
from serve.shelf import paper_adapter, paper_base
from whence.lifecycle.adopt import Adopted
from whence.models import read_sidecar
from whence.records import Adapter, Conflict, Unmet
from whence.store import verify
from whence.verbs import Checked


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a base, an adapter of it, and the 60 rows of 12 people that it was trained on."""
    paper_base(tmp_path / "llama")
    paper_adapter(tmp_path / "support")
    write(tmp_path / "train.jsonl", range(60))
    return tmp_path


def write(path: Path, numbers: range) -> None:
    rows = (
        {"id": f"t{i}", "customer": f"c{i % 12}", "prompt": f"where is card {i}?", "completion": "ok"} for i in numbers
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def w(place: Path, clock) -> Iterator[whence.Session]:
    with whence.open(place, create=True, project=False, actor="ann@example.org", clock=clock) as session:
        yield session


def states(made: Adopted) -> dict[str, str]:
    return {fact.what: fact.state for fact in made.facts}


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.name != "whence.json"}


def test_what_is_not_said_is_missing_and_somebody_is_named_who_can_say_it(w: whence.Session, place: Path) -> None:
    made = w.adopt.adapter(place / "support")
    assert states(made) == {
        "weights": "proven",
        "base": "missing",
        "rows": "missing",
        "recipe": "claimed",
        "code": "missing",
        "environment": "missing",
        "evaluation": "missing",
        "owner": "missing",
        "service": "missing",
    }
    assert all(fact.ask for fact in made.facts if fact.state == "missing")
    assert verify(w.store) == []


def test_from_a_folder_to_what_must_come_down(w: whence.Session, place: Path) -> None:
    made = w.adopt.adapter(
        place / "support",
        base=str(place / "llama"),
        data=[place / "train.jsonl"],
        live="http://gpu1/v1",
        since="2026-05-01T00:00:00Z",
    )
    assert (made.name, made.fresh) == ("support", True)
    assert (states(made)["base"], states(made)["rows"], states(made)["service"]) == ("claimed", "claimed", "claimed")
    for scope, rows in (({"subject": "c3"}, 5), ({"source": "train"}, 60), ({"row": "train:t7"}, 1)):
        blast = w.rights.withdraw(**scope).blast
        assert len(blast.direct) == rows
        assert {one.id: one.rows for one in blast.adapters} == {made.adapter: rows}
        assert [(d.endpoint, d.state) for d in blast.live] == [("http://gpu1/v1", "declared")]
    assert {n.kind for n in w.ask.why("train:t7").went_into} == {
        "Snapshot",
        "Run",
        "Adapter",
        "Release",
        "Deployment",
        "Closure",
    }
    assert verify(w.store) == []


def test_the_folder_is_left_as_it_was_but_for_the_sidecar(w: whence.Session, place: Path) -> None:
    before = digests(place / "support")
    made = w.adopt.adapter(place / "support", base=str(place / "llama"))
    assert digests(place / "support") == before
    assert read_sidecar(place / "support") is not None
    kept = w.store.root / w.store.get(made.adapter, Adapter).location
    shutil.rmtree(place / "support")
    assert w.verify(kept, place / "llama").binding.answer == "exact"


def test_said_again_nothing_happens_and_said_with_more_it_takes_the_place(w: whence.Session, place: Path) -> None:
    first = w.adopt.adapter(place / "support", live="http://gpu1/v1", since="2026-05-01T00:00:00Z")
    assert not w.adopt.adapter(place / "support").fresh
    again = w.adopt.adapter(place / "support", base=str(place / "llama"), data=[place / "train.jsonl"])
    assert again.fresh
    assert again.adapter != first.adapter
    assert w.store.events("adapter.superseded", first.adapter)[0].data == {"by": again.adapter}
    blast = w.ask.blast_radius(source="train", what_if=True)
    assert [(d.endpoint, d.state) for d in blast.deployments] == [("http://gpu1/v1", "declared")]
    assert [d.state for d in w.ask.blast_radius(source="train", what_if=True).live] == ["declared"]
    assert not w.adopt.adapter(place / "support", base=str(place / "llama"), data=[place / "train.jsonl"]).fresh


def test_the_list_shows_the_newest_telling_and_who_serves(w: whence.Session, place: Path) -> None:
    w.adopt.adapter(place / "support")
    w.adopt.adapter(place / "support", base=str(place / "llama"))
    told = w.adopt.adapter(place / "support", data=[place / "train.jsonl"], live="http://gpu1/v1")
    (listed,) = w.model.list()
    assert (listed.adapter, listed.base, listed.rows) == (told.adapter, "llama", 60)
    assert (listed.live, listed.declared, listed.unknown) == (0, 1, 0)
    with pytest.raises(Unmet, match="support was trained elsewhere"):
        w.model.rebuild("support")


@pytest.mark.parametrize("live", ["gpu1", "http://u:p@gpu1/v1", "http://", "http://gpu1:port"])
def test_what_nothing_could_be_reached_or_called_by_is_refused(w: whence.Session, place: Path, live: str) -> None:
    before = w.store.head()
    with pytest.raises(Unmet, match="--live"):
        w.adopt.adapter(place / "support", live=live)
    with pytest.raises(Unmet, match="is no name"):
        w.adopt.adapter(place / "support", name="a b/c@1")
    assert w.store.head() == before


def test_a_second_source_of_one_file_name_is_said_and_withdrawn_rows_are(w: whence.Session, place: Path) -> None:
    (place / "b").mkdir()
    write(place / "b/train.jsonl", range(60, 80))
    made = w.adopt.adapter(place / "support", data=[place / "train.jsonl", place / "b/train.jsonl"])
    said = " ".join(made.notes)
    assert "60 rows, source train" in said
    assert "20 rows, source b-train" in said
    w.rights.withdraw(subject="c3")
    again = w.adopt.adapter(place / "support", data=[place / "train.jsonl"], licence="CC-BY-4.0")
    assert any(note.startswith("7 of its 80 rows may not be trained on any more") for note in again.notes)
    assert any(note.startswith("80 rows were read before without a licence") for note in again.notes)


def test_a_file_that_holds_the_rows_in_part_says_how_much(w: whence.Session, place: Path) -> None:
    w.adopt.adapter(place / "support", data=[place / "train.jsonl"])
    write(place / "half.jsonl", range(20, 90))
    [note] = [n for n in w.adopt.adapter(place / "support", data=[place / "half.jsonl"]).notes if "of the files" in n]
    assert note.startswith("40 of 70 rows of the files are among the 60")
    assert "20 of those are in none" in note


def test_the_sidecar_travels_and_tells_without_a_store(w: whence.Session, place: Path, tmp_path: Path) -> None:
    w.adopt.adapter(place / "support", base=str(place / "llama"))
    away = Path(shutil.copytree(place / "support", tmp_path / "away/lora"))
    paper_base(tmp_path / "other", 1.0)
    for base, answer, code in (("llama", "exact", 0), ("other", "same-shape-different-base", 2)):
        done = cli("verify", str(away), "--base", str(place / base), "--json", cwd=tmp_path / "away")
        said = json.loads(done.stdout)
        assert (said["answer"], said["by"], done.returncode) == (answer, "its sidecar, declared", code)
    assert said["reasons"][0]["tensors"] == ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"]
    (away / "whence.json").unlink()
    assert cli("verify", str(away), "--base", str(place / "llama"), cwd=tmp_path / "away").returncode == 4


def test_a_base_that_is_not_here_is_unknown_and_nobody_is_asked(
    w: whence.Session, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = place / "support/adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": "org/llama"}))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("somebody was asked"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for known in (False, True):
        if known:
            w.adopt.adapter(place / "support")
        found = w.verify(place / "support")
        assert isinstance(found, Checked)
        assert (found.binding.answer, found.base) == ("unknown", None)
        assert "called org/llama, which is not on this machine: whence verify" in str(found.binding)
    done = cli("verify", "support", "--json", cwd=place)
    said = json.loads(done.stdout)
    assert (done.returncode, said["answer"], said["base"]) == (4, "unknown", None)
    assert "--base PATH" in said["reasons"][-1]["says"]
    (place / "support/adapter_model.safetensors").write_bytes(b"cut")
    assert cli("verify", "support", cwd=place).returncode == 2


def test_rows_that_were_read_under_another_licence_are_said(w: whence.Session, place: Path) -> None:
    data = [place / "train.jsonl"]
    first = w.adopt.adapter(place / "support", data=data, licence="CC-BY-4.0", consent_basis="consent")
    again = w.adopt.adapter(place / "support", data=data, licence="CC-BY-NC-4.0")
    assert not any("stay so" in note for note in first.notes)
    assert any(note.startswith("train: 60 rows were read before under CC-BY-4.0 and stay so") for note in again.notes)


def cli(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "WHENCE_ACTOR": "ann@example.org"}
    return subprocess.run(
        [sys.executable, "-m", "whence", *words], capture_output=True, text=True, cwd=cwd, env=env, check=False
    )


def test_neither_torch_nor_anything_of_the_kind_is_loaded(place: Path) -> None:
    code = (
        "import sys, whence\n"
        f"w = whence.open({str(place)!r}, create=True, project=False, actor='ann@example.org')\n"
        f"at = {str(place)!r}\n"
        "w.adopt.adapter(at + '/support', base=at + '/llama', data=[at + '/train.jsonl'])\n"
        "w.rights.withdraw(source='train')\n"
        "print(*{'torch', 'transformers', 'peft', 'trl', 'starlette', 'uvicorn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# -- bad input ---------------------------------------------------------------------------------------------------------


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


def no_bytes(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes(b"")


def pickled(folder: Path) -> None:
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Bomb(folder.parent / "mark")))


def no_configuration(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


def shard_elsewhere(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder.parent / "x.safetensors")
    index = {"weight_map": {"a": "../x.safetensors"}}
    (folder / "adapter_model.safetensors.index.json").write_text(json.dumps(index))


def sidecar_of_another(folder: Path) -> None:
    (folder / "whence.json").write_text(json.dumps({"whence": 1, "adapter": {"weights": "b3:0", "config": "peft2:0"}}))


def sidecar_cut_off(folder: Path) -> None:
    (folder / "whence.json").write_text('{"whence": 1, "adap')


def no_tensors(folder: Path) -> None:
    from safetensors.numpy import save_file

    save_file({}, folder / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (no_bytes, "not a whole safetensors file"),
        (pickled, "holds pickled weights only"),
        (no_configuration, "adapter_config.json is missing"),
        (shard_elsewhere, "names a shard elsewhere"),
        (sidecar_of_another, "is not the adapter that its sidecar"),
        (sidecar_cut_off, "whence.json cannot be read"),
        (no_tensors, "without tensors"),
        (shutil.rmtree, "cannot be read: No such file"),
    ],
)
def test_a_folder_that_is_no_whole_adapter_is_refused_and_nothing_kept(
    w: whence.Session, place: Path, harm, said
) -> None:
    harm(place / "support")
    with pytest.raises(Unmet, match=said) as refused:
        w.adopt.adapter(place / "support")
    assert "whence-held" not in str(refused.value)
    assert not (place / "mark").exists()
    assert w.store.all(Adapter) == []
    assert verify(w.store) == []


def test_pickles_beside_the_weights_are_named_and_not_opened(w: whence.Session, place: Path) -> None:
    (place / "support/training_args.bin").write_bytes(pickle.dumps(Bomb(place / "mark")))
    made = w.adopt.adapter(place / "support")
    assert any("training_args.bin" in note for note in made.notes)
    assert not (place / "mark").exists()


def test_keys_that_no_peft_knows_are_kept_and_said(w: whence.Session, place: Path) -> None:
    path = place / "support/adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"output_multiplier": 3}))
    made = w.adopt.adapter(place / "support")
    assert any("output_multiplier" in note for note in made.notes)
    assert w.verify(place / "support", place / "llama").binding.answer == "incompatible"


def test_two_adapters_of_one_name(w: whence.Session, place: Path) -> None:
    w.adopt.adapter(place / "support")
    paper_adapter(place / "elsewhere/support", 2.0)
    with pytest.raises(Conflict, match="--name"):
        w.adopt.adapter(place / "elsewhere/support")
    assert w.adopt.adapter(place / "elsewhere/support", name="support-eu").name == "support-eu"


def test_a_base_that_it_does_not_fit_is_refused(w: whence.Session, place: Path) -> None:
    from safetensors.numpy import load_file, save_file

    file = place / "llama/model.safetensors"
    save_file({n.replace("q_proj", "wq"): t for n, t in load_file(file).items()}, file)
    with pytest.raises(Unmet, match="0 of 2 tensors bound"):
        w.adopt.adapter(place / "support", base=str(place / "llama"))
    assert w.store.all(Adapter) == []


def test_another_base_than_the_sidecar_names_is_refused(w: whence.Session, place: Path) -> None:
    w.adopt.adapter(place / "support", base=str(place / "llama"))
    paper_base(place / "other", 1.0)
    with pytest.raises(Unmet, match="same-shape-different-base"):
        w.adopt.adapter(place / "support", base=str(place / "other"))


@pytest.mark.fault
def test_a_base_that_is_being_written_to_is_refused(w: whence.Session, place: Path) -> None:
    """A writer that never rests; the file is large enough that reading it takes longer than one of its writes."""
    from safetensors.numpy import load_file, save_file

    file = place / "llama/model.safetensors"
    import numpy as np

    tensors = load_file(file) | {"model.large.weight": np.zeros((4096, 8192), np.float32)}
    save_file(tensors, file)
    over = threading.Event()

    def rewrite() -> None:
        with file.open("r+b") as written:
            while not over.is_set():
                written.seek(-64, 2)
                written.write(os.urandom(64))
                written.flush()

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        with pytest.raises(Conflict, match="was written to while it was read"):
            w.adopt.adapter(place / "support", base=str(place / "llama"))
    finally:
        over.set()
        writer.join()
    assert w.adopt.adapter(place / "support", base=str(place / "llama")).fresh


def test_nobody_named_may_declare_nothing(place: Path) -> None:
    from whence.store.actor import UNIDENTIFIED

    with whence.open(place, create=True, project=False, actor=UNIDENTIFIED) as w:
        with pytest.raises(Unmet, match="nobody is named"):
            w.adopt.adapter(place / "support", live="http://gpu1/v1")
        assert w.adopt.adapter(place / "support").fresh


def test_rows_that_came_without_a_licence_do_not_slip_into_a_project(w: whence.Session, place: Path) -> None:
    """They are on record, because the adapter was trained on them; a project still may not train on them."""
    w.adopt.adapter(place / "support", data=[place / "train.jsonl"])
    whence.init(place / "train.jsonl", place)
    text = (place / "whence.toml").read_text().replace("./base", "./llama")
    (place / "whence.toml").write_text(text)
    assert "no row is left" in w.data.curate().stages[-1].lines[-1]
    claimed = text.replace("# licence = ", "licence = ").replace("# consent_basis = ", "consent_basis = ")
    (place / "whence.toml").write_text(claimed)
    assert "60 rows of 60 records (0 new)" in w.data.curate().stages[0].lines[0]


@pytest.mark.fault
def test_killed_anywhere_the_same_command_goes_on(place: Path) -> None:
    words = ["adopt", "support", "--base", "llama", "--data", "train.jsonl", "--live", "http://gpu1/v1"]
    env = {**os.environ, "WHENCE_ACTOR": "ann@example.org"}
    began = time.monotonic()
    assert cli(*words, "--json", cwd=place).returncode == 0
    whole_s = time.monotonic() - began
    shutil.rmtree(place / ".whence")
    (place / "support/whence.json").unlink()
    killed = 0
    for part in (0.35, 0.5, 0.65, 0.75, 0.85, 0.95):
        process = subprocess.Popen(
            [sys.executable, "-m", "whence", *words],
            cwd=place,
            env=env,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        began = time.monotonic()
        try:
            process.wait(whole_s * part)
            whole_s = time.monotonic() - began  # the first took longer
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed
    assert cli(*words, cwd=place).returncode == 0
    with whence.open(place) as w:
        assert len(w.store.all(Adapter)) == 1
        assert len(w.ask.blast_radius(source="train", what_if=True).deployments) == 1
        assert w.verify() == []
        assert len(list((place / ".whence/adapters").iterdir())) == 1
