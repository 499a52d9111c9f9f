"""The resolver in a stand-in for vLLM's process: what is bound is loaded from the store's copy, all else is refused."""

from __future__ import annotations

import logging
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from serve.shelf import paper_adapter, paper_base, point, shelve
from serve.vllm_models import server
from whence.records import Deployment, Ref
from whence.serve.backends.vllm_resolver import register
from whence.serve.elsewhere import unload
from whence.serve.leases import state
from whence.store import Store


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return paper_base(tmp_path / "base")


@pytest.fixture
def desk(store: Store, base: Path) -> Ref:
    return shelve(store, base, {"desk@1": paper_adapter(store.root / "adapters/one")})["desk@1"]


def states(store: Store) -> list[str]:
    return [state(store, ref) for ref, _ in store.all(Deployment)]


def test_what_is_bound_is_loaded_from_the_store_and_recorded(store: Store, desk: Ref, base: Path) -> None:
    with server(base, store.root) as vllm:
        assert vllm.ask("desk@1")
        assert vllm.loaded["desk@1"].lora_path == str(store.root / "adapters/one")
    assert [(d.release, d.endpoint) for _, d in store.all(Deployment)] == [(desk, "http://gpu1:8000")]
    assert states(store) == ["declared"]
    assert unload(store, "desk@1", "http://gpu1:8000/v1")
    assert states(store) == ["ended"]


def test_its_number_is_that_of_its_digest(store: Store, desk: Ref, base: Path) -> None:
    numbers = []
    for _ in range(2):
        with server(base, store.root) as vllm:
            vllm.ask("desk@1")
            numbers += vllm.numbers
    assert numbers[0] == numbers[1]
    assert 1 <= numbers[0] < 2**31
    assert states(store) == ["declared"]


def test_another_base_is_refused_with_a_line_of_reasons(
    store: Store, desk: Ref, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = load_file(base / "model.safetensors")
    save_file({name: one + 1 for name, one in weights.items()}, base / "model.safetensors")
    with server(base, store.root) as vllm, caplog.at_level(logging.INFO, "vllm.whence"):
        assert not vllm.ask("desk@1")
    (said,) = [record.getMessage() for record in caplog.records if record.name == "vllm.whence"]
    assert said.startswith("whence refused desk@1: ")
    assert "weights differ" in said
    assert "\n" not in said
    assert states(store) == []


def test_an_alias_is_refused_because_vllm_would_go_on_with_the_release_that_it_meant_once(
    store: Store, desk: Ref, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    point(store, "support", desk)
    with server(base, store.root) as vllm:
        assert not vllm.ask("support")
        assert not vllm.ask(desk)
        assert vllm.ask("desk@1")
    assert "an alias moves" in caplog.text


def test_a_name_that_nobody_knows_is_not_logged(
    store: Store, desk: Ref, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with server(base, store.root) as vllm:
        assert not vllm.ask("ann@example.org\nforged line")
        assert not vllm.ask("\ud800")
    assert "no release of the name" in caplog.text
    assert "ann@" not in caplog.text


@pytest.mark.parametrize("root", ["org/llama", "/elsewhere/llama", ""])
def test_a_base_that_is_no_folder_here_is_refused(
    store: Store, desk: Ref, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    with server(root, store.root) as vllm:
        assert not vllm.ask("desk@1")
    assert "no folder here" in caplog.text


@pytest.mark.parametrize("url", ["", "gpu1:8000", "http://ann:pw@gpu1"])
def test_a_server_that_does_not_say_where_it_is_serves_nothing(
    store: Store, desk: Ref, base: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with server(base, store.root, url) as vllm:
        assert not vllm.ask("desk@1")
    assert "WHENCE_VLLM_URL" in caplog.text
    assert "pw" not in caplog.text
    assert states(store) == []


def test_a_store_that_is_not_there_refuses(base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with server(base, tmp_path / "nowhere") as vllm:
        assert not vllm.ask("desk@1")
    assert "there is no store" in caplog.text


def test_without_a_store_nothing_is_registered(base: Path) -> None:
    with server(base, None) as vllm:
        assert vllm.resolvers == []


def test_it_registers_once_a_process(store: Store, desk: Ref, base: Path) -> None:
    with server(base, store.root) as vllm:
        register()
        from vllm.lora.resolver import LoRAResolverRegistry

        assert [LoRAResolverRegistry.get_resolver("whence")] == vllm.resolvers


def test_the_entry_point_is_there_and_costs_next_to_nothing() -> None:
    """vLLM loads it in every process, with whence's store or without."""
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    module, _, name = pyproject["project"]["entry-points"]["vllm.general_plugins"]["whence"].partition(":")
    assert getattr(import_module(module), name) is register
    code = f"import sys, {module} as m; m.{name}(); "
    code += "print([n for n in ('sqlalchemy', 'lance', 'pydantic', 'numpy', 'torch', 'vllm') if n in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
