"""Does this adapter belong on this base? Digests, then tensors against modules in both directions. No torch.

PEFT drops an adapter's surplus tensors and leaves modules without tensors at their start values, at most with a
warning; here either is a reason to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from whence.models.held import Held
from whence.models.identity import altered, base_tensors, differing, fingerprint
from whence.models.sidecar import Bond
from whence.models.tensors import Tensor, read_json, tensors, weight_files
from whence.records import Fingerprint, Json, Unmet

PREFIX = "base_model.model."
KEY = re.compile(r"(?P<module>.+?)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B)(\.weight)?")
BESIDE = re.compile(r"(?P<module>.+?)\.(lora_B\.bias|lora_magnitude_vector(\.weight)?)")
MEANING = {
    "weights": "weights differ (other values, names or types of tensors)",
    "shapes": "config.json differs in keys that decide shapes or arithmetic",
    "tokenizer": "the tokenizer gives other ids, or other special tokens",
    "template": "the chat template is another",
    "quantisation": "quantised in another way",
    "ends": "generation begins, ends or pads with other tokens",
}
KNOWN_KEYS = frozenset(
    {
        *("alora_invocation_tokens", "alpha_pattern", "arrow_config", "auto_mapping", "base_model_name_or_path"),
        *("bias", "corda_config", "ensure_weight_tying", "eva_config", "exclude_modules", "fan_in_fan_out"),
        *("inference_mode", "init_lora_weights", "kasa_config", "layer_replication", "layers_pattern"),
        *("layers_to_transform", "loftq_config", "lora_alpha", "lora_bias", "lora_dropout", "lora_ga_config"),
        *("megatron_config", "megatron_core", "modules_to_save", "monteclora_config", "peft_type", "peft_version"),
        *("qalora_group_size", "r", "rank_pattern", "revision", "runtime_config", "target_modules"),
        *("target_parameters", "task_type", "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora"),
        *("use_rslora", "velora_config"),
    }
)
"""What PEFT 0.21 reads of a LoRA's adapter_config.json. It drops any other key with a warning at most."""
SCORING = ("SEQ_CLS", "TOKEN_CLS")
"""Tasks of adapters with a head of their own, which score and do not answer."""
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight")
"""How a base's table of token embeddings is called; its second dimension is the hidden size."""
NAMED = 3
"""Examples in a reason."""

