"""A disk that fills up under each station: a small file system of memory that a ballast file fills, and, where nobody
may mount one too, a limit on how large a file may grow. What is said, whether the record verifies, and whether the
same command ends where an undisturbed one ends once there is space."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.faults import gateway
from bench.faults.compare import differing, findings, holds
from bench.faults.kills import SMALL
from bench.faults.process import Running, constants, finish, start, whence
from bench.faults.project import Templates, subjects

DISK_BYTES = 96 << 20
BLOCK = 4096
WORKING_BYTES = 256 << 10
"""What SQLite needs for its log and shared memory while it works."""
STATIONS = {
    "ingest": ("new", ("data", "ingest")),
    "curate": ("ingest", ("data", "curate")),
    "train": ("curate", ("run", "--to", "train")),
    "evaluate": ("train", ("run", "--to", "evaluate")),
    "release": ("evaluate", ("run",)),
    "rights withdraw": ("ingest", ()),
    "feedback": ("answered", ()),
}
"""Station → the template it starts from and its command line; ``()``: an event, see `command`."""
LIGHT = ("ingest", "curate", "rights withdraw", "feedback")
"""Stations without a model."""
MEANT = (0, 2, 4)
"""Exit codes of work that was done: yes, no, too little evidence."""
HEAD = (
    "| no space in | tried | refused | said clearly | verify findings | then, with space, equal to undisturbed |\n"
    "| --- | ---: | ---: | ---: | ---: | --- |"
)


@dataclass(slots=True)
class Tally:
    """What a station did without space."""

    station: str
    tried: int = 0
    refused: int = 0
    """ended with an error; the others found enough space"""
    unclear: list[str] = field(default_factory=list)
    """words that do not say what was refused, where, and what to do"""
    findings: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)

    def row(self) -> str:
        same = "yes" if not self.unequal else f"NO: {', '.join(sorted(set(self.unequal)))}"
        clear = f"{self.refused - len(self.unclear)} of {self.refused}"
        return f"| {self.station} | {self.tried} | {self.refused} | {clear} | {len(self.findings)} | {same} |"


def mountable() -> str | None:
    """None where this process may mount a file system, else why not. See `isolated`."""
    if not shutil.which("unshare") or os.geteuid():
        return "mounting needs root, or a user namespace of one's own"
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    return probe.stderr.strip() or "it may not" if probe.returncode else None


def isolated(words: list[str]) -> list[str]:
    """The command line in a mount namespace of its own, as root of a user namespace where we are not root."""
    return ["unshare", "-m" if os.geteuid() == 0 else "-rm", *words]


@contextmanager
def disk(place: Path) -> Iterator[Path]:
    """A small file system; for a process that `isolated` started."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path, leave: int) -> Path:
    """A ballast file that leaves this many bytes free."""
    ballast, free = place / "ballast", os.statvfs(place).f_bavail * BLOCK
    with ballast.open("wb", buffering=0) as file, suppress(OSError):  # others take some of it meanwhile
        while free > 0:
            free -= file.write(bytes(min(free, 1 << 20)))
    os.truncate(ballast, max(0, ballast.stat().st_size - leave))
    return ballast


def clear(said: str) -> bool:
    """Whether words for a person name what was refused, and what to do."""
    return "cannot be written" in said and "  do: " in said and "Traceback" not in said


def command(station: str, folder: Path) -> Callable[[], int]:
    """What the station does."""
    words = STATIONS[station][1]
    if station == "rights withdraw":
        words = ("rights", "withdraw", "--subject", subjects(folder)[0], "--reason", "they wrote a letter")
    if station == "feedback":
        words = ("feedback", "send", "chatcmpl-0", "--intent", "correction", "--text", "lost_card")

    def do() -> int:
        constants(SMALL)
        return whence(*words)

    return do


def template(station: str, templates: Templates) -> Path:
    """The project that the station starts from."""
    name = STATIONS[station][0]
    if name != "answered":
        return templates.folder(name)
    place = templates.work / "template-answered"
    if not place.exists():
        shutil.copytree(templates.folder("ingest"), place)
        code, said, _ = finish(place, _answer, templates.work / "out")
        assert code == 0, said
    return place


def _answer() -> None:
    """One served answer in the record."""
    from datetime import UTC, datetime

    from whence.records import Base, Deployment, Fingerprint, Trace
    from whence.serve.traces import TraceLog
    from whence.store import Store

    store = Store.open(Path(".whence"), Path("whence.key"), actor="breaker@example.org")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    print_ = Fingerprint(weights="b3:0", shapes="sha256:1", tokenizer="sha256:2", template="sha256:3")
    base = store.put(Base(name="base", location="./base", fingerprint=print_))
    lease = store.put(Deployment(release=base, endpoint="http://127.0.0.1", started_at=now, lease_s=1.0))
    kept = TraceLog(store)
    trace = Trace(
        id="chatcmpl-0", deployment=lease, release=base, at=now, duration_s=0.1, prompt_tokens=1, completion_tokens=1,
        finish="stop", consent="none", subject=None, content="",
    )  # fmt: skip
    kept.keep(trace, {"messages": [], "answer": "lost_card", "options": {}})
    kept.flush()


