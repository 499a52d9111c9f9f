"""The table of licences, the rules over it, and the check that holds a snapshot against a declared use."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from whence.data import CurationPlan, curate
from whence.govern import DUTIES, change, declare, declared, rule, table, terms_of, withdrawn_rows
from whence.govern.licences import OTHERS, SHARE_ALIKE, licence_id
from whence.govern.solve import licences
from whence.records import Adapter, Base, Closure, Finding, Ref, Run, Use
from whence.store import Store

SERVED = Use(name="desk", commercial=True, distribute="service")
SHIPPED = replace(SERVED, distribute="weights", licence="Apache-2.0")
HOME = Use(name="desk", commercial=False, distribute="none")
STUDY = replace(HOME, research=True)
USES = [
    Use(name="desk", commercial=c, distribute=d, research=r, competes=k)
    for c, d, r, k in product((True, False), ("none", "service", "weights"), (True, False), (True, False, None))
]


@pytest.mark.parametrize(
    ("said", "use", "verdict"),
    [
        ("MIT", SHIPPED, "allowed"),
        ("CC-BY-NC-4.0", SERVED, "barred"),
        ("CC-BY-NC-4.0", HOME, "allowed"),
        ("CC-BY-SA-4.0", SERVED, "allowed"),
        ("CC-BY-SA-4.0", SHIPPED, "unknown"),
        ("CC-BY-SA-4.0", replace(SHIPPED, licence="CC-BY-SA-4.0"), "allowed"),
        ("CDLA-Sharing-1.0", SHIPPED, "allowed"),
        ("CC-BY-ND-4.0", SHIPPED, "barred"),
        ("CC-BY-ND-4.0", SERVED, "unknown"),
        ("CC-BY-ND-4.0", HOME, "allowed"),
        ("CC-BY-ND-3.0", HOME, "unknown"),
        ("AGPL-3.0-only", SERVED, "unknown"),
        ("LicenseRef-Academic-Only", SERVED, "barred"),
        ("LicenseRef-Academic-Only", HOME, "barred"),
        ("LicenseRef-Academic-Only", STUDY, "allowed"),
        ("LicenseRef-OpenAI-Terms", SERVED, "unknown"),
        ("LicenseRef-OpenAI-Terms", replace(SERVED, competes=True), "barred"),
        ("LicenseRef-OpenAI-Terms", replace(SERVED, competes=False), "allowed"),
        ("LicenseRef-Llama-2-Community", HOME, "unknown"),
        ("LicenseRef-Own-Customers", SHIPPED, "allowed"),
        ("Custom", HOME, "unknown"),
        ("Unspecified", HOME, "unknown"),
        ("LicenseRef-Nobody-Knows", HOME, "unknown"),
        ("", HOME, "unknown"),
        (None, HOME, "unknown"),
        ("MIT OR", HOME, "unknown"),
        ("(", HOME, "unknown"),
        ("CC-BY-NC-4.0 OR MIT", SERVED, "allowed"),
        ("CC-BY-NC-4.0 AND MIT", SERVED, "barred"),
        ("CC-BY-NC-4.0 AND LicenseRef-Nobody-Knows", SERVED, "barred"),
        ("MIT AND LicenseRef-Nobody-Knows", SERVED, "unknown"),
        ("CC-BY-NC-4.0 OR LicenseRef-Nobody-Knows", SERVED, "unknown"),
        ("GPL-3.0-only WITH Classpath-exception-2.0", SERVED, "allowed"),
    ],
)
def test_what_a_licence_says_of_a_use(said: str | None, use: Use, verdict: str) -> None:
    assert rule(said, use).verdict == verdict


def test_what_no_entry_and_no_use_ever_give() -> None:
    """Over the whole table and every use: what is said of one never contradicts what is said of a stricter one."""
    order = ("allowed", "unknown", "barred")
    for name, use in product(table(), USES):
        ruling = rule(name, use)
        assert set(ruling.duties) <= set(DUTIES)
        stricter = (
            replace(use, commercial=True),
            replace(use, distribute="weights"),
            replace(use, competes=True),
            replace(use, research=False),
        )
        for other in stricter:
            assert order.index(ruling.verdict) <= order.index(rule(name, other).verdict), (name, use, other)
        entry = table()[name]
        if use.commercial and "commercial-use" not in entry.permits:
            assert ruling.verdict != "allowed"
        if use.distribute == "weights" and SHARE_ALIKE & set(entry.duties) and "results" not in entry.permits:
            assert ruling.verdict != "allowed"
        if "unsettled" in entry.limits:
            assert ruling.verdict == "unknown"


def test_and_is_the_strictest_and_or_the_freest_of_every_pair() -> None:
    names, order = sorted(table())[::7], ("allowed", "unknown", "barred")
    for one, other in product(names, names):
        alone = [order.index(rule(name, SERVED).verdict) for name in (one, other)]
        assert order.index(rule(f"{one} AND {other}", SERVED).verdict) == max(alone)
        assert order.index(rule(f"{one} OR {other}", SERVED).verdict) == min(alone)
        duties = set(rule(one, SERVED).duties) | set(rule(other, SERVED).duties)
        assert set(rule(f"{one} AND {other}", SERVED).duties) == duties


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("cc-by-nc-4.0", "CC-BY-NC-4.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("The MIT License (MIT)", "MIT"),
        ("mit", "MIT"),
        ("Creative Commons Attribution-NonCommercial-NoDerivs 3.0 Unported License", "CC-BY-NC-ND-3.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode", "CC-BY-NC-SA-4.0"),
        ("http://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("CC BY-SA", "LicenseRef-CC-BY-SA"),
        ("gpl-3.0-or-later", "GPL-3.0"),
        ("llama3.1", "LicenseRef-Llama-3.1-Community"),
        ("BSD License", None),
        ("Creative Commons", None),
        ("gpl", None),
        ("license", None),
        ("CC-BY-NC-5.0", None),
        ("not MIT", None),
    ],
)
def test_names_as_people_write_them(said: str, known: str | None) -> None:
    assert licence_id(said) == known


def test_every_name_in_the_table_means_one_entry_and_every_entry_cites_a_clause() -> None:
    assert all(licence_id(name) == name for name in table())
    assert all(entry.clause and entry.title for entry in table().values())
    import tomllib
    from importlib.resources import files

    raw = tomllib.loads((files("whence.govern") / "licences.toml").read_text(encoding="utf-8"))
    tags = {tag for one in table().values() for tag in (*one.permits, *one.duties, *one.limits)}
    assert tags <= {
        *DUTIES, "commercial-use", "modifications", "distribution", "private-use", "patent-use", "trademark-use",
        "liability", "warranty", "results", "private-modifications", "research-only", "own-family-only", "unsettled",
        "computational-use",
    }  # fmt: skip
    for key, one in raw.items():
        for name in one.get("names", ()) if key not in OTHERS else ():
            assert licence_id(name) == key, (name, key, licence_id(name))
    assert all(terms in table() for terms in (*raw["generators"].values(), *raw["titles"].values()))


@pytest.mark.parametrize(
    ("model", "terms"),
    [
        ("OpenAI GPT-4", "LicenseRef-OpenAI-Terms"),
        ("gpt-4o-mini", "LicenseRef-OpenAI-Terms"),
        ("OpenAI GPT-2", "LicenseRef-No-Output-Terms"),
        ("Llama-2-70b-chat-hf", "LicenseRef-Llama-2-Community"),
        ("Llama-3.1-8B", "LicenseRef-Llama-3.1-Community"),
        ("claude_3_opus", "LicenseRef-Anthropic-Terms"),
        ("T5-XXL", "LicenseRef-No-Output-Terms"),
        ("barter", None),
        ("gpt-45", None),
        ("our-own-7b", None),
    ],
)
def test_whose_terms_hold_for_what_a_model_wrote(model: str, terms: str | None) -> None:
    assert terms_of(model) == terms
    assert terms_of(model, replace(SERVED, generators={model: "MIT"})) == "MIT"


@pytest.mark.real_data
def test_the_47_have_the_published_tags(real_data: Path) -> None:
    lines = (real_data / "licences/choosealicense.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 47
    for one in map(json.loads, lines):
        entry = table()[one["spdx"]]
        assert entry.permits == set(one["permissions"])
        assert list(entry.duties) == one["conditions"]
        assert entry.limits == set(one["limitations"])
        assert licence_id(one["title"]) == one["spdx"]


# -- the check ---------------------------------------------------------------------------------------------------------


def frozen(store: Store, name: str = "desk") -> Ref:
    """A snapshot of every row of every ingest."""
    ingests = [ref for ref, run in store.all(Run) if run.activity == "ingest"]
    plan = CurationPlan(
        name=name,
        ingests=ingests,
        steps=[],
        withdrawn=withdrawn_rows(store),
        groups={},
        inputs={"n": str(len(ingests))},
    )
    return curate(store, plan)[0]


def told(found: list[Finding]) -> dict[str, tuple[str, int | None]]:
    return {one.message.partition(":")[0]: (one.verdict, int(one.statistic or 0)) for one in found}


def test_each_licence_is_one_finding_with_its_rows_and_what_was_made_of_them(
    store: Store, take: Callable[..., Any]
) -> None:
    take([{"id": str(i), "text": f"a{i}"} for i in range(3)], "open", claims={"licence": "MIT"}, id="id")
    take([{"id": str(i), "text": f"b{i}"} for i in range(2)], "shy", claims={"licence": "CC-BY-NC-4.0"}, id="id")
    made = [{"id": "x", "text": "c", "from": ["shy:0"]}, {"id": "y", "text": "d", "from": ["open:1"]}]
    take(made, "made", claims={"licence": "CC0-1.0"}, id="id", parents="from")
    declare(store, "desk", SERVED)
    found = list(licences(store, frozen(store)))
    assert told(found) == {"MIT": ("pass", 4), "CC-BY-NC-4.0": ("fail", 3), "CC0-1.0": ("pass", 2)}
    barred = next(one for one in found if one.verdict == "fail")
    rows = store.get_set(barred.rows or "")
    assert {(store.row(o).source, store.row(o).record) for o in rows} == {("shy", "0"), ("shy", "1"), ("made", "x")}
    assert "CC-BY-NC-4.0 §2(a)(1)" in barred.message
    declare(store, "desk", HOME)
    assert {one.verdict for one in licences(store, frozen(store))} == {"pass"}


def test_what_a_model_wrote_is_under_its_terms_too(store: Store, take: Callable[..., Any]) -> None:
    rows = [
        {"id": str(i), "text": f"a{i}", "by": by} for i, by in enumerate(["gpt-4", "our-7b", None, "Meta-Llama-3-8B"])
    ]
    take(rows, "written", claims={"licence": "MIT"}, id="id", generator="by")
    take([{"id": "x", "text": "z", "from": ["written:0"]}], "later", claims={"licence": "MIT"}, id="id", parents="from")
    declare(store, "desk", SERVED)
    snapshot = frozen(store)
    found = told(list(licences(store, snapshot)))
    assert found["written by gpt-4, LicenseRef-OpenAI-Terms"] == ("abstain", 2)
    assert found["written by our-7b"] == ("abstain", 1)
    assert found["MIT"] == ("pass", 5)
    assert found["written by Meta-Llama-3-8B, LicenseRef-Llama-3-Community"] == ("abstain", 1)
    declare(store, "desk", replace(SERVED, competes=True, generators={"our-7b": "LicenseRef-Own"}))
    found = told(list(licences(store, snapshot)))
    assert found["written by gpt-4, LicenseRef-OpenAI-Terms"] == ("fail", 2)
    assert found["written by our-7b, LicenseRef-Own"] == ("pass", 1)


def test_without_a_licence_fails_and_a_sentence_is_not_repeated(store: Store, take: Callable[..., Any]) -> None:
    said = "please ask Ms Example of 7 Harbour Street, she will know, 0151 496 0000"
    take([{"id": "0", "text": "a", "l": said}, {"id": "1", "text": "b", "l": "MIT"}], "some", licence="l")
    declare(store, "desk", SERVED)
    found = list(licences(store, frozen(store)))
    assert [one.verdict for one in found if "Harbour" in one.message or "text of" in one.message] == ["abstain"]
    assert not any("Harbour" in str(one) for one in found)


def test_without_a_declared_use_it_abstains_and_does_not_decide(store: Store, take: Callable[..., Any]) -> None:
    take([{"id": "0", "text": "a"}], "some", claims={"licence": "CC-BY-NC-4.0"})
    snapshot = frozen(store)
    (found,) = licences(store, snapshot)
    assert (found.verdict, found.severity) == ("abstain", "low")
    assert "[use]" in found.message
    declare(store, "another", SERVED)
    assert [one.severity for one in licences(store, snapshot)] == ["low"]


def test_a_use_is_recorded_when_it_changes_and_the_last_one_stands(store: Store) -> None:
    for use in (SERVED, SERVED, HOME, SERVED, None, None, SERVED):
        declare(store, "desk", use)
        now = declared(store, "desk")
        assert (now[1] if now else None) == use
    assert [event.kind for event in store.events("use.*")] == ["use.declared"] * 3 + ["use.ended", "use.declared"]


def test_an_event_about_a_licence_does_not_disturb_it(store: Store, take: Callable[..., Any]) -> None:
    take([{"id": "0", "text": "a"}, {"id": "1", "text": "b"}], "some", claims={"licence": "MIT"}, id="id")
    declare(store, "desk", SERVED)
    change(store, "licence:MIT", "withdraw")
    assert list(licences(store, frozen(store))) == []


def test_an_adapters_base_is_under_a_licence_too(store: Store, take: Callable[..., Any]) -> None:
    take([{"id": "0", "text": "a"}], "some", claims={"licence": "MIT"})
    snapshot = frozen(store)
    verdicts = []
    for licence in ("MIT", "CC-BY-NC-4.0", None):
        base = store.put(Base(name="b", location="b", fingerprint=None, licence=licence))
        closure = store.put(
            Closure(base=base, snapshot=snapshot, recipe=None, code_commit=None, code_clean=None, environment=None)
        )
        run = next(ref for ref, _ in store.all(Run))
        adapter = store.put(
            Adapter(
                name="a", closure=closure, run=run, weights="b3:0", config="sha256:0", base=None, location="a", bytes=1
            )
        )
        declare(store, "desk", None)
        assert list(licences(store, adapter)) == []
        declare(store, "desk", SERVED)
        verdicts += [(one.verdict, one.severity) for one in licences(store, adapter)]
    assert verdicts == [("pass", "high"), ("fail", "high"), ("abstain", "high")]
