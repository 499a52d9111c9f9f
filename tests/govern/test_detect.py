"""Licences told by their text, damaged or not, and a source's evidence held against its claim."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whence.data import CurationPlan, curate
from whence.govern.against import texts
from whence.govern.detect import detect, sketched
from whence.govern.licences import licence_id
from whence.records import Finding, Ref, Run
from whence.stats import wilson
from whence.store import Store, row_set

FILES = Path(__file__).parents[2] / "src/whence/govern"
FILLED = re.compile(
    r"[\[<{](year|yyyy|fullname|name of copyright owner|project|login|email|projecturl|description|owner)[\]>}]", re.I
)
PAGE = "This folder holds the records of a survey. See the paper for how they were collected and what was asked. " * 8
Damage = Callable[[str, random.Random], str]


def dropped(share: float) -> Damage:
    return lambda text, chance: " ".join(word for word in text.split() if chance.random() > share)


FAULTS: dict[str, tuple[Damage, int, int]] = {
    "as it is": (lambda text, _: text, 0, 0),
    "placeholders filled": (lambda text, _: FILLED.sub("Ada Example & Sons 2019", text), 0, 0),
    "first 25 words cut": (lambda text, _: " ".join(text.split()[25:]), 0, 0),
    "last third cut": (lambda text, _: text[: len(text) * 2 // 3], 0, 0),
    "behind a page of text": (lambda text, _: PAGE + text, 0, 0),
    "capitals, wrapped anew": (lambda text, _: "\n".join(text.upper().split()), 0, 0),
    "1 word of 20 dropped": (dropped(0.05), 0, 0),
    "1 word of 10 dropped": (dropped(0.1), 0, 3),
}
"""What is done to a text → it, how many of 47 become another licence, how many none."""


@pytest.fixture(scope="module")
def published(real_data: Path) -> list[tuple[str, str]]:
    lines = (real_data / "licences/choosealicense.jsonl").read_text(encoding="utf-8").splitlines()
    return [(one["spdx"], one["text"]) for one in map(json.loads, lines)]


@pytest.mark.real_data
def test_the_sketches_are_those_of_the_published_texts(published: list[tuple[str, str]]) -> None:
    assert sketched(published) == (FILES / "licence-sketches.json").read_text(encoding="utf-8")


@pytest.mark.real_data
@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_text_is_its_licence_or_none(published: list[tuple[str, str]], fault: str) -> None:
    damage, other, none = FAULTS[fault]
    found = {name: detect(damage(text, random.Random(name))) for name, text in published}
    assert sum(one is not None and one.id != name for name, one in found.items()) == other
    assert sum(one is None for one in found.values()) <= none


@pytest.mark.real_data
def test_a_licence_with_a_restriction_added_is_not_that_licence(published: list[tuple[str, str]]) -> None:
    more = "\n\nAdditional terms: the data may be used for non-commercial purposes only."
    assert [name for name, text in published if detect(text + more)] == []


@pytest.mark.real_data
def test_the_licence_files_of_real_data_sets(real_data: Path) -> None:
    """Texts that no sketch was made of, each with the licence that SOURCES.json names."""
    sources = json.loads((real_data / "SOURCES.json").read_text(encoding="utf-8"))
    known = {one["repo"].replace("/", "__"): one["licence"].split(" (")[0] for one in sources}
    right = total = 0
    for file in sorted(real_data.glob("*/LICENSES/*")):
        declared = next((licence for repo, licence in known.items() if file.name.startswith(repo + "__")), None)
        if declared is None or (file.suffix == ".md" and "TAGS" in file.name):
            continue
        found = detect(file.read_text(encoding="utf-8", errors="replace"))
        total += 1
        right += found is not None and found.id == licence_id(declared)
    assert (right, total) == (20, 20)
    assert wilson(right, total).low > 0.83


@pytest.mark.real_data
def test_pages_that_are_no_licence_give_none(real_data: Path) -> None:
    pages = [
        *real_data.rglob("*.md"),
        *Path(__file__).parents[2].glob("docs/**/*.md"),
        *Path(__file__).parents[2].glob("*.md"),
    ]
    others = [page for page in pages if "LICENSE" not in page.name]
    assert len(others) > 20
    assert [page for page in others if detect(page.read_text(encoding="utf-8", errors="replace"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MIT",
        "The data is licensed under the Creative Commons Attribution 4.0 International Public License. " * 30,
        "Community Data License Agreement - Sharing - Version 1.0",
        "Gemma terms of use: see the address. " + "The weather was fine and the road was long. " * 40,
        "x " * 100_000,
        "\ud800",
    ],
)
def test_what_only_names_a_licence_is_none(text: str) -> None:
    assert detect(text) is None


def body(*, grant: str, more: str = "", title: str = "") -> str:
    """Words that stand in what Creative Commons publishes, in an order of our own; no text of theirs."""
    legal = "Definitions. The Licensor hereby grants. Warranties are disclaimed, liability is limited. "
    return f"{title} {legal * 6} {grant} {more} " + "More of this agreement follows here. " * 20


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (body(grant="Adapted Material. " * 3 + "Adapter's License.", more="Creative Commons"), "CC-BY-4.0"),
        (
            body(
                grant="Adapted Material. " * 3 + "Adapter's License. ShareAlike.",
                more="Creative Commons. NonCommercial means not for commercial advantage",
            ),
            "CC-BY-NC-SA-4.0",
        ),
        (body(grant="Adapted Material. " * 3, more="Creative Commons. No commercial advantage"), "CC-BY-NC-ND-4.0"),
        (
            body(
                grant="to create and Reproduce Adaptations",
                more="this Creative Commons Public License. Share Alike",
                title="Attribution-ShareAlike 3.0",
            ),
            "CC-BY-SA-3.0",
        ),
        (body(grant="", more="this Creative Commons Public License"), "LicenseRef-CC-BY-ND"),
        (body(grant="", title="Community Data License Agreement – Permissive – Version 2.0"), "CDLA-Permissive-2.0"),
        (body(grant="", title="LLAMA 3.1 COMMUNITY LICENSE AGREEMENT"), "LicenseRef-Llama-3.1-Community"),
        (body(grant="", title="ODC Attribution License (ODC-By)"), "ODC-By-1.0"),
    ],
)
def test_families_are_told_by_title_and_grant(text: str, name: str) -> None:
    found = detect(text)
    assert found is not None
    assert found.id == name


# -- the check ---------------------------------------------------------------------------------------------------------


def frozen(store: Store) -> Ref:
    ingests = [ref for ref, run in store.all(Run) if run.activity == "ingest"]
    plan = CurationPlan(name="desk", ingests=ingests, steps=[], withdrawn=row_set([]), groups={}, inputs={})
    return curate(store, plan)[0]


def test_a_claim_that_its_own_evidence_contradicts(store: Store, take: Callable[..., Any], tmp_path: Path) -> None:
    strict = body(grant="Adapted Material. " * 3 + "Adapter's License.", more="Creative Commons. commercial advantage")
    (tmp_path / "LICENSE").write_text(strict)
    (tmp_path / "notes.txt").write_text("Bought in spring; ask the desk.")
    (tmp_path / "bytes").write_bytes(b"\xff\x00" * 5000)
    claimed = {
        "freer": ("CC-BY-4.0", "LICENSE"),
        "right": ("CC-BY-NC-4.0", "LICENSE"),
        "either": ("MIT OR CC-BY-NC-4.0", "LICENSE"),
        "stricter": ("CC-BY-NC-SA-4.0", "LICENSE"),
        "notes": ("MIT", "notes.txt"),
        "bytes": ("MIT", "bytes"),
        "web": ("MIT", "https://example.org/LICENSE"),
        "gone": ("MIT", "LICENCE.txt"),
        "folder": ("MIT", "."),
        "nowhere": ("MIT", None),
    }
    for name, (licence, evidence) in claimed.items():
        take([{"id": "0", "text": name}], name, claims={"licence": licence, "evidence": evidence})
    found: list[Finding] = list(texts(store, frozen(store)))
    assert {one.message.split()[1].strip(","): (one.verdict, one.severity) for one in found} == {
        "freer": ("fail", "high"),
        "right": ("pass", "low"),
        "either": ("pass", "low"),
        "stricter": ("fail", "low"),
        "notes": ("abstain", "low"),
        "bytes": ("abstain", "low"),
    }
