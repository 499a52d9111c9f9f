"""Items of a suite in training rows: planted ones are named by item and row, everyday ones are not, and a pass says how
blind it is."""

from __future__ import annotations

import contextlib
import json
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from whence.data import CurationPlan, curate, note_accesses, noted, read_accesses, read_documents
from whence.data.accesses import ACCESSED
from whence.data.leaks import canaries, leaked, leaks
from whence.data.meaning import meant
from whence.evaluate import put_suite
from whence.records import Item, Prompt, Ref, RunReport, Shot, Snapshot, Suite, Unmet
from whence.store import Store, row_set, verify

Take = Callable[..., RunReport]
WORDS = [
    a + b + c
    for a in ("lo", "mi", "ka", "tu", "pe", "sa")
    for b in ("ren", "dal", "vis", "mok", "gur")
    for c in "abcdefghij"
]


MANY = [word + end for word in WORDS for end in ("", "la", "to", "ri", "ne", "su")]


def asked(draw: random.Random, count: int = 16, words: list[str] = WORDS) -> str:
    return " ".join(draw.choices(words, k=count))


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
    ref, _ = snapshot(store, take, rows)
    [found] = leaks(store, ref)
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
        "gate: of 61 items 2 stand in rows whole, 1 in part (1 with the same answer; 0 of 59 rows have as much in "
        "common with others, p 1), 1 have no more than is everyday; planted here, found: "
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
    assert all("planted here, found: " in one.message for one in by_name.values())


@pytest.mark.parametrize(
    "texts",
    [
        ["", " "],
        ["👍"],
        ["yes"],
        ["我要退款"],
        ["x" * 100_000],
        ["اريد استرداد نقودي"],
        ["a\x00b\x1bc\x7f"],
        ["ab " * 350_000],
        ["the same thing"] * 40,
        [f"n{n}" for n in range(40)],
        ["e\u0301 \u202eabc", "\ufb01n"],
    ],
)
def test_odd_suites_and_rows_are_no_trouble(store: Store, take: Take, texts: list[str]) -> None:
    items = suite(store, texts)
    ref, _ = snapshot(
        store, take, [row(n, str(item.input) or "empty") for n, item in enumerate(items)] + [row(9, "other")]
    )
    assert [one.check for one in leaked(store, ref)] == ["data.leaks"]


def test_three_hundred_items_in_five_thousand_rows_with_one_template(store: Store, take: Take) -> None:
    """Thirty word for word and thirty with every fifth word replaced, all behind the instruction of 20 words that every
    row begins with: all are found, nothing else is; and without them nothing."""
    draw = random.Random(6)
    head = (
        "answer what the customer of this shop asks in one short and friendly sentence and name the order where known"
    )
    items = suite(store, [asked(draw, draw.randint(8, 40), MANY) for _ in range(300)])
    clean = [f"{head} {asked(draw, draw.randint(8, 40), MANY)}" for _ in range(5000)]
    leaky = list(clean)
    for n in range(60):
        words = str(items[n].input).split()
        words[4::5] = [draw.choice(MANY) for _ in words[4::5]] if n >= 30 else words[4::5]
        leaky[n] = f"{head} {' '.join(words)}"
    without, _ = snapshot(store, take, [row(n, text, "maybe") for n, text in enumerate(clean)])
    assert [one.verdict for one in leaked(store, without)] == ["pass"]
    ref, _ = snapshot(store, take, [row(n, text, "maybe") for n, text in enumerate(leaky)])
    [found] = leaks(store, ref)
    told = {(one["item"], store.row(one["ordinal"]).record) for one in found.found.to_pylist()}
    assert told == {(f"i{n}", f"r{n}") for n in range(60)}
    assert (found.verdict, found.usual, len(found.told)) == ("fail", 0, 60)
    assert found.p < 1e-9


def alike(draw: random.Random, count: int) -> list[str]:
    """Questions after forty templates of twelve words, three of which differ: what customers of one shop ask."""
    put = [random.Random(n).choices(WORDS, k=12) for n in range(40)]
    texts = []
    for _ in range(count):
        words = list(draw.choice(put))
        for place in (2, 6, 10):
            words[place] = draw.choice(WORDS[:60])
        texts.append(" ".join(words))
    return texts


def test_what_rows_have_in_common_with_one_another_is_no_leak(store: Store, take: Take) -> None:
    """Items that were drawn like the rows are as like rows as rows are; more of them than that is a leak."""
    draw = random.Random(7)
    items = suite(store, alike(draw, 150))
    rows = [row(n, text) for n, text in enumerate(alike(draw, 1500)) if text not in {str(i.input) for i in items}]
    ref, _ = snapshot(store, take, rows)
    [found] = leaks(store, ref)
    assert found.verdict == "pass"
    assert found.part > 100
    assert found.usual > 0.7 * found.compared
    assert not found.told


