"""Items of a suite in training rows: planted ones are named by item and row, everyday ones are not, and a pass says how
blind it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from whence.data import CurationPlan, curate
from whence.data.leaks import leaked, leaks
from whence.evaluate import put_suite
from whence.records import Item, Ref, RunReport, Snapshot
from whence.store import Store, row_set

Take = Callable[..., RunReport]
WORDS = [
    a + b + c
    for a in ("lo", "mi", "ka", "tu", "pe", "sa")
    for b in ("ren", "dal", "vis", "mok", "gur")
    for c in "abcdefghij"
]


def asked(draw: random.Random, count: int = 16) -> str:
    return " ".join(draw.choices(WORDS, k=count))


def snapshot(store: Store, take: Take, rows: list[dict[str, Any]]) -> tuple[Ref, Snapshot]:
    plan = CurationPlan(
        name="p", ingests=[take(rows, id="id").run], steps=[], withdrawn=row_set([]), groups={}, inputs={}
    )
    ref, _ = curate(store, plan)
    return ref, store.get(ref, Snapshot)


def suite(store: Store, texts: list[str], role: str = "gate") -> list[Item]:
    items = [Item(id=f"i{n}", input=text, expected="yes" if n % 2 else "no") for n, text in enumerate(texts)]
    put_suite(store, role, role, "label", items, ["no", "yes"])  # type: ignore[arg-type]
    return items


def row(n: int, text: str, answer: str = "no") -> dict[str, Any]:
    return {"id": f"r{n}", "prompt": text, "completion": answer}


def test_planted_items_are_named_and_others_are_not(store: Store, take: Take) -> None:
    draw = random.Random(3)
    items = suite(store, [asked(draw) for _ in range(60)] + ["hello"])
    texts = [str(item.input) for item in items]
    rows = [row(n, asked(draw)) for n in range(600)] + [row(600 + n, "hello") for n in range(40)]
    rows += [
        row(700, texts[0].upper()),
        row(701, texts[1]),
        row(702, " ".join(texts[2].split()[:12]) + " " + asked(draw, 3)),
    ]
    ref, made = snapshot(store, take, rows)
    [found] = leaks(store, made)
    told = {
        (one["item"], store.row(one["ordinal"]).record): (one["tier"], one["same_answer"])
        for one in found.found.to_pylist()
    }
    assert told[("i0", "r700")] == ("normalised", True)
    assert told[("i1", "r701")] == ("exact", False)
    assert told[("i2", "r702")][1] is True
    assert set(told) == {("i0", "r700"), ("i1", "r701"), ("i2", "r702")}
    assert (found.whole, found.part, found.answered, found.everyday) == (2, 1, 1, 1)
    assert found.recall["verbatim"] == found.recall["recased"] >= 0.95
    [finding] = leaked(store, ref)
    assert (finding.verdict, finding.severity, finding.statistic) == ("fail", "high", 2.0)
    assert finding.message.startswith(
        "gate: of 61 items 2 stand in rows whole, 1 in part (1 with the same answer), 1 have no more than is everyday; "
        "planted here, found: verbatim "
    )
    assert store.get_table(finding.evidence[0]) == found.found
    assert {store.row(o).record for o in store.get_set(str(finding.rows))} == {"r700", "r701", "r702"}


def test_without_leaks_it_says_what_it_would_have_found(store: Store, take: Take) -> None:
    draw = random.Random(4)
    suite(store, [asked(draw) for _ in range(50)])
    suite(store, [asked(draw, 2) for _ in range(50)], "dev")
    ref, _ = snapshot(store, take, [row(n, asked(draw)) for n in range(600)])
    by_name = {one.message.partition(":")[0]: one for one in leaked(store, ref)}
    assert {name: (one.verdict, one.severity) for name, one in by_name.items()} == {
        "gate": ("pass", "high"),
        "dev": ("pass", "low"),
    }
    assert "can be told whole only" in by_name["dev"].message
    assert all("planted here, found: verbatim" in one.message for one in by_name.values())


@pytest.mark.parametrize("texts", [["", " "], ["👍"], ["yes"], ["我要退款"], ["x" * 100_000]])
def test_odd_suites_and_rows_are_no_trouble(store: Store, take: Take, texts: list[str]) -> None:
    items = suite(store, texts)
    ref, _ = snapshot(
        store, take, [row(n, str(item.input) or "empty") for n, item in enumerate(items)] + [row(9, "other")]
    )
    assert [one.check for one in leaked(store, ref)] == ["data.leaks"]
