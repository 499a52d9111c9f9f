"""The demo's base model: about half a million parameters, trained here in about a minute of CPU time.

It exists so that the whole product can be tried without a network. Byte-level BPE of 1,024 tokens, two Llama layers
of width 128, tied embeddings. torch and transformers are imported inside the functions that need them.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from whence.demo.corpus import END, PAD, SPECIAL_TOKENS, corpus
from whence.records import require

__all__ = ["cached_base", "corpus", "make_base"]

RECIPE = 1
"""Raise it whenever this file changes what a base is: it is part of the cache key."""
VOCABULARY, WIDTH, LAYERS, HEADS, POSITIONS = 1_024, 128, 2, 4, 1_024
BLOCK, BATCH, EPOCHS = 96, 24, 3
"""Tokens in a training block, blocks in a step, passes over the corpus."""
PEAK_RATE, WARM_UP_STEPS = 4e-3, 20
LIBRARIES = ("torch", "transformers", "tokenizers")
TEMPLATE = Path(__file__).with_name("chat_template.jinja")

Progress = Callable[[int, int], None]


def cached_base(
    labels: Sequence[str] = (), cache: Path | None = None, seed: int = 0, progress: Progress | None = None
) -> Path:
    """The base for these labels, made on first use.

    cache: a folder for bases; by default `$WHENCE_CACHE/bases` or `~/.cache/whence/bases`. A base is made in a
    temporary folder beside its place and moved in one step, so a killed run leaves no half base under a digest.
    """
    require("train", "torch", "transformers", "tokenizers")
    bases = cache or Path(os.environ.get("WHENCE_CACHE") or Path.home() / ".cache/whence") / "bases"
    place = bases / recipe_digest(labels, seed)
    if place.is_dir():
        return place
    bases.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=bases))
    try:
        make_base(draft, labels=labels, seed=seed, progress=progress)
        draft.chmod(0o755)
        try:
            draft.rename(place)
        except OSError:
            if not place.is_dir():  # otherwise another process was first, and its base is as good
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def recipe_digest(labels: Sequence[str] = (), seed: int = 0) -> str:
    """24 hexadecimal digits of the SHA-256 over everything that decides the weights, except the machine."""
    digest = hashlib.sha256()
    numbers = [VOCABULARY, WIDTH, LAYERS, HEADS, POSITIONS, BLOCK, BATCH, EPOCHS, PEAK_RATE, WARM_UP_STEPS]
    facts = {"recipe": RECIPE, "numbers": numbers, "labels": list(labels), "seed": seed}
    facts["libraries"] = {name: version(name) for name in LIBRARIES}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    digest.update(TEMPLATE.read_bytes())
    for document in corpus(labels, seed):
        digest.update(document.encode() + b"\0")
    return digest.hexdigest()[:24]


def make_base(out: Path, *, labels: Sequence[str] = (), seed: int = 0, progress: Progress | None = None) -> Path:
    """Trains a base and saves model, tokenizer, chat template and generation defaults into `out`.

    labels: the answers that a fine-tune will give; their words and spellings go into the corpus.
    progress: called with (steps done, steps in all). Runs on one torch thread and puts the thread count back.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    documents = list(corpus(labels, seed))
    tokenizer = _tokenizer(documents)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = _new_model(tokenizer)
            _train(model, _blocks(tokenizer, documents), seed, progress)
    finally:
        torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for file in out.iterdir():  # safetensors keeps its file to the owner
        file.chmod(0o644)
    return out


def _tokenizer(documents: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(documents, trainer)
    make: Callable[..., Any] = PreTrainedTokenizerFast
    tokenizer = make(
        tokenizer_object=inner,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[one for one in SPECIAL_TOKENS if one not in (END, PAD)],
        model_max_length=POSITIONS,
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.chat_template = TEMPLATE.read_text(encoding="utf-8")
    return tokenizer


def _new_model(tokenizer: Any) -> Any:
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    defaults: Callable[..., Any] = GenerationConfig
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH + WIDTH // 2,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        **ends,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = defaults(do_sample=False, max_new_tokens=32, **ends)
    return model


def _blocks(tokenizer: Any, documents: Sequence[str]) -> Any:
    """int64 (blocks, BLOCK): the documents' tokens end to end, the last incomplete block left out."""
    import torch

    ids = [one for encoded in tokenizer(list(documents))["input_ids"] for one in encoded]
    whole = len(ids) // BLOCK * BLOCK
    return torch.tensor(ids[:whole]).view(-1, BLOCK)


def _train(model: Any, blocks: Any, seed: int, progress: Progress | None) -> None:
    import torch

    order = torch.Generator().manual_seed(seed)
    per_epoch = len(blocks) // BATCH
    steps = EPOCHS * per_epoch
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARM_UP_STEPS, (steps - step) / max(1, steps - WARM_UP_STEPS))
    )
    model.train()
    for step in range(steps):
        if step % per_epoch == 0:
            shuffled = torch.randperm(len(blocks), generator=order)
        at = step % per_epoch * BATCH
        batch = blocks[shuffled[at : at + BATCH]]
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if progress:
            progress(step + 1, steps)
    model.eval()
