"""An adapter is refused on every base but its own; on its own it passes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.makers import perturbed, rewrite
from whence.models import Binding, Bond, bond_to, check_binding, hold
from whence.models.binding import check_keys
from whence.models.tensors import tensors, weight_files

pytestmark = pytest.mark.tiny


def keys_only(adapter: Path, base: Path) -> list[str]:
    settings = json.loads((adapter / "adapter_config.json").read_text())
    _, reasons = check_keys(tensors(weight_files(adapter, "adapter_model")), settings, tensors(weight_files(base)))
    return [reason.says for reason in reasons]


def bind(adapter: Path, base: Path, bond: Bond | None) -> Binding:
    with hold(adapter) as one, hold(base) as other:
        return check_binding(one, other, bond)


def test_its_own_base_passes(adapters: dict[str, Path], tiny_base: Path) -> None:
    for folder in adapters.values():
        binding = bind(folder, tiny_base, bond_to(folder, tiny_base))
        assert (binding.answer, binding.reasons, binding.bound) == ("exact", (), binding.tensors)


def test_where_nobody_recorded_the_base_nothing_is_exact(adapters: dict[str, Path], tiny_base: Path) -> None:
    folder = adapters["one@1"]
    assert bind(folder, tiny_base, None).answer == "unknown"
    assert bind(folder, tiny_base, replace(bond_to(folder, tiny_base), base=None, tensors=None)).answer == "unknown"


@pytest.mark.parametrize("listed", [True, False])
def test_another_base_of_the_same_shapes(adapters, tiny_base: Path, tmp_path: Path, listed: bool) -> None:
    """Named by tensor where the tensors of the base are on record, and found all the same where they are not."""
    other = rewrite(tiny_base, tmp_path / "other", perturbed)
    bond = bond_to(adapters["one@1"], tiny_base)
    binding = bind(adapters["one@1"], other, bond if listed else replace(bond, tensors=None))
    assert binding.answer == "same-shape-different-base"
    assert len(binding.reasons) == 1
    assert ("other values" if listed else "weights differ") in binding.reasons[0].says
    assert binding.reasons[0].tensors == (("model.embed_tokens.weight",) if listed else ())


def test_another_adapter_than_recorded(adapters: dict[str, Path], tiny_base: Path) -> None:
    binding = bind(adapters["two@1"], tiny_base, bond_to(adapters["one@1"], tiny_base))
    assert binding.answer == "incompatible"
    assert [reason.says for reason in binding.reasons] == ["the adapter's tensors changed since it was recorded"]


def fewer(tensors):
    return {n: t for n, t in tensors.items() if ".layers.1." not in n}


def more(tensors):
    return tensors | {n.replace(".1.", ".2."): t.clone() for n, t in tensors.items() if ".layers.1." in n}


def base_renamed(tensors):
    return {n.replace("v_proj", "value"): t for n, t in tensors.items()}


def wider(tensors):
    import torch

    return {n: torch.cat([t, t]) if "q_proj" in n else t for n, t in tensors.items()}


def extra_tensor(tensors):
    return tensors | {"model.something.weight": tensors["model.norm.weight"].clone()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (fewer, "not in the base; the adapter names 2 layers, the base has 1"),
        (more, "have no tensors; the adapter names 2 layers, the base has 3"),
        (base_renamed, "2 modules of the adapter are not in the base"),
        (wider, "2 modules of the adapter do not fit"),
    ],
)
def test_keys_alone_tell_other_bases(adapters: dict[str, Path], tiny_base: Path, tmp_path: Path, change, said) -> None:
    assert any(said in reason for reason in keys_only(adapters["one@1"], rewrite(tiny_base, tmp_path / "b", change)))


def test_a_tensor_that_no_adapter_touches_does_not_matter_to_keys(adapters, tiny_base: Path, tmp_path: Path) -> None:
    assert keys_only(adapters["one@1"], rewrite(tiny_base, tmp_path / "b", extra_tensor)) == []


def adapter_renamed(tensors):
    return {n.replace("layers.0", "layers.9"): t for n, t in tensors.items()}


def half_gone(tensors):
    return {n: t for n, t in tensors.items() if not ("layers.0" in n and "q_proj.lora_B" in n)}


def surplus(tensors):
    return tensors | {"base_model.model.model.layers.0.q_proj.lora_E.weight": next(iter(tensors.values())).clone()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (adapter_renamed, "not in the base"),
        (adapter_renamed, "should be adapted and have no tensors"),
        (half_gone, "1 modules of the adapter do not fit"),
        (surplus, "neither LoRA factors"),
    ],
)
def test_renamed_missing_and_surplus_tensors(adapters, tiny_base: Path, tmp_path: Path, change, said: str) -> None:
    broken = rewrite(adapters["one@1"], tmp_path / "a", change, file="adapter_model.safetensors")
    assert any(said in reason for reason in keys_only(broken, tiny_base))


def all_linear(base: Path, out: Path) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(
        r=2, target_modules="all-linear", modules_to_save=["lm_head"], use_dora=True, task_type="CAUSAL_LM"
    )
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(out)
    return out


def some_layers(base: Path, out: Path) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(r=2, target_modules=r".*\.(q|embed)_?\w*", layers_to_transform=None, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(out)
    return out


@pytest.mark.parametrize("kind", [all_linear, some_layers])
def test_other_honest_adapters_pass(tiny_base: Path, tmp_path: Path, kind) -> None:
    assert keys_only(kind(tiny_base, tmp_path / "a"), tiny_base) == []
