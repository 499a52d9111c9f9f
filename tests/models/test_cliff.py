"""The adapter compatibility cliff: one LoRA, its base, and four bases that came after it, with real tiny models."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

import whence
from models.makers import rewrite
from whence.models import Binding, Request, bond_to, check_binding, hold, read_sidecar
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import Unmet
from whence.register import canaries, drift
from whence.register.canaries import Look

pytestmark = pytest.mark.tiny

MODULES = ("q_proj", "v_proj")
TENSORS = 8
"""Two factors of two modules in two layers."""


@pytest.fixture(scope="module")
def v1(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path_factory.mktemp("bases") / "v1"))


@pytest.fixture(scope="module")
def lora(v1: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on v1 for a few steps to answer one thing."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("adapters") / "lora"
    config = LoraConfig(r=4, lora_alpha=16, target_modules=list(MODULES), task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(v1), config)
    ids = torch.tensor([AutoTokenizer.from_pretrained(v1)("Where is my card? It is on its way.").input_ids])
    optimiser = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    for _ in range(20):
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder)
    return folder


def bind(lora: Path, v1: Path, base: Path) -> Binding:
    with hold(lora) as one, hold(base) as other:
        return check_binding(one, other, bond_to(lora, v1))


def look(base: Path, adapter: Path) -> Look:
    model = TransformersModel(base, {"canary": adapter})
    return canaries.look_inside(model, canaries.read_questions(None), "canary")


def retrained(tensors):
    """The same shapes, other values everywhere."""
    import torch

    torch.manual_seed(1)
    return {n: t + 0.3 * t.std() * torch.randn_like(t) if t.dim() == 2 else t for n, t in tensors.items()}


def narrower(tensors):
    """A hidden size of 96 instead of 128; three heads instead of four."""
    cut = {n: t[..., :96] if t.shape[-1] == 128 else t for n, t in tensors.items()}
    return {n: (t[:96] if "proj" in n and t.shape[0] == 128 else t).contiguous() for n, t in cut.items()}


def renamed(tensors):
    return {n.replace("q_proj", "query").replace("v_proj", "value"): t for n, t in tensors.items()}


def test_v1_its_own_base_passes(lora: Path, v1: Path) -> None:
    binding = bind(lora, v1, v1)
    assert (binding.answer, binding.bound, binding.tensors) == ("exact", TENSORS, TENSORS)


def test_v2_of_the_same_shapes_is_blocked_and_the_canaries_diverge(lora: Path, v1: Path, tmp_path: Path) -> None:
    v2 = rewrite(v1, tmp_path / "v2", retrained)
    binding = bind(lora, v1, v2)
    assert (binding.answer, binding.bound) == ("same-shape-different-base", TENSORS)
    assert "have other values than in the base on record" in str(binding)
    then, now, again = look(v1, lora), look(v2, lora), look(v1, lora)
    moved = drift.exactly("lora", then.answers, now.answers)
    assert moved.verdict == "fail"
    assert moved.statistic is not None
    assert moved.statistic > 100 * drift.TOLERANCE
    assert moved.message.startswith("answers otherwise than it did: ")
    assert drift.exactly("lora", then.answers, again.answers).verdict == "pass"


def test_v3_of_another_hidden_size_is_incompatible_and_the_tensors_are_listed(
    lora: Path, v1: Path, tmp_path: Path
) -> None:
    sizes = {"hidden_size": 96, "num_attention_heads": 3, "num_key_value_heads": 3}
    v3 = rewrite(v1, tmp_path / "v3", narrower, config=sizes)
    binding = bind(lora, v1, v3)
    assert (binding.answer, binding.bound) == ("incompatible", 0)
    unfit = next(reason for reason in binding.reasons if "do not fit the base's shapes" in reason.says)
    assert len(unfit.tensors) == 4
    assert all(f"layers.{i}.self_attn.{m}" in " ".join(unfit.tensors) for i in (0, 1) for m in MODULES)
    shapes = next(reason for reason in binding.reasons if "another shape than in the base on record" in reason.says)
    assert "model.embed_tokens.weight" in shapes.tensors
    assert len(shapes.tensors) > TENSORS


def test_v4_whose_modules_were_renamed_binds_nothing(lora: Path, v1: Path, tmp_path: Path) -> None:
    binding = bind(lora, v1, rewrite(v1, tmp_path / "v4", renamed))
    assert binding.answer == "incompatible"
    assert f"0 of {TENSORS} tensors bound: 4 modules of the adapter are not in the base" in str(binding)
    assert (binding.bound, binding.tensors) == (0, TENSORS)


def test_v5_of_the_same_bytes_under_a_new_name_passes(lora: Path, v1: Path, tmp_path: Path) -> None:
    v5 = Path(shutil.copytree(v1, tmp_path / "v5-renamed"))
    assert bind(lora, v1, v5).answer == "exact"
    assert drift.exactly("lora", look(v1, lora).answers, look(v5, lora).answers).statistic == 0


def test_the_same_through_the_verb(lora: Path, v1: Path, tmp_path: Path, clock) -> None:
    """Adopted on v1: the first look is kept there; v2 answers otherwise, v3 and v4 are not even loaded, v5 passes."""
    adapter = Path(shutil.copytree(lora, tmp_path / "lora"))
    v2 = rewrite(v1, tmp_path / "v2", retrained)
    v4 = rewrite(v1, tmp_path / "v4", renamed)
    v5 = Path(shutil.copytree(v1, tmp_path / "v5"))
    with closing(whence.open(tmp_path, create=True, project=False, actor="ann@example.org", clock=clock)) as w:
        adopted = w.adopt.adapter(adapter, base=str(v1)).adapter
        assert read_sidecar(adapter) is not None
        with pytest.raises(Unmet, match="nothing is on record to compare"):
            w.model.canaries(str(adapter), v2)
        first = w.model.canaries(str(adapter), v1)
        assert (first.outcome, first.against, first.kept is not None) == ("abstain", None, True)
        assert w.model.canaries(str(adapter), v5).outcome == "pass"
        other = w.model.canaries(str(adapter), v2)
        assert (other.outcome, other.against, other.kept) == ("fail", first.kept, None)
        with pytest.raises(Unmet, match=f"0 of {TENSORS} tensors bound"):
            w.model.canaries(str(adapter), v4)
        assert {f.check: f.verdict for f in w.model.canaries(adopted).findings} == dict.fromkeys(
            ("model.canaries", "model.no_op"), "pass"
        )


def test_plain_peft_answers_on_v4_as_if_there_were_no_adapter(lora: Path, v1: Path) -> None:
    """What the check prevents: keys that no longer name a module are passed over, and the base answers alone."""
    from safetensors.torch import load_file, save_file

    lost = lora.parent / "lost"
    shutil.copytree(lora, lost)
    found = {n.replace("layers.", "blocks."): t for n, t in load_file(lost / "adapter_model.safetensors").items()}
    save_file(found, lost / "adapter_model.safetensors", metadata={"format": "pt"})
    turns = [{"role": "user", "content": "Where is my card?"}]
    model = TransformersModel(v1, {"canary": lost})
    alone, tuned = model.generate([Request(messages=turns), Request(messages=turns, adapter="canary")])
    assert alone.text == tuned.text
    finding = drift.no_op("lost", look(v1, lost).effect, look(v1, lora).effect)  # type: ignore[arg-type]
    assert finding.verdict == "fail"
