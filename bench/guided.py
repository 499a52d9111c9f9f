"""atheris drives the text readers: inputs that reach new code are kept and mutated further.

    python -m bench.guided SECONDS      (or: python -m bench.fuzz --coverage-guided SECONDS)

It stops with the input in a crash file where anything else than an error of whence is raised, or a line is found twice.
"""

from __future__ import annotations

import contextlib
import io
import random
import sys
import tempfile
from pathlib import Path

import atheris

from bench.mutate import csv_file, json_file, jsonl_file

with atheris.instrument_imports(include=["whence.data", "whence.records"]):
    from whence.data import readers, shape
    from whence.data.values import Fault
    from whence.records import WhenceError

FORMATS = {"jsonl": jsonl_file, "json": json_file, "csv": csv_file}
MAPPING = shape.FieldMap.of({"id": "id", "subject": "who"})


def one(data: bytes) -> None:
    """Read bytes as the format that the first of them says."""
    format = list(FORMATS)[data[0] % 3] if data else "jsonl"
    last = 0
    with contextlib.suppress(WhenceError):
        for number, record in readers.read(io.BufferedReader(io.BytesIO(data[1:])), format):  # type: ignore[arg-type]
            assert number > last, "a line is found twice"
            last = number
            if not isinstance(record, Fault):
                shape.content_of(record, MAPPING)


def main() -> None:
    """Fuzz for so many seconds."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as seeds:
        for kind, make in enumerate(FORMATS.values()):
            for n in range(20):
                (Path(seeds) / f"{kind}-{n}").write_bytes(bytes([kind]) + make(rng, 21))
        options = [f"-max_total_time={sys.argv[1]}", "-max_len=8192", "-rss_limit_mb=4096", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, seeds], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
