"""What is found in texts when only keyed digests of it are kept, and what is not."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.text import Finder, fold, mark_of, tokens_of

KEY = bytes(range(32))


def found(value: str, text: Any, key: bytes = KEY) -> bool:
    """Whether a row with this text names the identifier."""
    content = json.dumps({"shape": "text", "text": text}, ensure_ascii=False)
    return bool(Finder(key, [mark_of(KEY, tokens_of(value))]).find(content))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("#W7678072", "order W-7678072, please"),
        ("#W7678072", "(w 7678072)."),
        ("W7678072", "#W7678072."),
        ("#W7678072", "＃Ｗ７６７８０７２"),
        ("Ada.King@Example.org", "write to <ada.king@example.org>!"),
        ("ada.king@example.org", "it is ada king example org"),
        ("saran9790@gmail.com", "saran 9790 gmail com"),
        ("José Núñez", "said Jose NUNEZ"),
        ("José Núñez", unicodedata.normalize("NFD", "josé núñez")),
        ("Jose\u0301", "JOSÉ"),
        ("Groß", "GROSS"),
        ("王小明", "我叫王小明，你好"),
        ("김철수", "김철수는"),
        ("noah_brown_6181", 'user "noah_brown_6181"'),
        ("+1 (555) 010-9999", "call 15550109999"),
        ("15550109999", "call +1 555 010-9999 now"),
        ("4111 1111 1111 2222", "card 4111-1111-1111-2222"),
        ("order 1", "my order #1 is late"),
        ("٣٤٥٦٧٨٩٠", "34567890"),
        ("ada\u00adking", "ada\u200bking"),
    ],
)
def test_what_is_written_otherwise_is_found(value: str, text: str) -> None:
    assert found(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("#W7678072", "W76780725 and AW7678072"),
        ("#W7678072", "7678072"),
        ("7678072", "77678072 and 76780721"),
        ("Ada King", "Ada. Well, King"),
        ("Ada King", "ada.king7@example.org"),
        ("15550109999", "call 1555 010 99995"),
        ("order 1", "order 12, or 1"),
        ("sgiles@yahoo.com", "confirm to sgilesyahoocom"),
        ("Ada King", "Adaking and ada, who is no king"),
    ],
)
def test_what_is_something_else_is_not(value: str, text: str) -> None:
    assert not found(value, text)


def test_another_key_finds_nothing() -> None:
    assert found("ada.king@example.org", "ada.king@example.org")
    assert not found("ada.king@example.org", "ada.king@example.org", bytes(32))


def test_what_lies_inside_json_inside_a_text_is_found() -> None:
    inner = json.dumps({"lines": "to:\nJosé King\tW7678072", "number": 15550109999})
    assert "\\u00e9" in inner
    for value in ("José King", "W7678072", "15550109999"):
        assert found(value, inner)
        assert found(value, json.dumps({"again": inner}))
    assert found("new 7678072", "C:\\new\\7678072")
    assert found("order 7678072", {"arguments": {"order": 7678072}})


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["W7678072", "ada.king@example.org", "15550109999"]))
def test_any_surroundings_that_end_in_a_space(before: str, after: str, value: str) -> None:
    try:
        (before + after).encode()
    except UnicodeEncodeError:
        return
    assert found(value, f"{before} | {value} | {after}")
    assert fold(fold(before)) == fold(before) or not before.isascii()


def test_windows_across_what_is_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder(KEY, [mark_of(KEY, tokens_of(v)) for v in ("ada king of nowhere", "ada queen")])
    for at_once in (1, 2, 3, 5):
        monkeypatch.setattr("whence.text.mentions.AT_ONCE", at_once)
        for before in range(12):
            text = "ada " * before + "ada king of nowhere, " + "ada " * before
            assert finder.find(json.dumps(text)) == {0}
            assert finder.find(json.dumps(text.replace("king", "queen"))) == {1}
            assert finder.find(json.dumps(text.replace("nowhere", "here"))) == set()


def test_a_finder_that_forgets_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whence.text.mentions.KEPT", 3)
    finder = Finder(KEY, [mark_of(KEY, tokens_of(f"W{n}0000")) for n in range(1, 50)])
    for n in range(1, 50):
        assert finder.find(json.dumps({"text": f"one {n} two W{n}0000 three"})) == {n - 1}


WORDS = [
    "ada",
    "King",
    "W7678072",
    "w",
    "7678072",
    "1555",
    "010",
    "9999",
    "15550109999",
    "é",
    "\n",
    "\\n",
    "\\",
    '"',
    "-",
    ",",
    " ",
    "王",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(st.sampled_from(WORDS), max_size=8)), max_size=8), st.booleans())
def test_rows_in_bulk_give_what_each_gives_alone(rows: list[list[str] | None], numbers: bool) -> None:
    values = ["Ada King", "#W7678072", *(["1555 010 9999"] if numbers else [])]
    marks = [mark_of(KEY, tokens_of(value)) for value in values]
    contents = [row if row is None else json.dumps({"text": "".join(row)}, ensure_ascii=False) for row in rows]
    alone = {at: found for at, text in enumerate(contents) if text and (found := Finder(KEY, marks).find(text))}
    padded = pa.array(["{}", *contents, None], pa.large_string())
    finder = Finder(KEY, marks)
    for column in (padded.slice(1, len(rows)), padded.slice(1)):
        assert dict(finder.find_all(column)) == alone
    assert list(finder.find_all(pa.array([], pa.large_string()))) == []
