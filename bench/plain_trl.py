"""LoRA fine-tuning as a short TRL script does it: what `bench.train_overhead` holds our training process against.

    python -m bench.plain_trl SETTINGS.json

Two things are not stock, so that both train the same: the rows of each step are those that the settings list, and a
step's summed loss is divided by a number that the settings give.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.trainer_pt_utils import BatchRebalanceSampler
from trl import SFTConfig, SFTTrainer


class Listed(BatchRebalanceSampler):
    """The listed rows of each step."""

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches, self.epoch = batches, 0

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Trainer(SFTTrainer):
    """SFTTrainer on listed batches."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Listed:
        return Listed(settings["batches"])

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> torch.Tensor:
        return torch.tensor(settings["divisor"], device=device)


with open(sys.argv[1]) as file:
    settings = json.load(file)
recipe = settings["recipe"]
torch.set_num_threads(recipe["threads"])
trainer = Trainer(
    model=AutoModelForCausalLM.from_pretrained(settings["base"], dtype=recipe["dtype"]),
    processing_class=AutoTokenizer.from_pretrained(settings["base"]),
    train_dataset=load_dataset("json", data_files=settings["rows"], split="train", cache_dir=settings["out"]),
    peft_config=LoraConfig(
        r=recipe["rank"],
        lora_alpha=recipe["alpha"],
        lora_dropout=recipe["dropout"],
        target_modules=recipe["target_modules"],
        task_type="CAUSAL_LM",
    ),
    args=SFTConfig(
        output_dir=settings["out"],
        num_train_epochs=1,
        per_device_train_batch_size=recipe["batch_rows"],
        learning_rate=recipe["learning_rate"],
        lr_scheduler_type=recipe["lr_schedule"],
        warmup_steps=recipe["warmup_steps"],
        weight_decay=recipe["weight_decay"],
        max_grad_norm=recipe["max_grad_norm"],
        seed=recipe["seed"],
        max_length=recipe["max_length"],
        assistant_only_loss=True,
        logging_steps=recipe["checkpoint_every"],
        save_steps=recipe["checkpoint_every"],
        activation_checkpointing=False,
        bf16=False,
        use_cpu=True,
        disable_tqdm=True,
        report_to="none",
    ),
)
trainer.train()
trainer.save_model(settings["out"] + "/adapter")
with open(settings["out"] + "/log.json", "w") as file:
    json.dump(trainer.state.log_history, file)
