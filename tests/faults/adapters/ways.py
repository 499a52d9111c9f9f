"""Ways in which an adapter and its base come to be wrong, and changes that leave both as they were.

Each takes a `Scene` of its own, a copy of an adapter and the base that it was trained on, and alters files in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tensors = dict[str, Any]
WEIGHTS = {"base": "model.safetensors", "adapter": "adapter_model.safetensors"}


@dataclass(slots=True)
class Scene:
    """An adapter, its base, and another adapter of the same shape on the same base. Folders."""

    adapter: Path
    base: Path
    other: Path

    def tensors(self, which: str, change: Callable[[Tensors], Tensors]) -> None:
        """Rewrite the weights of base or adapter."""
        from safetensors.torch import load_file, save_file

        file = getattr(self, which) / WEIGHTS[which]
        found = {name: tensor.clone() for name, tensor in load_file(file).items()}
        file.unlink()
        save_file({name: t.contiguous() for name, t in change(found).items()}, file, metadata={"format": "pt"})

    def json(self, which: str, name: str, **changes: Any) -> None:
        """Set keys of a JSON file."""
        path = getattr(self, which) / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))


Way = Callable[[Scene], None]


def _shift(tensors: Tensors, names: str = "", by: float = 0.05) -> Tensors:
    return {n: t + by if names in n else t for n, t in tensors.items()}


# -- another base ------------------------------------------------------------------------------------------------------


def base_with_other_weights(scene: Scene) -> None:
    scene.tensors("base", _shift)


def one_value_of_the_base_moved(scene: Scene) -> None:
    scene.tensors("base", lambda ts: ts | {"model.norm.weight": ts["model.norm.weight"] * 1.5})


def base_with_fewer_layers(scene: Scene) -> None:
    scene.tensors("base", lambda ts: {n: t for n, t in ts.items() if ".layers.1." not in n})
    scene.json("base", "config.json", num_hidden_layers=1)


def base_with_more_layers(scene: Scene) -> None:
    scene.tensors(
        "base", lambda ts: ts | {n.replace(".1.", ".2."): t.clone() for n, t in ts.items() if ".layers.1." in n}
    )
    scene.json("base", "config.json", num_hidden_layers=3)


def base_with_layers_in_another_order(scene: Scene) -> None:
    swap = {"0": "1", "1": "0"}

    def swapped(ts: Tensors) -> Tensors:
        return {".".join(swap.get(p, p) for p in n.split(".")) if ".layers." in n else n: t for n, t in ts.items()}

    scene.tensors("base", swapped)


def base_of_another_width(scene: Scene) -> None:
    def narrow(ts: Tensors) -> Tensors:
        return {n: t[..., :96] if t.shape[-1] == 128 else t for n, t in ts.items()}

    scene.tensors(
        "base", lambda ts: {n: t[:96] if "proj" in n and t.shape[0] == 128 else t for n, t in narrow(ts).items()}
    )
    scene.json("base", "config.json", hidden_size=96, num_attention_heads=3, num_key_value_heads=3)


def modules_of_the_base_renamed(scene: Scene) -> None:
    scene.tensors("base", lambda ts: {n.replace("self_attn.", "attention."): t for n, t in ts.items()})


def base_cast_to_bf16(scene: Scene) -> None:
    import torch

    scene.tensors("base", lambda ts: {n: t.to(torch.bfloat16) for n, t in ts.items()})
    scene.json("base", "config.json", dtype="bfloat16")


def base_with_the_adapter_merged_in(scene: Scene) -> None:
    """Served on top of itself: merged twice."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(scene.base), scene.adapter)
    model.merge_and_unload().save_pretrained(scene.base)


def base_with_a_resized_embedding(scene: Scene) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(scene.base)
    model.resize_token_embeddings(1040, mean_resizing=False)
    model.save_pretrained(scene.base)


def base_with_another_rope(scene: Scene) -> None:
    scene.json("base", "config.json", rope_parameters={"rope_theta": 500.0, "rope_type": "default"})


def base_with_another_norm(scene: Scene) -> None:
    scene.json("base", "config.json", rms_norm_eps=0.1)


def tokenizer_with_other_merges(scene: Scene) -> None:
    path = scene.base / "tokenizer.json"
    found = json.loads(path.read_text())
    found["model"]["merges"] = found["model"]["merges"][:100]
    path.write_text(json.dumps(found))


def tokenizer_with_ids_exchanged(scene: Scene) -> None:
    path = scene.base / "tokenizer.json"
    found = json.loads(path.read_text())
    vocab = found["model"]["vocab"]
    common = sorted(vocab, key=vocab.get)[260:]
    ids = [vocab[word] for word in common]
    vocab.update(zip(common, ids[::-1], strict=True))
    path.write_text(json.dumps(found))


