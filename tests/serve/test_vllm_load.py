"""``serve load`` and ``serve unload`` against a stand-in for vLLM: what is wrong is not loaded, or is taken out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import whence
from serve.shelf import paper_adapter, paper_base, shelve
from serve.vllm_standin import StandIn, running
from whence.cli import main
from whence.records import BackendFailed, Deployment, NotFound, Ref, Unmet, WhenceError
from whence.serve.backends.vllm_http import Vllm
from whence.serve.elsewhere import load, unload
from whence.serve.leases import state
from whence.store import Store


@pytest.fixture
def folder(store: Store) -> Path:
    """The store's copy of the adapter."""
    return store.root / "adapters/one"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return paper_base(tmp_path / "base")


@pytest.fixture
def desk(store: Store, base: Path, folder: Path) -> Store:
    shelve(store, base, {"desk@1": paper_adapter(folder)})
    return store


@pytest.fixture
def server(base: Path) -> Iterator[StandIn]:
    with running(StandIn(str(base))) as made:
        yield made


def states(store: Store) -> list[str]:
    return [state(store, ref) for ref, _ in store.all(Deployment)]


def loaded(store: Store, server: StandIn, name: str = "desk@1", base: Path | None = None, wait_s: float = 30) -> Ref:
    return load(store, name, Vllm(server.url, server.api_key, wait_s), base).deployment


# -- what is right -----------------------------------------------------------------------------------------------------


def test_it_is_loaded_from_the_stores_copy_and_the_record_knows(desk: Store, server: StandIn, folder: Path) -> None:
    made = load(desk, "desk", Vllm(server.url + "/v1/"))
    assert server.adapters == {"desk@1": str(folder)}
    assert server.read == [(folder / "adapter_model.safetensors").read_bytes()]
    assert server.asked == ["GET /v1/models", "POST /v1/load_lora_adapter", "GET /v1/models"]
    deployment = desk.get(made.deployment, Deployment)
    assert (deployment.endpoint, deployment.release, deployment.lease_s) == (server.url, made.release, None)
    assert states(desk) == ["declared"]
    assert made.root == str(made.base)
    assert any("no digest" in one for one in made.unknown)
    assert unload(desk, "desk@1", Vllm(server.url)) == [made.deployment]
    assert server.adapters == {}
    assert states(desk) == ["ended"]


def test_blast_radius_finds_it_until_it_is_unloaded(base: Path, server: StandIn, tmp_path: Path, clock) -> None:
    (tmp_path / "train.jsonl").write_text('{"id": "t1", "prompt": "where is it?", "completion": "here"}\n')
    mine = paper_adapter(tmp_path / "support")
    with whence.open(tmp_path, create=True, project=False, actor="ann@example.org", clock=clock) as w:
        elsewhere = "http://gpu7:8000/v1"
        w.adopt.adapter(mine, base=str(base), data=[tmp_path / "train.jsonl"], live=elsewhere)
        w.serve.load("support@1", server.url)
        assert [one.endpoint for one in w.ask.blast_radius(row="train:t1", what_if=True).live] == [
            elsewhere,
            server.url,
        ]
        assert Path(server.adapters["support@1"]).is_relative_to(w.store.root)
        w.serve.unload("support@1", server.url + "/v1")
        w.serve.unload("support@1", elsewhere, gone=True)
        assert w.ask.blast_radius(row="train:t1", what_if=True).live == ()


def test_it_can_be_loaded_again(desk: Store, server: StandIn) -> None:
    for _ in range(2):
        loaded(desk, server)
        unload(desk, "desk", Vllm(server.url))
    assert states(desk) == ["ended", "ended"]


@pytest.mark.parametrize("root", ["org/llama", "/models/llama"])
def test_a_base_that_is_no_folder_here_is_named(
    desk: Store, base: Path, server: StandIn, root: str, tmp_path: Path
) -> None:
    server.base = root
    with pytest.raises(Unmet, match="no folder here"):
        loaded(desk, server)
    loaded(desk, server, base=base)
    assert server.posts() == 1


