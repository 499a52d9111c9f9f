"""TRL's SFTTrainer, made to follow a schedule: this row in that step, and nothing drawn from a running stream.

What differs from the stock trainer: the batches are the plan's lists, all epochs laid out as one; a step's summed
loss is divided by the schedule's divisor, not by the tokens present; a step is cut into micro-batches of its sorted
rows; before each of them the random generators are seeded from (key, seed, step, micro-batch); a step without rows
still steps the optimizer, with zero gradients, so that no later step moves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import Trainer, TrainerCallback
from transformers.trainer_pt_utils import BatchRebalanceSampler
from trl import SFTConfig, SFTTrainer

from whence.records import BackendFailed, Json, Recipe, Schedule, writing
from whence.train.backends.tokens import IGNORED
from whence.train.checkpoints import FOLDER, seal
from whence.train.plan import hashed

Batches = Sequence[Sequence[int]]

SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""Recipe's shapes after warm-up → transformers' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a run trains, fixed before its first step."""

    recipe: Recipe
    schedule: Schedule
    batches: Batches
    """indexes into the train dataset, one list a step"""
    under: Mapping[str, str]
    """what a checkpoint must have been made under to be resumed"""


class PlannedBatches(BatchRebalanceSampler):
    """The plan's index lists, in order. Trainer hands this class to the data loader as it is and never re-shards it."""

    def __init__(self, batches: Batches) -> None:
        self.batches, self.epoch = batches, 0

    def __iter__(self) -> Iterator[Sequence[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class EmptyStep:
    """A collator that gives a step without rows two padding tokens and nothing to learn; shape (1, 2)."""

    def __init__(self, inner: Callable[[list[Any]], dict[str, Any]], pad: int) -> None:
        self.inner, self.pad = inner, pad

    def __call__(self, examples: list[Any]) -> dict[str, Any]:
        if examples:
            return self.inner(examples)
        shape = (1, 2)
        return {
            "input_ids": torch.full(shape, self.pad),
            "attention_mask": torch.ones(shape, dtype=torch.int64),
            "labels": torch.full(shape, IGNORED),
        }


class Pulse(TrainerCallback):
    """Asks for a log line and a checkpoint every `every` steps, at the tiers' first steps, and a log line at the end;
    tells each step."""

    def __init__(self, course: Course, say: Callable[[int, float], None]) -> None:
        self.every, self.say, self.loss = course.recipe.checkpoint_every, say, 0.0
        self.bounds = {tier.first_step for tier in course.schedule.tiers}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """After an optimizer step; `state.global_step` counts it."""
        step = state.global_step
        control.should_save = step % self.every == 0 or step in self.bounds
        control.should_log = control.should_save or step == state.max_steps
        self.say(step, self.loss)
        return control


class KeyedTrainer(SFTTrainer):
    """SFTTrainer on a schedule; `stock` is what it takes itself."""

    def __init__(self, course: Course, pulse: Pulse, **stock: Any) -> None:
        super().__init__(**stock, callbacks=[pulse])
        self.course, self.pulse = course, pulse
        self.data_collator = EmptyStep(self.data_collator, self._tokenizer.pad_token_id)

    def _get_train_sampler(self, train_dataset: Any = None) -> PlannedBatches:
        return PlannedBatches(self.course.batches)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> torch.Tensor:
        return torch.tensor(self.course.schedule.divisor, device=device)

    def training_step(
        self, model: Any, inputs: dict[str, torch.Tensor], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Forward and backward over the step's rows (shape (rows, longest)), `micro_batch_rows` at a time."""
        size, total = self.course.recipe.micro_batch_rows, None
        for number, start in enumerate(range(0, len(inputs["input_ids"]), size)):
            part = {name: tensor[start : start + size] for name, tensor in inputs.items()}
            longest = int(part["attention_mask"].sum(1).max())
            part = {name: tensor[:, :longest] for name, tensor in part.items()}
            seed = hashed(self.course.schedule.key, "rng", self.course.recipe.seed, self.state.global_step, number)
            _seed(seed % 2**63)
            loss = super().training_step(model, part, num_items_in_batch)
            total = loss if total is None else total + loss
        self.pulse.loss = float(total)
        if not math.isfinite(self.pulse.loss):
            raise BackendFailed(
                f"the loss of step {self.state.global_step} is {self.pulse.loss}\n  do: lower the learning rate"
            )
        return total

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep what a resumed run would log too; TRL's own metrics count from the start of the process."""
        self._metrics["train"].clear()
        Trainer.log(self, logs)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        save_adapter(self.model, Path(output_dir or self.args.output_dir))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"{FOLDER}{self.state.global_step}"
        try:
            with writing(folder):
                Trainer._save_checkpoint(self, model, trial)
                seal(folder, self.course.under)
        except RuntimeError as error:  # torch's archive keeps nothing of what the system said
            do = "see whether the disk is full, then run this again"
            raise BackendFailed(f"{folder} cannot be written: {str(error)[:200]}\n  do: {do}") from error


def _seed(number: int) -> None:
    """Seed every generator that is in use. Without a GPU that is one: going through them all costs 0.2 ms a call."""
    if torch.cuda.is_initialized():
        torch.manual_seed(number)
    else:
        torch.default_generator.manual_seed(number)


def lora(recipe: Recipe) -> LoraConfig:
    """The adapter's shape. target_modules: names separated by commas, or PEFT's ``all-linear`` or pattern."""
    names = [name.strip() for name in recipe.target_modules.split(",")]
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=names if all(name.isidentifier() for name in names) else recipe.target_modules,
        task_type="CAUSAL_LM",
    )


def arguments(recipe: Recipe, folder: Path) -> SFTConfig:
    """One "epoch" of all steps; saving and logging are left to `Pulse`; nothing that looks across rows."""
    gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=1,
        gradient_accumulation_steps=1,
        per_device_train_batch_size=recipe.batch_rows,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=SCHEDULERS[recipe.lr_schedule],
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim="adamw_torch",
        seed=recipe.seed,
        full_determinism=gpu,
        use_cpu=not gpu,
        bf16=False,
        activation_checkpointing=False,
        dataloader_pin_memory=gpu,
        packing=False,
        padding_free=False,
        auto_find_batch_size=False,
        max_length=recipe.max_length,
        dataset_kwargs={"skip_prepare_dataset": True},
        save_strategy="no",
        logging_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def save_adapter(model: Any, folder: Path) -> None:
    """Write a PEFT folder of two files whose bytes depend on nothing but the adapter: names sorted, no path."""
    folder.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {name: _plain(value) for name, value in model.peft_config["default"].to_dict().items()}
    text = json.dumps(config | {"inference_mode": True}, indent=2, sort_keys=True)
    (folder / "adapter_config.json").write_text(text + "\n")


def _plain(value: Any) -> Json:
    return sorted(value) if isinstance(value, set | frozenset) else value
