"""Rows that are kin to evaluation items: planted ones are named by item, tier and evidence; controls are silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from whence.data import CurationPlan, curate
from whence.data.kin import Kin, kin, kin_of
from whence.evaluate import put_suite
from whence.records import Finding, Item, Ref, Row, RunReport, Snapshot, Suite, digest
from whence.store import Store, row_set, verify

Take = Callable[..., RunReport]
Hits = set[tuple[str, str | None, str, str | None]]


def snapshot(store: Store, *reports: RunReport) -> tuple[Ref, Snapshot]:
    plan = CurationPlan(
        name="p", ingests=[one.run for one in reports], steps=[], withdrawn=row_set([]), groups={}, inputs={}
    )
    ref, _ = curate(store, plan)
    return ref, store.get(ref, Snapshot)


def suite(store: Store, *groups: str | None, role: str = "gate", **said: str) -> Suite:
    items = [Item(id=f"i{n}", input=f"question {n}", expected="yes", group=one) for n, one in enumerate(groups)]
    return store.get(put_suite(store, role, role, "exact", items, **said), Suite)  # type: ignore[arg-type]


def row(n: int, **facts: Any) -> dict[str, Any]:
    return {"id": f"r{n}", "prompt": f"something else {n}", "completion": "ok", **facts}


def hits(store: Store, found: Kin) -> Hits:
    """(row, item, tier, the row that it was made from) of each hit."""
    name = lambda ordinal: None if ordinal is None else store.row(ordinal).record  # noqa: E731
    return {(str(name(o["ordinal"])), o["item"], o["tier"], name(o["because"])) for o in found.found.to_pylist()}


def one(store: Store, made: tuple[Ref, Snapshot]) -> Finding:
    [finding] = kin(store, made[0])
    return finding


FACTS = {"id": "id", "subject": "who", "group": "talk", "parents": "of", "inspired_by": "after"}


def test_a_conversation_and_a_person_on_both_sides_are_found(store: Store, take: Take) -> None:
    rows = [row(0, who="ada", talk="t1"), row(1, who="bob", talk="t2"), row(2, who="eve", talk="t3"), row(3)]
    made = snapshot(store, take(rows, **FACTS))
    asked = suite(store, "t1", "t9", "bob", "bob", None)
    found = kin_of(store, made[1], asked)
    assert hits(store, found) == {
        ("r0", "i0", "conversation", None),
        ("r1", "i2", "subject", None),
        ("r1", "i3", "subject", None),
    }
    assert set(found.found["evidence"].to_pylist()) == {store.keys.pseudonym(name) for name in ("t1", "bob")}
    assert (found.grouped, found.named, found.leaked()) == (4, 3, 3)
    finding = one(store, made)
    assert (finding.verdict, finding.severity, finding.statistic, finding.n) == ("fail", "high", 3.0, 5)
    assert finding.message == (
        "gate: of 5 items 3 are kin to rows (1 conversation, 1 items and 1 rows; 1 subject, 2 items and 1 rows); "
        "4 items and 3 of 4 rows name whom or what they are of"
    )
    assert store.get_table(finding.evidence[0]) == found.found
    assert {store.row(o).record for o in store.get_set(str(finding.rows))} == {"r0", "r1"}
    assert not any(name in str(found.found.to_pylist()) for name in ("'t1'", "bob"))


def test_other_people_and_conversations_are_silent(store: Store, take: Take) -> None:
    made = snapshot(store, take([row(n, who=f"p{n}", talk=f"t{n}") for n in range(50)], **FACTS))
    suite(store, *(f"q{n}" for n in range(20)))
    finding = one(store, made)
    assert (finding.verdict, finding.statistic, finding.evidence, finding.rows) == ("pass", 0.0, (), None)
    assert finding.message == (
        "gate: of 20 items 0 are kin to rows; 20 items and 50 of 50 rows name whom or what they are of"
    )


@pytest.mark.parametrize(("said", "tiers"), [({}, 2), ({"groups_are": "subject"}, 1), ({"groups_are": "group"}, 1)])
def test_numbers_that_mean_two_things_meet_only_where_it_is_not_said_which(
    store: Store, take: Take, said: dict[str, str], tiers: int
) -> None:
    made = snapshot(store, take([row(0, who="1", talk="7"), row(1, who="7", talk="2")], **FACTS))
    found = kin_of(store, made[1], suite(store, "7", **said))
    assert len(set(found.found["tier"].to_pylist())) == tiers


def test_rows_made_from_kin_are_kin_though_they_name_nobody(store: Store, take: Take) -> None:
    base = take([row(0, who="ada"), row(1, who="bob"), row(2, after=["gate:i1", "dev:i0"])], "base", **FACTS)
    made = take(
        [row(3, of=["base:r0"]), row(4, of=["r3", "base:r1"]), row(5, of="base:r2"), row(6, of="base:r1"), row(7)],
        "made",
        **FACTS,
    )
    asked = suite(store, "ada", "zoe")
    whole, derived = snapshot(store, base, made), snapshot(store, made)
    direct: Hits = {("r0", "i0", "subject", None), ("r2", "i1", "inspired_by", None)}
    through: Hits = {
        ("r3", "i0", "subject", "r0"),
        ("r4", "i0", "subject", "r0"),
        ("r5", "i1", "inspired_by", "r2"),
    }
    assert hits(store, kin_of(store, whole[1], asked)) == direct | through
    assert hits(store, kin_of(store, derived[1], asked)) == through


def test_rows_inspired_by_items_are_found_whatever_they_say(store: Store, take: Take) -> None:
    rows = [row(0, after="gate:i0"), row(1, after=["gate:i1", "gate:i2"]), row(2, after=[]), row(3, after="gate:i7")]
    made = snapshot(store, take([*rows, row(4, after="gaet:i0")], **FACTS))
    asked = suite(store, None, None, None, None)
    found = kin_of(store, made[1], asked)
    assert hits(store, found) == {
        ("r0", "i0", "inspired_by", None),
        ("r1", "i1", "inspired_by", None),
        ("r1", "i2", "inspired_by", None),
    }
    assert set(found.found["evidence"].to_pylist()) == {"gate:i0", "gate:i1", "gate:i2"}
    assert found.lost == 1
    first, second = kin(store, made[0])
    assert (first.verdict, second.verdict) == ("fail", "abstain")
    assert first.message == (
        "gate: of 4 items 3 are kin to rows (inspired by, 3 items and 2 rows); by person or conversation not known: "
        "no item names one; 1 rows are inspired by items that it does not have (any more)"
    )
    assert second.message == "1 rows are inspired by items of suites that are not known"


def test_what_a_row_was_inspired_by_is_on_record(store: Store, take: Take) -> None:
    report = take([row(0), row(1, after=["gate:i1", "gate:a:b"]), row(2, after=None)], **FACTS)
    assert [store.row(n).inspired_by for n in range(3)] == [(), ("gate:i1", "gate:a:b"), ()]
    assert report.facts["quarantined"] == {}
    assert not list(verify(store))
    again = take([row(3, after=bad) for bad in ("i1", "gate:", ":i1", ["gate:i1", "x"])][:1], "again", **FACTS)
    assert again.facts["quarantined"] == {"value": 1}


def test_a_row_without_it_has_the_digest_that_it_had(store: Store) -> None:
    old = Suite(name="s", role="gate", scorer="exact", items="sha256:00", n=1, root="sha256:00")
    assert digest(old) == "sha256:"
    assert Row(id="b2k1:00", ordinal=0, source="s", record="r", content=None).inspired_by == ()


@pytest.mark.parametrize(
    ("source", "asked", "evidence"),
    [
        ({"republishes": "gate"}, {}, "tickets republishes gate"),
        ({}, {"republishes": "tickets"}, "gate republishes tickets"),
        ({"republishes": "wild"}, {"republishes": "wild"}, "tickets republishes wild, gate republishes wild"),
    ],
)
def test_a_copy_of_where_the_suite_comes_from_is_found(
    store: Store, take: Take, source: dict[str, str], asked: dict[str, str], evidence: str
) -> None:
    made = snapshot(store, take([row(0), row(1)], claims=source, **FACTS), take([row(2, of="tickets:r0")], "b", **FACTS))
    found = kin_of(store, made[1], suite(store, None, None, **asked))
    assert hits(store, found) == {(f"r{n}", None, "republished", "r0" if n == 2 else None) for n in range(3)}
    assert set(found.found["evidence"].to_pylist()) == {evidence}
    finding = one(store, made)
    assert (finding.verdict, finding.statistic) == ("fail", 2.0)
    assert "2 are kin to rows (republished, 2 items and 3 rows)" in finding.message
