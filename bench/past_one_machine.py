"""`whence data near` in one process, by Daft, and by Daft on two Ray workers: CPU seconds and memory, and equal bytes.

    pip install -c constraints.txt -e '.[scale,bench]'
    python -m bench.past_one_machine [--rows 100000 1000000] [--engines local daft ray]
    python -m bench.past_one_machine --what overlap             # the same of `whence data overlap`
    python -m bench.past_one_machine --rows 20000 --kills 10    # kill -9 a Ray worker, each time at another moment

Texts are those of `bench.near_duplicates`, or of `bench.overlap` with its 2,000 items, in eight Parquet files. Each
way is a process of its own; counted is all of it: imports, reading, finding, writing. Ray is two nodes of one core each
on this machine; of it are counted the process that asks and the two workers that work for it, not Ray's own servers. A
run stops where the bytes differ.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from bench.machine import alone, describe, peak_kib, version
from bench.near_duplicates import generated
from bench.overlap import texts as overlapped

FILES = 8
THRESHOLD = 0.7
ITEMS = 2_000


def laid(what: str, folder: Path, rows: int) -> str:
    """Generated texts in files."""
    made, items = ([*generated(rows)], list[str]()) if what == "near" else overlapped(rows, ITEMS)
    (folder / "in").mkdir(parents=True)
    texts, asked = (
        pa.table({"id": range(len(some)), "text": pa.array(some, pa.large_string())}) for some in (made, items)
    )
    pq.write_table(asked, folder / "items.parquet")
    for part in range(FILES):
        pq.write_table(texts.take(list(range(part, rows, FILES))), folder / "in" / f"{part}.parquet")
    return str(folder)


def measure(what: str, engine: str, folder: str, kill_at: float) -> dict[str, Any]:
    """One way, in this process. kill_at: CPU seconds of a Ray worker after which it is killed; 0: none is."""
    from whence.data.near_files import nearby
    from whence.data.overlap_files import overlapping
    from whence.data.text_files import Files
    from whence.records import BackendFailed

    def work() -> dict[str, Any]:
        try:
            files, out = Files([f"{folder}/in"], engine=engine, address=address), f"{folder}/{engine}"
            items = [f"{folder}/items.parquet"]
            found = nearby(files, THRESHOLD, out) if what == "near" else overlapping(files, items, out)
        except BackendFailed as error:
            return {"error": str(error)}
        return {"pairs": len(found.pairs)}

    address = None
    if engine != "ray":
        done = work()
    else:
        os.environ |= {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
        import ray
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 2 << 30, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=node)
        cluster.add_node(**node)
        address = cluster.address
        seen: dict[int, dict[str, float]] = {}
        ended = threading.Event()
        watch = threading.Thread(target=watched, args=(seen, kill_at, ended.is_set))
        watch.start()
        done = work()
        ended.set()
        watch.join()
        done["workers"] = [*seen.values()]
        ray.shutdown()
        cluster.shutdown()
    return done | {"cpu": time.process_time(), "mib": peak_kib() / 1024}


def watched(seen: dict[int, dict[str, float]], kill_at: float, ended: Callable[[], bool]) -> None:
    """CPU seconds and the most memory of each worker, until all has ended."""
    while not ended():
        for one in psutil.Process().children(recursive=True):
            try:
                if "RaySwordfishActor" not in " ".join(one.cmdline()):
                    continue
                took = one.cpu_times()
                told = seen.setdefault(one.pid, {"cpu": 0.0, "mib": 0.0, "killed": 0.0})
                told |= {"cpu": took.user + took.system, "mib": max(told["mib"], one.memory_info().rss / 2**20)}
                if 0 < kill_at < told["cpu"] and not any(other["killed"] for other in seen.values()):
                    one.kill()
                    told["killed"] = told["cpu"]
            except psutil.Error:  # it has ended
                continue
        time.sleep(0.02)


def compare(what: str, folder: str, rows: int, engines: list[str]) -> None:
    for engine in engines:
        took = alone("bench.past_one_machine", "--one", what, engine, folder, "0")
        if Path(folder, engine).read_bytes() != Path(folder, engines[0]).read_bytes():
            raise SystemExit(f"{engine} and {engines[0]} differ")
        each = took.get("workers", [])
        cpu = " + ".join(f"{one:.1f}" for one in (took["cpu"], *(worker["cpu"] for worker in each)))
        mib = " + ".join(f"{one:,.0f}" for one in (took["mib"], *(worker["mib"] for worker in each)))
        print(f"| {rows:,} | {engine} | {cpu} | {mib} | {took['pairs']:,} |", flush=True)


def killed(what: str, folder: str, kills: int) -> None:
    """Moments are spread over the CPU time that a worker takes in a run in which none is killed."""
    whole = alone("bench.past_one_machine", "--one", what, "ray", folder, "0")
    most = max(worker["cpu"] for worker in whole["workers"])
    wanted = Path(folder, "ray").read_bytes()
    for number in range(kills):
        Path(folder, "ray").unlink(missing_ok=True)
        took = alone("bench.past_one_machine", "--one", what, "ray", folder, str(most * (number + 0.5) / kills))
        at = max(worker["killed"] for worker in took["workers"])
        if "error" in took:
            said = took["error"].splitlines()[0]
        else:
            said = "the same bytes" if Path(folder, "ray").read_bytes() == wanted else "OTHER BYTES"
        print(f"| {f'{at:.2f}' if at else 'none'} of {most:.2f} | {len(took['workers'])} | {said} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--engines", nargs="+", choices=("local", "daft", "ray"), default=["local", "daft", "ray"])
    parser.add_argument("--what", choices=("near", "overlap"), default="near")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one[:3], float(args.one[3]))))
        return
    print(f"# past one machine ({describe()})\n")
    print("  ".join(f"{name} {version(name) or 'not installed'}" for name in ("daft", "ray", "pyarrow")) + "\n")
    engines = [one for one in args.engines if one == "local" or (version("daft") and (one == "daft" or version("ray")))]
    with tempfile.TemporaryDirectory() as tmp:
        if args.kills:
            print("| killed after CPU s | workers | what came of it |\n| ---: | ---: | --- |")
            killed(args.what, laid(args.what, Path(tmp, "kills"), args.rows[0]), args.kills)
            return
        print("| texts | engine | CPU s: asks + workers | peak MiB: asks + workers | pairs |")
        print("| ---: | --- | ---: | ---: | ---: |")
        for rows in args.rows:
            compare(args.what, laid(args.what, Path(tmp, str(rows)), rows), rows, engines)


if __name__ == "__main__":
    main()