@dataclass(frozen=True, slots=True)
class Trial:
    """A station in a place: what it starts from, what it does, and what that must come to."""

    station: str
    source: Path
    place: Path
    do: Callable[[], int]
    keys: Path
    wanted: dict[str, Any]
    grown: int
    """bytes that the undisturbed work adds to the place"""
    largest: int
    """bytes of the largest file that it leaves"""

    @classmethod
    def of(cls, station: str, templates: Templates, place: Path) -> Trial:
        """Do it undisturbed first."""
        source, calm, keys = template(station, templates), place / "calm", templates.work / f"{station}.key"
        do = command(station, source)
        for again in range(2):  # the second under the keys that the first made
            shutil.rmtree(calm, ignore_errors=True)
            shutil.copytree(source, calm)
            before = os.statvfs(place).f_bfree
            if again:
                shutil.copy(keys, calm / "whence.key")
            code, said, _ = finish(calm, do, keys.with_suffix(".out"))
            assert code in MEANT, said
            shutil.copy(calm / "whence.key", keys)
        grown = max(0, before - os.statvfs(place).f_bfree) * BLOCK
        largest = max(p.stat().st_size for p in (calm / ".whence").rglob("*") if p.is_file())
        wanted = holds(calm)
        shutil.rmtree(calm)
        return cls(station, source, place, do, keys, wanted, grown, largest)

    def run(self, tally: Tally, cramped: Callable[[Path], Callable[[], int]], relieve: Callable[[], None]) -> None:
        """Do it without space, then with space: the record verifies, and the work ends as if nothing had happened."""
        folder, out = self.place / "trial", self.keys.with_suffix(".out")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.source, folder)
        shutil.copy(self.keys, folder / "whence.key")
        code, said, _ = finish(folder, cramped(folder), out)
        relieve()
        refused = code not in MEANT
        tally.tried += 1
        tally.refused += refused
        if refused and (code != 1 or not clear(said)):
            tally.unclear.append(f"exit {code}: {said[-1500:]}")
        tally.findings += findings(folder)
        if refused or STATIONS[self.station][1]:  # a walk may be walked twice; saying it twice is two events
            code, said, _ = finish(folder, self.do, out)
            tally.unequal += [] if code in MEANT else [f"exit {code}: {said[-600:]}"]
        tally.findings += findings(folder)
        tally.unequal += differing(holds(folder), self.wanted)
        shutil.rmtree(folder)


def tight(station: str, templates: Templates, place: Path, count: int, chance: random.Random) -> Tally:
    """`count` trials of a station on the file system at `place`, each with another amount of space left."""
    tally, trial = Tally(station), Trial.of(station, templates, place)
    for number in range(count):
        leave = int(chance.uniform(0, 3 * trial.grown + WORKING_BYTES)) if number else 0

        def cramped(folder: Path, leave: int = leave) -> Callable[[], int]:
            fill(place, leave)
            return trial.do

        trial.run(tally, cramped, (place / "ballast").unlink)
    return tally


def limited(station: str, templates: Templates, count: int, chance: random.Random) -> Tally:
    """`count` trials of a station in processes that may not write a file beyond another size each."""
    tally, trial = Tally(station), Trial.of(station, templates, templates.work)
    for _ in range(count):
        size = int(2 ** chance.uniform(12, trial.largest.bit_length()))

        def small(size: int = size) -> int:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            return trial.do()

        trial.run(tally, lambda folder, small=small: small, lambda: None)
    return tally


def serving(templates: Templates, place: Path, count: int, chance: random.Random) -> Tally:
    """A gateway whose disk fills while clients ask: no answer is given that is not kept, and with space it goes on."""
    tally, folder = Tally("serve"), place / "trial"
    shutil.copytree(templates.folder("release"), folder)
    running = start(folder, gateway.serve, templates.work / "serve.out")
    url = gateway.address(running)
    received: dict[str, str] = {}
    for _ in range(count):
        ballast = fill(place, int(chance.uniform(0, 4)) * BLOCK)
        errors, answers = _asked(folder, url, templates.work, 1.5)
        tally.tried += len(errors) + len(answers)
        tally.refused += len(errors)
        tally.unclear += [error for error in errors if not error.startswith("50")]
        received |= answers
        ballast.unlink()
        time.sleep(0.5)
        errors, answers = _asked(folder, url, templates.work, 0.5)
        tally.unequal += ["an answer with space"] * (len(errors) + (not answers))
        received |= answers
    os.kill(running.pid, signal.SIGTERM)
    if running.wait():
        tally.unequal.append(f"the gateway ended badly: {running.said()[-300:]}")
    gone, wrong, _ = gateway.recovered(folder, received, set())
    tally.unequal += ["a lost answer"] * (gone + wrong)
    tally.findings += findings(folder)
    shutil.rmtree(folder)
    return tally


def _asked(folder: Path, url: str, work: Path, seconds: float) -> tuple[list[str], dict[str, str]]:
    """(errors, answers) of one client in `seconds`."""
    asking: Running = start(folder, partial(gateway.ask_for, url, seconds, work / "asked.json"), work / "ask.out")
    assert asking.wait() == 0, asking.said()
    return gateway.told(work / "asked.json")
