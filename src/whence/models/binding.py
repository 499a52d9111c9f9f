"""Does this adapter belong on this base? Digests, then tensors against modules in both directions. No torch.

PEFT drops an adapter's surplus tensors and leaves modules without tensors at their start values, at most with a
warning; here either is a reason to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from whence.models.identity import adapter_digests, fingerprint
from whence.models.tensors import Tensor, read_json, tensors, weight_files
from whence.records import Fingerprint, Json

PREFIX = "base_model.model."
KEY = re.compile(r"(?P<module>.+?)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B)(\.weight)?")
BESIDE = re.compile(r"(?P<module>.+?)\.(lora_B\.bias|lora_magnitude_vector(\.weight)?)")
MEANING = {
    "weights": "weights differ (other values, names or types of tensors)",
    "shapes": "config.json differs in keys that decide shapes or arithmetic",
    "tokenizer": "the tokenizer gives other ids",
    "template": "the chat template is another",
}
NAMED = 3
"""Examples in a reason."""


@dataclass(slots=True)
class Pair:
    """The two factors of one module, as (rows, columns)."""

    down: tuple[int, ...] | None = None
    """A: (rank, inputs)"""
    up: tuple[int, ...] | None = None
    """B: (outputs, rank)"""
    embedding: bool = False


def check_binding(adapter_folder: Path, base_path: Path, recorded: Fingerprint, weights: str, config: str) -> list[str]:
    """Why this adapter must not be served on this base; an empty list when all is as recorded.

    `recorded` is the base as seen in training, `weights` and `config` the adapter's digests of then. Raises Unmet for
    a folder that is not whole.
    """
    settings = read_json(adapter_folder / "adapter_config.json")
    adapter = tensors(weight_files(adapter_folder, "adapter_model"))
    base = tensors(weight_files(base_path))
    reasons = []
    for what, found, expected in zip(
        ("tensors", "configuration"), adapter_digests(adapter_folder), (weights, config), strict=True
    ):
        if found != expected:
            reasons.append(f"the adapter's {what} changed: found {_short(found)}, recorded {_short(expected)}")
    found_base = fingerprint(base_path)
    for field, meaning in MEANING.items():
        if getattr(found_base, field) != getattr(recorded, field):
            reasons.append(
                f"another base than in training: {meaning}: found {_short(getattr(found_base, field))}, "
                f"recorded {_short(getattr(recorded, field))}"
            )
    return (
        reasons
        + _strange(adapter_folder, settings)
        + check_keys(adapter, settings, base, bool(settings.get("fan_in_fan_out")))
    )


def _strange(folder: Path, settings: Json) -> list[str]:
    """What an adapter's folder may not do: be of another kind, name a module to import, lead out of itself."""
    reasons = []
    if settings.get("peft_type") != "LORA":
        reasons.append(f"the adapter is a {settings.get('peft_type')}, only LORA is checked and served")
    if settings.get("megatron_config"):
        reasons.append("the adapter's configuration names a module to be imported (megatron_config)")
    root = folder.resolve()
    links = [path.name for path in sorted(folder.rglob("*")) if not path.resolve().is_relative_to(root)]
    return reasons + _reason(links, "entries of the adapter's folder are links that lead out of it")


def check_keys(
    adapter: Mapping[str, Tensor], settings: Json, base: Mapping[str, Tensor], transposed: bool = False
) -> list[str]:
    """Adapter tensors without a fitting place in the base, and places without their two factors.

    `transposed`: the base keeps (inputs, outputs), as GPT-2 does; elsewhere (outputs, inputs).
    """
    pairs, strange = _pairs(adapter, base)
    modules = {name.removesuffix(".weight"): t.shape for name, t in base.items() if name.endswith(".weight")}
    placed = {name: _place(name, modules) for name in pairs}
    homeless = [name for name, place in placed.items() if place is None]
    unfit = [
        f"{name} (A {list(pair.down or ())}, B {list(pair.up or ())}, base {list(modules[place])})"
        for name, pair in pairs.items()
        if (place := placed[name]) is not None and not _fits(pair, modules[place], transposed)
    ]
    bare = sorted(_implied(settings, modules, placed.values()) - set(placed.values()))
    highest = {side: _layers(names) for side, names in (("adapter", pairs), ("base", modules))}
    said = f"; the adapter names {highest['adapter']} layers, the base has {highest['base']}"
    return [
        *_reason(strange, "tensors of the adapter are neither LoRA factors nor copies of a tensor of the base"),
        *_reason(homeless, f"modules of the adapter are not in the base{said}"),
        *_reason(unfit, "modules of the adapter do not fit the base's shapes"),
        *_reason(bare, f"modules of the base should be adapted and have no tensors{said}"),
    ]


