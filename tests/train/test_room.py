"""The clean room of a rebuild: what is planted outside has no part in it, and what it attests is what is so."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from whence.lifecycle.lines import room_line
from whence.records import Closure, Ref, Unmet
from whence.store import Store, row_set
from whence.store.database import host_of
from whence.train import clean_room, outcome, replay, train
from whence.train.attest import VARIABLE, enter
from whence.train.room import Room, _works
from whence.train.surroundings import packages
from whence.train.wheels import Wheel, found_again, look, name_wheels, named
from whence.train.wheels import packages as packages_in

NAMESPACE = any(
    _works([*words, "true"]) for words in (["unshare", "--net"], ["unshare", "--user", "--map-current-user", "--net"])
)
SITE = sysconfig.get_path("purelib")

REACH = """
import json, os, socket, sys
from whence.train.attest import enter
found = enter(os.environ)
said = {"found": found}
def tried(what, do):
    try:
        do()
        said[what] = "reached"
    except OSError as error:
        said[what] = error.errno
port = int(sys.argv[1])
tried("connect", lambda: socket.create_connection(("127.0.0.1", port), 5))
tried("send", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)))
tried("look up", lambda: socket.getaddrinfo("localhost", port))
mine, theirs = socket.socketpair()
mine.send(b"x")
print(json.dumps(said))
"""


def said(command: list[str], env: dict[str, str]) -> Any:
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def inside(room: Room, code: str, *words: str, **fixed: str) -> Any:
    """What a Python in the room prints."""
    with room.command(("-c", code, *words), fixed) as (command, env):
        return said(command, env)


@pytest.fixture
def room(store: Store) -> Iterator[Room]:
    with clean_room(store, None, None) as made:
        yield made


@pytest.fixture
def listener() -> Iterator[tuple[int, list[Any]]]:
    """(port, who came)."""
    came: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    came.append(server.accept()[1])

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """``program(text)``: an ``unshare`` before the real one on PATH."""

    def plant(text: str) -> None:
        place = tmp_path / "bin" / "unshare"
        place.parent.mkdir()
        place.write_text(f"#!/bin/sh\n{text}\n")
        place.chmod(0o755)
        monkeypatch.setenv("PATH", f"{place.parent}{os.pathsep}{os.environ['PATH']}")

    return plant


# -- network -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not NAMESPACE, reason="this kernel gives nobody a network of their own")
def test_nothing_is_reached_from_a_namespace(room: Room, listener: tuple[int, list[Any]]) -> None:
    port, came = listener
    heard = inside(room, REACH, str(port))
    assert heard["found"] == {"home": "empty", "network": "namespace"}
    assert (heard["connect"], heard["send"]) == (errno.ENETUNREACH, errno.ENETUNREACH)
    assert came == []


def test_the_control_outside_of_the_room_is_reached(listener: tuple[int, list[Any]]) -> None:
    port, came = listener
    heard = said([sys.executable, "-c", REACH, str(port)], {**os.environ})
    assert (heard["found"], heard["connect"], heard["send"], heard["look up"]) == (None, *["reached"] * 3)
    assert len(came) == 1


@pytest.mark.parametrize(
    "text",
    ["echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1", 'while [ "$1" != "${1#--}" ]; do shift; '
     'done; exec "$@"'],
    ids=["refused by the kernel", "says yes and does nothing"],
)  # fmt: skip
def test_where_there_is_no_namespace_a_guard_refuses(
    room: Room, listener: tuple[int, list[Any]], program: Callable[[str], None], text: str
) -> None:
    """The process looks itself: an open network is closed whatever it was told."""
    program(text)
    port, came = listener
    heard = inside(room, REACH, str(port))
    assert heard["found"] == {"home": "empty", "network": "guard"}
    assert [heard[name] for name in ("connect", "send", "look up")] == [errno.ENETUNREACH] * 3
    assert came == []


def test_a_catalogue_over_tcp_is_looked_up_and_told(
    store: Store, listener: tuple[int, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "host", "localhost")
    monkeypatch.setenv("PGPASSWORD", "secret")
    with clean_room(store, None, None) as room:
        heard = inside(room, REACH + "print(json.dumps({**said, 'pg': os.environ['PGPASSWORD']}))", str(listener[0]))
    assert heard["found"] == {"home": "empty", "network": "guard", "catalogue": "over TCP"}
    assert (heard["connect"], heard["look up"], heard["pg"]) == (errno.ENETUNREACH, "reached", "secret")
    line = {**heard["found"], "environment": "installed", "packages": 61}
    assert room_line(line).endswith("empty home; no network but for the catalogue (guard)")


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("sqlite:///x.db", None),
        ("postgresql+psycopg:///db", None),
        ("postgresql+psycopg://u@/db?host=/run/postgresql", None),
        ("postgresql+psycopg://u@/db?host=far.example.org", "far.example.org"),
        ("postgresql+psycopg://u@far.example.org:5433/db", "far.example.org"),
        ("postgresql+psycopg://u@/db?hostaddr=192.0.2.7", "192.0.2.7"),
    ],
)
def test_how_a_catalogue_is_reached(address: str, host: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    engine = sa.create_engine(address)
    assert host_of(engine) == host


# -- home and environment ----------------------------------------------------------------------------------------------

HOME = """
import json, os, sys
from pathlib import Path
from whence.train.attest import enter
found = enter(os.environ)
maps = Path("/proc/self/maps").read_text() if os.path.exists("/proc/self/maps") else ""
print(json.dumps({"found": found, "home": [p.name for p in Path.home().iterdir()], "env": dict(os.environ),
                  "preloaded": "libanl" in maps, "planted": "planted" in sys.modules, "hash": hash("a")}))
