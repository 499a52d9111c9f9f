"""kill -9 at random moments of each station, then: does the record verify, is what was said still there, and does the
same command, run again, end where an undisturbed one ends?"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.faults import gateway
from bench.faults.compare import differing, findings, holds
from bench.faults.process import apart, constants, finish, start, whence
from bench.faults.project import Templates, subjects

SMALL = {"whence.data.rows:BATCH_ROWS": 60}
WITHDRAWN = 25
"""Withdrawals in one process of that station."""


@dataclass(slots=True)
class Tally:
    """What the kills of one station came to."""

    station: str
    kills: int = 0
    ended: int = 0
    """had ended before the kill came"""
    before: int = 0
    """killed before the record had grown"""
    amid: int = 0
    """killed after the record had grown, and before it held all"""
    after: int = 0
    """killed when all was in the record"""
    said: int = 0
    """things that were acknowledged before a kill"""
    lost: int = 0
    """of these, gone"""
    twice: int = 0
    findings: list[str] = field(default_factory=list)
    """by `verify`, right after each kill and at the end"""
    unequal: list[str] = field(default_factory=list)
    """what differs from the undisturbed project, when the command was run again to its end"""
    trials: int = 0
    """projects that were run to their end"""
    left: Counter[str] = field(default_factory=Counter)
    """files by kind that the undisturbed project does not have"""

    def count(self, code: int, now: int, least: int, most: int) -> None:
        """One kill: the exit code, and how many events the record had before the work, now, and would have after it."""
        self.kills += code < 0
        self.ended += code >= 0
        self.before += now <= least
        self.amid += least < now < most
        self.after += now >= most

    def row(self) -> str:
        """A line of the table."""
        during = f"{self.before} before, {self.amid} amid, {self.after} after"
        left = ", ".join(f"{kind} {count}" for kind, count in sorted(self.left.items())) or "none"
        same = "yes" if not self.unequal else f"NO: {', '.join(sorted(set(self.unequal)))}"
        counts = f"{self.lost} of {self.said} | {self.twice} | {len(self.findings)} | {same} | {left}"
        return f"| {self.station} | {self.kills} | {self.ended} | {during} | {counts} |"


HEAD = (
    "| kill -9 in | kills | ended before | the record had grown | acknowledged lost | twice | verify findings "
    "| equal to undisturbed | files left over |\n| --- | ---: | ---: | --- | ---: | ---: | ---: | --- | --- |"
)


@dataclass(frozen=True, slots=True)
class Station:
    """One kind of work: where it starts from, what it does, how it is killed."""

    name: str
    template: str
    words: tuple[str, ...]
    chain: int = 1
    """kills of one project before it is run to its end"""
    lead: float = 0.0
    """share of the undisturbed time that is left out at the start: libraries load"""


WALKS = (
    Station("ingest", "new", ("data", "ingest")),
    Station("curate", "ingest", ("data", "curate")),
    Station("train", "curate", ("run", "--to", "train"), chain=3, lead=0.5),
    Station("evaluate", "train", ("run", "--to", "evaluate"), chain=2),
)


def events(folder: Path) -> int:
    """Events in the record; 0 where there is no store."""

    def count() -> int:
        from bench.faults.compare import opened

        store = opened(folder)
        return store.head()[0] if store else 0

    return apart(count)


def files(folder: Path) -> Counter[str]:
    """Kind of file → how many of it the store has."""
    store = folder / ".whence"
    parts = (p.relative_to(store).parts for p in store.rglob("*") if p.is_file())
    return Counter("/".join(p[:2]) if p[0] == "rows.lance" else p[0] for p in parts)


def walk(station: Station, templates: Templates, kills: int, chance: random.Random) -> Tally:
    """Kill a stage of the walk `kills` times."""
    tally, out = Tally(station.name), templates.work / "out"
    source = templates.folder(station.template)

    def do() -> int:
        constants(SMALL)
        return whence(*station.words)

    calm, keys, took = _undisturbed(station, templates, do)
    wanted = {True: holds(calm), False: holds(calm, keys_too=False)}
    least, most = events(source), len(wanted[True]["events"])
    while tally.kills < kills:
        folder, stages = templates.copy(station.template, "trial"), set()
        keyed = tally.trials % 2 == 0  # else under keys that this project makes itself
        if keyed:
            shutil.copy(keys, folder / "whence.key")
        for _ in range(min(station.chain, kills - tally.kills)):
            running = start(folder, do, out)
            time.sleep(chance.uniform(station.lead * took, took * 1.02))
            tally.count(running.kill(), events(folder), least, most)
            stages |= _ended(running.said())
            tally.findings += findings(folder)
        code, said, _ = finish(folder, do, out)
        if code not in (0, 2, 4):
            tally.unequal.append(f"exit {code}: {said[-400:]}")
        tally.said += len(stages)
        tally.lost += len(stages & _fresh(said))
        tally.findings += findings(folder)
        held = holds(folder, keys_too=keyed)
        tally.unequal += differing(held, wanted[keyed])
        tally.twice += held["twice"]
        tally.left += files(folder) - files(calm)
        tally.trials += 1
    return tally


def _undisturbed(station: Station, templates: Templates, do: Callable[[], int]) -> tuple[Path, Path, float]:
    """(the finished project, its keys, seconds of work). Done twice, under one set of keys."""
    keys = templates.work / f"{station.name}.key"
    times = []
    for _ in range(2):
        calm = templates.copy(station.template, f"calm-{station.name}")
        if keys.exists():
            shutil.copy(keys, calm / "whence.key")
        code, said, took = finish(calm, do, templates.work / "out")
        assert code in (0, 2, 4), said
        shutil.copy(calm / "whence.key", keys)
        times.append(took)
    return calm, keys, min(times)


def _ended(said: str) -> set[str]:
    """Stages that were said to have ended."""
    return {line.split()[0] for line in said.splitlines() if line.endswith((" done", " up to date"))}


def _fresh(said: str) -> set[str]:
    """Stages in which something was done."""
    return {line.split()[0] for line in said.splitlines() if line.endswith(" done")}


def withdrawals(templates: Templates, kills: int, chance: random.Random, template: str = "release") -> Tally:
    """Kill a process that withdraws one customer after the other; what was not said to be done is done again."""
    tally, out = Tally("rights withdraw"), templates.work / "out"
    people = subjects(templates.folder(template))[:WITHDRAWN]
    calm = templates.copy(template, "calm-rights")
    code, said, took = finish(calm, partial(_withdraw, people), out)
    assert code == 0, said
    wanted = apart(partial(_rights, calm))
    while tally.kills < kills:
        folder = templates.copy(template, "trial")
        least, told = events(folder), []
        todo = list(people)
        while todo:
            running = start(folder, partial(_withdraw, todo), out)
            time.sleep(chance.uniform(0, took * 1.02 * len(todo) / len(people)))
            code = running.wait() if tally.kills == kills else running.kill()
            heard = [int(line.split()[1][:-1]) for line in running.said().splitlines() if line.startswith("event ")]
            tally.count(code, now := events(folder), least, least + len(todo))
            least, told = now, told + heard
            todo = todo[len(heard) :]
            tally.findings += findings(folder)
        held = apart(partial(_rights, folder))
        tally.said += len(told)
        tally.lost += len(set(told) - held["events"].keys())
        tally.twice += len(held["events"]) - len(people)
        tally.unequal += [name for name in ("states", "rows") if held[name] != wanted[name]]
        tally.left += files(folder) - files(calm)
        tally.trials += 1
    return tally


def _withdraw(people: list[str]) -> int:
    return max([0, *(whence("rights", "withdraw", "--subject", who, "--reason", f"letter of {who}") for who in people)])


def _rights(folder: Path) -> dict[str, object]:
    from bench.faults.compare import opened
    from whence.govern.rights import states, withdrawn_rows

    store = opened(folder)
    made = {e.seq: e.about for e in store.events("rights.withdraw")}
    return {"states": states(store), "rows": sorted(withdrawn_rows(store)), "events": made}


def served(templates: Templates, kills: int, chance: random.Random, template: str = "release") -> Tally:
    """Kill a gateway that answers four clients; what a client has whole is in the record, and its lease runs out."""
    tally = Tally("serve")
    folder, live = templates.copy(template, "trial"), 0
    received: dict[str, str] = {}
    reacted: set[str] = set()
    for _ in range(kills):
        seconds = chance.uniform(0.1, 2.0)
        before = events(folder)
        code, answers, reactions = gateway.killed(folder, seconds, templates.work)
        received |= answers
        reacted |= reactions
        tally.count(code, events(folder), before, sys.maxsize)
        tally.findings += findings(folder)
        live += gateway.went_silent(folder)
        gone, wrong, twice = gateway.recovered(folder, received, reacted)
        tally.lost, tally.twice = gone, twice
        tally.unequal += ["an answer"] * wrong
        tally.findings += findings(folder)
    tally.said, tally.trials = len(received) + len(reacted), 1
    tally.unequal += ["a lease outlived its gateway"] * live
    return tally