def tokenizer_with_another_end(scene: Scene) -> None:
    scene.json("base", "tokenizer_config.json", eos_token="<|user|>")


def generation_that_ends_elsewhere(scene: Scene) -> None:
    scene.json("base", "generation_config.json", eos_token_id=300)


def another_chat_template(scene: Scene) -> None:
    path = scene.base / "chat_template.jinja"
    path.write_text("Always be brief. " + path.read_text())


def truncated_base(scene: Scene) -> None:
    with (scene.base / "model.safetensors").open("r+b") as file:
        file.truncate(400_000)


def base_that_is_an_adapter_too(scene: Scene) -> None:
    """transformers puts the adapter that lies in a base's folder onto the base without being asked."""
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(scene.other / name, scene.base / name)


def base_said_to_be_quantised(scene: Scene) -> None:
    scene.json("base", "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})


# -- another adapter ---------------------------------------------------------------------------------------------------


def weights_of_another_adapter(scene: Scene) -> None:
    shutil.copy(scene.other / WEIGHTS["adapter"], scene.adapter / WEIGHTS["adapter"])


def whole_folder_of_another_adapter(scene: Scene) -> None:
    shutil.rmtree(scene.adapter)
    shutil.copytree(scene.other, scene.adapter)


def alpha_scaled(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", lora_alpha=32)


def rank_in_the_configuration_only(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", r=8)


def scaled_by_the_root_of_the_rank(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", use_rslora=True)


def fewer_target_modules(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", target_modules=["q_proj"])


def more_target_modules(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", target_modules=["q_proj", "v_proj", "down_proj", "up_proj"])


def one_layer_only(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", layers_to_transform=[0])


def keys_of_another_layer(scene: Scene) -> None:
    scene.tensors("adapter", lambda ts: {n.replace("layers.0.", "layers.9."): t for n, t in ts.items()})


def keys_with_one_prefix_more(scene: Scene) -> None:
    scene.tensors(
        "adapter", lambda ts: {n.replace("base_model.model.", "base_model.model.model.", 1): t for n, t in ts.items()}
    )


def keys_without_their_prefix(scene: Scene) -> None:
    scene.tensors("adapter", lambda ts: {n.removeprefix("base_model.model."): t for n, t in ts.items()})


def keys_of_a_compiled_model(scene: Scene) -> None:
    scene.tensors(
        "adapter",
        lambda ts: {n.replace("base_model.model.", "base_model.model._orig_mod.", 1): t for n, t in ts.items()},
    )


def one_factor_missing(scene: Scene) -> None:
    scene.tensors("adapter", lambda ts: {n: t for n, t in ts.items() if not ("layers.0" in n and "q_proj.lora_B" in n)})


def surplus_keys(scene: Scene) -> None:
    def more(ts: Tensors) -> Tensors:
        return ts | {n.replace("q_proj", "router"): t.clone() for n, t in ts.items() if "q_proj" in n}

    scene.tensors("adapter", more)


def factors_of_zero(scene: Scene) -> None:
    scene.tensors("adapter", lambda ts: {n: t * 0 if "lora_B" in n else t for n, t in ts.items()})


def factors_not_numbers(scene: Scene) -> None:
    scene.tensors("adapter", lambda ts: {n: t * float("nan") if "lora_B" in n else t for n, t in ts.items()})


def truncated_adapter(scene: Scene) -> None:
    with (scene.adapter / WEIGHTS["adapter"]).open("r+b") as file:
        file.truncate(20_000)


def adapter_of_no_bytes(scene: Scene) -> None:
    (scene.adapter / WEIGHTS["adapter"]).write_bytes(b"")


def half_written_folder(scene: Scene) -> None:
    (scene.adapter / WEIGHTS["adapter"]).unlink()


def configuration_cut_off(scene: Scene) -> None:
    path = scene.adapter / "adapter_config.json"
    path.write_text(path.read_text()[:200])


def pickled_adapter(scene: Scene) -> None:
    import torch
    from safetensors.torch import load_file

    found = load_file(scene.adapter / WEIGHTS["adapter"])
    torch.save(found, scene.adapter / "adapter_model.bin")
    (scene.adapter / WEIGHTS["adapter"]).unlink()


def link_that_leads_out(scene: Scene) -> None:
    """Today the same bytes; tomorrow whatever the link's owner puts there."""
    elsewhere = scene.adapter.parent / "elsewhere.safetensors"
    shutil.move(scene.adapter / WEIGHTS["adapter"], elsewhere)
    (scene.adapter / WEIGHTS["adapter"]).symlink_to(elsewhere)


def key_that_no_peft_knows(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", output_multiplier=4.0)


def adapter_of_another_kind(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", peft_type="IA3")


WAYS: tuple[Way, ...] = (
    base_with_other_weights,
    one_value_of_the_base_moved,
    base_with_fewer_layers,
    base_with_more_layers,
    base_with_layers_in_another_order,
    base_of_another_width,
    modules_of_the_base_renamed,
    base_cast_to_bf16,
    base_with_the_adapter_merged_in,
    base_with_a_resized_embedding,
    base_with_another_rope,
    base_with_another_norm,
    tokenizer_with_other_merges,
    tokenizer_with_ids_exchanged,
    tokenizer_with_another_end,
    generation_that_ends_elsewhere,
    another_chat_template,
    truncated_base,
    base_that_is_an_adapter_too,
    base_said_to_be_quantised,
    weights_of_another_adapter,
    whole_folder_of_another_adapter,
    alpha_scaled,
    rank_in_the_configuration_only,
    scaled_by_the_root_of_the_rank,
    fewer_target_modules,
    more_target_modules,
    one_layer_only,
    keys_of_another_layer,
    keys_with_one_prefix_more,
    keys_without_their_prefix,
    keys_of_a_compiled_model,
    one_factor_missing,
    surplus_keys,
    factors_of_zero,
    factors_not_numbers,
    truncated_adapter,
    adapter_of_no_bytes,
    half_written_folder,
    configuration_cut_off,
    pickled_adapter,
    link_that_leads_out,
    key_that_no_peft_knows,
    adapter_of_another_kind,
)


# -- changes that leave both as they were ------------------------------------------------------------------------------


def untouched(scene: Scene) -> None:
    pass


def base_in_shards(scene: Scene) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(scene.base)
    (scene.base / WEIGHTS["base"]).unlink()
    model.save_pretrained(scene.base, max_shard_size="300KB")


def base_saved_again(scene: Scene) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(scene.base), AutoTokenizer.from_pretrained(scene.base)
    model.save_pretrained(scene.base)
    tokenizer.save_pretrained(scene.base)


def adapter_saved_again(scene: Scene) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(scene.base), scene.adapter).save_pretrained(
        scene.adapter
    )


def adapter_saved_by_a_later_peft(scene: Scene) -> None:
    """Which writes its version, and keys that are off."""
    scene.json("adapter", "adapter_config.json", peft_version="0.99.0", use_tomorrow=False, tomorrow_config=None)


def metadata_edited(scene: Scene) -> None:
    from safetensors.torch import load_file, save_file

    file = scene.adapter / WEIGHTS["adapter"]
    save_file(load_file(file), file, metadata={"format": "pt", "note": "for the desk"})


def paths_in_the_configuration_edited(scene: Scene) -> None:
    scene.json("adapter", "adapter_config.json", base_model_name_or_path="/elsewhere/llama", revision="main")


def card_and_notes_beside_it(scene: Scene) -> None:
    (scene.adapter / "README.md").write_text("# For the desk\n")
    (scene.adapter / "notes.txt").write_text("trained on Monday\n")
    (scene.base / "LICENSE.txt").write_text("…\n")


def keys_of_the_configuration_in_another_order(scene: Scene) -> None:
    path = scene.adapter / "adapter_config.json"
    found = json.loads(path.read_text())
    found["target_modules"] = found["target_modules"][::-1]
    path.write_text(json.dumps(dict(reversed(found.items())), indent=8))


def tensors_of_the_base_in_another_order(scene: Scene) -> None:
    scene.tensors("base", lambda ts: dict(reversed(ts.items())))


def padding_and_truncation_of_the_tokenizer(scene: Scene) -> None:
    path = scene.base / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"truncation": None, "padding": None}))
    scene.json("base", "tokenizer_config.json", padding_side="left")


def written_by_another_transformers(scene: Scene) -> None:
    scene.json("base", "config.json", transformers_version="5.99.0", use_cache=False, _name_or_path="/elsewhere")


CONTROLS: tuple[Way, ...] = (
    untouched,
    base_in_shards,
    base_saved_again,
    adapter_saved_again,
    adapter_saved_by_a_later_peft,
    metadata_edited,
    paths_in_the_configuration_edited,
    card_and_notes_beside_it,
    keys_of_the_configuration_in_another_order,
    tensors_of_the_base_in_another_order,
    padding_and_truncation_of_the_tokenizer,
    written_by_another_transformers,
)
