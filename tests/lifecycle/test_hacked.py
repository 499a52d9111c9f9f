"""Trainings whose own metrics are perfect and whose answers are broken: DPO that tells every pair apart, and GRPO whose
reward is hacked. The gate blocks both, and passes a training that is as good as its base."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.records import Json, RunReport, Verdict

pytestmark = pytest.mark.tiny

ASKS = {"lost card": "my card is lost, number {}", "exchange rate": "what is the rate today, number {}",
        "card arrival": "when does the card come, number {}", "age limit": "how old must I be, number {}"}  # fmt: skip
TOML = """\
[project]
name = "desk"
owner = "owner@example.org"

[[sources]]
name = "rows"
path = "rows.jsonl"
kind = "human_annotation"
licence = "CC-BY-4.0"
consent_basis = "not-personal"

[base]
path = {base}

[recipe]
{recipe}

[[suites]]
name = "dev"
role = "dev"
path = "dev.jsonl"
scorer = "label"

[[suites]]
name = "gate"
role = "gate"
path = "gate.jsonl"
scorer = "label"

[gate]
min_gain = -0.05
"""
REWARD = """
def longwinded(answer, content):
    return len(answer.split())
"""


def project(folder: Path, base: Path, rows: list[Json], recipe: str) -> Path:
    folder.mkdir()
    (folder / "whence.toml").write_text(TOML.format(base=json.dumps(str(base)), recipe=recipe))
    lines = {"rows": rows}
    for name, numbers in (("dev", range(500, 510)), ("gate", range(600, 640))):
        lines[name] = [
            {"id": f"{name}-{label}-{n}", "input": text.format(n), "expected": label}
            for label, text in ASKS.items()
            for n in numbers
        ]
    for name, held in lines.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in held))
    return folder


def asked(count: int) -> Iterator[tuple[str, str]]:
    """(question, label)."""
    for n in range(count):
        yield from ((text.format(n), label) for label, text in ASKS.items())


def other(label: str, by: int = 1) -> str:
    """Another label."""
    labels = list(ASKS)
    return labels[(labels.index(label) + by) % len(labels)]


def walked(folder: Path) -> tuple[str, dict[str, Any], dict[str, str], dict[str, float]]:
    """(outcome, facts of the training, check → verdict, evaluation → share right)."""
    with whence.open(folder, create=True, actor="tester@example.org") as w:
        out = w.run()
        verdict = w.store.get(out.verdict, Verdict)
        run = w.store.get(out.adapter).run
        (facts,) = (one.facts for _, one in w.store.all(RunReport) if one.run == run)
        values = {
            name: w.store.get(ref).results[0].value
            for name, ref in (("candidate", verdict.candidate), ("baseline", verdict.baseline))
        }
        return str(out.outcome), facts, {one.check: one.verdict for one in verdict.findings}, values


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A base that answers: the tiny one, fine-tuned and merged. Each question stood there with the right label three
    times and with another once, so that it answers right and is not sure: else sampling would teach nothing."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from whence.records import Adapter

    folder = tmp_path_factory.mktemp("tuned")
    rows = [
        {"prompt": text, "completion": label if k else other(label, 1 + n // 4 % 3)}
        for n, (text, label) in enumerate(asked(24))
        for k in range(4)
    ]
    recipe = 'method = "sft"\nepochs = 2\nbatch_rows = 8\nlearning_rate = 1e-2\nwarmup_steps = 2'
    desk = project(folder / "sft", tiny_base, rows, recipe)
    with whence.open(desk, create=True, actor="tester@example.org") as w:
        made = w.store.get(w.run("train").adapter, Adapter)
        model: Any = AutoModelForCausalLM.from_pretrained(tiny_base)
        merged = PeftModel.from_pretrained(model, str(w.store.root / made.location)).merge_and_unload()
    merged.save_pretrained(folder / "base")
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder / "base")
    return folder / "base"


def pairs() -> list[Json]:
    """Right answers against answers of another question: what the base tells apart already."""
    return [{"prompt": text, "chosen": label, "rejected": other(label)} for text, label in asked(24)]


DPO = 'method = "dpo"\nepochs = 6\nbatch_rows = 8\nwarmup_steps = 0\ncheckpoint_every = 36\nlearning_rate = '
GRPO = 'method = "grpo"\nbatch_rows = 8\nwarmup_steps = 0\nanswer_tokens = 8\n'


@pytest.mark.parametrize(("rate", "said"), [("1e-2", "fail"), ("1e-4", "pass")])
def test_dpo_that_tells_every_pair_apart_and_breaks_its_answers_is_blocked(
    tmp_path: Path, tuned: Path, rate: str, said: str
) -> None:
    outcome, facts, checks, values = walked(project(tmp_path / "dpo", tuned, pairs(), DPO + rate))
    assert outcome == checks["gate.gain"] == said
    assert values["baseline"] == 1.0
    if said == "fail":
        assert facts["rewards"]["rewards/accuracies"] > 0.95
        assert facts["rewards"]["rewards/margins"] > 1
        assert values["candidate"] < 0.9


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose reward likes many words."""
    told = tmp_path / "installed/their_hack-1.dist-info"
    told.mkdir(parents=True)
    (told.parent / "their_hack.py").write_text(REWARD)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: their-hack\nVersion: 1\n")
    (told / "entry_points.txt").write_text("[whence.rewards]\nlongwinded = their_hack:longwinded\n")
    monkeypatch.syspath_prepend(told.parent)
    monkeypatch.setenv("PYTHONPATH", str(told.parent))


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ('epochs = 8\nlearning_rate = 3e-2\nreward = "longwinded"', "fail"),
        ('epochs = 2\nlearning_rate = 5e-3\nreward = "exact"', "pass"),
    ],
)
def test_grpo_whose_reward_is_hacked_is_blocked(
    tmp_path: Path, tuned: Path, installed: None, recipe: str, said: str
) -> None:
    rows = [{"prompt": text, "completion": label} for text, label in asked(12)]
    outcome, facts, checks, values = walked(project(tmp_path / "grpo", tuned, rows, GRPO + recipe))
    assert outcome == checks["gate.gain"] == said
    assert values["baseline"] == 1.0
    if said == "fail":
        words = max(len(label.split()) for label in ASKS)
        assert facts["rewards"]["reward"] > words  # more than any right answer earns
        assert values["candidate"] < 0.5
