"""Does a better score mean a better outcome? Planted: it does, it stopped to, and too few releases to say."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from questions import Desk, item

from whence.evaluate import fix_gate, judge, put_suite
from whence.feedback import send
from whence.lifecycle.validity import note_outcomes, valid, validity
from whence.records import Adapter, Ref, Release, Trace, Unmet
from whence.store import verify

SCORES = (40, 44, 48, 52, 56, 60, 64, 68, 72, 76)


def released(desk: Desk, scores: Sequence[int], n: int = 100, drawn: bool = False) -> list[Ref]:
    """desk@1, desk@2 … whose adapters have so many of the gate's items right: the first ones, or drawn."""
    suite = desk.suite(n)
    old = desk.evaluated(suite, lambda i: i < 30, tuned=False)
    gate, made = fix_gate(desk.store, desk.gate(suite)), list[Ref]()
    start = desk.store.count(Release)
    for number, score in enumerate(scores, start + 1):
        adapter = replace(desk.store.get(desk.adapter, Adapter), weights=f"b3:{number}")
        one = replace(desk, adapter=desk.store.put(adapter))
        own = {*random.Random(number).sample(range(n), score)} if drawn else {*range(score)}
        verdict = judge(desk.store, gate, one.evaluated(suite, own.__contains__, tuned=True), old)
        made.append(desk.store.put(Release(name=f"desk@{number}", adapter=one.adapter, verdict=verdict)))
    return made


def outcomes(desk: Desk, folder: Path, values: Sequence[float], n: int | None = 500) -> int:
    path = folder / "outcomes.jsonl"
    said = ({"release": f"desk@{k}", "value": value} | ({"n": n} if n else {}) for k, value in enumerate(values, 1))
    path.write_text("".join(json.dumps(one) + "\n" for one in said))
    return note_outcomes(desk.store, path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (SCORES, "pass"),
        ([-one for one in SCORES], "fail"),
        ((5, 8, 2, 9, 1, 7, 3, 6, 4, 5), "abstain"),
        ((5, 6, 9, 8, 7, 5, 6, 2, 3, 4), "fail"),
    ],
)
def test_ten_releases_show_a_score_that_means_something_and_one_that_does_not(
    desk: Desk, tmp_path: Path, values: Sequence[float], said: str
) -> None:
    made = released(desk, SCORES)
    assert not list(valid(desk.store, desk.store.get(made[-1], Release).adapter)), "without outcomes nothing is said"
    assert outcomes(desk, tmp_path, values) == 10
    assert outcomes(desk, tmp_path, values) == 0
    told = validity(desk.store, "desk")
    assert [one.score for one in told.releases] == [one / 100 for one in SCORES]
    assert told.items == 100
    assert told.finding is not None
    assert (told.finding.verdict, told.finding.severity, told.finding.n) == (said, "low", 10)
    adapter = desk.store.get(made[-1], Release).adapter
    [found] = valid(desk.store, adapter)
    assert (found.verdict, found.about, found.message) == (said, adapter, told.finding.message)
    assert verify(desk.store) == []


def test_four_releases_say_nothing(desk: Desk, tmp_path: Path) -> None:
    released(desk, SCORES[:4])
    outcomes(desk, tmp_path, [4, 3, 2, 1])
    told = validity(desk.store, "desk").finding
    assert told is not None
    assert (told.verdict, told.n) == ("abstain", 4)
    assert "5 can show the first" in told.message


def test_of_releases_that_are_alike_the_score_is_not_blamed(desk: Desk, tmp_path: Path) -> None:
    released(desk, [50, 51, 52, 53, 54, 55], drawn=True)
    outcomes(desk, tmp_path, [6, 5, 4, 3, 2, 1])
    told = validity(desk.store, "desk").finding
    assert told is not None
    assert told.p is not None
    assert told.p < 0.05
    assert (told.verdict, "do not tell these releases apart" in told.message) == ("abstain", True)


