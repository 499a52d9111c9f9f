"""Logs of Inspect, read as evidence: processor seconds and memory beside Inspect's own reader, and the whole adoption.

    python -m bench.other_logs --inspect PYTHON [--samples 1000 10000]

PYTHON is one of an environment with inspect-ai. The log is that of tests/fixtures (Inspect 0.3.285, zstd), with its
sample put in as often as asked, under other ids and questions; every other one is wrong. Peer: `read_eval_log`, which
is how Inspect's documentation reads a log with its samples; it also reads events and messages, which we pass over.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from bench.machine import describe, peak_kib

PEER = """
import json, sys, time
from importlib.metadata import version
from inspect_ai.log import read_eval_log
began = time.process_time()
log = read_eval_log(sys.argv[1])
right = sum(one.scores["exact"].value == "C" for one in log.samples)
cpu = time.process_time() - began
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([f"inspect-ai {version('inspect-ai')} read_eval_log", len(log.samples), right, cpu, peak]))
"""


def write(folder: Path, n: int) -> Path:
    """A log of n samples."""
    from tests.fixtures.other_logs import archive, packed, unpack

    from whence.evaluate import inspect_log

    whole, members = unpack(folder) / "tuned.eval", dict[str, bytes]()
    with zipfile.ZipFile(whole) as old, whole.open("rb") as file:
        raw = {info.filename: inspect_log.unpacked(old, file, info) for info in old.infolist()}
    members = {name: packed(data) for name, data in raw.items() if not name.startswith("samples/")}
    one = raw["samples/q0_epoch_1.json"]
    for i in range(n):
        made = one.replace(b'"q0"', b'"s%d"' % i).replace(b"question 0", b"question %d" % i)
        made = made if i % 2 else made.replace(b'"value":"C"', b'"value":"I"')
        members[f"samples/s{i}_epoch_1.json"] = packed(made)
    return archive(folder / "many.eval", members)


def ours(path: Path) -> list[Any]:
    """Reading alone, in this process."""
    from whence.evaluate.elsewhere import read_log

    began = time.process_time()
    log = read_log(path)
    right = sum(one.state == "right" for one in log.items)
    return ["whence read_log", len(log.items), right, time.process_time() - began, peak_kib()]


def adopted(path: Path) -> list[Any]:
    """Reading, pairing, recording, in this process."""
    from whence.evaluate import Claims, adopt_log
    from whence.store import Store

    store = Store.open(path.parent / ".whence", create=True, actor="bench@example.org")
    began = time.process_time()
    made = adopt_log(store, path, Claims(suite="many"))
    return ["whence adopt_log", made.items, made.right, time.process_time() - began, peak_kib()]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inspect", required=True)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps({"read": ours, "adopt": adopted}[asked.one[0]](Path(asked.one[1]))))
        return
    print(describe(), "\n\n| reader | samples | CPU s | peak MiB |\n| --- | --- | --- | --- |")
    for n in asked.samples:
        with tempfile.TemporaryDirectory() as tmp:
            path = write(Path(tmp), n)
            mine = [sys.executable, "-m", "bench.other_logs", "--inspect", "", "--one"]
            for command in ([asked.inspect, "-c", PEER, path], [*mine, "read", path], [*mine, "adopt", path]):
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                name, items, right, cpu, peak = json.loads(done.stdout.splitlines()[-1])
                assert (items, right) == (n, n // 2), "all read the same"
                print(f"| {name} | {items:,} | {cpu:.2f} | {peak / 1024:,.0f} |")


if __name__ == "__main__":
    main()
