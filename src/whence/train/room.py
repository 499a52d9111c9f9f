"""The clean room of a rebuild: an environment that is named, an empty home, no network.

Here is what the process that asks prepares; `attest` is what the training process does in it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from whence.records import Unmet
from whence.store import Store
from whence.train import surroundings
from whence.train.attest import VARIABLE
from whence.train.wheels import Wheel, found_again, named, packages

KEPT = ("PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
KEPT_BEGINNINGS = (
    *("LC_", "OMP_", "KMP_", "GOMP_", "MKL_", "ATEN_", "OPENBLAS_", "DNNL_", "ONEDNN_"),
    *("CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "PYTORCH_"),
)
"""Of the environment's variables those are handed on that say where programs, languages and the accelerator are, and
those that arithmetic depends on. No other is: none of the user's decides what is imported."""
NAMESPACES = (("unshare", "--net"), ("unshare", "--user", "--map-current-user", "--net"))
"""Before a command, so that its network has no interface but a loopback that is down (util-linux). The first is for
root, who would lose the right to others' files in the second."""
PREFIX = "whence-room-"
"""Of a room's folder, where temporary files are kept."""
YOUNG_S = 60.0
"""A room that nobody holds may be one that is being made until it is as old as this."""
STDERR_TAIL = 600
"""Characters of what pip said that an error quotes."""