"""


def test_nothing_of_the_users_has_a_part(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, modules = tmp_path / "home", tmp_path / "modules"
    (home / ".cache").mkdir(parents=True)
    (home / ".netrc").write_text("machine example.org password secret")
    modules.mkdir()
    (modules / "planted.py").touch()
    (modules / "sitecustomize.py").write_text("import planted")
    for name, value in {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".cache",
        "PYTHONPATH": f"{modules}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "PYTHONHASHSEED": "7",
        "LD_PRELOAD": "libanl.so.1",
        "HF_TOKEN": "secret",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "WHENCE_WHEELS": "sha256:0",
    }.items():
        monkeypatch.setenv(name, str(value))
    outside = said([sys.executable, "-c", HOME], {**os.environ})
    assert (outside["found"], outside["planted"], sorted(outside["home"])) == (None, True, [".cache", ".netrc"])
    assert outside["preloaded"] or sys.platform != "linux"
    heard = inside(room, HOME, PYTHONHASHSEED="0", OMP_NUM_THREADS="3")
    assert (heard["found"]["home"], heard["home"], heard["planted"], heard["preloaded"]) == ("empty", [], False, False)
    env = heard["env"]
    gone = {"XDG_CONFIG_HOME", "LD_PRELOAD", "HF_TOKEN", "WHENCE_WHEELS"}
    assert gone.isdisjoint(env)
    kept = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "3"}
    assert kept.items() <= env.items()
    assert env["HF_HUB_CACHE"] == str(home / ".cache" / "huggingface" / "hub")
    assert heard["hash"] == inside(room, HOME, PYTHONHASHSEED="0")["hash"] != outside["hash"]


def test_a_base_of_the_hub_is_found_where_it_was(
    room: Room, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "hf" / "hub" / "models--org--tiny"
    shutil.copytree(tiny_base, hub / "snapshots" / ("0" * 40))
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("0" * 40)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    code = "import json; from whence.models import load_base; print(json.dumps(str(load_base('org/tiny'))))"
    assert inside(room, code) == str(hub / "snapshots" / ("0" * 40))


def test_a_home_that_is_not_empty_is_attested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whence.train.attest.guard", lambda but: None)  # it would stay for all tests to come
    monkeypatch.setenv("HOME", str(tmp_path))
    assert enter({}) is None
    assert (enter({VARIABLE: ""}) or {})["home"] == "empty"
    (tmp_path / "planted").touch()
    found = enter({VARIABLE: ""}) or {}
    assert found["home"] == "not empty"
    assert "NOT EMPTY" in room_line({**found, "environment": "installed", "packages": 61})


def test_what_a_database_needs_stays_out_where_there_is_none(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    assert not [name for name in inside(room, HOME)["env"] if name.startswith("PG")]


# -- wheels ------------------------------------------------------------------------------------------------------------


def wheel(folder: Path, name: str, version: str = "1.0", needs: str = "", **files: str) -> Path:
    """A real wheel of some text files; ``__`` in a name stands for a dot."""
    folder.mkdir(exist_ok=True)
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    inner = {file.replace("__", "."): text for file, text in files.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{info}/RECORD,,"]
    with zipfile.ZipFile(path, "w") as file:
        for inside_, text in inner.items():
            file.writestr(inside_, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{inside_},sha256={digest},{len(text.encode())}")
        file.writestr(f"{info}/RECORD", "\n".join(lines) + "\n")
    return path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A wheel of each package that decides an adapter's bytes, in the version that is installed, and one that finds
    the files of all that are installed."""
    folder = tmp_path / "wheels"
    for name, version in packages().items():
        if name != "whence":
            wheel(folder, name, version)
    wheel(folder, "everything", everything__pth=SITE)
    return folder


