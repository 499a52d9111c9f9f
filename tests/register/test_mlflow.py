"""Mirror into a fresh MLflow, import into a fresh store: names, aliases and digests survive. Nothing calls out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.shelf import paper_adapter, paper_base, point
from whence.lifecycle.registry import arguments, import_mlflow, mirror_mlflow
from whence.lineage import aliases
from whence.models import adapter_digests, fingerprint
from whence.records import Adapter, BackendFailed, Base, Closure, ForeignRecipe, NotFound, Ref, Release, Run, Unmet
from whence.store import Store, verify

pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables and nothing in them."""
    from whence.register.backends.mlflow import Tracking

    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    list(Tracking(f"sqlite:///{path}", create=True).entries())
    return path


@pytest.fixture
def uri(blank: Path, tmp_path: Path) -> str:
    shutil.copy(blank, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "fresh" / ".whence", create=True, actor="tester@example.org")
    yield made
    made.close()


def put_release(store: Store, base: Path, name: str, folder: Path) -> Ref:
    """A release of an adapter with a recipe and a commit."""
    print_ = fingerprint(base)
    base_ref = store.put(Base(name=base.name, location=str(base), fingerprint=print_))
    recipe = store.put(ForeignRecipe(trainer="SFTTrainer", arguments={"learning_rate": 0.001}, lora={"r": 2}))
    closure = store.put(
        Closure(base=base_ref, snapshot=None, recipe=recipe, code_commit="ab" * 20, code_clean=True, environment=None)
    )
    weights, config = adapter_digests(folder)
    adapter = Adapter(
        name=name.partition("@")[0],
        closure=closure,
        run=store.put(Run(activity="train", used=(base_ref,))),
        weights=weights,
        config=config,
        base=print_,
        location=str(folder),
        bytes=1,
    )
    return store.put(Release(name=name, adapter=store.put(adapter), verdict=None))


@pytest.fixture
def shelved(store: Store, tmp_path: Path) -> dict[str, Path]:
    base, folders = paper_base(tmp_path / "base"), {}
    for number, name in enumerate(("desk@1", "desk@2", "pen@1"), 1):
        folders[name] = paper_adapter(tmp_path / f"adapter{number}", float(number))
        ref = put_release(store, base, name, folders[name])
        if name != "desk@1":
            point(store, name.partition("@")[0], ref)
    point(store, "front-desk", store.latest(Release, "desk@1")[0])
    return folders


