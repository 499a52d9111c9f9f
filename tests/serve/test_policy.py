"""A release on a base that is not its own: the gateway does not start, or it answers shadow traffic, or a person's
waiver stands for a while. One that does not fit is never loaded."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import whence
from serve.shelf import paper_adapter, paper_base, shelve
from whence.models import ScriptedModel
from whence.records import Trace, Unmet
from whence.serve import Gateway, Settings
from whence.store import Store


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Store:
    shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    return store


def other_base(folder: Path) -> None:
    """The same names and shapes, other values."""
    tensors = load_file(folder / "base/model.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, folder / "base/model.safetensors")


def narrow_base(folder: Path) -> None:
    tensors = load_file(folder / "base/model.safetensors")
    save_file({name: np.ascontiguousarray(t[:, :2]) for name, t in tensors.items()}, folder / "base/model.safetensors")


def gateway(store: Store, policy: str = "block") -> Gateway:
    model = ScriptedModel(lambda request: "hello")
    return Gateway(store, ["desk"], Settings(port=0, unbound=policy), model_factory=lambda base, adapters: model)


def ask(url: str, **headers: str) -> httpx.Response:
    body = {"model": "desk", "messages": [{"role": "user", "content": "hi"}]}
    return httpx.post(url + "/v1/chat/completions", json=body, headers=headers, timeout=30)


def waive(store: Store, tmp_path: Path, until: str) -> str:
    with whence.open(tmp_path, actor="ann@example.org", clock=store.clock) as w:
        return w.ship.waive("the new base was compared by hand", until, "desk@1")


def test_blocked_is_not_started_and_its_own_base_is(desk: Store, tmp_path: Path) -> None:
    with gateway(desk) as url:
        assert ask(url).status_code == 200
    other_base(tmp_path)
    with pytest.raises(Unmet, match="weights differ"):
        gateway(desk).start()


def test_a_shadow_answers_nobody_else(desk: Store, tmp_path: Path) -> None:
    other_base(tmp_path)
    with gateway(desk, "shadow") as url:
        refused = ask(url)
        assert refused.status_code == 503
        assert "weights differ" in refused.json()["error"]["message"]
        assert ask(url, **{"x-whence-shadow": "true"}).status_code == 200
    assert [trace.shadow for _, trace in desk.all(Trace)] == [True]


def test_what_is_bound_is_no_shadow(desk: Store) -> None:
    with gateway(desk, "shadow") as url:
        assert ask(url).status_code == 200
    assert [trace.shadow for _, trace in desk.all(Trace)] == [None]


@pytest.mark.parametrize("policy", ["block", "shadow"])
def test_what_does_not_fit_is_never_loaded(desk: Store, tmp_path: Path, policy: str) -> None:
    narrow_base(tmp_path)
    with pytest.raises(Unmet, match="do not fit the base's shapes"):
        gateway(desk, policy).start()
    with pytest.raises(Unmet, match="is incompatible"):
        waive(desk, tmp_path, "2026-12-01T00:00:00Z")


def test_a_waiver_lets_one_release_onto_one_base_until_it_expires(desk: Store, tmp_path: Path, clock) -> None:
    with pytest.raises(Unmet, match="nothing speaks against it"):
        waive(desk, tmp_path, "2026-12-01T00:00:00Z")
    other_base(tmp_path)
    with pytest.raises(Unmet, match="would have expired"):
        waive(desk, tmp_path, "2026-10-01T00:00:00Z")
    waive(desk, tmp_path, "2026-12-01T00:00:00Z")
    with gateway(desk) as url:
        assert ask(url).status_code == 200
    other_base(tmp_path)  # yet another
    with pytest.raises(Unmet, match="weights differ"):
        gateway(desk).start()
    waive(desk, tmp_path, "2026-12-01T00:00:00Z")
    clock.skip(days=60)
    with pytest.raises(Unmet, match="weights differ"):
        gateway(desk).start()


def test_a_file_written_to_while_it_serves_ends_its_answers_a_touched_one_does_not(desk: Store, tmp_path: Path) -> None:
    file = tmp_path / "adapter/adapter_model.safetensors"
    with gateway(desk) as url:
        assert ask(url).status_code == 200
        file.touch()
        assert ask(url).status_code == 200
        with file.open("r+b") as written:
            written.seek(-1, 2)
            written.write(b"\x01")
        refused = ask(url)
        assert refused.status_code == 503
        assert "was changed after it was checked" in refused.json()["error"]["message"]
        config = tmp_path / "base/tokenizer.json"
        config.write_text(json.dumps(json.loads(config.read_text()), indent=1))
        assert ask(url).status_code == 503