def _pairs(adapter: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> tuple[dict[str, Pair], list[str]]:
    """Module → its factors, and the names of tensors that belong to none."""
    pairs: dict[str, Pair] = {}
    strange, beside = [], []
    for name, tensor in adapter.items():
        inner = name.removeprefix(PREFIX)
        match = KEY.fullmatch(inner)
        if match:
            pair = pairs.setdefault(match["module"], Pair())
            pair.embedding = "embedding" in match["part"]
            if match["part"].endswith("A"):
                pair.down = tensor.shape
            else:
                pair.up = tensor.shape
        elif other := BESIDE.fullmatch(inner):
            beside.append((other["module"], name))
        elif _copied(inner, base) != tensor.shape:
            strange.append(name)
    return pairs, strange + [name for module, name in beside if module not in pairs]


def _copied(name: str, base: Mapping[str, Tensor]) -> tuple[int, ...] | None:
    """Shape of the base's tensor that the adapter brings whole (modules_to_save); a tied head has the embedding's."""
    name = name.replace(".base_layer.", ".")
    place = _place(name, {known: t.shape for known, t in base.items()})
    if place is None and name == "lm_head.weight":
        place = next((known for known in base if known.endswith("embed_tokens.weight")), None)
    return base[place].shape if place else None


def _place(name: str, known: Mapping[str, tuple[int, ...]]) -> str | None:
    """The base's name for a module: its own, or without leading parts (checkpoints may leave out ``transformer.``)."""
    parts = name.split(".")
    for start in range(max(1, min(3, len(parts) - 1))):
        if ".".join(parts[start:]) in known:
            return ".".join(parts[start:])
    if name == "lm_head":
        return next((module for module in known if module.endswith("embed_tokens")), None)
    return None


def _fits(pair: Pair, shape: tuple[int, ...], transposed: bool) -> bool:
    if pair.down is None or pair.up is None or len(pair.down) != 2 or len(pair.up) != 2 or len(shape) != 2:
        return False
    outputs, inputs = shape[::-1] if transposed or pair.embedding else shape
    return pair.down[0] == pair.up[1] and pair.down[1] == inputs and pair.up[0] == outputs


def _implied(settings: Json, modules: Mapping[str, tuple[int, ...]], placed: Iterable[str | None]) -> set[str]:
    """Modules of the base that target_modules names, by PEFT's rules: a regular expression, or names and name ends."""
    targets, layers = settings.get("target_modules") or [], settings.get("layers_to_transform")
    excluded, kept = settings.get("exclude_modules") or [], settings.get("modules_to_save") or []
    if targets == "all-linear":
        targets = sorted({place.rsplit(".", 1)[-1] for place in placed if place})
    wanted = {m for m, s in modules.items() if len(s) == 2 and _named(m, targets) and not _named(m, excluded)}
    if layers is not None:
        listed = {layers} if isinstance(layers, int) else set(layers)
        wanted = {m for m in wanted if not listed or _layer(m) in listed}
    return {m for m in wanted if not any(part in kept for part in m.split("."))}


def _named(module: str, names: str | list[str]) -> bool:
    if isinstance(names, str):
        return re.fullmatch(names, module) is not None
    return any(module == name or module.endswith("." + name) or name.endswith("." + module) for name in names)


def _layer(module: str) -> int | None:
    return next((int(part) for part in module.split(".") if part.isdigit()), None)


def _layers(modules: Iterable[str]) -> int:
    return len({_layer(module) for module in modules} - {None})


def _reason(names: list[str], what: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return [f"{len(names)} {what}: {', '.join(names[:NAMED])}{more}"]


def _short(digest: str) -> str:
    return digest[:23] + "…"
