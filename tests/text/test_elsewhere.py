"""Near-duplicates and evaluation texts by Daft, on its own runner and on Ray with two workers, one of which may die:
the same as in one process."""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.text.test_near import made
from tests.text.test_overlap import ITEMS, ROWS

from whence.text.near import near_duplicates
from whence.text.overlap import look
from whence.text.planted import KINDS, plant

pytest.importorskip("daft", reason="daft is not installed")

SCRIPT = """
import json, sys, daft
import pyarrow.parquet as pq
from whence.text.backends.daft_engine import look_in, near_duplicates_of
runner, what, folder = sys.argv[1:]
if runner == "ray":
    import ray
    from ray.cluster_utils import Cluster
    node = {"num_cpus": 1, "object_store_memory": 1 << 27, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    ray.init(cluster.address, log_to_driver=False)
    daft.set_runner_ray()
else:
    daft.set_runner_native()
try:
    frame = daft.read_parquet(folder + "/*.parquet")
    if what == "near":
        found = [near_duplicates_of(frame, 0.7, id="number", text="words")]
    else:
        found = look_in(frame, pq.read_table(folder + "/items")["words"], id="number", text="words")
    print(json.dumps([table.to_pydict() for table in found]))
finally:
    if runner == "ray":
        ray.shutdown()
        cluster.shutdown()
"""
PLACES = {
    "DAFT_ANALYTICS_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # or Ray writes one into the home folder
}


what = pytest.mark.parametrize("work", ["near", "overlap"])


@what
def test_daft_finds_the_same(tmp_path: Path, work: str) -> None:
    texts = laid(tmp_path)
    with begun("native", work, tmp_path) as script:
        said, wrong = script.communicate(timeout=300)
    assert script.returncode == 0, wrong[-2000:]
    same(said, work, texts)


@what
@pytest.mark.ray
def test_two_workers_of_ray_find_the_same(tmp_path: Path, work: str) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    texts = laid(tmp_path)
    with begun("ray", work, tmp_path) as script:
        at_work(script, 2)
        said, wrong = script.communicate(timeout=300)
    assert script.returncode == 0, wrong[-2000:]
    same(said, work, texts)


@what
@pytest.mark.ray
@pytest.mark.fault
def test_a_killed_worker_of_ray_changes_nothing(tmp_path: Path, work: str) -> None:
    """Its tasks begin again on the other worker, or all ends with an error; never with something else."""
    pytest.importorskip("ray", reason="ray is not installed")
    texts = laid(tmp_path)
    with begun("ray", work, tmp_path) as script:
        at_work(script, 1)[0].kill()
        said, wrong = script.communicate(timeout=300)
    if script.returncode:
        assert "Error" in wrong.strip().splitlines()[-1]
        assert "{" not in said
    else:
        same(said, work, texts)


def laid(folder: Path) -> list[str]:
    """Texts in eight files, in no order, several without words; and evaluation texts, some of which stand in them."""
    texts = [
        *made(random.Random(3), 300),
        "",
        "thank you",
        *(f"{' '.join('abcdefghijklmnopqrst')} {i}" for i in range(100)),
    ]
    texts += ["thank you", *made(random.Random(3), 30), "", "?", "Thank you!"]
    texts += ROWS
    for kind in KINDS:
        texts += plant(ITEMS[:10], kind, ROWS)
    order = random.Random(1).sample(range(len(texts)), len(texts))
    table = pa.table({"number": pa.array(order), "words": [texts[i] for i in order], "other": order})
    pq.write_table(table[:200], folder / "a.parquet")
    for part in range(7):
        pq.write_table(table.take(list(range(200 + part, len(table), 7))), folder / f"b{part}.parquet")
    pq.write_table(pa.table({"words": [*ITEMS, "", "Thank you"]}), folder / "items")
    return texts


def begun(runner: str, work: str, folder: Path) -> subprocess.Popen[str]:
    """A process of its own, since a runner is chosen once in each."""
    command = [sys.executable, "-c", SCRIPT, runner, work, str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **PLACES})


def at_work(script: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """So many of Ray's workers that have begun with our kernels: what compiles them is in their memory."""
    found: dict[int, psutil.Process] = {}
    while len(found) < count:
        assert script.poll() is None, f"ended before {count} workers were at work"
        for one in psutil.Process(script.pid).children(recursive=True):
            try:
                if "RaySwordfishActor" in one.cmdline()[0] and "llvmlite" in Path(f"/proc/{one.pid}/maps").read_text():
                    found[one.pid] = one
            except (psutil.Error, OSError, IndexError):  # it has ended
                continue
        time.sleep(0.01)
    return [*found.values()]


def same(said: str, work: str, texts: list[str]) -> None:
    found, *told = json.loads(said.strip().splitlines()[-1])
    if work == "near":
        assert found == near_duplicates(pa.array(texts)).to_pydict()
        assert len(found["left"]) > 150
    else:
        assert [found, *told] == [
            table.to_pydict() for table in look(pa.array(texts), pa.array([*ITEMS, "", "Thank you"]))
        ]
        assert {"exact", "normalised", "lcs", "paraphrase"} <= set(found["tier"])
        assert {True, False} == set(found["natural"])