def test_a_folder_of_wheels_is_named_by_digest(store: Store, wheels: Path) -> None:
    blob = name_wheels(store, wheels)
    found = named(store, blob)
    assert found == look(wheels)
    assert {one.sha256 for one in found} == {hashlib.sha256(p.read_bytes()).hexdigest() for p in wheels.iterdir()}
    assert packages_in(found) == packages()
    assert Wheel(file="My_Package.X-1.0+cpu-py3-none-any.whl", sha256="").name == "my-package-x"
    (wheels / found[0].file).rename(wheels / "other-1.0-py3-none-any.whl")
    assert set(found_again(found, wheels)) == {one.sha256 for one in found}, "a name is not what a wheel is"


@pytest.mark.fault
def test_a_missing_and_an_altered_wheel_are_named(store: Store, wheels: Path) -> None:
    blob, (first, second, *_) = name_wheels(store, wheels), look(wheels)
    flip(wheels / first.file)
    (wheels / second.file).unlink()
    with pytest.raises(Unmet) as told, clean_room(store, blob, wheels):
        pass
    assert f"{first.file} is altered; {second.file} is missing" in told.value.found
    assert told.value.found.startswith("2 of ")
    with pytest.raises(Unmet, match="no folder of wheels is named"), clean_room(store, blob, None):
        pass


