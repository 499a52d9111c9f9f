"""Fingerprints tell bases apart and do not see what does not matter."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import pytest

from models.makers import perturbed, rewrite
from whence.models import adapter_digests, fingerprint, load_base
from whence.records import BackendFailed, Unmet


def edit(folder: Path, name: str, change) -> Path:
    path = folder / name
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    return folder


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "copy"))


def renamed(tensors):
    return {name.replace("q_proj", "x_proj"): t for name, t in tensors.items()}


def halved(tensors):
    return {name: t.half() for name, t in tensors.items()}


@pytest.mark.tiny
@pytest.mark.parametrize("change", [perturbed, renamed, halved])
def test_other_weights_show_and_only_there(tiny_base: Path, tmp_path: Path, change) -> None:
    base, other = fingerprint(tiny_base), fingerprint(rewrite(tiny_base, tmp_path / "other", change))
    assert other.weights != base.weights
    assert (other.shapes, other.tokenizer, other.template) == (base.shapes, base.tokenizer, base.template)


@pytest.mark.tiny
def test_survives_resharding_and_saving_again(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
    model.save_pretrained(tmp_path / "sharded", max_shard_size="300KB")
    tokenizer("some text", padding="max_length", max_length=40, truncation=True)
    tokenizer.save_pretrained(tmp_path / "sharded")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    assert fingerprint(tmp_path / "sharded") == fingerprint(tiny_base)


@pytest.mark.tiny
def test_a_copy_of_the_tied_head_does_not_matter_another_head_does(tiny_base: Path, tmp_path: Path) -> None:
    def tied(tensors):
        return tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}

    def untied(tensors):
        return tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"] + 1}

    assert fingerprint(rewrite(tiny_base, tmp_path / "tied", tied)) == fingerprint(tiny_base)
    assert fingerprint(rewrite(tiny_base, tmp_path / "untied", untied)) != fingerprint(tiny_base)


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("config.json", lambda c: c.update(rms_norm_eps=1e-5), "shapes"),
        ("config.json", lambda c: c.update(a_key_of_tomorrow=1), "shapes"),
        ("config.json", lambda c: c.update(transformers_version="0", use_cache=False), None),
        ("tokenizer.json", lambda c: c["model"]["merges"].reverse(), "tokenizer"),
        ("tokenizer.json", lambda c: c["added_tokens"][1].update(content="<|fin|>"), "tokenizer"),
        ("tokenizer.json", lambda c: c.update(truncation={"max_length": 9}), None),
        ("tokenizer_config.json", lambda c: c.update(eos_token="<|user|>"), "tokenizer"),
        ("tokenizer_config.json", lambda c: c.update(padding_side="left"), None),
    ],
)
def test_each_part_shows_in_its_own_digest(tiny_base: Path, copy: Path, name: str, change, field: str | None) -> None:
    before, after = fingerprint(tiny_base), fingerprint(edit(copy, name, change))
    differ = [f for f in ("weights", "shapes", "tokenizer", "template") if getattr(before, f) != getattr(after, f)]
    assert differ == ([field] if field else [])


def test_the_template_wherever_it_lies(tiny_base: Path, copy: Path) -> None:
    text = (copy / "chat_template.jinja").read_text()
    (copy / "chat_template.jinja").unlink()
    assert fingerprint(copy).template != fingerprint(tiny_base).template
    edit(copy, "tokenizer_config.json", lambda c: c.update(chat_template=text))
    assert fingerprint(copy) == fingerprint(tiny_base)


def test_a_file_changed_in_place_is_read_again(copy: Path) -> None:
    before = fingerprint(copy)
    path = copy / "model.safetensors"
    at = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert fingerprint(copy).weights != before.weights


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(100_000)


def overlapping(folder: Path) -> None:
    header = json.dumps({n: {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]} for n in "ab"}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"xy")


def without_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (pickled, "pickled"),
        (cut, "not a whole safetensors file"),
        (overlapping, "does not follow"),
        (without_shard, "model-2"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer"),
        (lambda f: (f / "config.json").write_text("["), "config.json"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "not a whole safetensors file"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(copy: Path, damage, said: str) -> None:
    damage(copy)
    with pytest.raises(Unmet, match=said):
        fingerprint(copy)


@pytest.mark.tiny
def test_adapter_digests_ignore_paths_and_the_order_of_sets(adapters: dict[str, Path], tmp_path: Path) -> None:
    one = Path(shutil.copytree(adapters["one@1"], tmp_path / "one"))
    before = adapter_digests(one)
    edit(one, "adapter_config.json", lambda c: c.update(base_model_name_or_path="/x", revision="y"))
    edit(one, "adapter_config.json", lambda c: c["target_modules"].reverse())
    assert adapter_digests(one) == before
    edit(one, "adapter_config.json", lambda c: c.update(lora_alpha=9))
    assert adapter_digests(one)[0] == before[0]
    assert adapter_digests(one)[1] != before[1]
    assert adapter_digests(adapters["two@1"])[0] != before[0]


def test_bases_come_from_folders_and_the_hub_says_what_to_do(tiny_base: Path) -> None:
    assert load_base(str(tiny_base)) == tiny_base.resolve()
    with pytest.raises(Unmet, match="no folder"):
        load_base("./not-here")
    with pytest.raises(BackendFailed, match="do: check the name"):
        load_base("nobody/nothing", "main")