def test_short_turns_that_everybody_types_are_no_leak_and_a_long_one_is(store: Store, take: Take) -> None:
    """Of 200 items 60 are short turns, some in rows of one or two conversations, as of the turns of the rows."""
    draw = random.Random(14)
    turns = [asked(draw, draw.randint(4, 6)) for _ in range(400)]
    said = lambda: draw.choice(turns) if draw.random() < 0.3 else asked(draw, 12)  # noqa: E731
    items = suite(store, [said() for _ in range(200)])
    rows = [{**row(n, said()), "talk": f"t{n // 4}"} for n in range(1000)]
    ref, _ = snapshot(store, take, [row(n, one["prompt"]) | {"talk": one["talk"]} for n, one in enumerate(rows)])
    [found] = leaks(store, ref)
    assert found.whole == found.short > 10
    assert (found.verdict, found.told) == ("pass", frozenset())
    [finding] = leaked(store, ref)
    assert "of them short, as often as rows stand in one another)" in finding.message
    long = next(str(item.input) for item in items if len(str(item.input).split()) == 12)
    ref, _ = snapshot(store, take, [*rows, row(5000, long)])
    [found] = leaks(store, ref)
    assert (found.whole, found.verdict) == (found.short + 1, "fail")
    assert [store.row(o).record for o in found.told] == ["r5000"]
    clean = [row(n, asked(draw, 12)) for n in range(1000)] + [row(6000 + n, text) for n, text in enumerate(turns)]
    ref, _ = snapshot(store, take, clean)
    [found] = leaks(store, ref)
    assert (found.short, found.verdict) == (0, "fail"), "no row of these stands in another"


@contextlib.contextmanager
def author(store: Store, who: str) -> Iterator[Store]:
    with contextlib.closing(Store.open(store.root, actor=who)) as hers:
        yield hers


def test_rows_of_somebody_who_had_looked_are_told_and_those_of_others_are_not(
    store: Store, take: Take, tmp_path: Path
) -> None:
    """200 items about one shop; ann looked at twelve that had failed and added twelve that are almost the same, bob
    added twelve about the same things."""
    draw = random.Random(8)
    texts = list(dict.fromkeys(alike(draw, 400)))[:212]
    items = suite(store, texts[:200])
    base = take([row(n, text) for n, text in enumerate(alike(draw, 1000)) if text not in texts], "base", id="id")
    history = tmp_path / "looked.jsonl"
    looked = {"suite": "gate", "by": "ann@example.org", "at": "2020-01-01T00:00:00Z", "purpose": "inspect"}
    history.write_text(json.dumps({**looked, "items": [f"i{n}" for n in range(12)]}) + "\n\n")
    assert note_accesses(store, read_accesses(store, history)) == 1
    assert note_accesses(store, read_accesses(store, history)) == 0

    def reworded(text: str) -> str:
        words = text.split()
        words[-3] = "bought"
        return " ".join(words)

    with author(store, "ann@example.org") as hers:
        ann = take([row(n, reworded(str(items[n].input)), "maybe") for n in range(12)], "ann", into=hers, id="id")
    with author(store, "bob@example.org") as his:
        bob = take([row(n, text, "maybe") for n, text in enumerate(texts[200:])], "bob", into=his, id="id")
    runs = [base.run, ann.run, bob.run]
    plan = CurationPlan(name="p", ingests=runs, steps=[], withdrawn=row_set([]), groups={}, inputs={})
    ref, _ = curate(store, plan)
    [found] = leaks(store, ref)
    assert {(one.source, one.record) for one in map(store.row, found.told)} == {("ann", f"r{n}") for n in range(12)}
    assert (found.verdict, found.known) == ("fail", 12)
    [finding] = leaked(store, ref)
    assert "12 of them in rows of somebody who had looked at them" in finding.message
    assert finding.message.endswith("do: whence data drop --leaks")


