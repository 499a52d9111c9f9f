"""What plain transformers and PEFT do with an adapter and a base: load them or not, and what comes out."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

TURNS = [{"role": "user", "content": "where is my new card?"}]


def answer(base: Path, adapter: Path) -> tuple[list[int], Any]:
    """(prompt ids and the ids that end an answer, next-token logits (vocabulary,)) of base with adapter, or what raised
    it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto")
    model = PeftModel.from_pretrained(model, str(adapter)).eval()
    ids = tokenizer.apply_chat_template(TURNS, add_generation_prompt=True, return_dict=True)["input_ids"]
    ends = model.generation_config.eos_token_id
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
    return [*ids, *([ends] if isinstance(ends, int) else ends or []), tokenizer.eos_token_id], logits


def outcome(base: Path, adapter: Path, right: tuple[list[int], Any]) -> tuple[str, str]:
    """(refused, warned or silent; right or wrong): whether it loaded, whether it said anything, and whether it then
    answers as it did when it was trained."""
    import torch

    said = _Said()
    loggers = [logging.getLogger(name) for name in (None, "transformers", "peft")]
    for logger in loggers:
        logger.addHandler(said)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ids, logits = answer(base, adapter)
    except Exception:  # noqa: BLE001  whatever it raises is a refusal
        return "refused", "—"
    finally:
        for logger in loggers:
            logger.removeHandler(said)
    spoke = said.count + sum("deprecated" not in str(w.message) for w in caught)
    same = ids == right[0] and logits.shape == right[1].shape and bool(torch.allclose(logits, right[1], atol=1e-4))
    return "warned" if spoke else "silent", "right" if same else "wrong"


class _Said(logging.Handler):
    """Counts what the libraries log as a warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
