"""A folder of wheels: the packages that a training is named by, each by its SHA-256, and that a rebuild installs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from whence.records import Adapter, Closure, Unmet
from whence.store import Store
from whence.train import surroundings

PATTERN = "*-*-*-*-*.whl"
"""What a wheel is called: NAME-VERSION-PYTHON-ABI-PLATFORM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One file of the folder, or what the record has of it."""

    file: str
    """name: ``NAME-VERSION-…-PLATFORM.whl``"""
    sha256: str
    """hex, over its bytes"""

    @property
    def name(self) -> str:
        """The distribution, normalised as package indexes do."""
        return re.sub(r"[-_.]+", "-", self.file.split("-")[0]).lower()

    @property
    def version(self) -> str:
        """Its version."""
        return self.file.split("-")[1]


def look(folder: Path) -> list[Wheel]:
    """The wheels of a folder, by name. Raises Unmet for one without any, or with two of one package."""
    files = sorted(folder.glob(PATTERN)) if folder.is_dir() else []
    if not files:
        what = "no wheel is in" if folder.is_dir() else "there is no folder"
        raise Unmet(
            f"{what} {folder}", "the wheels of the environment", "fill it with `pip download` (docs/unlearning.md)"
        )
    found = [Wheel(file=path.name, sha256=_sha256(path)) for path in files]
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Unmet(f"{folder} has several wheels of {', '.join(twice)}", "one of each package", "remove the others")
    return found


def name_wheels(store: Store, folder: Path) -> str:
    """The blob that names the wheels of a folder, for the closure of a training. Raises Unmet where the packages that
    decide an adapter's bytes are not installed as the folder has them."""
    found = look(folder)
    there = {one.name: one.version for one in found}
    here = {name: version for name, version in surroundings.packages().items() if name != "whence" or name in there}
    if differing := [f"{n} {v} → {there.get(n, 'absent')}" for n, v in here.items() if there.get(n) != v]:
        raise Unmet(
            f"what is installed is not what {folder} has (installed → wheel): {', '.join(differing)}",
            "the same versions, so that a rebuild from the wheels is of the same environment",
            "install from the folder, or fill it with what is installed (docs/unlearning.md)",
        )
    return store.put_lines({"file": one.file, "sha256": one.sha256} for one in found)


def named(store: Store, blob: str) -> list[Wheel]:
    """The wheels that a closure names."""
    return [Wheel(**line) for line in store.get_lines(blob)]


def wheels_of(store: Store, adapter: Adapter) -> dict[str, str]:
    """File → SHA-256 of the wheels that an adapter's closure names."""
    blob = store.get(adapter.closure, Closure).wheels
    return {one.file: one.sha256 for one in named(store, blob)} if blob else {}


def packages(wheels: Sequence[Wheel]) -> dict[str, str]:
    """Versions, as far as they decide an adapter's bytes; whence as it is installed where it is not among them."""
    there = {"whence": version("whence")} | {one.name: one.version for one in wheels}
    return {name: there[name] for name in surroundings.PACKAGES if name in there}


def found_again(wheels: Sequence[Wheel], folder: Path | None) -> Mapping[str, Path]:
    """Where each of these lies now, by SHA-256; whatever it is called. Raises Unmet that names those which are
    missing or altered."""
    if folder is None:
        raise Unmet(
            f"it was trained with {len(wheels)} wheels on record, and no folder of wheels is named",
            "a folder that holds them",
            'wheels = "FOLDER" under [project] in whence.toml',
        )
    there = {_sha256(path): path for path in sorted(folder.glob(PATTERN))}
    if lost := list(_lost(wheels, there, folder)):
        raise Unmet(
            f"{len(lost)} of {len(wheels)} wheels on record are not in {folder}: {'; '.join(lost)}",
            "each with the bytes that it had",
            "restore them: their names and SHA-256 stand in whence.lock",
        )
    return {one.sha256: there[one.sha256] for one in wheels}


def _lost(wheels: Sequence[Wheel], there: Mapping[str, Path], folder: Path) -> Iterator[str]:
    now = {path.name: digest for digest, path in there.items()}
    for one in wheels:
        if one.sha256 not in there:
            yield f"{one.file} is altered" if one.file in now else f"{one.file} is missing"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