def test_matching_is_an_access_that_exposes_nothing_and_is_done_once(
    store: Store, take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(9)
    items = suite(store, [asked(draw) for _ in range(20)])
    ref, _ = snapshot(store, take, [row(n, asked(draw)) for n in range(100)] + [row(100, str(items[3].input))])
    [first] = leaks(store, ref)
    [event] = store.events(ACCESSED)
    assert (event.data["purpose"], noted(store)) == ("match", [])
    with monkeypatch.context() as patched:
        patched.setattr("whence.text.overlap.Suite", None)
        [again] = leaks(store, ref)
    assert again == first
    history = tmp_path / "looked.jsonl"
    one = {"suite": "gate", "by": "ann@example.org", "at": "2020-01-01T00:00:00Z", "purpose": "export"}
    history.write_text(json.dumps(one))
    note_accesses(store, read_accesses(store, history))
    [_] = leaks(store, ref)
    assert [event.data["purpose"] for event in store.events(ACCESSED)] == ["match", "export", "match"]
    assert verify(store) == []


def test_bad_accesses_are_named_line_by_line_and_nothing_is_kept(store: Store, tmp_path: Path) -> None:
    suite(store, ["one", "two"])
    fine = {"suite": "gate", "by": "ann@example.org", "at": "2020-01-01T00:00:00Z", "purpose": "inspect"}
    lines = [fine, {**fine, "suite": "other"}, {**fine, "items": ["i7"]}, {**fine, "purpose": "match"}]
    lines += [{**fine, "at": "2020-01-01T00:00:00"}, {**fine, "more": 1}, {**fine, "by": ""}]
    history = tmp_path / "looked.jsonl"
    history.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + b"{\n\xff\n")
    with pytest.raises(Unmet) as raised:
        read_accesses(store, history)
    said = str(raised.value)
    assert [n for n in range(1, 10) if f"looked.jsonl:{n}: " in said] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert "gate has no item 'i7'" in said
    assert "no suite is called 'other', expected gate" in said
    for empty in (b"", b"\n \n"):
        history.write_bytes(empty)
        with pytest.raises(Unmet, match="holds no access"):
            read_accesses(store, history)
    assert noted(store) == []


