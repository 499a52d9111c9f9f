"""``python -m bench.faults kills --total 200 --seed 1`` · ``full`` · ``damage``: faults, counted, as a table."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.faults import damage, full, kills
from bench.faults.process import prepare
from bench.faults.project import Templates
from bench.machine import describe

FIXTURE = Path(__file__).parents[2] / "tests" / "fixtures" / "store-0.1.0.tar.gz"
SHARES = {"ingest": 0.3, "curate": 0.2, "train": 0.1, "evaluate": 0.1, "serve": 0.15, "rights withdraw": 0.15}


def _templates(args: argparse.Namespace, work: Path) -> Templates:
    """The project to break, and the process to fork from; with ``--light`` nothing is trained in either."""
    prepare(heavy=not args.light)
    if args.light:
        return Templates(work)
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS

    return Templates(work, cached_base(INTENTS))


def run_kills(args: argparse.Namespace, work: Path) -> bool:
    """The table of kills; False where anything was lost."""
    templates = _templates(args, work)
    print(f"# kill -9 at random moments, seed {args.seed} ({describe()})\n{kills.HEAD}", flush=True)
    walks = {station.name: station for station in kills.WALKS}
    fine = True
    names = args.stations or [name for name in SHARES if name in full.LIGHT or not args.light]
    for name in names:
        share = SHARES[name] / sum(SHARES[n] for n in names)
        chance, count = random.Random(f"{args.seed} {name}"), round(args.total * share)
        began = time.monotonic()
        if name in walks:
            tally = kills.walk(walks[name], templates, count, chance)
        else:
            station = kills.served if name == "serve" else kills.withdrawals
            tally = station(templates, count, chance, "ingest" if args.light else "release")
        print(tally.row(), flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s; {tally.findings[:3]} {tally.unequal[:3]}", file=sys.stderr)
        fine &= not (tally.lost or tally.findings or tally.unequal)
    return fine


def run_full(args: argparse.Namespace, work: Path) -> bool:
    """The tables of disks that fill up."""
    templates = _templates(args, work)
    reason, fine = full.mountable(), True
    for way in ("a file system that is full", "files that may grow no further"):
        print(f"\n# {way}, seed {args.seed} ({describe()})\n{full.HEAD}", flush=True)
        names = full.LIGHT if args.light else [*full.STATIONS, "serve"]
        if way.startswith("a file") and reason:
            print(f"not tried: {reason}")
            continue
        for name in args.stations or names:
            chance = random.Random(f"{args.seed} {way} {name}")
            count = args.total if name not in ("train", "evaluate") else max(2, args.total // 5)
            if way.startswith("files"):
                if name == "serve":
                    continue
                tally = full.limited(name, templates, count, chance)
            else:
                with full.disk(work / "disk") as place:
                    trials = full.serving if name == "serve" else partial(full.tight, name)
                    tally = trials(templates, place, count, chance)
            print(tally.row(), flush=True)
            for said in (*tally.unclear[:3], *tally.findings[:3], *tally.unequal[:3]):
                print(f"  {name}: {said}", file=sys.stderr)
            fine &= not (tally.unclear or tally.findings or tally.unequal)
    return fine


def run_damage(args: argparse.Namespace, work: Path) -> bool:
    """The table of damaged files."""
    prepare()
    whole = work / "whole"
    damage.make(whole, FIXTURE)
    print(f"# damaged files, seed {args.seed} ({describe()})\n{damage.HEAD}", flush=True)
    fine = True
    for kind in args.stations or damage.KINDS:
        tally = damage.damage(kind, whole, work, args.total, random.Random(f"{args.seed} {kind}"))
        print(tally.row(), flush=True)
        for said in tally.unnoticed[:5]:
            print(f"  {said}", file=sys.stderr)
        fine &= not tally.unnoticed
    return fine


def _isolated() -> int:
    """This command again, where it may mount."""
    words = [sys.executable, "-m", "bench.faults", *sys.argv[1:]]
    os.environ["WHENCE_ISOLATED"] = "1"
    may = shutil.which("unshare") and not subprocess.run(full.isolated(["true"]), capture_output=True).returncode
    return subprocess.run(full.isolated(words) if may else words, check=False).returncode


def main() -> int:
    """Print the table; exit code 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fault", choices=["kills", "full", "damage"])
    parser.add_argument("--total", type=int, default=200, help="of `full` and `damage`: trials of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stations", nargs="*", help="of `damage`: kinds of file; default: all")
    parser.add_argument("--light", action="store_true", help="no station that needs a model")
    args = parser.parse_args()
    if args.fault == "full" and not os.environ.get("WHENCE_ISOLATED"):
        return _isolated()
    with tempfile.TemporaryDirectory() as work:
        faults = {"kills": run_kills, "full": run_full, "damage": run_damage}
        return 0 if faults[args.fault](args, Path(work)) else 1


if __name__ == "__main__":
    sys.exit(main())
