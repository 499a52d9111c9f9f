"""What somebody else's model folder can do here: be refused, or be served as tensors; never run its code."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from models.makers import make_adapter
from serve.shelf import paper_adapter, paper_base, shelve
from whence.models import Request, ScriptedModel, bond_to, check_binding, hold
from whence.models.backends.hub import PATTERNS
from whence.models.backends.transformers_peft import TransformersModel
from whence.models.tensors import PICKLED
from whence.records import BackendFailed, Deployment, Unmet, WhenceError
from whence.serve import Gateway, Settings
from whence.store import Store


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def plant(folder: Path, mark: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(pickle.dumps(Bomb(mark)))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Store, Path, Path]:
    """A store with the release desk@1, and the folders of its base and its adapter."""
    store = Store.open(tmp_path / ".whence", create=True, actor="tester@example.org")
    base, adapter = paper_base(tmp_path / "base"), paper_adapter(tmp_path / "adapter")
    shelve(store, base, {"desk@1": adapter})
    return store, base, adapter


def gateway(store: Store, loading: Callable[[], None] = lambda: None) -> Gateway:
    def factory(base: Path, adapters) -> ScriptedModel:
        loading()
        return ScriptedModel({})

    return Gateway(store, ["desk"], Settings(port=0), model_factory=factory)


def starts(store: Store) -> bool:
    with gateway(store):
        return True


def test_the_bomb_goes_off_where_it_is_opened(tmp_path: Path) -> None:
    """The control of all that follow."""
    plant(tmp_path, tmp_path / "mark", "x.bin")
    pickle.loads((tmp_path / "x.bin").read_bytes())  # noqa: S301
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt", "model.pth", "weights.pkl", "last.ckpt"])
def test_weights_that_are_pickled_are_refused(folders, name: str, tmp_path: Path) -> None:
    store, _, adapter = folders
    (adapter / "adapter_model.safetensors").unlink()
    plant(adapter, tmp_path / "mark", name)
    with pytest.raises(Unmet, match="holds pickled weights only"):
        starts(store)
    assert not (tmp_path / "mark").exists()


def test_a_pickle_that_calls_itself_safetensors_is_refused(folders, tmp_path: Path) -> None:
    store, _, adapter = folders
    plant(adapter, tmp_path / "mark", "adapter_model.safetensors")
    with pytest.raises(Unmet, match="not a whole safetensors file"):
        starts(store)
    assert not (tmp_path / "mark").exists()


@pytest.mark.tiny
def test_pickles_beside_the_tensors_are_not_opened(tiny_base: Path, tmp_path: Path) -> None:
    """Also those that transformers and PEFT would open if there were nothing else."""
    base, mark = Path(shutil.copytree(tiny_base, tmp_path / "base")), tmp_path / "mark"
    adapter = make_adapter(tiny_base, tmp_path / "adapter")
    plant(base, mark, "pytorch_model.bin", "training_args.bin", "model.pt", "tokenizer.pkl", "optimizer.pt")
    plant(adapter, mark, "adapter_model.bin", "training_args.bin", "rng_state.pth", "scheduler.pt")
    with hold(adapter) as held, hold(base) as held_base:
        assert check_binding(held, held_base, bond_to(adapter, base)).answer == "exact"
        assert not [
            path
            for path in (*held.path.iterdir(), *held_base.path.iterdir())
            if path.suffix in PICKLED and path.exists()
        ]
    model = TransformersModel(base, {"one@1": adapter}, threads=1)
    turns = [{"role": "user", "content": "hello"}]
    assert model.generate([Request(messages=turns, adapter="one@1", max_tokens=2)])[0].completion_tokens > 0
    assert not mark.exists()


CODE = """
from pathlib import Path
Path({mark!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class Mine(LlamaConfig): model_type = "mine"
class MineForCausalLM(LlamaForCausalLM): config_class = Mine
class MineTokenizer(PreTrainedTokenizerFast): pass
"""


def with_code(base: Path, mark: Path, model_type: str) -> None:
    """Code in a base, and the entries that ask for it to be run."""
    (base / "mine.py").write_text(CODE.format(mark=str(mark)))
    config = json.loads((base / "config.json").read_text()) | {"model_type": model_type}
    config["auto_map"] = {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.MineForCausalLM"}
    (base / "config.json").write_text(json.dumps(config))
    tokenizer = base / "tokenizer_config.json"
    said = json.loads(tokenizer.read_text()) | {"auto_map": {"AutoTokenizer": [None, "mine.MineTokenizer"]}}
    tokenizer.write_text(json.dumps(said))


@pytest.mark.tiny
@pytest.mark.parametrize("model_type", ["llama", "mine"])
def test_code_in_a_base_is_not_run(tiny_base: Path, tmp_path: Path, model_type: str) -> None:
    """Known to transformers, it is loaded without its code; else it is refused, and nobody is asked on the terminal."""
    base, mark = Path(shutil.copytree(tiny_base, tmp_path / "base")), tmp_path / "mark"
    with_code(base, mark, model_type)
    if model_type == "llama":
        TransformersModel(base, threads=1)
    else:
        with pytest.raises(BackendFailed, match="cannot be loaded"):
            TransformersModel(base, threads=1)
    assert not mark.exists()


@pytest.mark.tiny
@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('touch MARK') }}",
        "{{ messages.append({}) }}",
        "{% for i in range(10 ** 9) %}x{% endfor %}",
        "{{ raise_exception('no') }}",
    ],
)
def test_a_chat_template_reaches_nothing(tiny_base: Path, tmp_path: Path, template: str) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    (base / "chat_template.jinja").write_text(template.replace("MARK", str(tmp_path / "mark")))
    model = TransformersModel(base, threads=1)
    with pytest.raises(WhenceError):
        model.generate([Request(messages=[{"role": "user", "content": "hello"}], adapter=None, max_tokens=1)])
    assert not (tmp_path / "mark").exists()


def test_no_code_and_no_pickle_is_downloaded() -> None:
    """The patterns that the hub is asked for; the control is what a model needs."""
    for name in (
        "modeling_mine.py",
        "pytorch_model.bin",
        "model.pt",
        "model.pkl",
        "x.so",
        "run.sh",
        "a/b.py",
        "m.gguf",
    ):
        assert not any(fnmatch(name, pattern) for pattern in PATTERNS), name
    for name in ("model-00001-of-00002.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"):
        assert any(fnmatch(name, pattern) for pattern in PATTERNS), name


# -- links and places --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "README.md", "inner/deep.txt"])
def test_a_link_out_of_an_adapter_s_folder_is_refused(folders, name: str, tmp_path: Path) -> None:
    """Even one to the very bytes that were recorded: who owns their place could change them later."""
    store, _, adapter = folders
    assert starts(store)
    outside = tmp_path / "outside"
    path = adapter / name
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.rename(outside)
    else:
        outside.write_text("x")
    path.symlink_to(outside)
    with pytest.raises(Unmet, match=f"1 entries of the adapter's folder are links that lead out of it: {path.name}"):
        starts(store)


def test_a_link_within_an_adapter_s_folder_is_none_of_our_business(folders) -> None:
    store, _, adapter = folders
    (adapter / "adapter_model.safetensors").rename(adapter / "real.safetensors")
    (adapter / "adapter_model.safetensors").symlink_to("real.safetensors")
    assert starts(store)


@pytest.mark.parametrize("what", ["file", "folder", "base"])
def test_what_is_exchanged_while_it_is_loaded_is_not_served(folders, what: str, tmp_path: Path) -> None:
    """Between check and load another folder takes the place of the one that was checked; the checked one is loaded."""
    store, base, adapter = folders
    other = paper_adapter(tmp_path / "other", value=2.0)
    other_base = paper_base(tmp_path / "other-base", value=2.0)

    def exchange() -> None:
        if what == "file":
            os.replace(other / "adapter_model.safetensors", adapter / "adapter_model.safetensors")
        elif what == "folder":
            shutil.rmtree(adapter)
            adapter.symlink_to(other)
        else:
            shutil.rmtree(base)
            base.symlink_to(other_base)

    checked = [(place / "model.safetensors").read_bytes() for place in (base,)]
    checked += [(adapter / "adapter_model.safetensors").read_bytes()]

    def factory(held: Path, adapters) -> ScriptedModel:
        exchange()
        (place,) = adapters.values()
        loaded = [(held / "model.safetensors").read_bytes(), (place / "adapter_model.safetensors").read_bytes()]
        assert loaded == checked
        return ScriptedModel({})

    with Gateway(store, ["desk"], Settings(port=0), model_factory=factory):
        assert len(store.all(Deployment)) == 1
    if what != "file":
        with pytest.raises(WhenceError, match=r"leads? out|changed|weights differ|other values"):
            starts(store)


@pytest.mark.parametrize("what", ["adapter", "base"])
def test_what_is_written_into_while_it_is_loaded_is_not_served(folders, what: str) -> None:
    store, base, adapter = folders
    place = adapter / "adapter_model.safetensors" if what == "adapter" else base / "model.safetensors"

    def write() -> None:
        data = place.read_bytes()
        place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    with pytest.raises(WhenceError, match="was changed after it was checked"):
        gateway(store, write).start()
    assert store.all(Deployment) == []


@pytest.mark.parametrize("shard", ["../elsewhere/model.safetensors", "/etc/hostname", "sub/model.safetensors"])
def test_an_index_may_not_name_shards_elsewhere(folders, shard: str, tmp_path: Path) -> None:
    store, base, _ = folders
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(base / "model.safetensors", elsewhere / "model.safetensors")
    (base / "model.safetensors").unlink()
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(Unmet, match="names a shard elsewhere"):
        starts(store)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"megatron_config": {"a": 1}, "megatron_core": "mine"}, "names a module to be imported"),
        ({"peft_type": "XLORA", "adapters": {"0": "../elsewhere"}}, "is a XLORA, only LORA"),
        ({"peft_type": "PROMPT_TUNING"}, "is a PROMPT_TUNING, only LORA"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(folders, change: dict, said: str) -> None:
    """Even where its record says so too: some kinds import modules or open folders that they name."""
    store, base, adapter = folders
    config = adapter / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with hold(adapter) as held, hold(base) as held_base:
        assert said in str(check_binding(held, held_base, bond_to(adapter, base)))
    with pytest.raises(Unmet, match=said):
        starts(store)
