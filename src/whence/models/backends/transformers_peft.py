"""transformers with PEFT adapters, in this process: one base, several adapters, mixed in one batch.

The adapter is named per sequence (``generate(adapter_names=…)``, ``__base__`` for none); ``set_adapter`` is global
state and never used. A batch runs to its end before the next one starts: there is no continuous batching here.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from whence.models.backends.detokenise import TextStream
from whence.models.port import Guess, OnText, Reply, Request, Scored
from whence.records import BackendFailed, NotFound, Unmet, require

BATCH = 32
"""Sequences in a forward pass, at most."""
BASE = "__base__"
"""PEFT's name for no adapter."""


@dataclass(slots=True)
class Running:
    """One request on its way through the model."""

    number: int
    """its place in the call"""
    request: Request
    prompt: list[int]
    """token ids"""
    most: int
    """new tokens, at most: what was asked for and what the context leaves"""
    text: TextStream
    pieces: list[str] = field(default_factory=list)
    tokens: int = 0
    """new tokens so far, the end token not counted"""
    ended: bool = False
    """whether the end token came"""
    finish: Literal["stop", "length", "cancelled"] | None = None

    def add(self, token: int, ends: frozenset[int], on_text: OnText | None) -> bool:
        """Take one token; True when the sequence is over."""
        if self.finish is not None:
            return True
        if token in ends:
            self.finish, self.ended = "stop", True
            self._give(self.text.end(), on_text)
            return True
        self.tokens += 1
        self._give(self.text.push(token), on_text)
        if self.text.stopped:
            self.finish = self.finish or "stop"
        elif self.tokens >= self.most and self.finish is None:
            self.finish = "length"
            self._give(self.text.end(), on_text)
        return self.finish is not None

    def _give(self, piece: str, on_text: OnText | None) -> None:
        if piece:
            self.pieces.append(piece)
            if on_text is not None and not on_text(self.number, piece):
                self.finish = "cancelled"

    def reply(self) -> Reply:
        text = "".join(self.pieces)
        finish = self.finish or "length"
        return Reply(text=text, prompt_tokens=len(self.prompt), completion_tokens=self.tokens, finish=finish)


