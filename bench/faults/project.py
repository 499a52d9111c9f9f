"""The project that is broken: the demo's desk, cut to a size at which every station ends in seconds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from bench.faults.process import apart, finish, whence

LINES = {"tickets": 500, "chats": 60}
ITEMS = {"dev": 12, "gate": 60}
RECIPE = "epochs = 1\nbatch_rows = 32\nlearning_rate = 4e-3\nwarmup_steps = 2\nmax_length = 128\ncheckpoint_every = 3\n"
STAGES = ("new", "ingest", "curate", "train", "evaluate", "release")
"""Templates: ``new`` holds files only, each other one is the project after that stage."""


def write_project(folder: Path, base: Path | None) -> None:
    """Sources in four formats with what the demo plants in them, two suites, a short recipe; `base` is copied in
    where something is to be trained."""
    apart(lambda: _generate(folder))
    if base:
        shutil.copytree(base, folder / "tiny-base")
    else:
        (folder / "tiny-base").mkdir()


def _generate(folder: Path) -> None:
    from importlib.resources import files

    from whence.demo.generate import generate

    generate(folder)
    (folder / "truth.json").unlink()
    for name, count in LINES.items():
        _cut(folder / "data" / f"{name}.jsonl", count)
    for name, count in ITEMS.items():
        _cut(folder / "suites" / f"{name}.jsonl", count)
    head, _, tail = files("whence.demo").joinpath("whence.toml").read_text().partition("[recipe]\n")
    gate = tail[tail.index("[[suites]]") :].replace("min_items = 200", "min_items = 30")
    gate = re.sub(r"min_value = .*\n", "", gate)
    (folder / "whence.toml").write_text(f"{head}[recipe]\n{RECIPE}\n{gate}")


def _cut(path: Path, count: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:count]))


def subjects(folder: Path) -> list[str]:
    """The customers of the tickets, in order."""
    found = []
    for line in (folder / "data" / "tickets.jsonl").read_bytes().splitlines():
        try:
            found.append(json.loads(line)["customer"])
        except (ValueError, KeyError, TypeError):
            continue
    return list(dict.fromkeys(found))


class Templates:
    """The project after each stage, made once, copied for each trial."""

    def __init__(self, work: Path, base: Path | None = None) -> None:
        self.work = work
        self._base = base
        work.mkdir(parents=True, exist_ok=True)

    def folder(self, stage: str) -> Path:
        """The project after `stage`; made from the one before where it is not there yet."""
        place = self.work / f"template-{stage}"
        if place.exists():
            return place
        draft = self.work / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        if stage == "new":
            write_project(draft, self._base)
        else:
            shutil.copytree(self.folder(STAGES[STAGES.index(stage) - 1]), draft)
            code, said, _ = finish(draft, lambda: whence("run", "--to", stage), self.work / "draft.out")
            assert code in (0, 2, 4), said
            if stage == "release" and code:
                reason = ("--reason", "it is for the fault set", "--until", "2099-01-01")
                for words in (("ship", "waive", *reason), ("run",)):
                    code, said, _ = finish(draft, lambda words=words: whence(*words), self.work / "draft.out")
                assert code in (0, 2, 4), said
        draft.rename(place)
        return place

    def copy(self, stage: str, name: str) -> Path:
        """A fresh copy of a template."""
        place = self.work / name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder(stage), place)
        return place
