"""What a model and an adapter really are, whatever they are called: digests of weights, shapes, tokenizer, template.

None of it imports torch. PEFT and vLLM load an adapter onto any base of fitting shapes without a word; these digests
are what tells such bases apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from whence.models.tensors import Tensor, combined, read_json, tensors, weight_files
from whence.records import Fingerprint, Json, Unmet, encode, sha256

NOT_ARITHMETIC = frozenset(
    {
        *("_name_or_path", "_commit_hash", "transformers_version", "architectures", "auto_map", "torch_dtype", "dtype"),
        *("use_cache", "output_attentions", "output_hidden_states", "return_dict", "initializer_range"),
        *("id2label", "label2id", "problem_type", "task_specific_params"),
    }
)
"""Keys of config.json that change neither a shape nor a result. All others count, unknown ones too; types are in the
weights' digest."""
DECIDING = ("added_tokens", "normalizer", "pre_tokenizer", "model", "post_processor", "decoder")
"""Parts of tokenizer.json that decide ids and text; truncation and padding are set by whoever runs it."""
SLOW_FILES = ("vocab.json", "merges.txt", "vocab.txt", "added_tokens.json", "tokenizer.model", "spiece.model")
"""Where tokenizers without tokenizer.json keep their vocabulary."""
FLAGS = ("add_bos_token", "add_eos_token", "add_prefix_space", "do_lower_case")
PATHS = frozenset({"base_model_name_or_path", "revision"})
"""Keys of adapter_config.json that say where the base was found, not what the adapter is."""
SAVED = PATHS | {"peft_version", "inference_mode", "auto_mapping"}
"""Keys that say how it was saved."""
PROFILE = "profile.json"
"""In an adapter's folder: what the rows that it was trained on ask, counted (`text.Profile`)."""
RULE = "peft2:"
"""How a configuration's digest begins; ``sha256:`` in records of version 0.1, where `PATHS` alone were left out."""


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of a base in a local folder. Raises Unmet for a folder that is not whole.

    Survives re-sharding, and saving with or without the copy of a tied output layer.
    """
    config = read_json(path / "config.json")
    quantisation = config.pop("quantization_config", None)
    return Fingerprint(
        weights=combined(base_tensors(path)),
        shapes=sha256(encode({k: v for k, v in config.items() if k not in NOT_ARITHMETIC})),
        tokenizer=_tokenizer(path),
        template=sha256(chat_template(path).encode()),
        quantisation=sha256(encode(quantisation)) if quantisation else None,
        ends=_ends(path),
    )


def base_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a base by name, one of the two where the output layer is a copy of the embedding. Raises Unmet."""
    if (path / "adapter_config.json").exists():
        raise Unmet(
            f"{path} is a base with an adapter in it, which loading the base would put on as well",
            "a base alone",
            "move adapter_config.json and its weights out, or merge them first and name the merged folder",
        )
    found = tensors(weight_files(path))
    head = found.get("lm_head.weight")
    copies = [name for name, one in found.items() if head and one.content == head.content]
    if read_json(path / "config.json").get("tie_word_embeddings") and len(copies) > 1:
        del found["lm_head.weight"]
    return found


def adapter_digests(folder: Path) -> tuple[str, str]:
    """(``b3:`` over the adapter's tensors, ``peft2:`` SHA-256 of what its configuration decides). Raises Unmet."""
    config = read_json(folder / "adapter_config.json")
    return combined(tensors(weight_files(folder, "adapter_model"))), _config_digest(config, RULE)


def altered(folder: Path, weights: str, config: str, profile: str | None = None) -> list[str]:
    """Which of an adapter's parts are not as recorded: tensors, configuration, profile. Raises Unmet."""
    found = combined(tensors(weight_files(folder, "adapter_model")))
    settings = _config_digest(read_json(folder / "adapter_config.json"), config)
    file = folder / PROFILE
    asks = sha256(file.read_bytes()) if profile and file.is_file() else None
    return ["tensors"] * (found != weights) + ["configuration"] * (settings != config) + ["profile"] * (asks != profile)


def _config_digest(config: Mapping[str, Json], like: str) -> str:
    """Lists of names are sorted, as PEFT writes sets in an order that changes from process to process; what is off or
    empty is left out, as versions of PEFT differ in which such keys they write."""
    if not like.startswith(RULE):
        return sha256(encode({k: _sorted(v) for k, v in config.items() if k not in PATHS}))
    said = {k: _sorted(v) for k, v in config.items() if k not in SAVED and v not in (None, False, [], {})}
    return RULE + sha256(encode(said)).removeprefix("sha256:")


def chat_template(path: Path) -> str:
    """The text of a folder's chat template; several named ones as canonical JSON; empty where there is none."""
    file = path / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    for name in ("tokenizer_config.json", "chat_template.json"):
        found = read_json(path / name).get("chat_template") if (path / name).is_file() else None
        if found:
            return found if isinstance(found, str) else encode(found).decode()
    return ""


def _ends(path: Path) -> str:
    file = path / "generation_config.json"
    said = read_json(file) if file.is_file() else {}
    return sha256(encode({name: said.get(name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}))


def differing(found: Fingerprint, recorded: Fingerprint) -> list[str]:
    """Fields in which two bases differ. What version 0.1 did not record is not held against anybody."""
    names = [f.name for f in fields(found) if getattr(found, f.name) != getattr(recorded, f.name)]
    return [name for name in names if name != "ends" or recorded.ends is not None]


def _sorted(value: Json) -> Json:
    return sorted(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value


def _tokenizer(path: Path) -> str:
    parts: dict[str, Json] = {}
    if (path / "tokenizer.json").is_file():
        whole = read_json(path / "tokenizer.json")
        parts = {name: whole.get(name) for name in DECIDING}
        parts["model"] = dict(parts["model"] or {})
        merges = parts["model"].get("merges") or []
        parts["model"]["merges"] = [m.split(" ", 1) if isinstance(m, str) else m for m in merges]
    else:
        parts = {name: sha256((path / name).read_bytes()) for name in SLOW_FILES if (path / name).is_file()}
    if not parts:
        raise Unmet(f"{path} holds no tokenizer", "tokenizer.json", "save the tokenizer beside the model")
    return sha256(encode(parts | _special_tokens(path)))


def _special_tokens(path: Path) -> dict[str, Json]:
    """Names and texts of special tokens and the flags that add them, from either file that may hold them."""
    said: dict[str, Json] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (path / name).is_file():
            said |= read_json(path / name)
    extra = said.get("extra_special_tokens") or said.get("additional_special_tokens") or []
    extra = list(extra.values()) if isinstance(extra, dict) else extra
    tokens = {k: _text(v) for k, v in said.items() if k.endswith("_token") and isinstance(v, str | dict)}
    return {"tokens": tokens, "extra": sorted(_text(v) for v in extra), "flags": {k: said.get(k) for k in FLAGS}}


def _text(token: Json) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token)
