"""Rows that are kin to evaluation items: planted ones are named by item, tier and evidence; controls are silent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pytest

import whence
from whence.data import CurationPlan, curate
from whence.data.kin import Kin, kin, kin_of
from whence.evaluate import put_suite
from whence.records import Finding, Item, Ref, RunReport, Snapshot, Source, Suite, digest
from whence.store import Store, batch, erase, row_set, verify

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
        "gate: 3 of 5 items kin to rows (1 conversation: 1 item, 1 row; 1 subject: 2 items, 1 row); "
        "4 items and 3 of 4 rows name whom or what they are of; do: whence data drop --leaks"
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
        "gate: 0 of 20 items kin to rows; 20 items and 50 of 50 rows name whom or what they are of"
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
        "gate: 3 of 4 items kin to rows (inspired by: 3 items, 2 rows); by person or conversation not known: "
        "no item names one; 1 row inspired by items that it does not have (any more); do: whence data drop --leaks"
    )
    assert second.message == "1 row inspired by items of suites that are not known"


def test_what_a_row_was_inspired_by_is_on_record(store: Store, take: Take) -> None:
    report = take([row(0), row(1, after=["gate:i1", "gate:a:b"]), row(2, after=None)], **FACTS)
    assert [store.row(n).inspired_by for n in range(3)] == [(), ("gate:i1", "gate:a:b"), ()]
    assert report.facts["quarantined"] == {}
    faulty = [row(n, after=bad) for n, bad in enumerate(("i1", "gate:", ":i1", ["gate:i1", "x"], {"gate": "i1"}))]
    assert take([*faulty, row(9, after="gate:i1")], "again", **FACTS).facts["quarantined"] == {"value": 5}
    assert not verify(store)
    erase(store, "case:1", row_set([0, 3]))
    assert [store.row(n).inspired_by for n in range(4)] == [(), ("gate:i1", "gate:a:b"), (), ("gate:i1",)]
    assert not verify(store)


def test_what_was_recorded_without_it_keeps_its_digest(store: Store, take: Take) -> None:
    """By the version before, of the same records; and a row file without the column is read, and written to."""
    old = Suite(name="s", role="gate", scorer="exact", items="sha256:00", n=1, root="sha256:00")
    assert digest(old) == "sha256:c1ec786a42b58372ee930aa930c0d67f7c959e7969c104dcb0172cb41bdff702"
    source = Source(name="s", kind="scraped", location="x", part_of="y")
    assert digest(source) == "sha256:9fb335495fc6c97990627aef91c28c81f45ab5fc48e13ee8f4b5fc1fa45fdca3"
    first = take([row(0, who="ada")], **FACTS)
    lance.dataset(str(store.root / "rows.lance")).drop_columns(["inspired_by"])
    asked = suite(store, "ada", "bob")
    assert not verify(store)
    assert hits(store, kin_of(store, snapshot(store, first)[1], asked)) == {("r0", "i0", "subject", None)}
    later = take([row(1, after="gate:i1")], "later", **FACTS)
    assert hits(store, kin_of(store, snapshot(store, first, later)[1], asked)) == {
        ("r0", "i0", "subject", None),
        ("r1", "i1", "inspired_by", None),
    }
    assert not verify(store)


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
    made = snapshot(
        store, take([row(0), row(1)], claims=source, **FACTS), take([row(2, of="tickets:r0")], "b", **FACTS)
    )
    found = kin_of(store, made[1], suite(store, None, None, **asked))
    assert hits(store, found) == {(f"r{n}", None, "republished", "r0" if n == 2 else None) for n in range(3)}
    assert set(found.found["evidence"].to_pylist()) == {evidence}
    finding = one(store, made)
    assert (finding.verdict, finding.statistic) == ("fail", 2.0)
    assert "2 of 2 items kin to rows (republished: 2 items, 3 rows)" in finding.message


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ({"part_of": "bank"}, {"part_of": "bank"}),
        ({}, {"part_of": "tickets"}),
        ({"part_of": "gate"}, {}),
        ({"republishes": "train", "part_of": "bank"}, {"part_of": "bank"}),
    ],
)
def test_a_split_of_the_same_is_told_of_and_is_no_leak(
    store: Store, take: Take, source: dict[str, str], asked: dict[str, str]
) -> None:
    made = snapshot(store, take([row(0, who="ada"), row(1)], claims=source, **FACTS))
    found = kin_of(store, made[1], suite(store, "bob", **asked))
    assert (found.found.num_rows, found.splits) == (0, {"tickets": 2})
    finding = one(store, made)
    assert finding.verdict == "pass"
    assert finding.message.endswith("; a split of the same source, which is no leak by itself: tickets (2 rows)")


def test_a_suite_and_a_source_of_one_name_are_not_therefore_the_same(store: Store, take: Take) -> None:
    made = snapshot(store, take([row(0, who="ada")], "gate", claims={"part_of": "bank"}, **FACTS))
    found = kin_of(store, made[1], suite(store, "bob"))
    assert (found.found.num_rows, found.splits) == (0, {})
    found = kin_of(store, made[1], suite(store, "bob", republishes="gate"))
    assert found.found["evidence"].to_pylist() == ["gate republishes gate"]


def test_claims_that_go_in_a_circle_end(store: Store, take: Take) -> None:
    made = snapshot(
        store,
        take([row(0)], "a", claims={"republishes": "b"}, **FACTS),
        take([row(1)], "b", claims={"republishes": "a"}, **FACTS),
    )
    assert kin_of(store, made[1], suite(store, None)).found.num_rows == 0
    assert kin_of(store, made[1], suite(store, None, republishes="a")).found.num_rows == 2


@pytest.mark.parametrize(
    ("groups", "facts", "why"),
    [
        ((None, None), {"who": "ada"}, "no item names one"),
        (("ada", None), {}, "no row names one"),
        ((None,), {}, "no item names one"),
        ((), {"who": "ada"}, "no item names one"),
    ],
)
def test_what_cannot_be_known_is_no_pass(
    store: Store, take: Take, groups: tuple[str | None, ...], facts: dict[str, str], why: str
) -> None:
    made = snapshot(store, take([row(0, **facts)], **FACTS))
    if groups:
        suite(store, *groups)
    else:
        store.put(Suite(name="gate", role="gate", scorer="exact", items=store.put_lines([]), n=0, root="sha256:00"))
    finding = one(store, made)
    assert finding.verdict == "abstain"
    assert finding.message == (
        f"gate: 0 of {len(groups)} item{'s' * (len(groups) != 1)} kin to rows; "
        f"by person or conversation not known: {why}"
    )


def test_people_are_not_known_where_items_are_said_to_name_people_and_rows_name_conversations(
    store: Store, take: Take
) -> None:
    made = snapshot(store, take([row(0, talk="t1")], **FACTS))
    suite(store, "t1", groups_are="subject")
    assert one(store, made).verdict == "abstain"


def test_a_dev_suite_holds_nothing_up_and_parts_of_a_suite_are_not_asked(store: Store, take: Take) -> None:
    made = snapshot(store, take([row(0, who="ada")], **FACTS))
    suite(store, "ada", role="dev")
    put_suite(store, "gate/part", "gate", "exact", [Item(id="i0", input="?", expected="!", group="ada")])
    finding = one(store, made)
    assert (finding.verdict, finding.severity, finding.statistic) == ("fail", "low", 1.0)


def test_nothing_is_said_without_suites_or_of_other_things(store: Store, take: Take) -> None:
    ref, _ = snapshot(store, take([row(0)], **FACTS))
    assert list(kin(store, ref)) == []
    asked = put_suite(store, "gate", "gate", "exact", [Item(id="i", input="?", expected="!")])
    assert list(kin(store, asked)) == []


@pytest.mark.parametrize("items", [3, 700])
def test_one_conversation_over_all_rows_is_as_many_hits_as_the_longer_side_has(
    store: Store, take: Take, items: int
) -> None:
    made = snapshot(store, take([row(n, talk="same") for n in range(500)], **FACTS))
    found = kin_of(store, made[1], suite(store, *["same"] * items)).found
    assert found.num_rows == max(500, items)
    assert (len(set(found["ordinal"].to_pylist())), len(set(found["item"].to_pylist()))) == (500, items)


def test_a_hundred_thousand_rows(store: Store) -> None:
    count, draw = 100_000, np.random.default_rng(1)
    people = [store.keys.pseudonym(f"p{n}") for n in range(2000)]
    who, talks = draw.integers(0, 4000, count).tolist(), draw.integers(0, 50_000, count).tolist()
    parents = [[int(draw.integers(0, n))] if n % 100 == 99 else [] for n in range(count)]
    names = [f"r{n}" for n in range(count)]
    content, digests = '{"prompt":"x","shape":"prompt"}', draw.bytes(32 * count)
    raw = [digests[n : n + 32] for n in range(0, len(digests), 32)]
    with store.writer("test"):
        store.add_rows(
            batch(
                (
                    *(raw, ["big"] * count, names, ["prompt"] * count, [content] * count, raw),
                    [people[n] if n < len(people) else None for n in who],
                    [f"t{n}" for n in talks],
                    *([None] * count for _ in range(2)),
                    parents,
                    [None] * count,
                )
            ),
            "big",
        )
    whole = Snapshot(name="p", rows=count, root="", set=store.put_set(row_set(range(count))), steps=())
    found = kin_of(store, whole, suite(store, *(f"p{n}" for n in range(500)), *(f"t{n}" for n in range(500)))).found
    wanted = set[
        tuple[int, int]
    ]()  # (row, item), worked out row by row: each person and conversation has one item here
    own = [{one for one, most in ((w, 500), (t + 500, 1000)) if one < most} for w, t in zip(who, talks, strict=True)]
    every = list[set[int]]()
    for n in range(count):
        every.append(own[n] | (every[parents[n][0]] if parents[n] else set()))
        wanted |= {(n, item) for item in every[n]}
    told = [(one["ordinal"], int(one["item"][1:]), one["tier"], one["because"]) for one in found.to_pylist()]
    assert {(row, item) for row, item, _, _ in told} == wanted
    assert len(told) == len(wanted)
    for row, item, tier, because in told:
        assert item in own[row if because is None else because]
        assert tier == ("subject" if item < 500 else "conversation")
        assert because is None or item not in own[row]
    assert any(because is not None for _, _, _, because in told)


PROJECT = """
[project]
name = "desk"
owner = "me@example.org"