Answer = Literal["exact", "same-shape-different-base", "incompatible", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that is not as it should be."""

    about: Literal["folder", "adapter", "keys", "base", "record"]
    """the files of either folder; the adapter against its record; its tensors against the base's modules; the base
    against the one on record; what the record lacks"""
    says: str
    """for a person"""
    tensors: tuple[str, ...] = ()
    """names of all that it is about"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Whether an adapter belongs on a base."""

    answer: Answer
    """exact: adapter and base as recorded. same-shape-different-base: it would load there, and answer otherwise.
    incompatible: it does not fit, or is not the adapter on record. unknown: it fits, and nothing says which base it
    was trained on"""
    reasons: tuple[Reason, ...]
    """all that speaks against it; none where it is exact"""
    bound: int
    """tensors of the adapter that find their place in the base"""
    tensors: int
    """tensors of the adapter"""

    def __str__(self) -> str:
        return "; ".join(reason.says for reason in self.reasons)


@dataclass(slots=True)
class Pair:
    """The two factors of one module, as (rows, columns)."""

    down: tuple[int, ...] | None = None
    """A: (rank, inputs)"""
    up: tuple[int, ...] | None = None
    """B: (outputs, rank)"""
    embedding: bool = False


def check_binding(adapter: Held, base: Held | None, bond: Bond | None) -> Binding:
    """Hold an adapter and a base against what was recorded of them when the adapter was trained.

    base: None: it is not to be had, and the answer is unknown at best. bond: that record; None: nothing was recorded,
    and the answer is unknown at best. A folder that is not whole is a reason; Conflict is raised where one is written
    to meanwhile.
    """
    reasons: list[Reason] = []
    bound, brought = 0, dict[str, Tensor]()
    try:
        settings = read_json(adapter.path / "adapter_config.json")
        brought = tensors(weight_files(adapter.path, "adapter_model"))
        reasons += _strange(adapter.origin, settings)
        for part in altered(adapter.path, bond.weights, bond.config) if bond else ():
            reasons.append(Reason(about="adapter", says=f"the adapter's {part} changed since it was recorded"))
        there = base_tensors(base.path) if base else {}
        if base:
            bound, unfit = check_keys(brought, settings, there, bool(settings.get("fan_in_fan_out")))
            reasons += unfit
        if base and bond and bond.base:
            reasons += _against(bond.base, bond.tensors, base.path, there)
    except Unmet as error:
        says = error.found
        for held in (adapter, base) if base else (adapter,):
            says = says.replace(str(held.path), str(held.origin))
        reasons.append(Reason(about="folder", says=says))
    if base is None:
        reasons.append(Reason(about="record", says="there is no base here to hold it against"))
    if not reasons and not (bond and bond.base):
        reasons.append(Reason(about="record", says="nothing on record says which base it was trained on"))
    return Binding(answer=_answer(reasons), reasons=tuple(reasons), bound=bound, tensors=len(brought))


def _answer(reasons: list[Reason]) -> Answer:
    about = {reason.about for reason in reasons}
    if not about or about == {"record"}:
        return "unknown" if about else "exact"
    return "same-shape-different-base" if about == {"base"} else "incompatible"


def _against(
    recorded: Fingerprint, listed: Mapping[str, Tensor] | None, path: Path, base: Mapping[str, Tensor]
) -> list[Reason]:
    """How a base differs from the one on record; by tensor where those are on record too."""
    found = fingerprint(path)
    names = differing(found, recorded)
    reasons = _tensors_against(listed, base) if listed and "weights" in names else []
    if reasons:
        names.remove("weights")
    for name in names:
        was, now = getattr(recorded, name), getattr(found, name)
        says = f"another base than in training: {MEANING[name]}: found {_short(now)}, recorded {_short(was)}"
        reasons.append(Reason(about="base", says=says))
    return reasons


def _tensors_against(listed: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> list[Reason]:
    both = sorted(listed.keys() & base.keys())
    shaped = [n for n in both if listed[n].shape != base[n].shape]
    typed = [n for n in both if n not in shaped and listed[n].dtype != base[n].dtype]
    valued = [n for n in both if n not in shaped and n not in typed and listed[n].content != base[n].content]
    first = (shaped or typed or [""])[0]
    became = f" ({list(listed[first].shape)} became {list(base[first].shape)})" if shaped else ""
    cast = f" ({listed[first].dtype} became {base[first].dtype})" if typed and not shaped else ""
    return [
        *_reason("keys", sorted(listed.keys() - base.keys()), "tensors of the base on record are not in this one"),
        *_reason("keys", sorted(base.keys() - listed.keys()), "tensors are in this base and not in the one on record"),
        *_reason("keys", shaped, f"tensors have another shape than in the base on record{became}"),
        *_reason("base", typed, f"tensors have another type than in the base on record{cast}"),
        *_reason("base", valued, f"of {len(base)} tensors have other values than in the base on record"),
    ]


def _strange(folder: Path, settings: Json) -> list[Reason]:
    """What an adapter's folder may not do: be of another kind, say what PEFT passes over, name a module to import, lead
    out of itself."""
    said = []
    if settings.get("peft_type") != "LORA":
        said.append(f"the adapter is a {settings.get('peft_type')}, only LORA is checked and served")
    if settings.get("megatron_config"):
        said.append("the adapter's configuration names a module to be imported (megatron_config)")
    passed = passed_over(settings)
    if passed and settings.get("peft_type") == "LORA":
        said.append(f"adapter_config.json has keys that PEFT would pass over: {', '.join(passed[:NAMED])}")
    home = folder.resolve()
    home = home.parents[1] if home.parent.name == "snapshots" else home  # of the hub's cache: links lead to its blobs
    links = [path.name for path in sorted(folder.rglob("*")) if not path.resolve().is_relative_to(home)]
    reasons = [Reason(about="folder", says=one) for one in said]
    return reasons + _reason("folder", links, "entries of the adapter's folder are links that lead out of it")


def must_answer(adapter: Held) -> None:
    """Raises Unmet for an adapter that scores: served, its head would be dropped without a word."""
    task = read_json(adapter.path / "adapter_config.json").get("task_type")
    if task in SCORING:
        raise Unmet(
            f"{adapter.origin} is a reward model or classifier ({task})",
            "an adapter that answers",
            "use it to score; serve one that was trained with sft, dpo, orpo, kto or grpo",
        )


def passed_over(settings: Json) -> list[str]:
    """Keys of a LoRA's configuration that are set and that PEFT does not read."""
    return sorted(k for k, v in settings.items() if k not in KNOWN_KEYS and v not in (None, False, [], {}))


def check_keys(
    adapter: Mapping[str, Tensor], settings: Json, base: Mapping[str, Tensor], transposed: bool = False
) -> tuple[int, list[Reason]]:
    """(tensors that find their place, why the others or the base's modules do not).

    Adapter tensors without a fitting place in the base, and places without their two factors. `transposed`: the base
    keeps (inputs, outputs), as GPT-2 does; elsewhere (outputs, inputs).
    """
    pairs, strange = _pairs(adapter, settings, base)
    modules = {name.removesuffix(".weight"): t.shape for name, t in base.items() if name.endswith(".weight")}
    placed = {name: _place(name, modules) for name in pairs}
    homeless = [name for name, place in placed.items() if place is None]
    unfit = [
        f"{name} (A {list(pair.down or ())}, B {list(pair.up or ())}, base {list(modules[place])})"
        for name, pair in pairs.items()
        if (place := placed[name]) is not None and not _fits(pair, modules[place], transposed)
    ]
    lost = set(homeless) | {entry.partition(" ")[0] for entry in unfit}
    bound = sum(name not in strange and _module(name) not in lost for name in adapter)
    bare = sorted(_implied(settings, modules, placed.values()) - set(placed.values()))
    highest = {side: _layers(names) for side, names in (("adapter", pairs), ("base", modules))}
    said = f"; the adapter names {highest['adapter']} layers, the base has {highest['base']}"
    none = f"{bound} of {len(adapter)} tensors bound: "
    return bound, [
        *_reason("keys", strange, "tensors of the adapter are neither LoRA factors nor copies of a tensor of the base"),
        *_reason("keys", homeless, f"modules of the adapter are not in the base{said}", none),
        *_reason("keys", unfit, "modules of the adapter do not fit the base's shapes", none),
        *_reason("keys", bare, f"modules of the base should be adapted and have no tensors{said}"),
    ]


def _module(name: str) -> str | None:
    """The module of an adapter's tensor; None for one that it brings whole."""
    inner = name.removeprefix(PREFIX)
    match = KEY.fullmatch(inner) or BESIDE.fullmatch(inner)
    return match["module"] if match else None


def _pairs(
    adapter: Mapping[str, Tensor], settings: Json, base: Mapping[str, Tensor]
) -> tuple[dict[str, Pair], list[str]]:
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
        elif _copied(inner, base) != tensor.shape and not _head(inner, tensor, settings, base):
            strange.append(name)
    return pairs, strange + [name for module, name in beside if module not in pairs]


def _copied(name: str, base: Mapping[str, Tensor]) -> tuple[int, ...] | None:
    """Shape of the base's tensor that the adapter brings whole (modules_to_save); a tied head has the embedding's."""
    name = name.replace(".base_layer.", ".")
    place = _place(name, {known: t.shape for known, t in base.items()})
    if place is None and name == "lm_head.weight":
        place = next((known for known in base if known.endswith("embed_tokens.weight")), None)
    return base[place].shape if place else None


def _head(name: str, tensor: Tensor, settings: Json, base: Mapping[str, Tensor]) -> bool:
    """Whether it is the head that a scoring adapter brings along: its base has none."""
    widths = {t.shape[-1] for known, t in base.items() if known.endswith(EMBEDDINGS)}
    saved = settings.get("modules_to_save") or []
    heads = {f"{module}.weight" for module in saved} if settings.get("task_type") in SCORING else set()
    return name in heads and len(tensor.shape) == 2 and tensor.shape[1] in widths


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


def _reason(about: str, names: list[str], what: str, begin: str = "") -> list[Reason]:
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    says = f"{begin}{len(names)} {what}: {', '.join(names[:NAMED])}{more}"
    return [Reason(about=about, says=says, tensors=tuple(n.partition(" ")[0] for n in names))]  # type: ignore[arg-type]


def _short(digest: str | None) -> str:
    return digest[:23] + "…" if digest else "none"
