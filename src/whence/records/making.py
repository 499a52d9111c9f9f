"""Nouns of making: base, recipe, closure, run, adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal

from whence.records.canonical import Json, Ref
from whence.records.noun import noun


@noun
class Fingerprint:
    """What tells one pretrained model from another, whatever it is called."""

    weights: str
    """``b3:`` over the sorted per-tensor digests; survives re-sharding"""
    shapes: str
    """``sha256:`` of the config keys that decide shapes and arithmetic"""
    tokenizer: str
    """``sha256:`` of vocabulary, merges, normaliser and special tokens"""
    template: str
    """``sha256:`` of the chat template"""
    quantisation: str | None = None
    """``sha256:`` of config.json's quantization_config; absent: not quantised"""
    ends: str | None = None
    """``sha256:`` of the token ids that generation_config.json begins, ends and pads with; absent in version 0.1"""


@noun
class Base:
    """A pretrained model."""

    name: str
    """folder name or hub id"""
    location: str
    """path or hub id as declared"""
    fingerprint: Fingerprint | None
    """what it really is; absent: only its name is known"""
    revision: str | None = None
    """hub revision asked for"""
    licence: str | None = None
    """SPDX expression as claimed"""
    tensors: str | None = None
    """blob: JSON {name: [dtype, shape, digest]}, which the fingerprint's weights are over"""


@noun
class Tier:
    """A stretch of steps for rows that may have to go: they are learnt in it and nowhere else, so that a training
    without them goes on from where it begins."""

    sources: tuple[str, ...]
    """rows of these sources"""
    rehearsal: float
    """share of the rows learnt before it that are fed once more in it, so that they are not forgotten; 0 to 1"""
    peak: float | None = None
    """of the learning rate in it, as a share of the recipe's: the rate ends before the stretch, rises and falls again;
    absent: it rises and falls once over all steps"""
    first_step: int | None = None
    """0-based, of all steps; absent in the recipe that was asked for"""
    steps: int | None = None
    """its length; absent in the recipe that was asked for"""


@noun
class Schedule:
    """Which step each row is trained in: a keyed hash of the row's id alone, so that removing a row moves no other."""

    key: str
    """hex; any text unique to the recipe"""
    epochs: int
    """times each row is seen"""
    steps_per_epoch: int
    """optimizer steps per epoch of rows that have no tier; with `epochs`, fixed whatever is removed"""
    divisor: float
    """trained tokens (sft) or rows (other methods) per step of the data it was planned for; each step's summed loss is
    divided by it"""
    tiers: tuple[Tier, ...] = ()
    """stretches for sources that may have to go, in order"""
    lowered: str | None = None
    """the snapshot's, as it was when this was planned"""

    @property
    def steps(self) -> int:
        """Optimizer steps of a whole training."""
        ends = [(tier.first_step or 0) + (tier.steps or 0) for tier in self.tiers]
        return max([self.epochs * self.steps_per_epoch, *ends])


@noun
class Recipe:
    """Everything that determines a training run besides base and rows. Packing is off."""

    method: Literal["sft", "dpo", "orpo", "reward", "kto", "grpo"]
    """what is trained; see `METHODS`"""
    rank: int
    """LoRA r"""
    alpha: int
    """LoRA alpha"""
    dropout: float
    """LoRA dropout, 0 to 1"""
    target_modules: str
    """PEFT's target_modules"""
    learning_rate: float
    """peak"""
    lr_schedule: Literal["linear", "constant", "cosine"]
    """shape after warm-up"""
    warmup_steps: int
    """optimizer steps"""
    weight_decay: float
    """AdamW"""
    max_grad_norm: float
    """clipping"""
    seed: int
    """of everything random"""
    max_length: int
    """tokens; a longer row is cut, and left out when its whole answer is cut"""
    batch_rows: int
    """mean rows per optimizer step, from which the number of steps is planned"""
    micro_batch_rows: int
    """rows per forward pass"""
    checkpoint_every: int
    """optimizer steps"""
    threads: int
    """torch threads"""
    dtype: Literal["float32", "bfloat16"]
    """of the base's weights"""
    epochs: int
    """times each row is seen"""
    schedule: Schedule | None = None
    """absent in the recipe that was asked for; frozen before the first step"""
    beta: float | None = None
    """dpo, kto: how far from the base; orpo: weight of the odds ratio"""
    generations: int | None = None
    """grpo: answers sampled a row"""
    answer_tokens: int | None = None
    """grpo: tokens sampled an answer, at most"""
    tier: Tier | None = None
    """for rows that may have to go; absent: all rows are spread over all steps"""
    profile: bool | None = None
    """true: what the rows ask is counted and kept with the adapter, so that requests can be routed to it"""
    reward: str | None = None
    """grpo: ``exact``, or the name of an entry point of the group ``whence.rewards``"""


