"""Curation: each step finds what was planted and leaves the rest; every row that is not kept is accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import lance
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.data import CurationPlan, curate
from whence.data.steps import STEPS, Disjoint, ExactDuplicate, Length, NormalisedDuplicate, Schema, answer_of
from whence.govern import change, disputed_rows, rights_digest, withdrawn_rows
from whence.records import Ref, RunReport, Snapshot, Step
from whence.store import Store, row_set, verify
from whence.text import normalise

Take = Callable[..., RunReport]


def cut(
    store: Store,
    reports: Iterable[RunReport],
    *steps: tuple[str, Any],
    groups: Mapping[str, Iterable[tuple[str, str]]] | None = None,
) -> tuple[Ref, bool]:
    """Curate as the main path does."""
    plan = CurationPlan(
        name="p",
        ingests=[report.run for report in reports],
        steps=steps,
        withdrawn=withdrawn_rows(store),
        disputed=disputed_rows(store),
        groups=groups or {},
        inputs={"rights": rights_digest(store)},
    )
    return curate(store, plan)


def removed(store: Store, snapshot: Ref, name: str) -> dict[str, tuple[str, str | None]]:
    """Record → (reason, record that it is because of) for one step; on the way, the accounts of all steps."""
    made = store.get(snapshot, Snapshot)
    found, left = {}, None
    for ref in made.steps:
        step = store.get(ref, Step)
        table = store.get_table(step.removed).to_pylist()
        assert step.seen == step.kept + len(table) == step.kept + sum(step.reasons.values())
        assert left is None or left == step.seen
        left = step.kept
        assert len({row["ordinal"] for row in table}) == len(table)
        assert not row_set(row["ordinal"] for row in table) & store.snapshot_rows(made)
        if step.name == name:
            for row in table:
                because = store.row(row["because"]).record if row["because"] is not None else None
                found[store.row(row["ordinal"]).record] = (row["reason"], because)
    assert left == made.rows == len(store.snapshot_rows(made))
    assert made.root == store.root_of(store.snapshot_rows(made))
    return found


def texts(*said: str, **more: str) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "text": text, **more} for n, text in enumerate(said)]


def test_exact_duplicates_go_whoever_said_them_and_the_first_stays(store: Store, take: Take) -> None:
    report = take([{"id": f"r{n}", "text": t, "who": w} for n, (t, w) in enumerate(
        [("yes", "a"), ("Yes", "a"), ("yes", "b"), ("yes ", "a"), ("yes", "a")])], id="id", subject="who")  # fmt: skip
    other = take([{"id": "no", "text": "no"}, {"id": "again", "text": "yes"}], "second", id="id")
    snapshot, _ = cut(store, [report, other], ("exact_duplicate", ExactDuplicate()))
    gone = removed(store, snapshot, "exact_duplicate")
    assert gone == dict.fromkeys(("r2", "r4", "again"), ("exact_duplicate", "r0"))
    assert store.get(snapshot, Snapshot).rows == 4


def test_chats_that_differ_in_one_argument_are_no_duplicates(store: Store, take: Take) -> None:
    def chat(amount: int, **extra: Any) -> dict[str, Any]:
        call = {"id": "c", "function": {"name": "pay", "arguments": {"amount": amount}}}
        return {"messages": [{"role": "user", "content": "Pay", **extra}, {"role": "assistant", "tool_calls": [call]}]}

    report = take([chat(1), chat(2), chat(1, name=None), chat(1, name="x")])
    snapshot, _ = cut(store, [report], ("exact_duplicate", ExactDuplicate()))
    assert list(removed(store, snapshot, "exact_duplicate")) == ["#2"]


def test_normalised_duplicates_go_and_other_words_stay(store: Store, take: Take) -> None:
    said = (
        "Where is my card?",
        "where is  MY card",
        "Where is my card!!",
        "Where is my car?",
        "WHERE, is: my-card",
        "👍",
        "👎",
        " 👎",
    )
    report = take(texts(*said), id="id")
    snapshot, _ = cut(store, [report], ("normalised_duplicate", NormalisedDuplicate()))
    assert removed(store, snapshot, "normalised_duplicate") == {
        record: ("normalised_duplicate", kept)
        for record, kept in {"r1": "r0", "r2": "r0", "r4": "r0", "r7": "r6"}.items()
    }


def test_the_border_between_prompt_and_answer_counts(store: Store, take: Take) -> None:
    rows = [{"id": "1", "prompt": "a b", "completion": "c"}, {"id": "2", "prompt": "a", "completion": "b c"},
            {"id": "3", "prompt": "A, b", "completion": "C."}]  # fmt: skip
    snapshot, _ = cut(store, [take(rows, id="id")], ("normalised_duplicate", NormalisedDuplicate()))
    assert list(removed(store, snapshot, "normalised_duplicate")) == ["3"]


def test_length_counts_the_characters_of_all_texts(store: Store, take: Take) -> None:
    report = take([{"id": n, "prompt": "p" * n, "completion": "éé"} for n in (1, 2, 3, 8, 9)], id="id")
    snapshot, _ = cut(store, [report], ("length", Length(min_chars=4, max_chars=10)))
    assert removed(store, snapshot, "length") == {"1": ("too_short", None), "9": ("too_long", None)}


def test_schema_takes_shapes_and_answers(store: Store, take: Take) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "card"}]
    rows = [
        {"id": "chat", "messages": turns}, {"id": "asks", "messages": turns[:1]}, {"id": "text", "text": "t"},
        {"id": "fits", "prompt": "q", "completion": "cash"}, {"id": "not", "prompt": "q", "completion": "weather"},
        {"id": "turns", "prompt": turns[:1], "completion": turns[1:]},
    ]  # fmt: skip
    report = take(rows, id="id")
    any_answer, _ = cut(store, [report], ("schema", Schema()))
    assert removed(store, any_answer, "schema") == {"text": ("other_shape", None)}
    some, _ = cut(store, [report], ("schema", Schema(answers=("card", "cash"))))
    assert removed(store, some, "schema") == {
        "text": ("other_shape", None), "asks": ("other_answer", None), "not": ("other_answer", None),
    }  # fmt: skip
    assert answer_of({"messages": turns + turns[:1]}) == "card"
    assert answer_of({"text": "t"}) is None


@pytest.mark.parametrize("by", ["subject", "group"])
def test_whoever_is_in_a_suite_is_not_in_training(store: Store, take: Take, by: str) -> None:
    rows = [{"id": f"r{n}", "text": f"t{n}", "who": f"p{n % 4}", "conv": f"c{n % 3}"} for n in range(12)]
    report = take([*rows, {"id": "nobody", "text": "x"}], id="id", subject="who", group="conv")
    held = {"subject": [(store.keys.pseudonym("p1"), "gate"), (store.keys.pseudonym("p9"), "gate")],
            "group": [("c2", "dev")]}  # fmt: skip
    snapshot, _ = cut(store, [report], ("disjoint", Disjoint(by=by)), groups=held)
    expected = {"subject": {f"r{n}" for n in (1, 5, 9)}, "group": {f"r{n}" for n in (2, 5, 8, 11)}}[by]
    why = {"subject": "subject_in_gate", "group": "group_in_dev"}[by]
    assert removed(store, snapshot, "disjoint") == dict.fromkeys(expected, (why, None))
    silent, _ = cut(store, [report], ("disjoint", Disjoint(by=by)), ("length", Length()))
    assert removed(store, silent, "disjoint") == {}


def test_rows_whose_right_was_withdrawn_go_first_with_what_was_made_of_them(store: Store, take: Take) -> None:
    rows = [{"id": f"r{n}", "text": "same" if n < 2 else f"t{n}", "who": f"p{n}"} for n in range(4)]
    report = take(rows, id="id", subject="who")
    made = take([{"id": "d", "text": "made", "of": ["tickets:r0"]}], "derived", id="id", parents="of")
    before, _ = cut(store, [report, made], ("exact_duplicate", ExactDuplicate()))
    assert removed(store, before, "exact_duplicate") == {"r1": ("exact_duplicate", "r0")}
    change(store, f"subject:{store.keys.pseudonym('p0')}", "withdraw")
    after, fresh = cut(store, [report, made], ("exact_duplicate", ExactDuplicate()))
    assert fresh
    assert removed(store, after, "rights") == {"r0": ("withdrawn", None), "d": ("withdrawn", None)}
    assert removed(store, after, "exact_duplicate") == {}  # the copy by another person takes its place
    change(store, f"subject:{store.keys.pseudonym('p0')}", "grant")
    again, _ = cut(store, [report, made], ("exact_duplicate", ExactDuplicate()))
    assert store.get(again, Snapshot).root == store.get(before, Snapshot).root
    assert verify(store) == []


def test_what_is_only_disputed_is_called_so(store: Store, take: Take) -> None:
    rows = [{"id": f"r{n}", "text": f"t{n}", "who": f"p{n}"} for n in range(4)]
    report = take(rows, id="id", subject="who")
    of = ["tickets:r1"], ["tickets:r1", "tickets:r2"]
    made = take([{"id": f"d{n}", "text": f"m{n}", "of": o} for n, o in enumerate(of)], "derived", id="id", parents="of")
    change(store, f"subject:{store.keys.pseudonym('p1')}", "dispute")
    change(store, f"subject:{store.keys.pseudonym('p2')}", "withdraw")
    snapshot, _ = cut(store, [report, made])
    assert {name: reason for name, (reason, _) in removed(store, snapshot, "rights").items()} == {
        "r1": "disputed",
        "r2": "withdrawn",
        "d0": "disputed",
        "d1": "withdrawn",
    }


def test_nothing_changed_is_nothing_done(store: Store, take: Take) -> None:
    report = take(texts("a", "a", "b"), id="id")
    first, fresh = cut(store, [report], ("exact_duplicate", ExactDuplicate()))
    events = store.head()
    assert fresh
    assert cut(store, [report], ("exact_duplicate", ExactDuplicate())) == (first, False)
    assert store.head() == events
    other, fresh = cut(store, [report], ("exact_duplicate", ExactDuplicate()), ("length", Length(max_chars=5)))
    assert (fresh, other != first) == (True, True)
    assert cut(store, [report], ("exact_duplicate", ExactDuplicate()), ("length", Length(max_chars=6)))[1]


def test_no_rows_and_no_steps_are_a_snapshot_too(store: Store, take: Take) -> None:
    snapshot, _ = cut(store, [take(b"")], ("exact_duplicate", ExactDuplicate()))
    assert store.get(snapshot, Snapshot).rows == 0
    bare, _ = cut(store, [take(texts("a", "a"), "two")])
    assert store.get(bare, Snapshot).rows == 2
    assert removed(store, bare, "rights") == {}


def test_the_same_rows_and_steps_give_the_same_snapshot_in_another_store(
    store: Store, take: Take, tmp_path: Any
) -> None:
    steps = [(name, STEPS[name]()) for name in ("exact_duplicate", "normalised_duplicate", "length")]
    rows = texts("a", "A", "b", "a", "c!", "c")
    one, _ = cut(store, [take(rows, id="id")], *steps)
    other = Store.open(tmp_path / "other", store.keys.path, create=True, actor="x")
    two, _ = cut(other, [take(rows, into=other, id="id")], *steps)
    assert store.get(one, Snapshot).root == other.get(two, Snapshot).root


def test_row_order_on_disk_does_not_matter(store: Store, take: Take) -> None:
    report = take(texts(*(f"t{n % 5}" for n in range(20))), id="id")
    dataset = lance.dataset(str(store.root / "rows.lance"))
    first = dataset.to_table(filter="ord < 7")
    dataset.delete("ord < 7")
    lance.write_dataset(first, str(store.root / "rows.lance"), mode="append")
    order = [o for chunk in store.scan(["ord"]) for o in chunk["ord"].to_pylist()]
    assert order == [*range(7, 20), *range(7)]
    snapshot, _ = cut(store, [report], ("exact_duplicate", ExactDuplicate()))
    assert sorted(store.snapshot_rows(store.get(snapshot, Snapshot))) == [0, 1, 2, 3, 4]
    assert verify(store) == []


def test_what_a_suite_asks_is_not_trained_on_whoever_asks(store: Store, take: Take) -> None:
    turns = [{"role": "user", "content": "WHERE is my card?"}, {"role": "assistant", "content": "Here."}]
    rows = [
        {"id": "chat", "messages": turns},
        {"id": "same", "prompt": "where is my card", "completion": "x"},
        {"id": "other", "prompt": "where is my car", "completion": "x"},
        {"id": "none", "prompt": "?", "completion": "x"},
    ]
    report = take(rows, id="id")  # fmt: skip
    held = {"text": [(normalise("Where is my card"), "gate"), ("", "gate")]}
    snapshot, _ = cut(store, [report], ("disjoint", Disjoint(by="text")), groups=held)
    assert removed(store, snapshot, "disjoint") == dict.fromkeys(("chat", "same"), ("text_in_gate", None))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text("aAb!. é", max_size=3), min_size=1, max_size=12))
def test_steps_agree_with_their_definition(store: Store, take: Take, said: list[str]) -> None:
    whole = [t for t in said if t.strip()]
    report = take([{"text": t} for t in said])
    exact, _ = cut(store, [report], ("exact_duplicate", ExactDuplicate()))
    normal, _ = cut(store, [report], ("normalised_duplicate", NormalisedDuplicate()))
    assert store.get(exact, Snapshot).rows == len(set(whole))
    assert store.get(normal, Snapshot).rows == len({normalise(t) or t.strip() for t in whole})
    removed(store, normal, "normalised_duplicate")


def test_normalise() -> None:
    assert normalise("  Where's MY_card?\n№ 5 ") == "where s my_card 5"
    assert normalise("STRASSE Straße") == "strasse straße"
    assert normalise("?!") == normalise("") == ""