def test_scores_are_compared_on_items_that_all_had(desk: Desk, tmp_path: Path) -> None:
    released(desk, (10, 20))
    other = [replace(item(i + 1000), input=f"question {i + 1000}") for i in range(100)]
    put_suite(desk.store, "desk", "gate", "label", other, ("card lost", "fee query", "transfer late", "pin reset"))
    released(desk, SCORES[:5], 120)
    outcomes(desk, tmp_path, [1, 2, *range(5)])
    told = validity(desk.store, "desk")
    assert (told.items, [one.score for one in told.releases][:3]) == (100, [0.1, 0.2, 0.4])
    released(desk, SCORES[:5], 300)
    outcomes(desk, tmp_path, [1, 2, *range(10)])
    told = validity(desk.store, "desk")
    assert (told.items, sum(one.score is None for one in told.releases)) == (300, 7)
    assert told.finding is not None
    assert told.finding.n == 5


def test_what_people_said_of_answers_is_the_outcome_where_none_was_noted(desk: Desk, tmp_path: Path) -> None:
    made = released(desk, SCORES[:6])
    journal, entries = desk.store.journal("trace"), []
    for k, release in enumerate(made):
        for i in range(21 if k else 19):
            entry = journal.append({"messages": []}, {"id": f"t{k}-{i}"})
            trace = Trace(
                id=f"t{k}-{i}", deployment=desk.base, release=release, at=desk.store.clock(), duration_s=0.1,
                prompt_tokens=1, completion_tokens=1, finish="stop", consent="none", subject=None,
                content=entry.digest, shadow=True if i == 20 else None,
            )  # fmt: skip
            entries.append((entry, trace))
    desk.store.add_traces(entries)
    common = {"surface": "api", "actor": "user"}
    for _, trace in entries:
        value = -1.0 if trace.shadow else made.index(trace.release) / 10
        send(desk.store, trace.id, intent="rating", value=value, **common)
    for value in (-0.5, 0.5):
        send(desk.store, "t1-0", intent="rating", value=value, **common)
    send(desk.store, "t1-1", intent="comment", text="fine", **common)
    told = validity(desk.store, "desk")
    assert [one.n for one in told.releases] == [19, 20, 20, 20, 20, 20]
    assert told.releases[1].value == pytest.approx((19 * 0.1 + 0.1 / 3) / 20)
    assert [one.score is None for one in told.releases] == [True, *[False] * 5]
    assert told.finding is not None
    assert (told.finding.verdict, told.finding.n) == ("pass", 5)
    outcomes(desk, tmp_path, [3, 2, 1], None)
    assert [one.n for one in validity(desk.store, "desk").releases] == [None] * 3


def test_bad_lines_are_named_and_nothing_is_kept(desk: Desk, tmp_path: Path) -> None:
    released(desk, SCORES[:1])
    path = tmp_path / "bad.jsonl"
    for line, said in (
        ("{", "JSON"),
        ("[" * 100_000, "recursion limit"),
        (f'{{"release": "desk@1", "value": 1{"0" * 400}}}', "value is missing, or no number"),
        ("[]", "is no object"),
        ('{"release": "desk@1", "value": 1, "mean": 2}', "is no object"),
        ('{"release": "desk@1", "value": "1"}', "value is missing, or no number"),
        ('{"release": "desk@1", "value": NaN}', "value is missing, or no number"),
        ('{"release": "desk@1", "value": 1, "n": 0}', "n is no whole number"),
        ('{"release": "desk@9", "value": 1}', "no alias or release is called 'desk@9'"),
    ):
        path.write_text('{"release": "desk@1", "value": 0.5}\n\n' + line + "\n")
        with pytest.raises(Unmet, match=said) as told:
            note_outcomes(desk.store, path)
        assert "bad.jsonl:3" in str(told.value)
    path.write_text("\n")
    with pytest.raises(Unmet, match="holds no outcome"):
        note_outcomes(desk.store, path)
    with pytest.raises(Unmet, match="cannot be read"):
        note_outcomes(desk.store, tmp_path / "none.jsonl")
    assert validity(desk.store, "desk").finding is None
