"""A catalogue in PostgreSQL: two writers, a reader meanwhile, connections that are lost, storage that is not shared.

Everything else is tested there by ``pytest --postgres``, which runs the store's tests again on it."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from whence.records import BackendFailed, Conflict, NotFound, Source, Unmet
from whence.store import Store, verify

Schema = Callable[[], str]
LINES = 400


def start(store: Path, name: str, lines: int = LINES) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("writer.py")
    command = [sys.executable, script, store, store.parent / "whence.key", name, str(lines)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out


def texts(store: Store, source: str) -> list[tuple[str, str]]:
    """(record, content) of each row of a source, in order of record."""
    rows = [row for chunk in store.scan(["source", "record", "content"]) for row in chunk.to_pylist()]
    return sorted((row["record"], row["content"]) for row in rows if row["source"] == source)


@pytest.fixture
def address(postgres: Schema) -> str:
    return postgres()


@pytest.fixture
def shared(tmp_path: Path, address: str) -> Iterator[Store]:
    root = tmp_path / ".whence"
    with contextlib.closing(Store.open(root, create=True, catalogue=address, actor="tester@example.org")) as store:
        yield store


def test_the_store_remembers_where_its_catalogue_lies(shared: Store, address: str) -> None:
    ref = shared.put(Source(name="a", kind="licensed", location="a"))
    with contextlib.closing(Store.open(shared.root)) as again:
        assert again.get(ref, Source).name == "a"
    assert not list(shared.root.glob("catalogue.db*"))
    with pytest.raises(Unmet, match="was asked for"):
        Store.open(shared.root, catalogue=address + "x")
    assert address in (shared.root / "store.json").read_text()


def test_an_address_with_a_password_or_of_another_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unmet, match=r"pgpass"):
        Store.open(tmp_path / "a", create=True, catalogue="postgresql://me:secret@localhost/x")
    with pytest.raises(Unmet, match="mysql"):
        Store.open(tmp_path / "b", create=True, catalogue="mysql://localhost/x")
    for name in ("a", "b"):
        with pytest.raises(NotFound):
            Store.open(tmp_path / name)


@pytest.mark.parametrize(
    ("address", "found"),
    [("rubbish", "'rubbish' is no address"), ("postgresql://h:port/x", "'postgresql://h:port/x' is no address"),
     ("postgres://x/y", "begins with postgres"), ("sqlite:///x.db", "begins with sqlite"),
     ("mysql://me:a@secret@h/x", r"mysql://me:\*\*\*@h/x' begins with mysql")],
)  # fmt: skip
def test_what_is_no_address_is_shown_and_leaves_no_store(tmp_path: Path, address: str, found: str) -> None:
    expected = r"expected: postgresql://HOST/DATABASE(.|\n)*do: .*scheme must be postgresql"
    with pytest.raises(Unmet, match=rf"{found}(.|\n)*{expected}") as said:
        Store.open(tmp_path / "s", create=True, catalogue=address)
    assert "secret" not in str(said.value)
    assert not (tmp_path / "s").exists()


def test_a_server_that_is_not_there_is_named_and_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(BackendFailed, match=r"expected: a server that takes connections(.|\n)*see to PostgreSQL"):
        Store.open(tmp_path / "s", create=True, catalogue=f"postgresql://postgres@/postgres?host={tmp_path}")
    with pytest.raises(NotFound):
        Store.open(tmp_path / "s")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_the_database_cannot_hold_is_refused(shared: Store, text: str) -> None:
    for act in (shared.search, lambda name: shared.latest(Source, name), lambda about: shared.append("a", about)):
        with pytest.raises(Unmet, match="cannot keep"):
            act(text)
    assert verify(shared) == []


# -- writers and readers -----------------------------------------------------------------------------------------------


@pytest.mark.fault
def test_two_writers_at_once_and_a_reader_meanwhile(shared: Store) -> None:
    writers = [start(shared.root, name) for name in ("one", "two")]
    seen = []
    while any(writer.poll() is None for writer in writers):
        with shared.reading():
            rows = shared.committed()
            seen.append((rows, shared.head()[0], len(shared.events())))
        assert sum(chunk.num_rows for chunk in shared.scan(["id"])) >= rows
        time.sleep(0.02)
    assert [ended(writer) for writer in writers] == [(0, ""), (0, "")]
    assert [a for a, _, _ in seen] == sorted(a for a, _, _ in seen)
    assert all(head == events for _, head, events in seen)
    assert len({rows for rows, _, _ in seen}) > 2  # it did read while they wrote
    for name in ("one", "two"):
        assert [record for record, _ in texts(shared, name)] == sorted(str(n) for n in range(LINES))
    assert verify(shared) == []


@pytest.mark.fault
def test_the_lock_of_a_writer_that_was_killed_is_free_and_of_a_stopped_one_is_not(shared: Store) -> None:
    writer = start(shared.root, "one", 3000)
    while not shared.committed():
        time.sleep(0.01)
        assert writer.poll() is None, ended(writer)
    writer.send_signal(signal.SIGSTOP)
    with pytest.raises(Conflict, match=rf"process {writer.pid} on .* \(ingest one"), shared.writer("test", 0.2):
        pass
    writer.kill()
    writer.wait()
    with shared.writer("test", 30, lambda _: None):
        assert shared.rows.count(0, 10_000) == shared.committed()
    assert verify(shared) == []


# -- connections that are lost -----------------------------------------------------------------------------------------


@pytest.mark.fault
def test_connections_ended_by_the_server_at_random_moments(shared: Store, address: str) -> None:
    chance, cut = random.Random(3), 0
    with psycopg.connect(address, autocommit=True) as admin:
        for _ in range(12):
            writer = start(shared.root, "one")
            time.sleep(0.6 + chance.random())
            ours = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            admin.execute(ours)
            code, said = ended(writer)
            assert (code, said) == (0, "") or (code == 3 and "again" in said)
            cut += code == 3
    assert ended(start(shared.root, "one")) == (0, "")
    print(f"{cut} of 12 ingests lost their connection")
    with contextlib.closing(Store.open(shared.root)) as store:
        assert [record for record, _ in texts(store, "one")] == sorted(str(n) for n in range(LINES))
        assert verify(store) == []


class Cutter:
    """Stands between a client and the server, and cuts the connection at the n-th COMMIT: before the server hears of
    it, or after it has committed and before the client hears of that."""

    def __init__(self, folder: Path, server: str, at: int, heard: bool) -> None:
        self._server, self._at, self._heard, self.commits = server, at, heard, 0
        self._answered = threading.Event()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(folder / ".s.PGSQL.5432"))
        self.listening.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._between, args=(self.listening.accept()[0],), daemon=True).start()

    def _between(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()
            with contextlib.suppress(OSError):
                self._forward(client, server)
            for side in (client, server):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(1 << 16):
            self.commits += b"COMMIT" in data
            if b"COMMIT" in data and self.commits == self._at:
                if self._heard:
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(data)
                    self._answered.wait(10)
                return
            server.sendall(data)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if self.commits >= self._at:
                    self._answered.set()
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@pytest.mark.fault
@pytest.mark.parametrize("heard", [False, True], ids=["before the commit", "after it, unheard"])
def test_a_connection_lost_in_the_middle_of_a_commit(tmp_path: Path, address: str, heard: bool) -> None:
    server = re.sub(r".*host=([^&]*).*", r"\1", address) + "/.s.PGSQL.5432"
    for at in (2, 5, 7):
        folder = tmp_path / f"p{at}"
        folder.mkdir()
        root = folder / ".whence"
        with contextlib.closing(Store.open(root, create=True, catalogue=_schema(address, f"cut{at}_{heard}"))) as store:
            marker = (root / "store.json").read_text()
            cutter = Cutter(folder, server, at, heard)
            (root / "store.json").write_text(re.sub(r"host=[^&]*", f"host={folder}", marker))
            code, said = ended(start(root, "one", 200))
            assert cutter.commits >= at
            assert code == 3
            assert "connection to the catalogue failed" in said
            assert verify(store) == []
            cutter.listening.close()
            (root / "store.json").write_text(marker)
            assert ended(start(root, "one", 200)) == (0, "")
            assert [record for record, _ in texts(store, "one")] == sorted(str(n) for n in range(200))
            assert verify(store) == []


def _schema(address: str, name: str) -> str:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name.lower()}")
    return re.sub(r"search_path%3D\w+", f"search_path%3D{name.lower()}", address)


# -- storage that is not shared ----------------------------------------------------------------------------------------


def test_a_second_folder_with_the_same_catalogue_is_refused(shared: Store, address: str, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="not its folder"):
        Store.open(tmp_path / "elsewhere", create=True, catalogue=address)
    with pytest.raises(NotFound):
        Store.open(tmp_path / "elsewhere")
    assert verify(shared) == []


@pytest.mark.fault
def test_a_copy_of_the_folder_that_lags_behind_is_refused(shared: Store, tmp_path: Path) -> None:
    assert ended(start(shared.root, "one", 60)) == (0, "")
    copy = tmp_path / "other machine" / ".whence"
    shutil.copytree(shared.root, copy)
    shutil.copy(tmp_path / "whence.key", copy.parent)
    with contextlib.closing(Store.open(copy)) as same:  # control: while it holds the same rows it is as good
        assert verify(same) == []
    assert ended(start(shared.root, "two", 60)) == (0, "")
    code, said = ended(start(copy, "three", 60))
    assert code == 3
    assert "rows 110 to 119 are not all in it" in said
    assert verify(shared) == []
