"""Blast radius against a closure that is walked one thing at a time, over histories that nobody thought of: rows made
from rows, models that wrote rows, that were merged, that taught each other; deployments that ended. No row is listed
that need not be, and none is missing."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import PRINT

from whence.lineage import blast_radius
from whence.records import Adapter, Base, Closure, Deployment, Ref, Release, Run, RunReport, Snapshot
from whence.serve.leases import end, running
from whence.store import RowSet, Store, batch, row_set

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROWS = 24
MODELS = 5


def histories() -> st.SearchStrategy[dict[str, Any]]:
    some_rows = st.sets(st.integers(0, ROWS - 1), max_size=ROWS)
    model = st.fixed_dictionaries(
        {
            "listed": some_rows,
            "fed": st.none() | some_rows,
            "composed": st.sets(st.integers(0, MODELS - 1), max_size=2),
            "taught": st.sets(st.integers(0, MODELS - 1), max_size=2),
            "released": st.booleans(),
            "served": st.integers(0, 2),  # never, ended, running
        }
    )
    return st.fixed_dictionaries(
        {
            "parents": st.lists(st.sets(st.integers(0, ROWS), max_size=2), min_size=ROWS, max_size=ROWS),
            "writers": st.lists(st.none() | st.integers(0, MODELS), min_size=ROWS, max_size=ROWS),
            "models": st.lists(model, min_size=MODELS, max_size=MODELS),
            "asked": some_rows,
            "review": some_rows,
            "calls": st.sampled_from(["digest", "release", "alias"]),
        }
    )


class Told:
    """A history as it was put into a store, and as plain sets."""

    def __init__(self, store: Store, drawn: dict[str, Any]) -> None:
        self.store = store
        self.parents = [{p % n for p in drawn["parents"][n]} if n else set() for n in range(ROWS)]
        self.models = drawn["models"]
        self.ids: list[Ref] = []
        self.snapshots: list[Ref] = []
        self.deployments: dict[int, Ref] = {}
        self.wrote: dict[int, set[int]] = {}
        for number, model in enumerate(self.models):  # only models made before can be in one
            model["composed"] = {m for m in model["composed"] if m < number}
            model["taught"] = {m for m in model["taught"] if m < number} - model["composed"]
        self._rows(drawn)
        for number in range(MODELS):
            self._model(number)

    def _rows(self, drawn: dict[str, Any]) -> None:
        """Rows may name a model that is made only later: models that teach each other."""
        names = []
        for ordinal, writer in enumerate(drawn["writers"]):
            known = writer is not None and writer < MODELS and self.models[writer]["released"]
            names.append(None if writer is None else f"m{writer}@1" if known else "somebody-else")
            if known:
                self.wrote.setdefault(writer, set()).add(ordinal)
        if drawn["calls"] == "alias":
            names = [name and name.replace("@1", "") for name in names]
        columns = [
            [bytes([n]) * 32 for n in range(ROWS)], ["s"] * ROWS, [str(n) for n in range(ROWS)], ["text"] * ROWS,
            ["{}"] * ROWS, [bytes([n]) * 32 for n in range(ROWS)], [None] * ROWS, [None] * ROWS, ["MIT"] * ROWS,
            [None] * ROWS, [sorted(p) for p in self.parents], names, [None] * ROWS,
        ]  # fmt: skip
        with self.store.writer("test"):
            self.store.add_rows(batch(columns), "s")
            self.store.settle()

    def _model(self, number: int) -> None:
        store, model = self.store, self.models[number]
        base = store.put(Base(name="base", location="./base", fingerprint=PRINT))
        listed = row_set(model["listed"])
        snapshot = store.put(
            Snapshot(name=f"s{number}", rows=len(listed), root=f"sha256:{number}", set=store.put_set(listed), steps=())
        )
        run = store.put(Run(activity="train", used=(base, snapshot), inputs={"name": str(number)}))
        fed = None if model["fed"] is None else store.put_set(row_set(model["fed"] & model["listed"]))
        store.put(RunReport(run=run, started_at=NOW, duration_s=1.0, cpu_s=1.0, set=fed))
        closure = Closure(
            base=base, snapshot=snapshot, recipe=None, code_commit=None, code_clean=None, environment=None,
            composed_of=tuple(self.ids[m] for m in sorted(model["composed"])) or None,
            teachers=tuple(self.ids[m] for m in sorted(model["taught"])) or None,
        )  # fmt: skip
        adapter = Adapter(
            name=f"m{number}", closure=store.put(closure), run=run, weights=f"b3:{number}", config="sha256:c",
            base=PRINT, location=f"adapters/{number}", bytes=1,
        )  # fmt: skip
        self.ids.append(store.put(adapter))
        self.snapshots.append(snapshot)
        if model["released"]:
            release = store.put(Release(name=f"m{number}@1", adapter=self.ids[-1], verdict=None))
            store.append("alias.moved", f"alias:m{number}", {"release": release, "name": f"m{number}@1"})
            if model["served"]:
                made = store.put(Deployment(release=release, endpoint=f"e{number}", started_at=NOW, lease_s=60))
                store.append("deployment.started", made, {"release": release})
                self.deployments[number] = made
                if model["served"] == 1:
                    end(store, [made])

    # -- one thing at a time -----------------------------------------------------------------------------------------

    def below(self, rows: set[int]) -> set[int]:
        """Rows made from these, at any depth, these included."""
        found = set(rows)
        while more := {n for n in range(ROWS) if n not in found and self.parents[n] & found}:
            found |= more
        return found

    def fed(self, number: int) -> set[int]:
        model = self.models[number]
        return model["listed"] if model["fed"] is None else model["fed"] & model["listed"]

    def behind(self, numbers: set[int]) -> set[int]:
        """Models that these stand on, these included."""
        found = set(numbers)
        while True:
            more = {m for n in found for m in self.models[n]["composed"] | self.models[n]["taught"]}
            more |= {w for n in found for w, wrote in self.wrote.items() if self.fed(n) & self.below(wrote)}
            if more <= found:
                return found
            found |= more

    def reached(self, rows: set[int], looked: set[int]) -> tuple[dict[int, tuple[int, int]], set[int]]:
        """(model → (rows, rows that a reached model wrote), all rows that a reached model wrote)."""
        found: dict[int, tuple[int, int]] = {}
        written: set[int] = set()
        while True:
            now = {}
            for number in looked:
                bad, mediated = len(self.fed(number) & rows), len(self.fed(number) & written)
                models = self.models[number]["composed"] | self.models[number]["taught"]
                if bad or mediated or models & found.keys() or models & now.keys():
                    now[number] = (bad, mediated)
            wrote = self.below({r for m in now for r in self.wrote.get(m, set())}) - rows
            if now == found and wrote == written:
                return found, written
            found, written = now, wrote


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("closures")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=histories())
def test_exactly_what_a_walk_one_by_one_finds(folders: Path, drawn: dict[str, Any]) -> None:
    number = sum(1 for _ in folders.iterdir())
    with contextlib.closing(Store.open(folders / f"{number}" / ".whence", create=True, actor="t@example.org")) as store:
        told = Told(store, drawn)
        asked, review = row_set(drawn["asked"]), row_set(drawn["review"] - drawn["asked"])
        every = told.below(drawn["asked"] | drawn["review"])
        certain = told.below(drawn["asked"])
        live = {n for n, d in told.deployments.items() if d in running(store)}
        for behind, looked in ((None, set(range(MODELS))), (running(store), told.behind(live))):
            blast = blast_radius(store, asked, review, behind=behind)
            found, written = told.reached(every, looked)
            assert listed(blast.direct | blast.derived) == every
            assert listed(blast.review) == every - certain
            assert listed(blast.mediated) == written
            assert {told.ids.index(ref): (one.rows, one.mediated) for ref, one in blast.adapters.items()} == found
            assert {told.ids.index(ref): one.review for ref, one in blast.adapters.items()} == {
                n: len(told.fed(n) & (every - certain)) for n in found
            }
            served = {n for n in found if n in told.deployments and (behind is None or n in live)}
            assert set(blast.deployments) == {told.deployments[n] for n in served}
            holding = {n for n in looked if told.models[n]["listed"] & (every | written)}
            assert {told.snapshots.index(ref) for ref in blast.snapshots} == holding


def listed(rows: RowSet) -> set[int]:
    return set(rows)