def test_the_folder_that_is_named_and_the_servers_own_are_both_checked(
    desk: Store, base: Path, server: StandIn, tmp_path: Path
) -> None:
    server.base = str(paper_base(tmp_path / "other", 1.0))
    with pytest.raises(Unmet, match="weights differ"):
        loaded(desk, server, base=base)
    assert server.posts() == 0


def test_a_waiver_lets_it_onto_one_other_base(desk: Store, base: Path, server: StandIn, tmp_path: Path) -> None:
    weights = load_file(base / "model.safetensors")
    save_file({name: one + 1 for name, one in weights.items()}, base / "model.safetensors")
    with pytest.raises(Unmet, match="weights differ"):
        loaded(desk, server)
    with whence.open(tmp_path, actor="ann@example.org", clock=desk.clock) as w:
        w.ship.waive("compared by hand", "2026-12-01", "desk@1")
    loaded(desk, server)
    unload(desk, "desk", Vllm(server.url))
    save_file({name: one + 2 for name, one in weights.items()}, base / "model.safetensors")
    with pytest.raises(Unmet, match="weights differ"):
        loaded(desk, server)
    assert server.posts() == 1


# -- what is wrong before ----------------------------------------------------------------------------------------------


def narrow(folder: Path, base: Path) -> None:
    weights = load_file(base / "model.safetensors")
    save_file({n: np.ascontiguousarray(t[:, :2]) for n, t in weights.items()}, base / "model.safetensors")


def other_weights(folder: Path, base: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({n: t * 2 for n, t in weights.items()}, folder / "adapter_model.safetensors")


def writable(folder: Path, base: Path) -> None:
    folder.chmod(0o777)


def writable_above(folder: Path, base: Path) -> None:
    folder.parent.chmod(0o777)


def embeddings_beside(folder: Path, base: Path) -> None:
    save_file({"x": np.zeros(1, np.float32)}, folder / "new_embeddings.safetensors")


@pytest.mark.parametrize("wrong", [narrow, other_weights, writable, writable_above, embeddings_beside])
def test_what_is_wrong_never_reaches_the_server(
    desk: Store, server: StandIn, folder: Path, base: Path, wrong: Callable[[Path, Path], None]
) -> None:
    wrong(folder, base)
    with pytest.raises(Unmet):
        loaded(desk, server)
    assert server.posts() == 0
    assert states(desk) == []


PASSED_OVER = {
    "alpha_pattern": {"q_proj": 64},
    "rank_pattern": {"q_proj": 8},
    "init_lora_weights": "pissa",
    "trainable_token_indices": [1],
    "lora_bias": True,
}


@pytest.mark.parametrize("key", PASSED_OVER)
def test_what_a_vllm_passes_over_in_silence_is_not_loaded(
    store: Store, server: StandIn, folder: Path, base: Path, key: str
) -> None:
    paper_adapter(folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: PASSED_OVER[key]}))
    shelve(store, base, {"desk@1": folder})
    with pytest.raises(Unmet, match=key):
        loaded(store, server)
    assert server.posts() == 0


def test_a_users_own_folder_is_not_given_to_a_server(store: Store, server: StandIn, base: Path, tmp_path: Path) -> None:
    shelve(store, base, {"desk@1": paper_adapter(tmp_path / "mine")})
    with pytest.raises(Unmet, match="outside the store"):
        loaded(store, server)
    assert server.posts() == 0


# -- what goes wrong at the server -------------------------------------------------------------------------------------


def test_a_name_that_is_taken_is_left_alone(desk: Store, server: StandIn) -> None:
    server.adapters["desk@1"] = "/elsewhere/other"
    with pytest.raises(Unmet, match="serves something called desk@1 already"):
        loaded(desk, server)
    assert server.posts() == server.posts("unload") == 0


