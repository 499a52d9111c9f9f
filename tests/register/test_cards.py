"""Model cards: what trainers write is read, what would grow without end is refused, no card breaks a reader."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
import yaml

from whence.cli import main
from whence.records import NotFound, Unmet, WhenceError
from whence.register.cards import FRONT_BYTES, Card, read_card

CARD = """\
---
license: apache-2.0
base_model: acme/tiny-7b
base_model_relation: adapter
library_name: peft
language:
- en
- no
tags:
- lora
- 42
datasets: [acme/tickets]
model-index:
- name: desk
  results:
  - task: {type: text-classification, name: Intents}
    dataset: {name: banking77, type: banking77, split: test}
    metrics:
    - {type: accuracy, value: 0.915, name: Accuracy, verified: true}
    - {type: f1, value: .nan}
---

# desk

This model was trained with SFT.

## Training procedure

### Training hyperparameters

The following hyperparameters were used during training:
- learning_rate: 0.0002
- train_batch_size: 8
- optimizer: Use adamw_torch with betas=(0.9,0.999) and epsilon=1e-08
- lr_scheduler_type: linear

### Training results

- learning_rate: 9

### Framework versions

- TRL: 1.16.0
- Transformers 5.23.0
"""


@pytest.fixture
def card(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "README.md"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def front(text: str) -> str:
    return f"---\n{text}\n---\nbody\n"


def test_what_a_trainer_writes(card, tmp_path: Path) -> None:
    said = read_card(card(CARD))
    assert said == read_card(tmp_path)
    assert (said.license, said.base_model, said.base_model_relation) == ("apache-2.0", ("acme/tiny-7b",), "adapter")
    assert (said.language, said.tags, said.datasets) == (("en", "no"), ("lora", "42"), ("acme/tickets",))
    assert (said.library, said.method) == ("peft", "SFT")
    assert said.hyperparameters == {
        "learning_rate": "0.0002",
        "train_batch_size": "8",
        "optimizer": "Use adamw_torch with betas=(0.9,0.999) and epsilon=1e-08",
        "lr_scheduler_type": "linear",
    }
    assert said.versions == {"TRL": "1.16.0", "Transformers": "5.23.0"}
    ((name, value, data, task, verified),) = [(m.name, m.value, m.dataset, m.task, m.verified) for m in said.metrics]
    assert (name, value, data, task, verified) == ("accuracy", 0.915, "banking77", "Intents", True)
    assert said.faults == ("a metric of model-index is not a name and a finite number",)
    assert read_card(card(CARD.replace("\n", "\r\n"))) == said
    assert read_card(card(b"\xef\xbb\xbf" + CARD.encode())) == said


def test_cards_without_yaml_and_without_anything(card, tmp_path: Path) -> None:
    assert read_card(card("# A title\n\nand no claims\n")) == Card()
    assert read_card(card("")) == Card()
    assert read_card(card(front(""))) == Card()
    with pytest.raises(NotFound):
        read_card(tmp_path / "none.md")


def test_a_part_of_the_wrong_type_is_a_fault_and_the_rest_is_read(card) -> None:
    said = read_card(card(front("license: {a: b}\nbase_model: [x, [y]]\ndatasets: z\nlanguage: \nmodel-index: 7")))
    assert (said.license, said.base_model, said.datasets, said.language) == (None, (), ("z",), ())
    assert said.faults == (
        "license is not text or a list of texts",
        "base_model is not text or a list of texts",
        "a part of model-index is not a list",
    )
    assert read_card(card(front("license: [mit, gpl]"))).faults == ("license is not one line of text",)


LAUGHS = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "\n".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(9)
)


def test_a_billion_laughs_are_refused_and_would_be_built_by_a_plain_reader(card) -> None:
    built = yaml.safe_load(LAUGHS)
    size, level = 1, built["j"]
    while isinstance(level, list):
        size, level = size * len(level), level[0]
    assert size == 9**10, "the bomb is one"
    with pytest.raises(Unmet, match="anchors or aliases"):
        read_card(card(front(LAUGHS)))
    with pytest.raises(Unmet, match="anchors or aliases"):
        read_card(card(front("a: &x [*x]")))
    assert read_card(card(front("tags: [lol, lol]"))).tags == ("lol",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (front("a: " + "[" * 200 + "]" * 200), "levels or"),
        (front("a: " + "[" * 100_000), "levels or"),
        (front("a: [" + "1," * 30_000 + "]"), "levels or"),
        (front("a: " + "x" * FRONT_BYTES), "KiB"),
        ("x" * (5 << 20), "MiB"),
        (front("a: [1"), "cannot be read at line"),
        (front("a: b: c"), "cannot be read at line"),
        (front("- a\n- b"), "no mapping"),
        ("---\nlicense: mit\n", "has no end"),
        (front("? [a, b]\n: c"), "cannot be read"),
        (front("a: \x07"), "cannot be read"),
        (b"---\nlicense: \xff\n---\n", "not UTF-8"),
    ],
)
def test_what_is_refused(card, text: str | bytes, said: str) -> None:
    with pytest.raises(Unmet, match=said):
        read_card(card(text))


def test_no_tag_makes_an_object_and_no_pipe_blocks(card, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    said = read_card(
        card(front(f"license: !!python/object/apply:os.mkdir ['{marker}']\ntags: !!python/name:os.system x"))
    )
    assert not marker.exists()
    assert said.license == str(marker), "a tag is nothing, its value a text"
    os.mkfifo(tmp_path / "pipe.md")
    with pytest.raises(Unmet, match="no plain file"):
        read_card(tmp_path / "pipe.md")


def test_mutated_cards_are_read_or_refused(card) -> None:
    draw, read = random.Random(7), 0
    pieces = [
        "[",
        "]",
        "{",
        "}",
        ":",
        "-",
        "\n",
        "\n---\n",
        "&a ",
        "*a",
        "!!x ",
        "\t",
        "\x00",
        "é",
        '"',
        "'",
        "|\n",
        "# ",
    ]
    for _ in range(400):
        text = list(CARD)
        for _ in range(draw.randint(1, 8)):
            at = draw.randrange(len(text))
            text[at : at + draw.randint(0, 5)] = draw.choice(pieces) * draw.randint(1, 3)
        try:
            list(read_card(card("".join(text))).claims())
            read += 1
        except WhenceError:
            pass
    assert 0 < read < 400


def test_the_command_says_what_is_claimed(card, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(card(CARD))
    assert main(["adopt", "card", path]) == 0
    said = capsys.readouterr().out
    assert "claimed by the card, proven by nothing" in said
    assert "acme/tiny-7b" in said
    assert main(["adopt", "card", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["base_model"] == ["acme/tiny-7b"]
    assert main(["adopt", "card", str(card("nothing"))]) == 4
