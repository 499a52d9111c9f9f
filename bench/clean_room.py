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
from whence.lifecycle.rebuild import Rebuilt
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
            first = recorded(w.store, w.store.get(adapter).run)
            assert first
            print(
                f"trained: {time.monotonic() - started:.0f} s, of these the process {first.report.duration_s:.0f}",
                flush=True,
            )
            row = max(w.store.get_set(str(first.report.set)))
            one = w.store.row(row)
            for without in ((), (f"row:{one.source}:{one.record}",)):
                started = time.monotonic()
                made = w.model.rebuild(adapter, without=without, prove=bool(without))
                took = time.monotonic() - started
                runs = [made.run] if isinstance(made, Rebuilt) else [made.run, made.proof.run if made.proof else None]
                inside = sum(recorded(w.store, run).report.duration_s for run in runs if run)
                what = "without one row, and from the start" if without else "again"
                print(
                    f"{what}: {made.outcome}, {took:.0f} s, of these the processes {inside:.0f}; {room_line(made.room)}"
                )
                print(
                    f"  conditions differing: {getattr(made, 'differing', None) or made.plan.differing if without else made.differing}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
