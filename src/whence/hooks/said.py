"""What a trainer was told to do, without what may name a person or a place: numbers and switches as they are, text only
under names that are known to hold a choice out of a few."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

from whence.records import Json

CHOICES = frozenset(
    {
        *("optim", "lr_scheduler_type", "save_strategy", "eval_strategy", "logging_strategy", "logging_nan_inf_filter"),
        *("packing_strategy", "truncation_mode", "loss_type", "reference_model", "dataset_text_field", "eos_token"),
        *("pad_token", "padding_side", "f_divergence_type", "importance_sampling_level", "scale_rewards", "vllm_mode"),
        *("precompute_ref_log_probs", "sync_ref_model", "group_by_length", "train_sampling_strategy", "fp16_opt_level"),
        *("neftune_noise_alpha", "torch_compile_backend", "torch_compile_mode", "attn_implementation", "dtype", "bias"),
        *("torch_dtype", "peft_type", "task_type", "target_modules", "exclude_modules", "modules_to_save"),
        *("layers_pattern", "init_lora_weights", "lora_bias", "peft_version", "trainable_token_indices"),
        *("reward_weights", "mask_truncated_completions", "chat_template_kwargs", "use_dora", "use_rslora"),
    }
)
"""Arguments of trainers and of PEFT whose text is a choice or a name of modules."""


def told(settings: Mapping[str, Any]) -> Json:
    """Settings as JSON. What is left out is not there."""
    return {name: value for name, held in settings.items() if (value := _safe(name, held)) is not None}


def _safe(name: str, value: Any) -> Json:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str):
        return value if name in CHOICES else None
    if isinstance(value, Mapping):
        held = {
            str(key): safe
            for key, one in value.items()
            if (safe := _safe(name if name in CHOICES else str(key), one)) is not None
        }
        return held or None
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return [safe for one in value if (safe := _safe(name, one)) is not None] or None
    return None
