"""No wrong adapter or base is ever served; what was only moved, saved again or split always is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from faults.adapters.ways import CONTROLS, WAYS, Scene, Way
from models.makers import make_adapter
from serve.shelf import shelve
from serve.vllm_models import server
from serve.vllm_standin import StandIn, running
from whence.models import Request
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import Conflict, Unmet
from whence.serve.backends.vllm_http import Vllm
from whence.serve.elsewhere import load
from whence.serve.releases import Bound, bind
from whence.store import Store

pytestmark = [pytest.mark.tiny, pytest.mark.fault]

TURNS = [{"role": "user", "content": "where is my new card?"}]


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("trained")
    base = Path(shutil.copytree(tiny_base, folder / "base"))
    return Scene(make_adapter(base, folder / "one", 1), base, make_adapter(base, folder / "two", 2))


@pytest.fixture
def scene(trained: Scene, tmp_path: Path) -> Scene:
    return Scene(*(Path(shutil.copytree(f, tmp_path / f.name)) for f in (trained.adapter, trained.base, trained.other)))


def serve(store: Store, held: ExitStack) -> Bound:
    return bind(store, ["one@1"], held)[0]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_it_is_not_served(store: Store, scene: Scene, way: Way) -> None:
    shelve(store, scene.base, {"one@1": scene.adapter})
    way(scene)
    with ExitStack() as held, pytest.raises(Unmet) as refused:
        serve(store, held)
    assert "one@1: " in str(refused.value)
    assert "whence-held" not in str(refused.value)


@pytest.mark.parametrize("way", CONTROLS, ids=lambda way: way.__name__)
def test_it_is_served(store: Store, scene: Scene, way: Way) -> None:
    shelve(store, scene.base, {"one@1": scene.adapter})
    way(scene)
    with ExitStack() as held:
        assert serve(store, held).shadow is None


@pytest.fixture
def kept(trained: Scene, store: Store, tmp_path: Path) -> Scene:
    """The scene with its adapter in the store, which a server elsewhere is told to load."""
    places = (store.root / "adapters/one", tmp_path / "base", tmp_path / "two")
    return Scene(*map(Path, map(shutil.copytree, (trained.adapter, trained.base, trained.other), places)))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_vllm_is_told_to_load_it(store: Store, kept: Scene, way: Way) -> None:
    shelve(store, kept.base, {"one@1": kept.adapter})
    way(kept)
    with running(StandIn(str(kept.base))) as vllm:
        with pytest.raises(Unmet, match="one@1 is not loaded"):
            load(store, "one", Vllm(vllm.url))
        assert vllm.posts() == 0
    with server(kept.base, store.root) as models:
        assert not models.ask("one@1")


@pytest.mark.parametrize("way", CONTROLS, ids=lambda way: way.__name__)
def test_a_vllm_is_told_to_load_it(store: Store, kept: Scene, way: Way) -> None:
    shelve(store, kept.base, {"one@1": kept.adapter})
    way(kept)
    with running(StandIn(str(kept.base))) as vllm:
        load(store, "one", Vllm(vllm.url))
        assert (vllm.posts(), vllm.posts("unload")) == (1, 0)
        assert vllm.adapters == {"one@1": str(kept.adapter)}
    with server(kept.base, store.root) as models:
        assert models.ask("one@1")


def test_moved_and_renamed_folders_are_served(store: Store, scene: Scene, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    for name in ("adapter", "base"):
        setattr(scene, name, Path(shutil.move(getattr(scene, name), away / f"renamed-{name}")))
    shelve(store, scene.base, {"one@1": scene.adapter})
    with ExitStack() as held:
        bound = serve(store, held)
        assert (bound.adapter.origin, bound.base.origin, bound.shadow) == (scene.adapter, scene.base, None)


def said(model: TransformersModel) -> str:
    return model.generate([Request(messages=TURNS, adapter="one@1", max_tokens=12)])[0].text


def swapped_link(scene: Scene, links: dict[str, Path]) -> None:
    for name, to in (("adapter", scene.other),):
        links[name].unlink()
        links[name].symlink_to(to)


def swapped_files(scene: Scene, links: dict[str, Path]) -> None:
    (scene.adapter / "adapter_model.safetensors").unlink()
    shutil.copy(scene.other / "adapter_model.safetensors", scene.adapter / "adapter_model.safetensors")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a swap is found, not outlived")
@pytest.mark.parametrize("swap", [swapped_link, swapped_files])
def test_what_is_swapped_between_check_and_load_is_not_loaded(
    store: Store, scene: Scene, tmp_path: Path, swap: Callable[[Scene, dict[str, Path]], None]
) -> None:
    link = tmp_path / "link"
    link.symlink_to(scene.adapter)
    shelve(store, scene.base, {"one@1": link})
    right = said(TransformersModel(scene.base, {"one@1": scene.adapter}))
    assert said(TransformersModel(scene.base, {"one@1": scene.other})) != right
    with ExitStack() as held:
        bound = serve(store, held)
        swap(scene, {"adapter": link})
        assert said(TransformersModel(bound.base.path, {"one@1": bound.adapter.path})) == right
        bound.check()


@pytest.mark.parametrize("which", ["adapter", "base"])
def test_what_is_written_to_in_place_is_found_before_the_next_answer(store: Store, scene: Scene, which: str) -> None:
    shelve(store, scene.base, {"one@1": scene.adapter})
    with ExitStack() as held:
        bound = serve(store, held)
        bound.check()
        name = "adapter_model.safetensors" if which == "adapter" else "model.safetensors"
        with (getattr(scene, which) / name).open("r+b") as file:
            file.seek(-4, 2)
            file.write(b"\0\0\1\1")
        with pytest.raises(Conflict, match="was changed after it was checked"):
            bound.check()


def test_a_branch_of_the_hub_that_moved_is_not_served(
    store: Store, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`main` names other bytes than when the adapter was trained; the name is the same."""
    from huggingface_hub import constants, snapshot_download

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setitem(snapshot_download.__wrapped__.__globals__, "constants", constants)
    repo = cache / "models--org--tiny"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text("a" * 40)
    shutil.copytree(scene.base, repo / "snapshots" / ("a" * 40))
    refs = shelve(store, scene.base, {"one@1": scene.adapter}, location="org/tiny")
    assert refs
    with ExitStack() as held:
        serve(store, held)
    scene.tensors("base", lambda ts: {n: t + 0.01 for n, t in ts.items()})
    shutil.copytree(scene.base, repo / "snapshots" / ("b" * 40))
    (repo / "refs/main").write_text("b" * 40)
    with ExitStack() as held, pytest.raises(Unmet, match="weights differ"):
        serve(store, held)
