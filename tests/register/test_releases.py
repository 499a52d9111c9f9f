"""Releases: none without a pass or a standing waiver; aliases remember where they pointed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from whence.lineage import aliases, resolve
from whence.records import (
    Adapter,
    Base,
    Evaluation,
    Fingerprint,
    NotFound,
    Ref,
    Release,
    Run,
    SliceResult,
    Unmet,
    Verdict,
    Waiver,
)
from whence.register import history, move_alias, release, rollback, standing_waiver, waive
from whence.store import Store, verify

PRINT = Fingerprint(weights="b3:0", shapes="sha256:1", tokenizer="sha256:2", template="sha256:3")


@pytest.fixture
def base(store: Store) -> Ref:
    return store.put(Base(name="base", location="./base", fingerprint=PRINT))


def adapter(store: Store, base: Ref, name: str) -> Ref:
    run = store.put(Run(activity="train", used=(base,), inputs={"name": name}))
    return store.put(
        Adapter(
            name=name,
            closure=base,
            run=run,
            weights=f"b3:{name}",
            config="sha256:c",
            base=PRINT,
            location=name,
            bytes=1,
        )
    )


def judged(store: Store, base: Ref, tuned: Ref, outcome: Any) -> Ref:
    total = SliceResult(slice="*", n=1, right=1, value=1.0, low=0.2, high=1.0)
    scores = store.put_lines([])
    made = [
        store.put(
            Evaluation(
                run=base, suite=base, base=base, adapter=who, prompt=base, scores=scores, unscored=0, results=(total,)
            )
        )
        for who in (None, tuned)
    ]
    return store.put(Verdict(outcome=outcome, gate=base, baseline=made[0], candidate=made[1], findings=()))


def three(store: Store, base: Ref) -> list[Ref]:
    """desk@1, desk@2, desk@3."""
    made = []
    for n in range(3):
        tuned = adapter(store, base, f"a{n}")
        made.append(release(store, "desk", tuned, judged(store, base, tuned, "pass")))
    return made


def test_a_pass_makes_one_release_however_often_it_is_asked_for(store: Store, base: Ref) -> None:
    tuned = adapter(store, base, "a")
    verdict = judged(store, base, tuned, "pass")
    first = release(store, "desk", tuned, verdict)
    assert release(store, "desk", tuned, verdict) == first
    assert store.get(first, Release) == Release(name="desk@1", adapter=tuned, verdict=verdict, waiver=None)
    other = adapter(store, base, "b")
    assert store.get(release(store, "desk", other, judged(store, base, other, "pass")), Release).name == "desk@2"
    assert store.get(release(store, "shop", tuned, verdict), Release).name == "shop@1"
    assert [e.data["name"] for e in store.events("release.made")] == ["desk@1", "desk@2", "shop@1"]
    assert verify(store) == []


@pytest.mark.parametrize("outcome", ["fail", "abstain"])
def test_no_release_without_a_pass(store: Store, base: Ref, outcome: str) -> None:
    tuned = adapter(store, base, "a")
    with pytest.raises(Unmet, match=outcome):
        release(store, "desk", tuned, judged(store, base, tuned, outcome))
    assert store.count(Release) == 0
    assert store.events("release.made") == []


def test_a_pass_of_another_adapter_or_of_the_base_is_no_pass(store: Store, base: Ref) -> None:
    tuned, other = adapter(store, base, "a"), adapter(store, base, "b")
    with pytest.raises(Unmet, match="another adapter"):
        release(store, "desk", tuned, judged(store, base, other, "pass"))
    with pytest.raises(NotFound):
        release(store, "desk", tuned, tuned)


def test_a_waiver_has_a_person_a_reason_and_an_end(store: Store, base: Ref, clock: Any) -> None:
    tuned = adapter(store, base, "a")
    verdict = judged(store, base, tuned, "fail")
    until = clock.now + timedelta(days=7)
    for reason, end in (
        ("", until),
        (" \n", until),
        ("a pilot", clock.now - timedelta(days=1)),
        ("a pilot", clock.now),
    ):
        with pytest.raises(Unmet):
            waive(store, verdict, reason, end)
    with pytest.raises(Unmet, match="WHENCE_ACTOR"):
        waive(Store.open(store.root, clock=clock), verdict, "a pilot", until)
    with pytest.raises(NotFound):
        waive(store, tuned, "a pilot", until)
    assert standing_waiver(store, verdict) is None
    given = waive(store, verdict, "a pilot with ten users", until)
    assert standing_waiver(store, verdict) == given
    kept = store.get(given, Waiver)
    assert (kept.person, kept.expires_at) == ("tester@example.org", until)
    assert store.words(kept.reason) == {"reason": "a pilot with ten users"}
    assert "pilot" not in str(store.events()) + str(list(store.bodies()))
    made = release(store, "desk", tuned, verdict)
    assert store.get(made, Release).waiver == given
    assert standing_waiver(store, judged(store, base, tuned, "abstain")) is None
    assert verify(store) == []


def test_an_expired_waiver_carries_no_release_and_no_alias(store: Store, base: Ref, clock: Any) -> None:
    tuned = adapter(store, base, "a")
    verdict = judged(store, base, tuned, "fail")
    waive(store, verdict, "a pilot", clock.now + timedelta(days=7))
    made = release(store, "desk", tuned, verdict)
    assert move_alias(store, "live", made)
    clock.skip(days=8)
    assert standing_waiver(store, verdict) is None
    with pytest.raises(Unmet, match="no release without"):
        release(store, "desk", tuned, verdict)
    with pytest.raises(Unmet, match="expired"):
        move_alias(store, "other", made)
    assert aliases(store) == {"live": made}
    again = waive(store, verdict, "the pilot goes on", clock.now + timedelta(days=7))
    second = release(store, "desk", tuned, verdict)
    assert store.get(second, Release) == Release(name="desk@2", adapter=tuned, verdict=verdict, waiver=again)
    assert move_alias(store, "live", second)


def test_an_alias_moves_and_remembers(store: Store, base: Ref) -> None:
    one, two, three_ = three(store, base)
    assert move_alias(store, "live", one)
    assert not move_alias(store, "live", one)
    assert move_alias(store, "live", two, reason="better on cards")
    assert move_alias(store, "test", three_)
    assert aliases(store) == {"live": two, "test": three_}
    assert [e.data["release"] for e in history(store, "live")] == [one, two]
    words = history(store, "live")[1].payload
    assert store.words(words or "") == {"reason": "better on cards"}
    assert resolve(store, "live")[0] == resolve(store, "desk@2")[0] == resolve(store, two[7:19])[0] == two
    with pytest.raises(NotFound, match="desk@1"):
        resolve(store, "prod")
    with pytest.raises(NotFound):
        move_alias(store, "live", base)


def test_rolling_back_goes_back_and_never_forth(store: Store, base: Ref) -> None:
    one, two, three_ = three(store, base)
    with pytest.raises(NotFound):
        rollback(store, "live")
    for made in (one, two, three_):
        move_alias(store, "live", made)
    assert rollback(store, "live") == two
    assert rollback(store, "live", reason="two was bad as well") == one
    assert aliases(store)["live"] == one
    with pytest.raises(NotFound, match="no earlier"):
        rollback(store, "live")
    move_alias(store, "live", three_)
    assert rollback(store, "live") == two
    assert len(history(store, "live")) == 7
