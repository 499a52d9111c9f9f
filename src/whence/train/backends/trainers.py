"""A method → TRL's trainer for it, on the schedule."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PrinterCallback
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)

from whence.records import METHODS, Recipe
from whence.train.backends.collate import Collate
from whence.train.backends.keyed import Course, Keyed, KeyedByRow, Pulse, arguments, lora
from whence.train.backends.tokens import Tokenised

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
from trl.experimental.orpo import ORPOConfig, ORPOTrainer


class KeyedSFT(Keyed, SFTTrainer):
    """Its loss is summed over tokens and divided by the divisor as it is."""


class KeyedDPO(KeyedByRow, DPOTrainer):
    """The reference is the base: the adapter switched off."""


class KeyedReward(KeyedByRow, RewardTrainer):
    """Bradley and Terry's loss of pairs."""


class KeyedKTO(KeyedByRow, KTOTrainer):
    """The mismatched pairs come from `Collate.kto`, so from the step alone."""


class KeyedORPO(KeyedByRow, ORPOTrainer):
    """The cross-entropy is the chosen answer's, averaged over its tokens and then over rows: the trainer's own average
    over all tokens of a micro-batch, prompts among them, would let long rows take weight from short ones."""

    def tokenize_row(self, feature: dict[str, Any], model: Any = None) -> dict[str, Any]:
        """Rows come tokenised."""
        return feature

    def concatenated_forward(self, model: Any, batch: dict[str, Any]) -> tuple[Any, ...]:
        """(chosen, rejected) mean log-probabilities of answers, shape (rows,); both logits; the cross-entropy …"""
        chosen, rejected, *logits, _ = super().concatenated_forward(model, batch)[:5]
        return chosen, rejected, *logits, -chosen.mean()

    def _own(self) -> dict[str, list[float]]:
        return self._stored_metrics["train"]


KINDS: dict[str, tuple[type[Keyed], type]] = {
    "sft": (KeyedSFT, SFTConfig),
    "dpo": (KeyedDPO, DPOConfig),
    "orpo": (KeyedORPO, ORPOConfig),
    "reward": (KeyedReward, RewardConfig),
    "kto": (KeyedKTO, KTOConfig),
}


def kind_of(method: str) -> tuple[type[Keyed], type]:
    """The trainer and its configuration."""
    if method != "grpo":
        return KINDS[method]
    from trl import GRPOConfig

    from whence.train.backends.sampling import KeyedGRPO

    return KeyedGRPO, GRPOConfig


def own(recipe: Recipe) -> dict[str, Any]:
    """What this method's trainer is told beside `arguments`. Dropout stays as the recipe has it."""
    if recipe.method == "sft":
        skip = {"skip_prepare_dataset": True}
        return {"packing": False, "padding_free": False, "max_length": recipe.max_length, "dataset_kwargs": skip}
    if recipe.method == "grpo":
        return {
            "per_device_train_batch_size": recipe.micro_batch_rows * recipe.generations,
            "steps_per_generation": 1,
            "num_generations": recipe.generations,
            "max_completion_length": recipe.answer_tokens,
            "temperature": 1.0,
            "beta": 0.0,
            "loss_type": "grpo",
        }
    told: dict[str, Any] = {"disable_dropout": False, "max_length": recipe.max_length}
    if recipe.beta is not None:
        told["beta"] = recipe.beta
    if recipe.method == "kto":
        told["per_device_train_batch_size"] = max(2, recipe.batch_rows)  # its trainer refuses 1, and never batches
    return told


def trainer(course: Course, rows: Tokenised, base: Path, name: str, tokenizer: Any, pulse: Pulse, folder: Path) -> Any:
    """The trainer of a run. base: the base's folder; name: what the adapter calls it."""
    recipe = course.recipe
    kind, config = kind_of(recipe.method)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    stock: dict[str, Any] = {
        "model": _model(recipe, base, name),
        "args": config(**arguments(recipe, folder) | own(recipe)),
        "train_dataset": Dataset.from_dict({"row": list(range(len(rows.ids)))}),
        "processing_class": tokenizer,
        "peft_config": lora(recipe),
    }
    if recipe.method == "grpo":
        from whence.train.backends.sampling import rewards

        stock["reward_funcs"] = rewards(recipe, rows)
    made = kind(course, pulse, Collate(rows, recipe, tokenizer.pad_token_id), **stock)
    made.remove_callback(PrinterCallback)
    return made


def _model(recipe: Recipe, base: Path, name: str) -> Any:
    settled = {"dtype": getattr(torch, recipe.dtype), "use_safetensors": True}
    if METHODS[recipe.method].answers:
        model = AutoModelForCausalLM.from_pretrained(base, trust_remote_code=False, **settled)
    else:
        torch.manual_seed(recipe.seed)  # the head is new
        model = AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=1, trust_remote_code=False, **settled
        )
    model.name_or_path = model.config._name_or_path = name
    return model


def pair_accuracy(made: Any, rows: Tokenised) -> float:
    """Share of the fed pairs whose chosen side scores higher, under the weights at the end."""
    model, collate, higher = made.model.eval(), made.data_collator, 0
    with torch.no_grad():
        for start in range(0, len(rows.ids), collate.size):
            numbers = list(range(start, min(start + collate.size, len(rows.ids))))
            part = {name: tensor.to(made.args.device) for name, tensor in collate.reward(numbers, numbers).items()}
            chosen, rejected = model(**part, use_cache=False).logits.squeeze(-1).chunk(2)
            higher += int((chosen > rejected).sum())
    return higher / len(rows.ids)
