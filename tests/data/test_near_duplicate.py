"""Near-duplicates as decisions: a rare slice that is starved is named, a floor or protection keeps it, undo restores
the exact set, and boilerplate of a large slice may go without a word."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from whence.data import CurationPlan, curate, difference, survival, sweep, undo, undone
from whence.data.diff import marked
from whence.data.near import NearDuplicate
from whence.data.survival import starved
from whence.records import NotFound, Ref, RunReport, Snapshot, Step, Unmet
from whence.store import Store, row_set, verify

Take = Callable[..., RunReport]
WORDS = [
    a + b for a in ("lo", "mi", "ka", "tu", "pe", "so", "ri", "na") for b in ("ren", "dal", "vis", "mok", "tar", "gul")
]


def desk(seed: int = 5, hostile: int = 11) -> list[dict[str, Any]]:
    """2,000 rows: 600 stand in clusters that differ in a word, all within one large slice; of the hostile refund
    reversals all but one say almost the same."""
    draw = random.Random(seed)

    def text(count: int = 24) -> list[str]:
        return draw.choices(WORDS, k=count)

    rows = []
    for _ in range(24):
        template = text()
        rows += [("billing", "calm", [*template, f"case{draw.randrange(10**6)}"]) for _ in range(25)]
    angry = text()
    rows += [("refund", "hostile", [*angry, f"case{n}"]) for n in range(hostile - 1)]
    rows.append(("refund", "hostile", text()))
    while len(rows) < 2000:
        rows.append((draw.choice(("billing", "refund", "card")), "calm", text()))
    draw.shuffle(rows)
    return [
        {"id": f"r{n}", "text": " ".join(said), "intent": intent, "tone": tone, "both": f"{intent} {tone}"}
        for n, (intent, tone, said) in enumerate(rows)
    ]


def cut(store: Store, reports: Iterable[RunReport], step: NearDuplicate) -> tuple[Ref, Snapshot]:
    plan = CurationPlan(
        name="p",
        ingests=[report.run for report in reports],
        steps=[("near_duplicate", step)],
        withdrawn=row_set([]),
        groups={},
        inputs={},
        undone=undone(store, "p"),
    )
    ref, _ = curate(store, plan)
    return ref, store.get(ref, Snapshot)


def tones(store: Store, snapshot: Snapshot) -> Counter[str]:
    rows = (store.row(ordinal) for ordinal in store.snapshot_rows(snapshot))
    return Counter(row.slices["both"] for row in rows)


@pytest.fixture
def reports(take: Take) -> list[RunReport]:
    return [take(desk(), id="id", slices=["both"])]


def test_a_starved_slice_is_named_and_boilerplate_is_not(store: Store, reports: list[RunReport]) -> None:
    ref, snapshot = cut(store, reports, NearDuplicate(threshold=0.7, action="remove"))
    assert snapshot.rows <= 0.75 * 2000
    assert tones(store, snapshot)["refund hostile"] == 2
    found = {one.slice: one for one in survival(store, snapshot)}
    assert found["both=refund hostile"].starved
    assert found["both=refund hostile"].p < 0.001
    assert found["both=billing calm"].p < 0.001, "it shrank more than by chance, too"
    assert not found["both=billing calm"].starved
    [finding] = starved(store, ref)
    assert (finding.check, finding.verdict, finding.statistic, finding.n) == ("data.survival", "fail", 2.0, 11)
    assert finding.message == (
        "near_duplicate left 2 of 11 rows of both=refund hostile; no item of any suite asks about it"
    )


def test_without_a_rare_slice_nothing_is_said(store: Store, take: Take) -> None:
    report = take(desk(hostile=1), id="id", slices=["both"])
    ref, snapshot = cut(store, [report], NearDuplicate(threshold=0.7, action="remove"))
    assert snapshot.rows <= 0.75 * 2000
    [finding] = starved(store, ref)
    assert finding.verdict == "pass"
    assert finding.message == (
        "no slice starved: 1 were made smaller; no item asks about both=billing calm, of which less than half is left"
    )


@pytest.mark.parametrize("kept", [{"floor": 6}, {"protect": ("both=refund hostile",)}])
def test_a_floor_and_protection_keep_it(store: Store, reports: list[RunReport], kept: dict[str, Any]) -> None:
    ref, snapshot = cut(store, reports, NearDuplicate(threshold=0.7, action="remove", **kept))
    assert tones(store, snapshot)["refund hostile"] == (6 if "floor" in kept else 11)
    assert snapshot.rows <= 0.75 * 2000
    assert [one.verdict for one in starved(store, ref)] == ["pass"]


def test_a_rule_makes_a_slice_that_no_field_says(store: Store, take: Take) -> None:
    rows = desk()
    angry = {row["text"].split()[0] for row in rows if row["tone"] == "hostile" and "case" in row["text"]}
    report = take(rows, id="id")
    said = "hostile=(?i)^" + "|^".join(sorted(angry)) + " .*case[0-9]$"
    ref, snapshot = cut(store, [report], NearDuplicate(threshold=0.7, action="remove", rules=(said,)))
    [one] = [one for one in survival(store, snapshot) if one.slice == "rule=hostile"]
    assert (one.before, one.after, one.starved) == (10, 1.0, True)
    assert "rule=hostile" in {change.slice for change in difference(store, None, ref, 0).slices}
    step = NearDuplicate(threshold=0.7, action="remove", rules=(said,), protect=("rule=hostile",))
    ref, _ = cut(store, [report], step)
    assert [one.verdict for one in starved(store, ref)] == ["pass"]


def test_topics_are_found_and_called_by_their_words(store: Store, take: Take) -> None:
    draw = random.Random(2)
    about = {"card": WORDS[:12], "loan": WORDS[12:24], "visit": WORDS[24:36]}
    rows = [f"{topic} {' '.join(draw.choices(words, k=9))}" for topic, words in about.items() for _ in range(120)]
    rows += [f"{rows[0]} again{n}" for n in range(40)]
    report = take([{"id": f"r{n}", "text": text} for n, text in enumerate(rows)], id="id")
    _, snapshot = cut(store, [report], NearDuplicate(threshold=0.7, action="remove"))
    assert survival(store, snapshot) == []
    found = survival(store, snapshot, topics=True)
    assert {one.slice.partition("=")[0] for one in found} == {"topic"}
    assert sum(one.before - one.after for one in found) == 40
    assert all(
        "card" in one.slice or set(one.slice.removeprefix("topic=").split(", ")) & set(about["card"]) for one in found
    )
    assert survival(store, snapshot, topics=True) == found
    few = take([{"id": f"f{n}", "text": text} for n, text in enumerate(rows[:60])], "few", id="id")
    _, snapshot = cut(store, [few], NearDuplicate(threshold=0.1, action="remove"))
    assert survival(store, snapshot, topics=True) == []


def test_lowered_rows_stay_and_weigh_less(store: Store, reports: list[RunReport]) -> None:
    ref, snapshot = cut(store, reports, NearDuplicate(threshold=0.7))
    assert snapshot.rows == 2000
    step = store.get(snapshot.steps[-1], Step)
    assert (step.kept, step.lowers) == (2000, 24 * 24 + 9)
    assert snapshot.lowered
    weights = store.get_table(snapshot.lowered)["weight"].to_pylist()
    assert Counter(round(weight, 4) for weight in weights) == {0.04: 24 * 24, 0.1: 9}
    hostile = next(one for one in survival(store, snapshot) if one.slice == "both=refund hostile")
    assert hostile.after == pytest.approx(2.9)
    assert [one.verdict for one in starved(store, ref)] == ["fail"]
    assert verify(store) == []


def test_every_decision_names_a_row_that_stays_and_how_alike_it_is(store: Store, reports: list[RunReport]) -> None:
    _, snapshot = cut(store, reports, NearDuplicate(threshold=0.7, action="remove"))
    stays = store.snapshot_rows(snapshot)
    for one in store.get_table(store.get(snapshot.steps[-1], Step).removed).to_pylist():
        assert (one["because"] in stays, one["ordinal"] in stays) == (True, False)
        a, b = (shingles(store.row(one[name]).content["text"]) for name in ("ordinal", "because"))
        assert one["jaccard"] == pytest.approx(len(a & b) / len(a | b))
        assert one["jaccard"] >= 0.7


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def test_undo_restores_the_exact_set(store: Store, reports: list[RunReport]) -> None:
    step = NearDuplicate(threshold=0.7, action="remove")
    first, snapshot = cut(store, reports, step)
    table = store.get_table(store.get(snapshot.steps[-1], Step).removed)
    one = row_set(table["ordinal"].to_pylist()[:1])
    assert undo(store, snapshot, "near_duplicate", one, "the only one") == one
    second, some = cut(store, reports, step)
    assert store.snapshot_rows(some) == store.snapshot_rows(snapshot) | one
    undo(store, some, "near_duplicate")
    third, whole = cut(store, reports, step)
    assert whole.rows == 2000
    assert len({first, second, third}) == 3
    made = difference(store, first, third)
    assert (made.gone, made.came, made.slices[0].after) == (0, 2000 - snapshot.rows, 2000)
    with pytest.raises(Unmet, match="did nothing to any row"):
        undo(store, whole, "near_duplicate")
    with pytest.raises(NotFound, match="no step 'length'"):
        undo(store, whole, "length")
    with pytest.raises(Unmet, match="cannot be put back"):
        undo(store, whole, "rights")
    assert verify(store) == []


def test_different_labels_and_slices_are_kept_apart(store: Store, take: Take) -> None:
    said = "please tell me when the money that i sent yesterday will be in my account"
    rows = [
        {"id": f"r{n}", "prompt": said, "completion": label, "tone": tone}
        for n, (label, tone) in enumerate(
            [("transfer", "calm"), ("balance", "calm"), ("transfer", "angry"), ("transfer", "calm")]
        )
    ]
    report = take(rows, id="id", slices=["tone"])
    _, together = cut(store, [report], NearDuplicate(action="remove"))
    assert sorted(store.row(o).record for o in store.snapshot_rows(together)) == ["r1", "r2"], "the rarest tone stays"
    _, apart = cut(store, [report], NearDuplicate(action="remove", apart=("tone",)))
    assert sorted(store.row(o).record for o in store.snapshot_rows(apart)) == ["r0", "r1", "r2"]


def test_a_sweep_shows_what_each_threshold_costs(store: Store, reports: list[RunReport]) -> None:
    _, snapshot = cut(store, reports, NearDuplicate(threshold=0.9, action="remove"))
    found = {one.threshold: one for one in sweep(store, snapshot)}
    assert [round(found[t].left, 4) for t in (0.7, 0.8)] == [0.7075, 0.7075]
    assert (found[0.7].slice, found[0.7].slice_before) == ("both=refund hostile", 11)
    assert found[0.7].slice_left == pytest.approx(2 / 11)
    assert (found[0.95].left, found[0.95].slice, found[0.95].slice_left) == (1, None, 1)
    shares = [one.left for one in found.values()]
    assert shares == sorted(shares)
    _, floored = cut(store, reports, NearDuplicate(threshold=0.9, floor=6))
    worst = next(one for one in sweep(store, floored) if one.threshold == 0.7)
    assert worst.slice == "both=billing calm", "the step's own options hold"


def test_what_went_is_shown_with_the_differing_words_marked(store: Store, reports: list[RunReport]) -> None:
    ref, _ = cut(store, reports, NearDuplicate(threshold=0.7, action="remove"))
    made = difference(store, None, ref, examples=2, words=True)
    assert [one.slice for one in made.slices] == ["*", "both=refund hostile", "both=billing calm"]
    assert len(made.examples) == 2
    for one in made.examples:
        assert one.words
        assert one.words.count("[-case") == one.words.count("{+case") == 1
    assert difference(store, None, ref).examples[0].words is None
    assert marked(["a", "b", "c"], ["a", "x", "c", "d"]) == "a [-b-] {+x+} c {+d+}"


@pytest.mark.parametrize(
    "texts",
    [
        ["", "yes", "yes", "no", "  "],
        ["👍", "👍👍", "\u202e\u0007", "مرحبا كيف حالك اليوم يا صديقي", "我要退款" * 20, "我要退款" * 20 + "吗"],
        ["the same words as always, said again and again"] * 300,
        [f"word{n} other{n} third{n} fourth{n}" for n in range(300)],
        ["long " * 200_000, "long " * 199_999 + "short"],
    ],
)
def test_odd_rows_are_no_trouble(store: Store, take: Take, texts: list[str]) -> None:
    report = take([{"id": f"r{n}", "text": text} for n, text in enumerate(texts)], id="id")
    _, snapshot = cut(store, [report], NearDuplicate(action="remove"))
    gone = store.get_table(store.get(snapshot.steps[-1], Step).removed).num_rows
    assert snapshot.rows + gone == len(store.get_set(str(report.set)))
    assert verify(store) == []