[[sources]]
name = "tickets"
path = "tickets.jsonl"
kind = "human_annotation"
licence = "CC-BY-4.0"
consent_basis = "consent"
part_of = "bank"
map = { id = "id", prompt = "prompt", completion = "completion", subject = "who", inspired_by = "after" }

[[sources]]
name = "mirror"
path = "mirror.jsonl"
kind = "scraped"
licence = "CC-BY-4.0"
republishes = "dev"

[base]
path = "./base"

[[suites]]
name = "dev"
role = "dev"
path = "dev.jsonl"

[[suites]]
name = "gate"
role = "gate"
path = "gate.jsonl"
part_of = "bank"
groups_are = "subject"
map = { group = "who" }
"""


def test_what_a_project_file_says_reaches_the_findings(tmp_path: Path) -> None:
    files = {
        "tickets": [row(0, who="ada"), row(1, who="bob", after="gate:g1")],
        "mirror": [{"prompt": "a", "completion": "b"}],
        "dev": [{"id": "d0", "input": "?", "expected": "!"}],
        "gate": [{"id": f"g{n}", "input": "?", "expected": "!", "who": who} for n, who in enumerate(("eve", "joe"))],
    }
    for name, lines in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "base").mkdir()
    (tmp_path / "whence.toml").write_text(PROJECT)
    with whence.open(tmp_path, create=True, actor="tester@example.org") as w:
        w.data.curate()
        dev, gate = kin(w.store, w.store.all(Snapshot)[-1][0])
    assert (dev.verdict, dev.severity, gate.verdict) == ("fail", "low", "fail")
    assert dev.message.startswith("dev: 1 of 1 item kin to rows (republished: 1 item, 1 row); by person")
    assert gate.message == (
        "gate: 1 of 2 items kin to rows (inspired by: 1 item, 1 row); 2 items and 2 of 3 rows name whom or what they "
        "are of; a split of the same source, which is no leak by itself: tickets (2 rows); do: whence data drop --leaks"
    )