def test_a_folder_that_is_not_what_is_installed_is_refused(store: Store, wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(Unmet, match="there is no folder"):
        name_wheels(store, tmp_path / "nowhere")
    with pytest.raises(Unmet, match="no wheel is in"):
        name_wheels(store, tmp_path)
    here = packages()["torch"]
    (wheels / f"torch-{here}-py3-none-any.whl").unlink()
    with pytest.raises(Unmet, match=r"torch .* → absent"):
        name_wheels(store, wheels)
    wheel(wheels, "torch", "0.1")
    with pytest.raises(Unmet, match=r"torch .* → 0\.1"):
        name_wheels(store, wheels)
    wheel(wheels, "torch", here)
    with pytest.raises(Unmet, match="several wheels of torch"):
        name_wheels(store, wheels)


ATTEST = """
import json, os, sys
from pathlib import Path
from whence.store import Store, row_set
from whence.train.attest import attest
if len(sys.argv) > 3:
    sys.path.remove(sys.argv[3])
store = Store.open(Path(sys.argv[1]))
import importlib.util
found = attest(store, sys.argv[2])
print(json.dumps({**found, "prefix": sys.prefix, "alpha": bool(importlib.util.find_spec("alpha"))}))
"""


def test_the_environment_is_made_of_the_wheels_and_attested(store: Store, tmp_path: Path) -> None:
    """`everything` lends the files of what is installed. Those come from no wheel, and it is not kept quiet."""
    folder = tmp_path / "wheels"
    wheel(folder, "alpha", needs="beta", alpha__py="")
    wheel(folder, "beta", beta__py="")
    wheel(folder, "everything", everything__pth=SITE)
    blob = store.put_lines({"file": one.file, "sha256": one.sha256} for one in look(folder))
    with clean_room(store, blob, folder) as room:
        lent = inside(room, ATTEST, str(store.root), blob)
        alone = inside(room, ATTEST, str(store.root), blob, SITE)
        other = inside(room, ATTEST, str(store.root), store.put_lines([]), SITE)
    assert not Path(lent["prefix"]).exists()
    assert (lent["environment"], lent["wheels"], lent["whence"], lent["alpha"]) == ("installed", 3, "installed", True)
    assert lent["packages"] > 30
    assert (alone["environment"], alone["wheels"], alone["packages"]) == ("wheels", 3, 3)
    assert (other["environment"], other["wheels"]) == ("installed", 0), "wheels that the closure does not name"
    line = room_line({**alone, "home": "empty", "network": "namespace"})
    assert line == "clean room: 3 wheels by sha256, whence as installed; empty home; no network (namespace)"


@pytest.mark.fault
@pytest.mark.parametrize(
    ("break_", "message"),
    [
        (lambda folder: (folder / "beta-1.0-py3-none-any.whl").unlink(), "beta"),
        (lambda folder: (folder / "everything-1.0-py3-none-any.whl").unlink(), "No module named"),
    ],
    ids=["one that another needs", "those that whence needs"],
)
def test_a_folder_that_is_not_whole_makes_no_environment(
    store: Store, tmp_path: Path, break_: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "wheels"
    wheel(folder, "alpha", needs="beta")
    wheel(folder, "beta")
    wheel(folder, "everything", everything__pth=SITE)
    break_(folder)
    blob = store.put_lines({"file": one.file, "sha256": one.sha256} for one in look(folder))
    with clean_room(store, blob, folder) as room, pytest.raises(Unmet, match=message):
        inside(room, "")


@pytest.mark.fault
def test_pip_looks_at_the_digest_once_more(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheel(folder, "alpha", alpha__py="")
    blob = store.put_lines({"file": one.file, "sha256": one.sha256} for one in look(folder))
    with clean_room(store, blob, folder) as room:
        wheel(folder, "alpha", alpha__py="print('changed meanwhile')")
        with pytest.raises(Unmet, match="cannot be filled from the wheels"):
            inside(room, "")


# -- whole -------------------------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_an_adapter_with_wheels_on_record_is_made_again_from_them(
    store: Store, prepared: Callable[..., Ref], wheels: Path, says: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.root.parent
    (folder / "whence.toml").write_text('[project]\nname = "desk"\nowner = "a"\nwheels = "wheels"\n')
    monkeypatch.chdir(folder)
    run = prepared()
    train(store, run, wheels=wheels)
    done = outcome(store, run)
    assert done
    closure = store.get(done.adapter.closure, Closure)
    assert named(store, str(closure.wheels)) == look(wheels)
    assert "room" not in done.report.facts
    monkeypatch.setattr("whence.train.surroundings.version", lambda name: "9.9")
    plans = [replay(store, run, row_set([ordinal])) for ordinal in store.get_set(str(done.report.set))]
    assert [plan.differing for plan in plans] == [{}] * 24, "what is installed now has no part in it"
    assert any(plan.checkpoint for plan in plans)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    again = says("model", "rebuild", done.adapter_ref, "--json")
    assert (again["outcome"], again["identical"], again["differing"]) == ("pass", True, {})
    room = again["room"]
    assert (room["home"], room["environment"], room["wheels"]) == ("empty", "installed", len(look(wheels)))
    made = outcome(store, again["run"])
    assert made
    assert store.get(made.adapter.closure, Closure).wheels == closure.wheels
    before = store.head(), store.mark()
    lost = look(wheels)[0]
    (wheels / lost.file).unlink()
    assert f"{lost.file} is missing" in says("model", "rebuild", done.adapter_ref, code=1)
    word = f"row:{store.row(0).source}:{store.row(0).record}"
    assert f"{lost.file} is missing" in says("model", "rebuild", done.adapter_ref, "--without", word, code=1)
    assert (store.head(), store.mark()) == before


@pytest.mark.tiny
def test_a_rebuild_tells_of_its_room(
    store: Store, prepared: Callable[..., Ref], says: Callable[..., Any], program: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """And a training that a guard kept from the network gives the same bytes as one that had one."""
    monkeypatch.chdir(store.root.parent)
    run = prepared()
    train(store, run)
    program("exit 1")
    told = " ".join(says("model", "rebuild", outcome(store, run).adapter_ref).split())
    assert "the same bytes" in told
    assert "clean room: environment as installed" in told
    assert "packages by version; empty home; no network (guard)" in told
    assert room_line(None) == "it was not trained in a clean room"


def test_rooms_of_killed_processes_are_swept(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one that somebody is in, nor one that was made just now."""
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp))
    words = "import os, sys; from whence.train import clean_room\n"
    words += "with clean_room(type('S', (), {'host': None}), None, None): print(1, flush=True); sys.stdin.read()"
    env = {**os.environ, "TMPDIR": str(tmp)}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", words], env=env, **pipes) as killed:
        killed.stdout.read(1)
        [left] = tmp.iterdir()
        os.utime(left, (0, 0))
        with clean_room(store, None, None):
            assert left.exists(), "somebody is in it"
        killed.kill()
    young = tmp / "whence-room-young"
    young.mkdir()
    with clean_room(store, None, None):
        assert (left.exists(), young.exists()) == (False, True)
