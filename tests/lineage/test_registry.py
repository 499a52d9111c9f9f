"""The registry that is kept on a shelf says what the records say, whatever happens to the shelf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lineage.world import build
from whence.lineage import Made, ingests_of, registry, releases_of, sources_of
from whence.records import Adapter, Closure, Run, RunReport, Snapshot
from whence.store import Store


def told(store: Store) -> list[Made]:
    """The same from the records themselves."""
    reports = {report.run: report for _, report in store.all(RunReport)}
    found = []
    for ref, adapter in store.all(Adapter):
        closure, report = store.get(adapter.closure, Closure), reports.get(adapter.run)
        at = report and report.started_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        python = report.conditions.python if report and report.conditions else None
        clean = None if closure.code_clean is None else str(int(closure.code_clean))
        found.append(Made(ref, adapter.name, adapter.weights, adapter.run, closure.base, closure.snapshot,
                          closure.environment, closure.code_commit, clean, at, python))  # fmt: skip
    return found


def later(store: Store, name: str, report: bool = True) -> Adapter:
    """One more adapter, like the first."""
    _, first = store.all(Adapter)[0]
    run = store.put(Run(activity="adopt", used=(), inputs={"name": name}))
    closure = replace(store.get(first.closure, Closure), code_commit=name, code_clean=False)
    made = replace(first, name=name, run=run, closure=store.put(closure))
    store.put(made)
    if report:
        store.put(RunReport(run=run, started_at=datetime(2026, 1, 1, tzinfo=UTC), duration_s=0.0, cpu_s=0.0))
    return made


def test_it_says_what_the_records_say_also_of_what_comes_later(store: Store, take: Callable[..., RunReport]) -> None:
    assert registry(store) == []
    build(store, take)
    assert registry(store) == told(store) == registry(store)
    made = later(store, "late", report=False)
    assert registry(store) == told(store)
    assert registry(store)[-1].made_at is None
    store.put(RunReport(run=made.run, started_at=datetime(2026, 2, 1, tzinfo=UTC), duration_s=0.0, cpu_s=0.0))
    assert registry(store) == told(store)
    assert registry(store)[-1].made_at
    store.put(replace(made, name="same closure again"))
    assert registry(store) == told(store)


@pytest.mark.parametrize("harm", ["gone", "empty", "cut", "of another store", "a folder"])
def test_a_shelf_that_is_harmed_is_made_again(store: Store, take: Callable[..., RunReport], harm: str) -> None:
    build(store, take)
    registry(store)
    file = store.root / "index/adapters.arrow"
    assert file.stat().st_mode & 0o077 == 0
    whole = file.read_bytes()
    file.unlink()
    if harm == "empty":
        file.write_bytes(b"")
    elif harm == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif harm == "of another store":
        store.shelf("adapters", Made._fields).write([3, 1, 1, 1], [("x",) * len(Made._fields)])
    elif harm == "a folder":
        file.mkdir()
    assert registry(store) == told(store) == registry(store)


def test_sources_of_a_snapshot_reach_through_its_parents(store: Store, take: Callable[..., RunReport]) -> None:
    a, b = take([{"text": "one"}], "a"), take([{"text": "two"}], "b")
    parts = {"rows": 1, "root": "tree64:0", "set": store.blobs.put(b""), "steps": ()}
    first = store.put(Snapshot(name="first", parents=(a.run,), **parts))
    second = store.put(Snapshot(name="second", parents=(first, b.run), **parts))
    assert sources_of(store) == {first: ("a",), second: ("a", "b")}
    assert {name: run.activity for name, run in ingests_of(store).items()} == {"a": "ingest", "b": "ingest"}
    newest = take([{"text": "one"}, {"text": "three"}], "a")
    assert ingests_of(store)["a"] == store.get(newest.run, Run)


def test_releases_are_by_adapter(store: Store, take: Callable[..., RunReport]) -> None:
    world = build(store, take)
    assert releases_of(store)[world.adapters["m1"]] == [(world.releases["m1"], "m1@1")]
    assert world.adapters["m2"] not in releases_of(store)