def test_somebody_who_is_faster_is_not_dropped_and_the_record_says_so(desk: Store, server: StandIn) -> None:
    server.faults = {"another is faster"}
    with pytest.raises(BackendFailed, match=r"already been loaded.*\n.*\n.*\n.*the record goes on saying so"):
        loaded(desk, server)
    assert server.posts("unload") == 0
    assert states(desk) == ["declared"]


@pytest.mark.parametrize("fault", ["lies about root", "lies about parent", "changes its base", "forgets"])
def test_a_server_that_says_something_else_afterwards_is_made_to_drop_it(
    desk: Store, server: StandIn, fault: str
) -> None:
    server.faults = {fault}
    with pytest.raises(Unmet, match=r"loaded something else than was checked(.|\n)*it was unloaded again"):
        loaded(desk, server)
    assert (server.posts(), server.posts("unload")) == (1, 1)
    assert server.adapters == {}
    assert states(desk) == ["ended"]


def test_one_that_lies_and_does_not_drop_it_stays_in_the_record(desk: Store, server: StandIn) -> None:
    server.faults = {"lies about root", "keeps it"}
    with pytest.raises(BackendFailed, match="whence serve unload desk@1 --at"):
        loaded(desk, server)
    assert states(desk) == ["declared"]
    with pytest.raises(BackendFailed, match="still"):
        unload(desk, "desk", Vllm(server.url))
    assert states(desk) == ["declared"]


@pytest.mark.parametrize("when", ["dies after load", "dies while it loads"])
def test_a_server_that_dies_half_way(desk: Store, server: StandIn, when: str) -> None:
    server.faults = {when}
    with pytest.raises((BackendFailed, Unmet), match="did not answer"):
        loaded(desk, server)
    assert states(desk) == (["declared"] if when == "dies after load" else ["ended"])
    if when == "dies after load":
        with pytest.raises(BackendFailed, match="did not answer"):
            unload(desk, "desk", Vllm(server.url))
        assert unload(desk, "desk", server.url)
    assert states(desk) == ["ended"]


def test_a_slow_server_may_have_it_until_somebody_asks_again(desk: Store, server: StandIn) -> None:
    server.faults = {"is slow"}
    with pytest.raises(BackendFailed, match=r"did not answer within 1 s\n.*the record goes on saying so"):
        loaded(desk, server, wait_s=1)
    assert states(desk) == ["declared"]
    assert unload(desk, "desk", Vllm(server.url))
    assert server.adapters == {}
    assert states(desk) == ["ended"]


SAYS = {
    "refuses": "max_lora_rank",
    "sees no store": "sees the store's files",
    "is no vLLM": "no list of models",
}


@pytest.mark.parametrize("fault", SAYS)
def test_what_a_server_refuses_is_not_deployed(desk: Store, server: StandIn, fault: str) -> None:
    server.faults = {fault}
    with pytest.raises(WhenceError, match=SAYS[fault]):
        loaded(desk, server)
    assert "declared" not in states(desk)


