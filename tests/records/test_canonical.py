"""Canonical form: one value, one spelling; any change another digest."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_type_hints

import pytest
from drawn import JSON, NOUNS, nouns, spelled, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.records import (
    Adapter,
    Base,
    Evaluation,
    Event,
    Fingerprint,
    Item,
    Prompt,
    Row,
    Source,
    Tier,
    canonical,
    content_digest,
    digest,
    encode,
    encode_parsed,
    parse_time,
    references,
    row_id,
    text_time,
)
from whence.records.canonical import plain
from whence.store.nouns import decode

few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
KEY = bytes(range(32))


def test_every_noun_is_drawn() -> None:
    assert len(NOUNS) >= 30


@pytest.mark.parametrize("kind", NOUNS, ids=lambda kind: kind.__name__)
@few
@given(data=st.data())
def test_round_trip_keeps_the_digest(kind: type, data: st.DataObject) -> None:
    noun = data.draw(nouns(kind))
    again = decode(canonical(noun).decode())
    assert type(again) is kind
    assert digest(again) == digest(noun)
    assert spelled(again) == spelled(noun)


@pytest.mark.parametrize("kind", NOUNS, ids=lambda kind: kind.__name__)
@few
@given(data=st.data())
def test_any_change_to_any_field_changes_the_digest(kind: type, data: st.DataObject) -> None:
    noun = data.draw(nouns(kind))
    for name, hint in get_type_hints(kind).items():
        changed = replace(noun, **{name: data.draw(values(hint))})
        assert (digest(changed) == digest(noun)) == (spelled(changed) == spelled(noun)), name


def test_nouns_with_equal_fields_differ() -> None:
    assert digest(Prompt(template="t", text="x")) != digest(Item(id="x", input="", expected=None))
    made = [digest(Source(name="a", kind="licensed", location="b")), digest(Prompt(template="t", text="a"))]
    assert len(set(made)) == 2


# -- chat rows ---------------------------------------------------------------------------------------------------------

CHAT = {
    "shape": "chat",
    "messages": [
        {"role": "system", "content": "You work at a bank."},
        {"role": "user", "content": "Move 10 to Zoë"},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {
                        "name": "transfer",
                        "arguments": {"to": {"name": "Zoë", "tags": ["a", "b"]}, "amount": 10, "fee": 0.5, "now": True},
                    },
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"ok": true}'},
    ],
    "tools": [{"type": "function", "function": {"name": "transfer", "parameters": {"type": "object"}}}],
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a value, itself left out."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inside for found in [(*path, key), *paths(item, (*path, key))]]


def edited(path: tuple[Any, ...], edit: str) -> Any:
    """A copy of CHAT with one value changed, removed, or given once more."""
    chat = json.loads(json.dumps(CHAT))
    holder = chat
    for key in path[:-1]:
        holder = holder[key]
    if edit == "remove":
        del holder[path[-1]]
    elif edit == "repeat" and isinstance(holder, list):
        holder.insert(path[-1], holder[path[-1]])
    elif edit == "repeat":
        holder[path[-1] + "_"] = holder[path[-1]]
    else:
        old = holder[path[-1]]
        new = {str: lambda: old + " ", bool: lambda: not old, int: lambda: float(old), float: lambda: old + 1e-9}
        holder[path[-1]] = new.get(type(old), lambda: {"was": old})()
    return chat


@pytest.mark.parametrize("edit", ["change", "remove", "repeat"])
def test_any_edit_of_a_chat_row_changes_its_content_digest(edit: str) -> None:
    whole = content_digest(KEY, CHAT)
    assert content_digest(KEY, json.loads(json.dumps(CHAT, sort_keys=True))) == whole
    found = {content_digest(KEY, edited(path, edit)) for path in paths(CHAT)}
    assert whole not in found
    assert len(found) == len(paths(CHAT))


def test_turn_order_counts_and_another_key_gives_another_digest() -> None:
    turned = {**CHAT, "messages": CHAT["messages"][::-1]}
    assert content_digest(KEY, turned) != content_digest(KEY, CHAT)
    assert content_digest(bytes(32), CHAT) != content_digest(KEY, CHAT)


def test_row_ids_keep_their_parts_apart() -> None:
    assert row_id(KEY, "ab", "c", b"x") != row_id(KEY, "a", "bc", b"x")
    assert row_id(KEY, "a", "b", b"x") != row_id(KEY, "a", "b", b"y")


# -- free JSON ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_parsed_values_are_spelled_the_same(value: Any) -> None:
    parsed = json.loads(json.dumps(value))
    assert encode_parsed(parsed).encode() == encode(parsed) == encode(value)
    assert encode(json.loads(encode(value))) == encode(value)


@settings(max_examples=60, deadline=None)
@given(JSON, JSON)
def test_free_json_is_equal_exactly_when_its_bytes_are(one: Any, other: Any) -> None:
    assert (encode(one) == encode(other)) == (spelled(one) == spelled(other))


def test_numbers() -> None:
    assert encode(1) == b"1"
    assert encode(1.0) == b"1.0"
    assert encode(True) != encode(1)
    assert encode([-0.0, 0.1 + 0.2]) == b"[0.0,0.30000000000000004]"
    assert encode_parsed([-0.0]) == "[0.0]"
    for bad in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError):
            encode([bad])
        with pytest.raises(ValueError):
            encode_parsed([bad])


def test_text_is_kept_as_it_came() -> None:
    composed, decomposed = unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë")
    assert encode(composed) != encode(decomposed)
    assert encode("a\r\nb") != encode("a\nb")
    assert encode({"é": 1}) == '{"é":1}'.encode()
    with pytest.raises(ValueError):
        encode("\ud800")
    with pytest.raises(ValueError):
        encode({"\udc00": 1})
    with pytest.raises(ValueError):
        canonical(Prompt(template="t", text="\ud800"))


def test_null_members_are_absent_and_key_order_does_not_matter() -> None:
    assert encode({"b": 1, "a": None, "c": {"d": None}}) == encode({"c": {}, "b": 1})
    assert encode_parsed({"b": 1, "a": None}) == '{"b":1}'
    assert encode([None]) == b"[null]"
    assert encode({"a": "null", "b": None}) == encode({"a": "null"})


@pytest.mark.parametrize("bad", [{1: "x"}, {None: 1}, {"a": b"x"}, {1, 2}, object(), datetime(2026, 1, 1)])
def test_what_json_has_not_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError):
        encode(bad)


# -- typed fields ------------------------------------------------------------------------------------------------------


def event(**changed: Any) -> Event:
    facts = {"seq": 1, "kind": "k", "about": "a", "actor": "me", "recorded_at": datetime(2026, 1, 2, tzinfo=UTC)}
    return Event(**{**facts, "valid_at": None, "data": None, "payload": None, "previous": "p", **changed})


def test_fields_are_written_by_their_type() -> None:
    assert canonical(Tier(sources=("s",), rehearsal=0.0)) == canonical(Tier(rehearsal=0, sources=("s",)))
    for bad in (1.0, True, "1", None):
        with pytest.raises(TypeError):
            canonical(event(seq=bad))
    for bad in (1, b"x", None):
        with pytest.raises(TypeError):
            canonical(Prompt(template="t", text=bad))
    with pytest.raises(TypeError):
        canonical(Source(name="a", kind="found on the street", location="x"))
    row = Row(id="i", ordinal=0, source="s", record="r", content=None)
    with pytest.raises(TypeError):
        canonical(replace(row, slices={"a": 1}))
    with pytest.raises(TypeError):
        canonical(replace(row, slices={1: "a"}))
    with pytest.raises(TypeError):
        canonical(replace(row, parents=[1]))


def test_a_float_field_reads_1_and_1_0_as_one_value_and_free_json_does_not() -> None:
    from whence.records import Schedule

    made = [Schedule(key="k", epochs=1, steps_per_epoch=1, divisor=value) for value in (1, 1.0)]
    assert digest(made[0]) == digest(made[1])
    assert digest(replace(made[0], divisor=-0.0)) == digest(replace(made[0], divisor=0.0))
    assert digest(event(data={"n": 1})) != digest(event(data={"n": 1.0}))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError):
            canonical(replace(made[0], divisor=bad))


def test_times_are_utc_microseconds() -> None:
    east = datetime(2026, 11, 21, 10, tzinfo=timezone(timedelta(hours=2)))
    assert text_time(east) == "2026-11-21T08:00:00.000000Z"
    assert digest(event(recorded_at=east)) == digest(event(recorded_at=east.astimezone(UTC)))
    assert text_time(datetime(33, 4, 3, tzinfo=UTC)) == "0033-04-03T00:00:00.000000Z"
    with pytest.raises(ValueError):
        canonical(event(recorded_at=datetime(2026, 1, 1)))
    assert parse_time("2026-11-21") == datetime(2026, 11, 21, tzinfo=UTC)
    with pytest.raises(ValueError):
        parse_time("2026-11-21T08:00")


@settings(max_examples=50, deadline=None)
@given(values(datetime))
def test_times_round_trip(moment: datetime) -> None:
    assert parse_time(text_time(moment)) == moment


# -- references --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NOUNS, ids=lambda kind: kind.__name__)
@few
@given(data=st.data())
def test_references_are_the_ref_fields_and_no_others(kind: type, data: st.DataObject) -> None:
    noun = data.draw(nouns(kind))
    expected = [f for f, hint in kind.__annotations__.items() if "Ref" in str(hint) and getattr(noun, f) is not None]
    assert list(dict.fromkeys(f for f, _ in references(noun))) == [f for f in expected if getattr(noun, f) != ()]
    for field, held in references(noun):
        value = getattr(noun, field)
        assert held == value or held in value


def test_digests_that_are_no_references_are_not_followed() -> None:
    seen = Fingerprint(weights="b3:1", shapes="sha256:1", tokenizer="sha256:2", template="sha256:3")
    assert references(Base(name="b", location="b", fingerprint=seen)) == []
    made = Adapter(
        name="a",
        closure="sha256:c",
        run="sha256:r",
        weights="b3:1",
        config="sha256:x",
        base=seen,
        location="l",
        bytes=1,
    )
    assert references(made) == [("closure", "sha256:c"), ("run", "sha256:r")]
    judged = Evaluation(
        run="sha256:r", suite="sha256:s", base="sha256:b", adapter=None, prompt="sha256:p", scores="sha256:blob",
        unscored=0, results=(),
    )  # fmt: skip
    assert [field for field, _ in references(judged)] == ["run", "suite", "base", "prompt"]
    assert "adapter" not in plain(judged)