def rows_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in a database."""
    import sqlite3

    with sqlite3.connect(path) as database:
        names = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(database.execute(f'SELECT * FROM "{name}"').fetchall(), key=str) for name in names}  # noqa: S608


def test_there_and_back(store: Store, fresh: Store, shelved: dict[str, Path], uri: str, client: Any) -> None:
    said = mirror_mlflow(store, uri)
    assert [(m.release, m.changed) for m in said] == [("desk@1", True), ("desk@2", True), ("pen@1", True)]
    held = client.get_model_version_by_alias("desk", "desk")
    assert (held.version, held.tags["whence.weights"]) in ((2, adapter_digests(shelved["desk@2"])[0]),)
    run = client.get_run(held.run_id)
    assert run.data.params == {"trainer": "SFTTrainer", "arguments.learning_rate": "0.001", "lora.r": "2"}
    assert run.data.tags["mlflow.source.git.commit"] == "ab" * 20
    before = rows_of(Path(uri.removeprefix("sqlite:///")))
    assert [m.changed for m in mirror_mlflow(store, uri)] == [False] * 3
    assert rows_of(Path(uri.removeprefix("sqlite:///"))) == before

    brought = import_mlflow(fresh, uri)
    assert [(b.release, b.state) for b in brought] == [(name, "adopted") for name in shelved]
    theirs, ours = dict(fresh.all(Release)), dict(store.all(Release))
    assert {r.name for r in theirs.values()} == {r.name for r in ours.values()}
    assert {a: theirs[r].name for a, r in aliases(fresh).items()} == {
        a: ours[r].name for a, r in aliases(store).items()
    }
    for name in shelved:
        mine = fresh.get(fresh.latest(Release, name)[1].adapter, Adapter)
        other = store.get(store.latest(Release, name)[1].adapter, Adapter)
        assert (mine.name, mine.weights, mine.config) == (other.name, other.weights, other.config)
        assert fresh.get(mine.closure, Closure).code_commit == "ab" * 20
    head = fresh.head()
    assert {b.state for b in import_mlflow(fresh, uri)} == {"known"}
    assert fresh.head() == head
    assert {b.state for b in import_mlflow(store, uri)} == {"adopted"}, "what the registry says is new to it"
    assert (store.count(Release), store.count(Adapter)) == (3, 3)
    assert rows_of(Path(uri.removeprefix("sqlite:///"))) == before, "reading writes nothing"
    assert verify(fresh) == []


def test_only_what_is_named_is_mirrored_and_a_moved_alias_moves(
    store: Store, shelved: dict[str, Path], uri: str, client: Any
) -> None:
    mirror_mlflow(store, uri, ["desk@2"])
    assert [m.name for m in client.search_registered_models()] == ["desk"]
    point(store, "desk", store.latest(Release, "desk@1")[0])
    assert [m.changed for m in mirror_mlflow(store, uri, ["desk"])] == [True]
    held = client.get_model_version_by_alias("desk", "desk")
    assert held.tags["whence.name"] == "desk@1"
    with pytest.raises(NotFound):
        mirror_mlflow(store, uri, ["nobody"])


@pytest.mark.parametrize("step", ["log_batch", "set_terminated", "create_registered_model", "create_model_version",
                                  "set_registered_model_alias"])  # fmt: skip
def test_what_a_failure_left_half_done_the_next_run_mends(
    store: Store, shelved: dict[str, Path], uri: str, client: Any, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken, pytest.raises(BackendFailed, match="the disk is full"):
        broken.setattr(MlflowClient, step, fails)
        mirror_mlflow(store, uri)
    assert any(m.changed for m in mirror_mlflow(store, uri))
    assert not any(m.changed for m in mirror_mlflow(store, uri))
    assert len(client.search_runs([client.get_experiment_by_name("whence").experiment_id])) == 3
    assert sorted(v.tags["whence.name"] for v in client.search_model_versions()) == sorted(shelved)


def registered(client: Any, name: str, source: str | Path, **run: Any) -> None:
    key = client.create_experiment(f"of-{name}")
    made = client.create_run(key, tags={"mlflow.user": "anna", **run.get("tags", {})})
    for param, value in run.get("params", {}).items():
        client.log_param(made.info.run_id, param, value)
    for metric, value in run.get("metrics", {}).items():
        client.log_metric(made.info.run_id, metric, value)
    client.create_registered_model(name)
    client.create_model_version(name, str(source), made.info.run_id)
    client.set_registered_model_alias(name, "champion", "1")


def test_what_others_registered(fresh: Store, client: Any, uri: str, tmp_path: Path) -> None:
    from mlflow.entities import Dataset, DatasetInput

    folder = paper_adapter(tmp_path / "model" / "peft")
    params = {"base_model": "acme/tiny-7b", "lr": "2e-4", "fp16": "True", "output_dir": "/home/anna/out", "lora_r": "8",
              "prompt": "You are Anna's own desk, be kind."}  # fmt: skip
    registered(client, "bank", tmp_path / "model", params=params, metrics={"eval/loss": 0.5},
               tags={"mlflow.source.git.commit": "cd" * 20})  # fmt: skip
    run = client.search_runs([client.get_experiment_by_name("of-bank").experiment_id])[0]
    data = Dataset(name="tickets", digest="12ab", source_type="local", source="{}", schema=None, profile=None)
    client.log_inputs(run.info.run_id, [DatasetInput(data)])
    registered(client, "far", "s3://bucket/model")
    registered(client, "gone", tmp_path / "nowhere")
    (tmp_path / "plain").mkdir()
    registered(client, "full", tmp_path / "plain")
    registered(client, "o'no name", folder)
    paper_adapter(tmp_path / "two" / "a", 5.0)
    paper_adapter(tmp_path / "two" / "b", 6.0)
    registered(client, "twins", tmp_path / "two")
    pickled = paper_adapter(tmp_path / "pickled", 7.0)
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    registered(client, "pickled", pickled)
    found = {b.model: b for b in import_mlflow(fresh, uri)}
    states = {name: (b.state, b.why if b.state == "listed" else None) for name, b in found.items()}
    assert states == {
        "bank": ("adopted", None), "far": ("listed", "remote"), "gone": ("listed", "missing"),
        "full": ("listed", "no_adapter"), "o'no name": ("refused", None), "twins": ("listed", "several"),
        "pickled": ("refused", None),
    }  # fmt: skip
    assert "pickled weights" in str(found["pickled"].why)
    assert (found["bank"].datasets, found["bank"].metrics) == (("tickets 12ab",), {"eval/loss": 0.5})
    assert aliases(fresh) == {"bank-champion": fresh.latest(Release, "bank@1")[0]}
    (adapter,) = [a for _, a in fresh.all(Adapter)]
    closure = fresh.get(adapter.closure, Closure)
    assert (closure.code_commit, fresh.get(closure.base, Base).location) == ("cd" * 20, "acme/tiny-7b")
    recipe = fresh.get(closure.recipe, ForeignRecipe)
    assert recipe.arguments == {"base_model": "acme/tiny-7b", "lr": 0.0002, "fp16": True, "lora_r": 8}
    (event,) = fresh.events("registry.imported")
    assert fresh.words(event.payload)["who"] == "anna"
    everything = "".join(body for _, body in fresh.bodies()) + str(fresh.events())
    assert "nna" not in everything.replace("tester@example.org", "").replace(str(tmp_path), "")
    assert verify(fresh) == []


def test_a_run_that_nobody_registered_and_one_experiment(fresh: Store, client: Any, uri: str, tmp_path: Path) -> None:
    place = tmp_path / "artifacts"
    key = client.create_experiment("tuning", artifact_location=place.as_uri())
    run = client.create_run(key, run_name="night-run")
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "adapter"
    paper_adapter(folder)
    client.create_run(key, run_name="not-an-adapter")
    client.log_param(client.create_run("0", run_name="elsewhere").info.run_id, "base_model", "acme/x")
    assert [(b.model, b.state) for b in import_mlflow(fresh, uri, experiment="tuning")] == [("night-run", "adopted")]
    assert {b.model for b in import_mlflow(fresh, uri)} == {"night-run", "elsewhere"}
    assert fresh.count(Release) == 0
    with pytest.raises(NotFound, match="no experiment is called"):
        import_mlflow(fresh, uri, experiment="nope")


def test_a_folder_that_is_not_what_was_mirrored_is_refused(
    store: Store, fresh: Store, shelved: dict[str, Path], uri: str
) -> None:
    mirror_mlflow(store, uri)
    shutil.rmtree(shelved["desk@1"])
    paper_adapter(shelved["desk@1"], 99.0)
    found = {b.version: b for b in import_mlflow(fresh, uri) if b.model == "desk"}
    assert "are not those that were mirrored" in str(found["1"].why)
    assert found["2"].state == "adopted"


def test_an_alias_or_a_release_that_is_something_else_here_stays(
    store: Store, fresh: Store, shelved: dict[str, Path], uri: str, tmp_path: Path
) -> None:
    mirror_mlflow(store, uri)
    other = put_release(fresh, tmp_path / "base", "desk@1", paper_adapter(tmp_path / "own", 50.0))
    point(fresh, "pen", other)
    found = {b.release or b.why: b for b in import_mlflow(fresh, uri)}
    assert any("is another adapter here" in str(said) for said in found)
    assert found["pen@1"].aliases == ()
    assert aliases(fresh)["pen"] == other


def test_a_database_that_is_not_there_is_not_made(fresh: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no MLflow database"):
        import_mlflow(fresh, f"sqlite:///{tmp_path / 'typo.db'}")
    (tmp_path / "empty.db").touch()
    with pytest.raises(NotFound):
        import_mlflow(fresh, f"sqlite:///{tmp_path / 'empty.db'}")
    (tmp_path / "noise.db").write_bytes(b"no database" * 100)
    with pytest.raises(BackendFailed):
        import_mlflow(fresh, f"sqlite:///{tmp_path / 'noise.db'}")
    with pytest.raises(Unmet, match="no release to mirror"):
        mirror_mlflow(fresh, f"sqlite:///{tmp_path / 'new.db'}")
    assert not (tmp_path / "new.db").exists()


def test_what_of_parameters_the_record_may_hold() -> None:
    said = {"lr": "1e-3", "nan": "nan", "inf": "inf", "flag": "false", "hub": "a/b-7b", "home": "/home/x",
            "n": "9" * 80, "user_name": "anna", "text": "two words", "api_key": "abc", "epochs": "3",
            "big": "1e300"}  # fmt: skip
    assert arguments(said) == {"lr": 0.001, "flag": False, "hub": "a/b-7b", "epochs": 3}


CALLS = """
import os, socket, sys
for name in ("PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS"):
    os.environ.pop(name, None)