@noun
class ForeignRecipe:
    """What another trainer said it did. Nothing of it was checked by doing it."""

    trainer: str
    """class of the trainer, or the file it was read from"""
    arguments: Json
    """its arguments, without paths and names of people"""
    lora: Json
    """adapter_config.json without paths"""


@noun
class Closure:
    """What an adapter was made from. Whole, it is enough to make it again; what is absent, nobody has said."""

    base: Ref | None
    """the Base record"""
    snapshot: Ref | None
    """the Snapshot record"""
    recipe: Ref | None
    """the Recipe record, its schedule frozen, or the ForeignRecipe"""
    code_commit: str | None
    """git commit of the project's folder"""
    code_clean: bool | None
    """nothing uncommitted there"""
    environment: str | None
    """``sha256:`` of the installed versions"""
    composed_of: tuple[Ref, ...] | None = None
    """the Adapters that it was merged from"""
    teachers: tuple[Ref, ...] | None = None
    """the Adapters that it was distilled from"""
    wheels: str | None = None
    """blob: lines {file, sha256} of the wheels that hold its environment; absent: nobody named a folder of them"""


@noun
class Run:
    """One execution of an activity, named by what went in: the same inputs give the same run, so that a finished one
    is found again."""

    activity: Literal["ingest", "curate", "train", "evaluate", "adopt"]
    """what was done; adopt: an adapter was brought in that somebody else had trained"""
    used: tuple[Ref, ...]
    """records that went in"""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """other inputs by digest: files, rights, row batches"""
    attempt: int = 0
    """0; higher for a deliberate repeat of the same inputs"""


@noun
class Conditions:
    """Where a run was done. Equal conditions are what "bit-identical" is promised under."""

    python: str
    """version"""
    platform: str
    """operating system and architecture"""
    cpu: str
    """model name"""
    cpu_capability: str
    """torch's ATEN capability in use"""
    threads: int
    """torch threads"""
    device: str
    """cpu or the accelerator's name"""
    packages: Mapping[str, str]
    """installed distribution → version"""


@noun
class RunReport:
    """What one execution of a run did."""

    run: Ref
    """the Run"""
    started_at: datetime
    """when the last process of it started"""
    duration_s: float
    """wall seconds of that process"""
    cpu_s: float
    """CPU seconds of that process"""
    conditions: Conditions | None = None
    """where; absent for runs in which nothing depends on it"""
    facts: Json = None
    """numbers of this activity: rows, steps, tokens, resumed_from …; no content"""
    set: str | None = None
    """blob: ordinals of the rows really fed (train) or written (ingest), as a roaring bitmap"""
    example: str | None = None
    """salted digest in the journal (a blob in version 0.1): one decoded example with its loss mask"""
    removed: str | None = None
    """blob: Arrow table of what did not go through: (ordinal, reason) of rows not fed, (line, reason, words) of lines
    that did not become rows"""


@noun
class Adapter:
    """Low-rank weights and the closure they came from."""

    name: str
    """the project's name for it"""
    closure: Ref
    """the Closure"""
    run: Ref
    """the Run that made it, or that brought it in"""
    weights: str
    """``b3:`` over its tensors"""
    config: str
    """``sha256:`` of the canonical adapter_config.json without paths"""
    base: Fingerprint | None
    """the base as seen in training; absent: nobody saw it, the closure's base is what a person declared"""
    location: str
    """folder, relative to the store where it lies inside"""
    bytes: int
    """size of the weights file"""
    profile: str | None = None
    """``sha256:`` of profile.json in its folder, by which requests are routed to it; absent: there is none"""
