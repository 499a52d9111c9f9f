"""Rights over public data: a person who is in tests and in training, and a licence that changed 38 hours after a data
set was published."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from world import PRINT, freeze, model, release

from whence.evaluate import put_suite
from whence.govern import Told, change, tell
from whence.lifecycle.blast import blast_radius
from whence.records import Base, Item
from whence.serve.leases import start
from whence.store import Store, row_set

pytestmark = pytest.mark.real_data
Take = Callable[..., Any]

CONVERSATION = "b1e6d8a2-0515-4c8a-9364-f9c58b847292"


def test_a_conversation_that_is_in_tests_and_in_training(store: Store, take: Take, real_data: Path) -> None:
    """MultiDoGO finance: 14 sentence-level rows in train, 13 turn-level rows in dev; both are touched."""
    lines = {
        level: [
            json.loads(line)
            for line in (real_data / "multidogo" / f"finance_{level}_level.jsonl").open(encoding="utf-8")
        ]
        for level in ("turn", "sentence")
    }
    claims = {"licence": "CDLA-Permissive-1.0", "consent_basis": "contract"}
    take([one for one in lines["sentence"] if one["split"] == "train"], "sentences", claims=claims, text="text",
         subject="conversation", group="conversation")  # fmt: skip
    dev = [one for one in lines["turn"] if one["split"] == "dev"]
    items = [
        Item(id=str(n), input=one["text"], expected=" ".join(one["intents"]), group=one["conversation"])
        for n, one in enumerate(dev)
    ]
    put_suite(store, "turns-dev", "gate", "exact", items)
    base = store.put(Base(name="base", location="./base", fingerprint=PRINT))
    rows = store.index().sets["source"].get("sentences")
    adapter = model(store, "desk", base, freeze(store, "sentences", rows), rows)
    start(store, release(store, "desk", base, adapter), "http://desk", 1e9)
    person = store.keys.pseudonym(CONVERSATION)
    change(store, f"subject:{person}", "withdraw")
    blast = blast_radius(store, [("subject", person)])
    assert (blast.rows, len(blast.derived), [one.rows for one in blast.adapters]) == (14, 0, [14])
    assert [(one.name, one.role, one.items) for one in blast.suites] == [("turns-dev", "gate", 13)]
    assert (blast.outcome, len(blast.live)) == ("fail", 1)
    somebody = store.keys.pseudonym(dev[-1]["conversation"])
    nobody = blast_radius(store, [("subject", somebody)])
    assert (nobody.rows, nobody.suites, nobody.outcome) == (0, (), "pass")


def test_models_of_the_days_around_a_change_of_licence_are_listed(
    store: Store, take: Take, real_data: Path, clock: Any
) -> None:
    """Real machine-written instructions under the dates of a real change: ODC-By until 2023-03-14 22:28 UTC, from then
    on CC-BY-NC-4.0. Rows of the 13th were collected before, rows of the 15th after."""
    changed = datetime(2023, 3, 14, 22, 28, tzinfo=UTC)
    written = json.loads((real_data / "gpteacher" / "toolformer-dedupe-only.json").read_text(encoding="utf-8"))[:900]
    days = [changed - timedelta(hours=38), changed - timedelta(hours=8), changed + timedelta(hours=20)]
    rows = [
        {
            "id": str(n),
            "prompt": one["instruction"],
            "completion": one["output"],
            "at": days[n // 300].isoformat(),
            "by": "text-davinci-003",
        }
        for n, one in enumerate(written)
    ]
    clock.now = datetime(2023, 3, 16, tzinfo=UTC)
    take(rows, "instructions", claims={"licence": "ODC-By-1.0"}, id="id", collected_at="at", generator="by",
         prompt="prompt", completion="completion")  # fmt: skip
    base = store.put(Base(name="base", location="./base", fingerprint=PRINT))
    everything = store.index().sets["source"].get("instructions")
    made = {}
    for day, ordinals in ((13, range(300)), (14, range(600)), (15, range(900))):
        part = everything & row_set(ordinals)
        made[day] = model(store, f"of-{day}", base, freeze(store, f"of-{day}", part), part)
    assert blast_radius(store, history=True).adapters == ()
    tell(
        store,
        [Told(what="change", about="source:instructions", licence="CC-BY-NC-4.0", valid_at=changed, reach="new")],
    )
    found = {one.id: one for one in blast_radius(store, history=True).adapters}
    assert found.keys() == set(made.values())
    assert [found[made[day]].rows for day in (13, 14, 15)] == [300, 600, 900]
    assert found[made[13]].level == found[made[14]].level == "review"  # listed, not silently cleared
    assert blast_radius(store, history=True, as_of=changed - timedelta(seconds=1), known_by=clock()).adapters == ()
