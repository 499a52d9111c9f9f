"""TF-IDF neighbours against a plain twin; a sentence encoder from a folder, by a tiny one that is made here."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.records import Unmet
from whence.text.closest import closest
from whence.text.vocabulary import UNSEEN

TEXT = st.lists(st.sampled_from("abcdefgh"), max_size=6).map(" ".join)


def twin(items: list[str], rows: list[str], most: int) -> list[tuple[int, int, float]]:
    known = {word for text in items for word in text.split()}
    seen = Counter(word for text in rows for word in set(text.split()) & known)
    bits = {w: math.log2((len(rows) + UNSEEN) / (seen[w] + 1)) if seen[w] < len(rows) else 0.0 for w in known}

    def score(one: str, other: str) -> float:
        a, b = set(one.split()), set(other.split()) & known
        norms = [math.sqrt(sum(bits[w] ** 2 for w in side)) or 1.0 for side in (a, b)]
        return sum(bits[w] ** 2 for w in a & b) / norms[0] / norms[1]

    found = []
    for at, item in enumerate(items):
        scores = sorted((-score(item, row), n) for n, row in enumerate(rows) if score(item, row) > 0)
        found += [(at, n, -value) for value, n in scores[:most]]
    return found


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=5), st.lists(TEXT, min_size=1, max_size=8))
def test_the_closest_are_those_of_a_plain_twin(items: list[str], rows: list[str]) -> None:
    table = closest(pa.array(items, pa.large_string()), pa.array(rows, pa.large_string()), len(rows))
    got = sorted(zip(*(table[name].to_pylist() for name in ("item", "row")), strict=True))
    expected = twin(items, rows, len(rows))
    assert got == sorted((item, row) for item, row, _ in expected)
    by_pair = {(item, row): score for item, row, score in expected}
    for one in table.to_pylist():
        assert one["score"] == pytest.approx(by_pair[(one["item"], one["row"])])


def test_rows_of_the_same_kind_are_added() -> None:
    items, rows = (
        pa.array(["red green blue"], pa.large_string()),
        pa.array(["red green", "red", "blue x", ""], pa.large_string()),
    )
    assert closest(items, rows, 1)["row"].to_pylist() == [0]
    assert set(closest(items, rows, 1, ([7], [1, 7, 7, 7]))["row"].to_pylist()) < {0, 1, 2}
    assert len(closest(items, rows, 1, ([7], [1, 7, 7, 7]))) == 2
    assert closest(items, rows, 1, ([-1], [-1, -1, -1, -1]))["row"].to_pylist() == [0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    place, words = tmp_path_factory.mktemp("encoder"), [f"w{n}" for n in range(50)]
    (place / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    BertTokenizerFast(vocab_file=str(place / "vocab.txt")).save_pretrained(place)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=55, **sizes)).save_pretrained(place)
    return place


@pytest.mark.tiny
def test_an_encoder_gives_each_text_one_vector_whatever_stands_beside_it(folder: Path) -> None:
    from whence.text.backends.encoder import Encoder

    draw, told, encoder = random.Random(1), [], Encoder(folder)
    texts = [" ".join(f"w{draw.randrange(50)}" for _ in range(draw.randrange(1, 30))) for _ in range(90)] + [""]
    vectors = encoder.embed([*texts, texts[0]], told.append)
    assert vectors.shape == (92, 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors[0] == vectors[-1]).all()
    assert np.allclose(encoder.embed([texts[5]])[0], vectors[5], atol=1e-5)
    assert told == [64, len(set(texts))]
    assert encoder.embed([]).shape == (0, 16)


@pytest.mark.tiny
def test_a_folder_that_is_no_encoder_is_named(folder: Path, tmp_path: Path) -> None:
    from whence.text.backends.encoder import Encoder

    with pytest.raises(Unmet, match="is no encoder"):
        Encoder(tmp_path / "none")
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(Unmet, match="is no encoder"):
        Encoder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(Unmet, match="is no encoder"):
        Encoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(Unmet, match="is no encoder"):
        Encoder(tmp_path)
