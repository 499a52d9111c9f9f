"""Small trainings of the tiny base with every trainer of TRL, as a user would write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    RLOOConfig,
    RLOOTrainer,
    SFTConfig,
    SFTTrainer,
)
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from whence.records import Json

TRAINERS = {
    "sft": (SFTTrainer, SFTConfig),
    "dpo": (DPOTrainer, DPOConfig),
    "kto": (KTOTrainer, KTOConfig),
    "orpo": (ORPOTrainer, ORPOConfig),
    "reward": (RewardTrainer, RewardConfig),
    "grpo": (GRPOTrainer, GRPOConfig),
    "rloo": (RLOOTrainer, RLOOConfig),
}
ANSWERS = ("it arrives within five working days", "please freeze the card in the app", "we use the rate of the day")


def chats(count: int, first: int = 0) -> list[Json]:
    """Conversations with an id and a customer."""
    return [
        {
            "id": f"t{i}",
            "customer": f"customer-{i % 3}",
            "messages": [
                {"role": "user", "content": f"please tell me about card number {i}" + " and more" * (i % 4)},
                {"role": "assistant", "content": ANSWERS[i % 3]},
            ],
        }
        for i in range(first, first + count)
    ]


def pairs(count: int) -> list[Json]:
    """Prompt, chosen and rejected, as conversations."""
    return [
        {
            "id": row["id"],
            "customer": row["customer"],
            "prompt": row["messages"][:1],
            "chosen": row["messages"][1:],
            "rejected": [{"role": "assistant", "content": f"no idea about number {i}"}],
        }
        for i, row in enumerate(chats(count))
    ]


def rated(count: int) -> list[Json]:
    """Prompt, completion and whether it was good."""
    return [
        {"id": row["id"], "prompt": row["messages"][:1], "completion": row["messages"][1:], "label": i % 2 == 0}
        for i, row in enumerate(chats(count))
    ]


def prompts(count: int) -> list[Json]:
    """Prompts alone."""
    return [{"id": row["id"], "customer": row["customer"], "prompt": row["messages"][:1]} for row in chats(count)]


def reward(completions: Sequence[Any], **_: Any) -> list[float]:
    """Long is good."""
    return [float(len(str(one))) for one in completions]


def trainer(kind: str, base: Path, out: Path, rows: Any, callbacks: Sequence[Any] = (), **changes: Any) -> Any:
    """A trainer of this kind, of two rows a step."""
    made, config = TRAINERS[kind]
    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base)
    more: dict[str, Any] = {"peft_config": LoraConfig(r=4, target_modules="all-linear"), "processing_class": tokenizer}
    settings: dict[str, Any] = {"max_length": 64}
    if kind == "reward":
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
        model.config.pad_token_id = tokenizer.pad_token_id
        more["peft_config"] = LoraConfig(
            r=4, target_modules="all-linear", task_type="SEQ_CLS", modules_to_save=["score"]
        )
    if kind in ("grpo", "rloo"):
        settings = {"num_generations": 2, "max_completion_length": 4}
        more["reward_funcs"] = reward
    if kind == "kto":
        settings |= {"per_device_train_batch_size": 2}
    if "formatting_func" in changes:
        more["formatting_func"] = changes.pop("formatting_func")
    plain = {
        "output_dir": str(out),
        "per_device_train_batch_size": 2,
        "num_train_epochs": 1,
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "learning_rate": 1e-3,
        "seed": 3,
    }
    return made(
        model=model,
        args=config(**plain | settings | changes),
        train_dataset=Dataset.from_list(rows) if isinstance(rows, list) else rows,
        callbacks=list(callbacks),
        **more,
    )
