"""A training with the callback, and its spool brought into the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from whence.lifecycle.spool import Spooled, adopt_spool
from whence.records import Json, Row, RunReport
from whence.store import Store
from whence.verbs.session import Silent


@pytest.fixture
def trained(tiny_base: Path, tmp_path: Path) -> Callable[..., Path]:
    """``trained(kind, rows, …)`` trains with the callback, where there is no store, and returns the spool."""
    from tests.hooks.trainings import trainer

    from whence.hooks import WhenceCallback

    def _trained(kind: str, rows: Sequence[Json], *, told: Json = None, out: str = "desk", **changes: Any) -> Path:
        callback = WhenceCallback(project=tmp_path / "nowhere", **told or {})
        trainer(kind, tiny_base, tmp_path / out, rows, [callback], **changes).train()
        return max((tmp_path / out).parent.joinpath("whence-spool").glob("2*"))

    return _trained


@pytest.fixture
def adopted(store: Store) -> Callable[..., tuple[Spooled, RunReport]]:
    """``adopted(spool)`` brings a spool in."""

    def _adopted(spool: Path, **how: Any) -> tuple[Spooled, RunReport]:
        came = adopt_spool(store, spool, Silent(), **how)
        reports = [report for _, report in store.all(RunReport) if report.run == came.run]
        return came, reports[-1]

    return _adopted


def fed_rows(store: Store, report: RunReport) -> list[Row]:
    """The rows that a run was fed."""
    assert report.set is not None
    return [store.row(ordinal) for ordinal in store.get_set(report.set)]


def jsonl(path: Path, rows: Sequence[Json]) -> Path:
    """Write a data file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