class Room:
    """Where the trainings of one rebuild happen. Make one with `clean_room`."""

    def __init__(self, store: Store, place: Path, wheels: str | None, folder: Path | None) -> None:
        self.wheels = wheels
        self._host, self._place = store.host, place
        self._named: Sequence[Wheel] = named(store, wheels) if wheels else ()
        self._files = found_again(self._named, folder) if wheels else {}
        self._python: Path | None = None

    @property
    def packages(self) -> dict[str, str]:
        """Versions of the packages that decide an adapter's bytes, as they are in the room."""
        return packages(self._named) if self._named else surroundings.packages()

    @contextmanager
    def command(self, words: Sequence[str], fixed: Mapping[str, str]) -> Iterator[tuple[list[str], dict[str, str]]]:
        """(command, environment) of a Python with these words, its home made for it and empty. fixed: variables that it
        must have. Raises Unmet where the environment cannot be made from the wheels."""
        with tempfile.TemporaryDirectory(prefix="home-", dir=self._place) as home:
            env = self._environment(Path(home)) | dict(fixed) | {VARIABLE: self._host or ""}
            yield [*self._prefix(), str(self._interpreter()), "-P", *words], env

    def _prefix(self) -> tuple[str, ...]:
        """A namespace would cut off a catalogue that is reached over TCP, too."""
        return _namespace(shutil.which("unshare")) if self._host is None else ()

    def _environment(self, home: Path) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if n in KEPT or n.startswith(KEPT_BEGINNINGS)}
        kept |= {"HOME": str(home), "HF_HUB_CACHE": str(_hub_cache()), "HF_HUB_OFFLINE": "1"}
        if self._host:
            kept |= {n: v for n, v in os.environ.items() if n.startswith("PG")}
            kept.setdefault("PGPASSFILE", os.path.expanduser("~/.pgpass"))
        if not self._named and site.ENABLE_USER_SITE:
            kept["PYTHONUSERBASE"] = site.getuserbase()
        if not any(one.name == "whence" for one in self._named):
            kept["PYTHONPATH"] = str(self._whence())
        return kept

    def _whence(self) -> Path:
        """A folder that holds this whence and nothing else, whatever lies beside it."""
        code = self._place / "code"
        if not code.exists():
            code.mkdir()
            (code / "whence").symlink_to(Path(__file__).parents[1])
            if info := _info("whence"):
                (code / info.name).symlink_to(info)
        return code

    def _interpreter(self) -> Path:
        if self._python is None:
            self._python = self._install() if self._named else Path(sys.executable)
        return self._python

    def _install(self) -> Path:
        """A fresh environment of the wheels alone. pip holds each against its digest, and fails where one needs
        another that is not among them."""
        if find_spec("pip") is None:
            raise Unmet("pip is not installed, which installs the wheels", "pip", "python -m ensurepip")
        target, lines = self._place / "environment", self._place / "wheels.txt"
        python = target / "bin" / "python"
        lines.write_text("".join(f"{_line(one, self._files[one.sha256], self._place)}\n" for one in self._named))
        quiet = ("--isolated", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-input")
        how = ("--no-index", "--only-binary", ":all:", "--require-hashes", "--no-compile", "-r", str(lines))
        for words, what in (
            (("-m", "venv", "--without-pip", str(target)), "made"),
            (("-m", "pip", "--python", str(python), *quiet, "install", *how), "filled from the wheels"),
        ):
            self._run([sys.executable, "-P", *words], {}, what)
        env = {} if any(one.name == "whence" for one in self._named) else {"PYTHONPATH": str(self._whence())}
        self._run([str(python), "-P", "-c", "import whence.train.worker"], env, "used: a package is missing")
        return python

    def _run(self, command: Sequence[str], env: Mapping[str, str], what: str) -> None:
        with tempfile.TemporaryDirectory(prefix="home-", dir=self._place) as home:
            kept = {n: os.environ[n] for n in KEPT if n in os.environ} | {"HOME": home, "PIP_CONFIG_FILE": os.devnull}
            done = subprocess.run(
                [*self._prefix(), *command], env=kept | dict(env), capture_output=True, text=True, check=False
            )
        if done.returncode:
            raise Unmet(
                f"the environment cannot be {what}: {done.stderr.strip()[-STDERR_TAIL:]}",
                "a folder with the wheels of all packages that train, and of those that they need",
                "fill the folder as docs/unlearning.md says, and train again",
            )


@contextmanager
def clean_room(store: Store, wheels: str | None, folder: Path | None) -> Iterator[Room]:
    """A room for the trainings of one rebuild, and its end. wheels: the blob that the closure names; folder: where such
    wheels lie now. Raises Unmet that names the wheels which are missing or altered."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as place:
        fd = os.open(place, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield Room(store, Path(place), wheels, folder)
        finally:
            os.close(fd)


def _sweep(above: Path) -> None:
    """Delete rooms of processes that were killed: those that nobody holds. One that is being made is not held yet."""
    for room in above.glob(f"{PREFIX}*"):
        try:
            fd = os.open(room, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
        except OSError:  # another user's, or gone meanwhile
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(fd)
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > YOUNG_S:
                shutil.rmtree(room, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)


@cache
def _namespace(program: str | None) -> tuple[str, ...]:
    """What gives a command a network of its own, of `NAMESPACES`; nothing where this kernel does not allow it."""
    return next((words for words in NAMESPACES if program and _works([program, *words[1:], "true"])), ())


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _hub_cache() -> Path:
    """Where the Hub's library keeps bases, by its own rules; a base is held against its fingerprint anyway."""
    named, home = os.environ.get("HF_HUB_CACHE"), os.environ.get("HF_HOME")
    above = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(named) if named else Path(home or above) / "hub"


def _info(name: str) -> Path | None:
    """The folder of an installed distribution's metadata."""
    try:
        found: Any = distribution(name)
    except PackageNotFoundError:
        return None
    path = getattr(found, "_path", None)
    return Path(path).resolve() if path else None


def _line(wheel: Wheel, path: Path, place: Path) -> str:
    """What pip is told of one wheel: a file by its name on record, and its digest."""
    shelf = place / "wheels"
    shelf.mkdir(exist_ok=True)
    (shelf / wheel.file).symlink_to(path.resolve())
    return f"{wheel.name} @ {(shelf / wheel.file).as_uri()} --hash=sha256:{wheel.sha256}"
