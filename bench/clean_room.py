"""The clean room: a training made again in an environment of wheels, without home and network, byte for byte.

    python -m bench.clean_room --wheels FOLDER

FOLDER holds the wheels of what is installed; where there is none it is filled with `pip download`. The demo's generated
project is trained with it, then made again in the room, and once more without one source, with the proof. CPU and wall
seconds; the room's own are those of its environment.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import whence
from bench.machine import describe
from bench.unlearning import project
from whence.lifecycle.lines import room_line
from whence.lifecycle.rebuild import Rebuilt, Replayed
from whence.records import RunReport
from whence.train import recorded

HERE = Path(__file__).parents[1]


def fill(folder: Path) -> None:
    """What the training extra needs, in the versions that are installed."""
    said = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    wanted = [*said["dependencies"], *said["optional-dependencies"]["train"]]
    here = {one.metadata["Name"].lower(): one.version for one in distributions()}
    with tempfile.TemporaryDirectory() as place:
        fixed = Path(place) / "constraints.txt"
        fixed.write_text("".join(f"{n}=={v}\n" for n, v in sorted(here.items()) if n != "whence"))
        how = ("--only-binary", ":all:", "--quiet", "-d", str(folder), "-c", str(fixed))
        subprocess.run([sys.executable, "-m", "pip", "download", *how, *wanted], check=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True)
    wheels = parser.parse_args().wheels.resolve()
    if not wheels.is_dir():
        fill(wheels)
    files = list(wheels.glob("*.whl"))
    print(f"# clean room: the generated desk ({describe()})")
    print(f"{len(files)} wheels, {sum(one.stat().st_size for one in files) / 1e6:,.0f} MB", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = project(Path(place) / "desk", 0, 20)
        file = folder / "whence.toml"
        file.write_text(file.read_text().replace("[project]\n", f'[project]\nwheels = "{wheels}"\n', 1))
        with whence.open(folder, create=True, actor="bench@example.org") as w:
            started = time.monotonic()
            adapter = w.run("train").adapter
            assert adapter
            _say("trained", time.monotonic() - started, [_report(w, w.store.get(adapter).run)])
            started = time.monotonic()
            again = w.model.rebuild(adapter)
            assert isinstance(again, Rebuilt)
            _say(f"again: {again.outcome}", time.monotonic() - started, [_report(w, again.run)])
            late = _late(w, adapter)
            started = time.monotonic()
            made = w.model.rebuild(adapter, without=[late], prove=True)
            assert isinstance(made, Replayed)
            assert made.run
            assert made.proof
            reports = [_report(w, run) for run in (made.run, made.proof.run)]
            what = f"without one row, from step {made.plan.from_step} of {made.plan.steps}, and from the start"
            _say(f"{what}: {made.outcome}", time.monotonic() - started, reports)


def _report(w: whence.Session, run: str) -> RunReport:
    done = recorded(w.store, run)
    assert done
    return done.report


def _say(what: str, took: float, reports: list[RunReport]) -> None:
    print(f"{what}; {took:.0f} s, of these the training processes {sum(one.duration_s for one in reports):.0f}")
    for one in reports:
        print(f"  {room_line(one.facts.get('room'))}; {one.cpu_s:.0f} CPU s", flush=True)


def _late(w: whence.Session, adapter: str) -> str:
    """A row that is first fed late."""
    rows = sorted(w.store.get_set(str(_report(w, w.store.get(adapter).run).set)))[:40]
    names = [f"row:{one.source}:{one.record}" for one in map(w.store.row, rows)]
    plans = [w.model.rebuild(adapter, without=[name], estimate=True) for name in names]
    return max(zip(plans, names, strict=True), key=lambda one: one[0].plan.first_step or 0)[1]


if __name__ == "__main__":
    main()
