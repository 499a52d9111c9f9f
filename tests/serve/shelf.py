"""Releases on a store for tests: real folders, real digests; the records around them hold only what serving reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from whence.models import adapter_digests, fingerprint
from whence.records import Adapter, Base, Closure, Ref, Release, Run
from whence.store import Store


def shelve(store: Store, base_path: Path, adapters: Mapping[str, Path], location: str | None = None) -> dict[str, Ref]:
    """Put a Base, and for each ``NAME@N`` an Adapter and a Release with the alias NAME on it. Name → release."""
    print_ = fingerprint(base_path)
    base = store.put(Base(name=base_path.name, location=location or str(base_path), fingerprint=print_))
    made = {}
    for name, folder in adapters.items():
        closure = store.put(
            Closure(base=base, snapshot=base, recipe=base, code_commit=None, code_clean=None, environment="sha256:0")
        )
        weights, config = adapter_digests(folder)
        adapter = store.put(
            Adapter(
                name=name,
                closure=closure,
                run=store.put(Run(activity="train", used=(base,))),
                weights=weights,
                config=config,
                base=print_,
                location=str(folder),
                bytes=1,
            )
        )
        made[name] = store.put(Release(name=name, adapter=adapter, verdict=base))
        point(store, name.split("@")[0], made[name])
    return made


def point(store: Store, alias: str, release: Ref) -> None:
    store.append("alias.moved", f"alias:{alias}", {"release": release})


def paper_base(folder: Path, value: float = 0.0) -> Path:
    """A base of two tensors that no model could be made of: enough for digests and key checks."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    tensors = {"model.embed_tokens.weight": (8, 4), "model.layers.0.self_attn.q_proj.weight": (4, 4)}
    save_file({n: np.full(s, value, np.float32) for n, s in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "paper", "hidden_size": 4}))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}))
    return folder


def paper_adapter(folder: Path, value: float = 1.0) -> Path:
    """An adapter that fits `paper_base`."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    tensors = {key.format("A"): np.full((2, 4), value, np.float32), key.format("B"): np.full((4, 2), 1, np.float32)}
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}))
    return folder
