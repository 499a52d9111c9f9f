"""Small adapters and altered bases for tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def make_adapter(base: Path, out: Path, seed: int = 0, scale: float = 0.5, rank: int = 4) -> Path:
    """A LoRA adapter with random factors, so that it answers unlike its base."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"
        ),
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=scale)
    model.save_pretrained(out)
    return out


def rewrite(folder: Path, out: Path, change, file: str = "model.safetensors", config: dict | None = None) -> Path:
    """A copy of a model folder whose tensors went through `change(dict) -> dict` and whose config.json was updated."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, out)
    save_file(change(load_file(out / file)), out / file, metadata={"format": "pt"})
    if config:
        path = out / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return out


def perturbed(tensors):
    """The same names, types and shapes; one value moved."""
    first = sorted(tensors)[0]
    tensors[first] = tensors[first].clone()
    tensors[first].view(-1)[0] += 0.001
    return tensors
