"""Near-duplicates by Daft, on its own runner and on Ray with two workers: the same pairs as in one process."""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.text.test_near import made

from whence.text.near import near_duplicates

pytest.importorskip("daft", reason="daft is not installed")

SCRIPT = """
import json, sys, daft
from whence.text.backends.daft_engine import near_duplicates_of
runner, folder = sys.argv[1:]
if runner == "ray":
    import ray
    ray.init(num_cpus=2, include_dashboard=False)
    daft.set_runner_ray()
else:
    daft.set_runner_native()
pairs = near_duplicates_of(daft.read_parquet(folder + "/*.parquet"), 0.7, id="number", text="words")
print(json.dumps(pairs.to_pydict()))
"""


def test_daft_finds_the_same_pairs(tmp_path: Path) -> None:
    same_pairs(tmp_path, "native")


@pytest.mark.ray
def test_two_workers_of_ray_find_the_same_pairs(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    same_pairs(tmp_path, "ray")


def same_pairs(folder: Path, runner: str) -> None:
    """Texts in two files, in no order; a process of its own, since a runner is chosen once in each."""
    texts = [
        *made(random.Random(3), 300),
        "",
        "thank you",
        *(f"{' '.join('abcdefghijklmnopqrst')} {i}" for i in range(100)),
    ]
    texts += ["thank you", *made(random.Random(3), 30), "", "?"]
    order = random.Random(1).sample(range(len(texts)), len(texts))
    table = pa.table({"number": pa.array(order), "words": [texts[i] for i in order], "other": order})
    pq.write_table(table[:200], folder / "a.parquet")
    pq.write_table(table[200:], folder / "b.parquet")
    command = [sys.executable, "-c", SCRIPT, runner, str(folder)]
    environment = {**os.environ, "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # or Ray writes one into the home folder
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert not done.returncode, done.stderr[-2000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found == near_duplicates(pa.array(texts)).to_pydict()
    assert len(found["left"]) > 150