def test_a_server_that_loads_no_adapters_while_it_runs(desk: Store, server: StandIn) -> None:
    server.updating = False
    with pytest.raises(Unmet, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=true vllm serve"):
        loaded(desk, server)
    assert states(desk) == ["ended"]


def test_several_names_of_one_base_are_one_base_and_two_are_refused(desk: Store, server: StandIn) -> None:
    server.names = ("llama", "llama-latest")
    loaded(desk, server)
    server.adapters, server.names = {}, ()
    with pytest.raises(Unmet, match="names 0 bases"):
        loaded(desk, server)


def swapped(folder: Path) -> None:
    other = paper_adapter(folder.parent / "other", 2.0)
    os.replace(other / "adapter_model.safetensors", folder / "adapter_model.safetensors")


def swapped_and_put_back(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.rename(folder.parent / "right")
    paper_adapter(folder.parent / "other", 2.0)
    (folder.parent / "other" / file.name).rename(file)
    (folder.parent / "right").replace(file)


def gone(folder: Path) -> None:
    folder.rename(folder.parent / "gone")


def base_written(folder: Path) -> None:
    file = folder.parents[2] / "base/model.safetensors"
    with file.open("r+b") as opened:
        opened.seek(-4, 2)
        opened.write(b"\0\0\1\1")


@pytest.mark.fault
@pytest.mark.parametrize("swap", [swapped, swapped_and_put_back, gone, base_written])
def test_what_is_changed_while_the_server_loads_is_taken_out_again(
    desk: Store, server: StandIn, folder: Path, swap: Callable[[Path], None]
) -> None:
    server.meanwhile = lambda: swap(folder)
    with pytest.raises(Unmet, match="it was unloaded again"):
        loaded(desk, server)
    assert server.adapters == {}
    assert states(desk) == ["ended"]


# -- tokens, addresses, unload -----------------------------------------------------------------------------------------


def test_the_token_is_asked_for_and_never_shown(desk: Store, server: StandIn) -> None:
    server.api_key = "s3cret-of-the-server"
    with pytest.raises(Unmet, match=r"401: Unauthorized(.|\n)*export WHENCE_VLLM_TOKEN"):
        load(desk, "desk", Vllm(server.url, "wr0ng-one"))
    assert server.posts() == 0
    loaded(desk, server)
    server.faults = {"dies after load"}
    with pytest.raises(BackendFailed) as failed:
        unload(desk, "desk", Vllm(server.url, server.api_key))
    assert "s3cret" not in str(failed.value) + repr(list(desk.events()))


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://h", "http://", "http://ann:pw@h", "http://h?x=1", "http://h:0", "http://h/a b"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Unmet):
        Vllm(url)


def test_nobody_there(desk: Store) -> None:
    with pytest.raises(BackendFailed, match="did not answer: Connection refused"):
        load(desk, "desk", Vllm("http://127.0.0.1:9"))
    with pytest.raises(BackendFailed, match="did not answer"):
        unload(desk, "desk", Vllm("http://127.0.0.1:9"))
    assert states(desk) == []


def test_what_is_not_there_cannot_be_unloaded(desk: Store, server: StandIn) -> None:
    with pytest.raises(NotFound, match="nothing says that it was"):
        unload(desk, "desk", Vllm(server.url))
    server.adapters["desk@1"] = "/by/somebody/else"
    assert unload(desk, "desk", Vllm(server.url)) == []
    assert server.adapters == {}


# -- the command line --------------------------------------------------------------------------------------------------


def test_by_the_command_line(
    desk: Store, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.api_key = "s3cret"
    monkeypatch.setenv("WHENCE_VLLM_TOKEN", "s3cret\n")
    desk.close()
    at = ["-C", str(tmp_path), "serve"]
    cwd = os.getcwd()
    try:
        assert main([*at, "load", "desk", "--at", server.url]) == 0
        said = capsys.readouterr().out
        assert "desk@1 is loaded at" in said
        assert "not known: that the server's memory" in said
        assert main([*at, "unload", "desk", "--at", server.url, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["ended"]) == 1
        assert main([*at, "load", "desk@9", "--at", server.url]) == 1
        assert main([*at, "load", "desk"]) == 3
    finally:
        os.chdir(cwd)


@pytest.mark.fault
def test_a_command_that_is_killed_while_the_server_loads_leaves_a_deployment(
    desk: Store, server: StandIn, tmp_path: Path
) -> None:
    """The server has it then, and nobody looked: the record says that it is there."""
    desk.close()
    server.meanwhile = lambda: child.send_signal(signal.SIGKILL)
    line = [sys.executable, "-m", "whence", "-C", str(tmp_path), "serve", "load", "desk", "--at", server.url]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        assert child.wait(120) == -signal.SIGKILL
    with closing(Store.open(tmp_path / ".whence", clock=desk.clock, actor="tester@example.org")) as store:
        assert states(store) == ["declared"]
        with pytest.raises(Unmet, match="already"):
            loaded(store, server)
        assert unload(store, "desk", Vllm(server.url))
        loaded(store, server)
