"""TRL's trainers, made to follow a schedule: this row in that step, and nothing drawn from a running stream.

What differs from a stock trainer: the batches are the plan's lists, all epochs laid out as one; a step's summed
loss is divided by the schedule's divisor, not by the tokens or rows present; a step is cut into micro-batches of its
sorted rows; before each of them the random generators are seeded from (key, seed, step, micro-batch); a step without
rows still steps the optimizer, with zero gradients, so that no later step moves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerCallback
from transformers.trainer_pt_utils import BatchRebalanceSampler

from whence.records import METHODS, BackendFailed, Json, Recipe, Schedule, writing
from whence.train.checkpoints import FOLDER, seal
from whence.train.plan import hashed, rate

Batches = Sequence[Sequence[int]]

SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""Recipe's shapes after warm-up → transformers' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a run trains, fixed before its first step."""

    recipe: Recipe
    schedule: Schedule
    batches: Batches
    """numbers of fed rows, one list a step"""
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


class Keyed:
    """Before one of TRL's trainers among a class's bases: that trainer on a schedule. `stock` is what it takes itself,
    `collate` makes the micro-batches of a step."""

    def __init__(self, course: Course, pulse: Pulse, collate: Callable[[list[Any]], list[Any]], **stock: Any) -> None:
        super().__init__(**stock, callbacks=[pulse])
        self.course, self.pulse, self.data_collator = course, pulse, collate
        self.rewards: dict[str, float] = {}
        self._rows = 0

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> PlannedBatches:
        return PlannedBatches(self.course.batches)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> torch.Tensor:
        return torch.tensor(self.course.schedule.divisor, device=device)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The stock one, unless a tier has a rise and a fall of its own."""
        recipe, schedule = self.course.recipe, self.course.schedule
        if self.lr_scheduler is None and any(tier.peak is not None for tier in schedule.tiers):
            share = partial(rate, schedule, recipe.lr_schedule, recipe.warmup_steps)
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, share)
        return super().create_scheduler(num_training_steps, optimizer)

    def training_step(self, model: Any, inputs: list[Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward over the micro-batches of a step; their losses added."""
        size, rows = self.course.recipe.micro_batch_rows, len(self.course.batches[self.state.global_step])
        total = torch.zeros((), device=self.args.device)
        for number, part in enumerate(inputs):
            seed = hashed(self.course.schedule.key, "rng", self.course.recipe.seed, self.state.global_step, number)
            _seed(seed % 2**63)
            self._rows = min(size, rows - number * size)
            total += super().training_step(model, part, num_items_in_batch)
        if not inputs:
            for weight in model.parameters():
                weight.grad = torch.zeros_like(weight) if weight.requires_grad else None
        self.pulse.loss = float(total)
        if not math.isfinite(self.pulse.loss):
            raise BackendFailed(
                f"the loss of step {self.state.global_step} is {self.pulse.loss}\n  do: lower the learning rate"
            )
        return total

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep what a resumed run would log too; of TRL's own metrics, what rewards came to since the line before."""
        own = self._own()
        self.rewards = {
            name: fmean(values) for name, values in own.items() if "reward" in name and values
        } or self.rewards
        own.clear()
        Trainer.log(self, logs)

    def _own(self) -> dict[str, list[float]]:
        """TRL's metrics → their values since the last line."""
        return self._metrics["train"]

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


class KeyedByRow(Keyed):
    """For trainers whose loss is a mean over the rows of a micro-batch: made a sum over the schedule's divisor."""

    def compute_loss(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The rows' losses added, over the rows that a step was planned for."""
        return super().compute_loss(*args, **kwargs) * (self._rows / self.course.schedule.divisor)


def _seed(number: int) -> None:
    """Seed every generator that is in use. Without a GPU that is one: going through them all costs 0.2 ms a call."""
    if torch.cuda.is_initialized():
        torch.manual_seed(number)
    else:
        torch.default_generator.manual_seed(number)


def lora(recipe: Recipe) -> LoraConfig:
    """The adapter's shape. target_modules: names separated by commas, or PEFT's ``all-linear`` or pattern. Of a model
    that scores, PEFT keeps the new head whole in the adapter (modules_to_save)."""
    names = [name.strip() for name in recipe.target_modules.split(",")]
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=names if all(name.isidentifier() for name in names) else recipe.target_modules,
        task_type="CAUSAL_LM" if METHODS[recipe.method].answers else "SEQ_CLS",
    )


def arguments(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """What every trainer is told: one "epoch" of all steps; saving and logging are left to `Pulse`; nothing that looks
    across rows."""
    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(folder),
        "num_train_epochs": 1,
        "gradient_accumulation_steps": 1,
        "per_device_train_batch_size": recipe.batch_rows,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": SCHEDULERS[recipe.lr_schedule],
        "warmup_steps": recipe.warmup_steps,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optim": "adamw_torch",
        "seed": recipe.seed,
        "full_determinism": gpu,
        "use_cpu": not gpu,
        "bf16": False,
        "activation_checkpointing": False,
        "dataloader_pin_memory": gpu,
        "remove_unused_columns": False,
        "auto_find_batch_size": False,
        "save_strategy": "no",
        "logging_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


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
