"""Suites: every bad line named, nothing quoted, the same items under one digest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whence.evaluate import ItemFields, items_of, put_suite, read_suite
from whence.records import Item, Suite, Unmet
from whence.store import Store, verify

FIELDS = ItemFields(id="key", input="question", expected="intent", slices=("channel", "vip"), group="customer")


def write(path: Path, *lines: object) -> Path:
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def test_a_file_becomes_items_by_its_mapping(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "two\u2028lines"}]
    path = write(
        tmp_path / "s.jsonl",
        {"key": "a", "question": "one", "intent": "x", "channel": "app", "vip": True, "customer": 7, "more": 1},
        b"",
        {"key": 2, "question": turns, "intent": None},
    )
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_suite(path, FIELDS) == [
        Item(id="a", input="one", expected="x", slices={"channel": "app", "vip": "true"}, group="7"),
        Item(id="2", input=turns, expected=None),
    ]
    assert [i.id for i in read_suite(path, ItemFields(id=None, input="question"))] == ["#1", "#3"]


def test_every_bad_line_is_named_at_once_and_none_is_quoted(tmp_path: Path) -> None:
    good = {"key": "a", "question": "secret", "intent": "x"}
    bad: dict[bytes | str, str] = {
        b'{"key": "b", "question": "secret"': "is not JSON",
        b'{"key": "c", "question": "secret \xff"}': "not UTF-8",
        b'{"key": "d", "question": "secret", "intent": NaN}': "NaN is not a JSON number",
        b'{"key": "e", "question": "secret", "intent": 1e999}': "inf is not a JSON number",
        b'["secret"]': "is list, expected an object",
        b'{"key": "f", "intent": "x"}': "question is missing",
        b'{"key": "g", "question": [], "intent": "x"}': "question is empty",
        b'{"question": "secret", "intent": "x"}': "key is missing",
        b'{"key": "h", "question": "secret", "channel": ["app"]}': "channel is list",
        b'{"key": "i", "question": "secret \\ud800"}': "surrogate",
        b'{"key": "a", "question": "secret"}': "has the id of line 1",
        b"[" * 100_000: "nested too deep",
    }
    with pytest.raises(Unmet) as caught:
        read_suite(write(tmp_path / "s.jsonl", good, *bad), FIELDS)
    said = caught.value.found.splitlines()
    assert said[0] == f"{len(bad)} faults in the suite:"
    for number, (line, reason) in enumerate(zip(said[1:], bad.values(), strict=True), 2):
        assert f"s.jsonl:{number}: " in line
        assert reason in line
    assert "secret" not in caught.value.found
    assert "channel, vip, customer" in caught.value.expected


def test_a_missing_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unmet, match="cannot be read"):
        read_suite(tmp_path / "none.jsonl", FIELDS)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(Unmet, match="holds no item"):
        read_suite(tmp_path / "empty.jsonl", FIELDS)


def test_a_suite_reads_back_and_has_one_digest(store: Store) -> None:
    items = [Item(id=str(i), input=f"q {i}", expected="yes" if i % 2 else None) for i in range(5)]
    ref = put_suite(store, "s", "dev", "label", items)
    suite = store.get(ref, Suite)
    assert (suite.labels, suite.n) == (("yes",), 5)
    assert items_of(store, ref) == items
    assert put_suite(store, "s", "dev", "label", items) == ref
    assert put_suite(store, "s", "dev", "label", items[:-1]) != ref
    assert verify(store) == []


def test_what_a_scorer_cannot_compare_is_refused_whole(store: Store) -> None:
    items = [Item(id="a", input="q", expected="yes"), Item(id="a", input="q", expected="perhaps")]
    with pytest.raises(Unmet) as caught:
        put_suite(store, "s", "dev", "label", [*items, Item(id="b", input="q", expected=1)], ["Yes", " yes", "no"])
    assert caught.value.found.splitlines()[1:] == [
        "label 'yes' is there twice, or once in another spelling",
        "item a is there 2 times",
        "item a: expected is none of the 3 labels",
        "item b: expected is int, not text",
    ]
    with pytest.raises(Unmet, match="not a JSON schema"):
        put_suite(store, "s", "dev", "json_schema", items[:1])
    with pytest.raises(Unmet, match="no item has an expected value"):
        put_suite(store, "s", "dev", "exact", [Item(id="a", input="q", expected=None)])