def test_items_in_prompts_and_documents_are_told_by_place(store: Store, take: Take, tmp_path: Path) -> None:
    draw = random.Random(10)
    items = suite(store, [asked(draw) for _ in range(40)])
    own = suite(store, [str(items[5].input), asked(draw)], "dev")
    ref, _ = snapshot(store, take, [row(n, asked(draw)) for n in range(300)])
    assert {one.verdict for one in leaked(store, ref)} == {"pass"}
    store.put(Prompt(template="instructed", text=f"Answer like this: {items[1].input}"))
    dev = next(name for name, one in store.all(Suite) if one.name == "dev")
    store.put(Prompt(template="instructed", text="", shots=(Shot(suite=dev, item=own[0].id),)))
    (tmp_path / "book.txt").write_text("\n".join([asked(draw, 500), str(items[2].input), asked(draw, 500)]))
    (tmp_path / "index.jsonl").write_text(
        json.dumps({"n": 1}) + "\n" + json.dumps({"of": [{"x": items[3].input}]}) + "\n"
    )
    found = {
        one.suite: one for one in leaks(store, ref, read_documents([tmp_path / "book.txt", tmp_path / "index.jsonl"]))
    }
    places = {one["item"]: str(one["place"]) for one in found["gate"].found.to_pylist()}
    assert set(places) == {"i1", "i2", "i3", "i5"}
    assert places["i1"].startswith("prompt sha256:")
    assert places["i5"].startswith("example i0 of prompt sha256:")
    assert places["i2"] == str(tmp_path / "book.txt")
    assert places["i3"] == f"{tmp_path / 'index.jsonl'}:2"
    assert (found["gate"].verdict, found["gate"].placed, found["gate"].whole) == ("fail", 4, 0)
    assert (found["dev"].placed, found["dev"].verdict) == (0, "pass")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{", b"[" * 100_000])
def test_a_document_that_cannot_be_read_is_named(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "bad.jsonl").write_bytes(body)
    for path in (tmp_path / "bad.jsonl", tmp_path / "none.txt"):
        with pytest.raises(Unmet, match=r"(bad\.jsonl|none\.txt) cannot be read"):
            read_documents([path])


def test_a_suite_that_is_all_of_the_training_rows_and_more(store: Store, take: Take) -> None:
    draw = random.Random(11)
    items = suite(store, [asked(draw) for _ in range(120)])
    ref, _ = snapshot(store, take, [row(n, str(item.input)) for n, item in enumerate(items[:100])])
    [found] = leaks(store, ref)
    assert (found.whole, found.verdict, len(found.told)) == (100, "fail", 100)


def test_rows_with_the_mark_of_a_benchmark_are_named(store: Store, take: Take) -> None:
    guid, own = "0a1b2c3d-0000-4000-8000-123456789abc", "FFFFFFFF-1111-4222-8333-abcdefabcdef"
    suite(store, [f"What is asked? Canary GUID {own}"])
    plain = ["the canary sings", f"order {guid}", "canary " + "x" * 100 + guid, ""]
    ref, _ = snapshot(store, take, [row(n, text or "empty") for n, text in enumerate(plain)])
    assert [one.verdict for one in canaries(store, ref)] == ["pass"]
    marked = [f"BENCHMARK DATA. The canary GUID for this file is {guid}.", f"see {own}", f"CANARY: {guid.upper()}"]
    ref, _ = snapshot(store, take, [row(n, text or "empty") for n, text in enumerate([*plain, *marked])])
    [found] = canaries(store, ref)
    assert (found.verdict, found.severity, found.statistic) == ("fail", "high", 3.0)
    assert {store.row(o).record for o in store.get_set(str(found.rows))} == {"r4", "r5", "r6"}


def test_of_no_rows_nothing_is_said_to_be_clean(store: Store, take: Take) -> None:
    suite(store, ["What is asked of the model here?"])
    ref, _ = snapshot(store, take, [])
    assert [one.verdict for one in (*leaked(store, ref), *canaries(store, ref))] == ["abstain", "abstain"]


class Concepts:
    """Stands for a sentence encoder: words that end alike mean the same."""

    def embed(self, texts: Sequence[str], told: Callable[[int], None] = lambda _: None) -> npt.NDArray[np.float32]:
        made = np.zeros((len(texts), 4096), np.float32)
        for n, text in enumerate(texts):
            for word in text.split():
                made[n, zlib.crc32(word[-3:].encode()) % 4096] += 1
        told(len(texts))
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_rows_that_say_an_item_in_other_words_are_told_by_an_encoder(store: Store, take: Take) -> None:
    """Two words of an item stay, the others are said otherwise: words alone tell nothing, and of natural rows nothing
    is told."""
    draw = random.Random(12)
    ends = [a + b for a in "bdfgklmnprst" for b in ("an", "el", "im", "or", "us")]
    said = lambda end: draw.choice("aeiou") + draw.choice("vwxz") + end  # noqa: E731
    items = suite(store, [" ".join(said(draw.choice(ends)) for _ in range(12)) for _ in range(80)])
    natural = [row(n, " ".join(said(draw.choice(ends)) for _ in range(12)), f"answer {n % 9}") for n in range(600)]
    ref, _ = snapshot(store, take, natural)
    told: list[tuple[str, int, int]] = []
    [found] = meant(store, ref, Concepts(), lambda *said: told.append(said))
    assert (found.check, found.verdict, found.rows) == ("data.meaning", "pass", None)
    assert told[0][0] == "gate"
    assert told[0][1] == told[0][2]

    def otherwise(text: str) -> str:
        return " ".join(word if n in (2, 7) else said(word[-3:]) for n, word in enumerate(text.split()))

    leaky = [row(1000 + n, otherwise(str(items[n].input)), f"answer {n % 9}") for n in range(20)]
    ref, _ = snapshot(store, take, [*natural, *leaky])
    assert {one.verdict for one in leaked(store, ref)} == {"pass"}
    [found] = meant(store, ref, Concepts())
    assert (found.verdict, found.severity) == ("fail", "high")
    rows = {store.row(o).record for o in store.get_set(str(found.rows))}
    assert rows <= {f"r{1000 + n}" for n in range(20)}
    assert len(rows) >= 18, "one whose two words are common has other candidates"
    items_told = {one["item"] for one in store.get_table(found.evidence[0]).to_pylist()}
    assert items_told == {f"i{int(name[1:]) - 1000}" for name in rows}


def test_a_suite_that_changes_in_between_is_looked_at_as_it_is_now(store: Store, take: Take) -> None:
    draw = random.Random(13)
    items = suite(store, [asked(draw) for _ in range(30)])
    ref, _ = snapshot(store, take, [row(n, asked(draw)) for n in range(100)] + [row(100, str(items[3].input))])
    found = leaks(store, ref)
    put_suite(store, "gate", "gate", "label", items[4:], ["no", "yes"])
    assert [one.whole for one in found] == [0]
    put_suite(store, "gate", "gate", "label", items, ["no", "yes"])
    assert [one.whole for one in leaks(store, ref)] == [1], "the first version counts again"
    put_suite(store, "gate", "gate", "label", items[5:], ["no", "yes"])
    assert [one.whole for one in leaks(store, ref)] == [0]
    assert verify(store) == []
