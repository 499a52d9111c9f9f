"""Where a run happens: the code's commit, the installed versions, the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from whence.records import Conditions

PACKAGES = (
    *("torch", "transformers", "peft", "trl", "accelerate", "datasets", "tokenizers", "safetensors", "jinja2", "numpy"),
    "whence",
)
"""Distributions whose version may change an adapter's bytes."""


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """(commit, nothing uncommitted) of the repository that `folder` lies in; (None, None) outside of one."""
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain") if commit else None
    return (commit or None), (None if changes is None else not changes)


def _git(folder: Path, *words: str) -> str | None:
    try:
        said = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() if said.returncode == 0 else None


def installed() -> list[str]:
    """``name==version`` of everything installed, sorted; read from the first lines, which is ten times as fast as
    parsing each package's whole description."""
    found = set()
    for one in distributions():
        text = one.read_text("METADATA") or one.read_text("PKG-INFO") or ""
        said = dict(_NAMED.findall(text.partition("\n\n")[0]))
        if said.keys() == {"Name", "Version"}:
            found.add(f"{said['Name'].lower()}=={said['Version']}")
    return sorted(found)


_NAMED = re.compile(r"^(Name|Version): *(\S+)", re.MULTILINE)


def packages() -> dict[str, str]:
    """Versions of `PACKAGES`, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def changed(then: list[str], now: Mapping[str, str]) -> list[str]:
    """What became of `PACKAGES` since `then` (as `installed` said it): ``name 1.0 → 1.1`` each."""
    before = dict(line.split("==", 1) for line in then)
    names = [name for name in PACKAGES if before.get(name) != now.get(name)]
    return [f"{name} {before.get(name, 'absent')} → {now.get(name, 'absent')}" for name in names]


def conditions(threads: int, device: str, capability: str) -> Conditions:
    """The conditions of this process. `capability` is torch's instruction set; MKL's switch belongs to it."""
    mkl = os.environ.get("MKL_CBWR")
    return Conditions(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()} {'-'.join(platform.libc_ver())}",
        cpu=_cpu(),
        cpu_capability=f"{capability} MKL_CBWR={mkl}" if mkl else capability,
        threads=threads,
        device=device,
        packages=packages(),
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