os.chdir({folder!r})
asked = []
def refuse(host, *_, **__):
    asked.append(host)
    raise OSError("no network here")
socket.getaddrinfo = refuse
connect = socket.socket.connect
socket.socket.connect = lambda self, place: refuse(place)
if {ours}:
    from pathlib import Path
    import whence
    with whence.open({store!r}) as w:
        w.model.mirror("sqlite:///{db}")
        w.adopt.mlflow("sqlite:///{db}")
else:
    from mlflow import MlflowClient
    MlflowClient(tracking_uri="sqlite:///{db}", registry_uri="sqlite:///{db}").create_registered_model("other")
import time
until = time.monotonic() + (1.5 if {ours} else 60)
while time.monotonic() < until and ({ours} or not any("mlflow" in host for host in asked)):
    time.sleep(0.05)
print("ASKED", *asked)
"""


def test_nothing_calls_out_and_it_would_be_seen(
    store: Store, shelved: dict[str, Path], uri: str, tmp_path: Path, child_env: Callable[[], dict[str, str]]
) -> None:
    said = []
    for ours in (True, False):
        text = CALLS.format(folder=str(tmp_path), ours=ours, store=str(store.root), db=uri.removeprefix("sqlite:///"))
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=child_env(), check=True)
        said.append(done.stdout.split("ASKED")[1].split())
    assert said[0] == []
    assert any("mlflow" in host for host in said[1]), "without our setting MLflow asks its server"


@pytest.fixture
def child_env(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """Surroundings in which MLflow has never been told anything; its notes about this machine go into a folder."""
    import os

    keep = {k: v for k, v in os.environ.items() if "MLFLOW" not in k and k not in ("DO_NOT_TRACK", "CI")}
    return lambda: keep | {"HOME": str(tmp_path / "home")}


def test_the_command_line(store: Store, shelved: dict[str, Path], uri: str, capsys: pytest.CaptureFixture[str],
                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from whence.cli import main

    monkeypatch.setenv("WHENCE_STORE", str(store.root))
    assert main(["model", "mirror", uri, "--json"]) == 0
    assert [m["changed"] for m in json.loads(capsys.readouterr().out)] == [True] * 3
    assert main(["model", "mirror", uri, "desk@1"]) == 0
    assert "desk@1  nothing new" in capsys.readouterr().out
    assert main(["adopt", "mlflow", uri]) == 0
    assert "desk@2" in capsys.readouterr().out
    assert main(["adopt", "mlflow", uri + "x"]) == 1
