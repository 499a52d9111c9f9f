"""What a figure was measured on, and running one measurement in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any


def describe() -> str:
    """Date, cores, processor, Python."""
    cpu = platform.processor() or "unknown processor"
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        cpu = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), cpu)
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {cpu}, Python {platform.python_version()}"


def version(package: str) -> str | None:
    """Of an installed package; None where it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def peak_kib() -> int:
    """The most memory that this program has had, KiB. By Linux's own count: a child's ``ru_maxrss`` begins at what its
    parent had."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)


def alone(module: str, *args: str) -> Any:
    """Run ``python -m MODULE ARGS`` and read the JSON value on its last line."""
    done = subprocess.run([sys.executable, "-m", module, *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(args)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