class TransformersModel:
    """A base and its adapters in memory, answering through the model port.

    base_path, adapters: local folders, adapters under the names that requests use. threads: of torch, for the whole
    process; None leaves them. merged: the one adapter becomes part of the base's weights, so that the base alone cannot
    be asked. Weights are read from safetensors, in the type they are stored in. Call `check_binding` first: PEFT takes
    any adapter whose shapes fit. Raises Unmet, BackendFailed.
    """

    def __init__(
        self,
        base_path: Path,
        adapters: Mapping[str, Path] | None = None,
        threads: int | None = None,
        device: str = "cpu",
        merged: bool = False,
    ) -> None:
        require("serve", "torch", "transformers", "peft")
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        if threads is not None:
            torch.set_num_threads(threads)
        self._names = {name: f"adapter{n}" for n, name in enumerate(adapters or {})}
        self._merged: str | None = None
        with _translated(f"{base_path} cannot be loaded"), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                base_path, local_files_only=True, trust_remote_code=False, padding_side="left"
            )
            model: Any = AutoModelForCausalLM.from_pretrained(
                base_path, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype="auto"
            )
            for name, folder in (adapters or {}).items():
                inner = self._names[name]
                if isinstance(model, PeftModel):
                    model.load_adapter(str(folder), adapter_name=inner)
                else:
                    model = PeftModel.from_pretrained(model, str(folder), adapter_name=inner)
            if merged:
                (self._merged,) = self._names
                model = model.merge_and_unload(safe_merge=True)
        self._model = model.to(device).eval()
        self._device, self._lock = device, threading.Lock()
        config = self._model.config.get_text_config()
        self.context: int = min(getattr(config, "max_position_embeddings", 1 << 20), self._tokenizer.model_max_length)
        """tokens of prompt and answer together, at most"""
        ends = self._model.generation_config.eos_token_id
        ends = self._tokenizer.eos_token_id if ends is None else ends
        self._ends = frozenset([] if ends is None else [ends] if isinstance(ends, int) else ends)
        pad = self._tokenizer.pad_token_id
        self._pad: int = pad if pad is not None else min(self._ends, default=0)

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """Answer each request, in order; requests for different adapters share batches, shortest prompts first.

        Requests with equal sampling go together; one with a seed goes alone, so that its answer depends on nothing
        else. Raises Unmet before the first token for a prompt that cannot be answered, NotFound for an unknown
        adapter, BackendFailed.
        """
        sequences = [self._prepared(i, request) for i, request in enumerate(requests)]
        with self._lock:
            for batch in _batches(sequences, self.context):
                with _translated("the model failed"):
                    self._run(batch, on_text)
        return [sequence.reply() for sequence in sequences]

    def logprobs(self, requests: Sequence[Request], top: int) -> list[Scored]:
        """See the port. Raises like `generate`."""
        sequences = [self._prepared(i, request) for i, request in enumerate(requests)]
        steps: dict[int, tuple[tuple[Guess, ...], ...]] = {}
        for batch, logits in self._logits(sequences):
            values, ids = logits.topk(min(top, logits.shape[-1]))  # (tokens, batch, top)
            for row, s in enumerate(batch):
                taken = s.tokens + s.ended
                pairs = zip(values[:taken, row].tolist(), ids[:taken, row].tolist(), strict=True)
                steps[s.number] = tuple(
                    tuple(Guess(text=self._token(i), logprob=v, id=i) for v, i in zip(*step, strict=True))
                    for step in pairs
                )
        return [Scored(text=s.reply().text, steps=steps[s.number]) for s in sequences]

    def distributions(self, requests: Sequence[Request]) -> NDArray[np.float32]:
        """See the port. Raises like `generate`."""
        sequences = [self._prepared(i, replace(request, max_tokens=1)) for i, request in enumerate(requests)]
        found = {
            s.number: row.numpy()
            for batch, logits in self._logits(sequences)
            for s, row in zip(batch, logits[0], strict=True)
        }
        return np.stack([found[i] for i in range(len(requests))])

    def _logits(self, sequences: list[Running]) -> Iterator[tuple[list[Running], Any]]:
        """(batch, its log-probabilities (tokens, batch, vocabulary) in float32)."""
        import torch

        with self._lock:
            for batch in _batches(sequences, self.context):
                with _translated("the model failed"):
                    given = self._run(batch, None, output_logits=True, return_dict_in_generate=True).logits
                    yield batch, torch.stack(given).float().log_softmax(-1).cpu()

    def _token(self, number: int) -> str:
        return str(self._tokenizer.decode([number]))

    def _prepared(self, number: int, request: Request) -> Running:
        if request.adapter is not None and request.adapter not in self._names:
            raise NotFound(f"no adapter is loaded as {request.adapter!r}; loaded: {', '.join(self._names) or 'none'}")
        if self._merged and request.adapter is None:
            raise NotFound(f"the base is not there alone: {self._merged} is merged into it")
        prompt = self._ids(request)
        most = min(request.max_tokens, self.context - len(prompt))
        if most < 1:
            raise Unmet(
                f"the prompt has {len(prompt)} tokens and {request.max_tokens} are asked for",
                f"at least one new token within a context of {self.context}",
                "shorten the conversation",
            )
        return Running(number, request, prompt, most, TextStream(self._decode, request.stop))

    def _ids(self, request: Request) -> list[int]:
        from jinja2 import TemplateError

        if not self._tokenizer.chat_template:
            raise Unmet(
                "the base has no chat template", "one in its tokenizer", "take the instruct variant of the base"
            )
        try:
            rendered = self._tokenizer.apply_chat_template(
                list(request.messages),
                tools=list(request.tools) if request.tools else None,
                add_generation_prompt=True,
                return_dict=True,
            )
        except (
            TemplateError,
            TypeError,
            LookupError,
            ValueError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ) as error:
            said = str(error) if isinstance(error, TemplateError) else type(error).__name__
            raise Unmet(
                f"the base's chat template does not take this conversation: {said}",
                "roles and fields that the template knows",
                "look at the template, or leave out what it does not know",
            ) from error
        return list(rendered["input_ids"])

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _run(self, batch: list[Running], on_text: OnText | None, **told: bool) -> Any:
        """Generate for at most `BATCH` sequences with equal sampling; prompts are padded on the left. told: what
        `generate` shall tell besides."""
        import torch

        width = max(len(s.prompt) for s in batch)
        ids = torch.full((len(batch), width), self._pad, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(batch):
            ids[row, width - len(sequence.prompt) :] = torch.tensor(sequence.prompt)
            mask[row, width - len(sequence.prompt) :] = 1
        extra: dict[str, Any] = {}
        if self._names and not self._merged:
            extra["adapter_names"] = [self._names[s.request.adapter] if s.request.adapter else BASE for s in batch]

        def watch(tokens: Any, _scores: Any, **_: Any) -> Any:
            """Hand each sequence its new token; bool (batch): which are over."""
            new = tokens[:, -1].tolist()
            over = [s.add(token, self._ends, on_text) for s, token in zip(batch, new, strict=True)]
            return torch.tensor(over, device=tokens.device)

        with torch.inference_mode(), _seeded(torch, batch[0].request.seed):
            return self._model.generate(
                input_ids=ids.to(self._device),
                attention_mask=mask.to(self._device),
                generation_config=self._settings(batch, told),
                stopping_criteria=[watch],
                **extra,
            )

    def _settings(self, batch: list[Running], told: Mapping[str, bool]) -> Any:
        """What the request says and nothing else: a base's own sampling defaults are left out."""
        from transformers import GenerationConfig

        first = batch[0].request
        sampling = first.temperature > 0
        return GenerationConfig(
            max_new_tokens=max(s.most for s in batch),
            do_sample=sampling,
            temperature=first.temperature if sampling else 1.0,
            top_p=first.top_p if sampling else 1.0,
            top_k=0 if sampling else 50,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            eos_token_id=sorted(self._ends) or None,
            pad_token_id=self._pad,
            **told,
        )


def _batches(sequences: list[Running], context: int) -> Iterator[list[Running]]:
    """Sequences of equal sampling, shortest prompt first, at most `BATCH` together, none pushed past the context by a
    neighbour's length."""
    groups: dict[tuple[Any, ...], list[Running]] = {}
    for s in sequences:
        r = s.request
        key = (r.temperature, r.top_p, s.number if r.seed is not None else None) if r.temperature > 0 else (0.0,)
        groups.setdefault(key, []).append(s)
    for group in groups.values():
        batch: list[Running] = []
        for s in sorted(group, key=lambda s: len(s.prompt)):
            fits = len(s.prompt) + max([s.most, *(other.most for other in batch)]) <= context
            if batch and (len(batch) == BATCH or not fits):
                yield batch
                batch = []
            batch.append(s)
        yield batch


@contextmanager
def _seeded(torch: Any, seed: int | None) -> Iterator[None]:
    """Random numbers from this seed inside, as they were outside."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, IndexError, OSError) as error:
        raise BackendFailed(f"{what}: {type(error).__name__}: {str(error).splitlines()[0][:300]}") from error
