"""The generated support desk: the same bytes each time, and a truth file that holds."""

import hashlib
import json
import time
from collections import Counter
from pathlib import Path

import pytest
from desk_files import Desk, intent_of

from whence.demo.generate import INTENTS, generate
from whence.demo.plant import MUCH_TOO_LONG_CHARS
from whence.text import normalise


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("desk")
    generate(out)
    return out


@pytest.fixture(scope="module")
def desk(folder: Path) -> Desk:
    return Desk(folder)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_two_runs_write_the_same_bytes_and_another_seed_does_not(folder: Path, tmp_path: Path) -> None:
    began = time.process_time()
    generate(tmp_path / "again")
    assert time.process_time() - began < 2
    assert _digests(tmp_path / "again") == _digests(folder)
    generate(tmp_path / "other", seed=8)
    assert not set(_digests(tmp_path / "other").values()) & set(_digests(folder).values())


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_any_seed_finds_a_customer_who_withdraws(seed: int, tmp_path: Path) -> None:
    withdraw = generate(tmp_path, seed)["withdraw"]
    assert 5 <= len(withdraw["rows"]) <= 15
    assert len(withdraw["derived"]) >= 3


def test_counts_and_fields(desk: Desk) -> None:
    counts = desk.truth["counts"]
    assert counts["tickets"] == {"lines": len(desk.ticket_lines), "readable": len(desk.sources["tickets"])}
    assert counts["chats"]["lines"] == len(desk.sources["chats"]) == 200
    assert counts["chats"]["with_tools"] == sum("tools" in row for row in desk.sources["chats"]) > 10
    assert counts["partner"]["rows"] == len(desk.sources["partner"]) == 250
    assert counts["augmented"]["rows"] == len(desk.sources["augmented"]) == 150
    assert (len(desk.sources["dev"]), len(desk.sources["gate"])) == (72, 360)
    assert {tuple(row) for row in desk.sources["tickets"]} == {
        ("id", "customer", "conversation", "channel", "collected_at", "agent", "text", "intent")
    }
    assert {tuple(row) for row in desk.sources["gate"]} == {("id", "customer", "channel", "text", "intent")}
    assert "generated" in desk.truth["note"]


def test_every_intent_is_about_equally_common_and_every_answer_is_anintent_of(desk: Desk) -> None:
    assert {intent_of(row) for row in desk.rows.values()} == set(INTENTS) == set(desk.truth["intents"])
    seen = Counter(row["intent"] for row in desk.sources["gate"])
    assert min(seen.values()) >= 25


def test_customers_are_many_and_unequal(desk: Desk) -> None:
    counts = Counter(row["customer"] for row in desk.sources["tickets"])
    assert len(counts) > 250
    assert max(counts.values()) > 8 * sorted(counts.values())[len(counts) // 2]


def test_chats_with_tools_hold_nested_arguments_and_answered_calls(desk: Desk) -> None:
    for row in (row for row in desk.sources["chats"] if "tools" in row):
        (call,) = [call for turn in row["messages"] for call in turn.get("tool_calls", [])]
        (answer,) = [turn for turn in row["messages"] if turn["role"] == "tool"]
        assert isinstance(call["function"]["arguments"]["filter"], dict)
        assert answer["tool_call_id"] == call["id"]
        assert call["function"]["name"] in {tool["function"]["name"] for tool in row["tools"]}


def test_duplicates_are_the_planted_ones_and_no_others(desk: Desk) -> None:
    exact = {(one["row"], one["of"]) for one in desk.truth["exact_duplicates"]}
    loose = {(one["row"], one["of"]) for one in desk.truth["normalised_duplicates"]}
    leaks = {(one["item"], one["row"]) for one in desk.truth["text_leaks"]}
    texts = desk.texts()
    for one, other in exact | loose:
        assert intent_of(desk.rows[one]) == intent_of(desk.rows[other])
    for one, other in exact:
        assert texts[one] == texts[other]
    for one, other in loose:
        assert texts[one] != texts[other]
    groups: dict[str, list[str]] = {}
    for ref, text in texts.items():
        groups.setdefault(normalise(text), []).append(ref)
    found = {frozenset(refs) for refs in groups.values() if len(refs) > 1}
    assert found == {frozenset(pair) for pair in exact | loose | leaks}


def test_long_rows(desk: Desk) -> None:
    planted = {one["row"]: one["characters"] for one in desk.truth["too_long"]}
    lengths = {ref: len(text) for ref, text in desk.texts().items()}
    assert {ref: size for ref, size in lengths.items() if size >= MUCH_TOO_LONG_CHARS} == planted
    assert max(size for ref, size in lengths.items() if ref not in planted) < 500


def test_broken_lines_break_as_the_truth_says(desk: Desk) -> None:
    lines = {one["fault"]: desk.ticket_lines[one["line"] - 1] for one in desk.truth["broken"]}
    assert all(one["row"] == f"tickets:t-{one['line']:05d}" for one in desk.truth["broken"])
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines["truncated_json"])
    with pytest.raises(UnicodeDecodeError):
        lines["invalid_utf8"].decode()
    assert json.loads(lines["nan_value"])["agent"] != json.loads(lines["nan_value"])["agent"]
    assert json.loads(lines["missing_text"])["text"] is None
    assert "intent" not in json.loads(lines["missing_intent"])
    assert len(lines) == 5


def test_only_the_leaked_customers_are_in_training_and_in_a_suite(desk: Desk) -> None:
    trained = {row["customer"] for row in (*desk.sources["tickets"], *desk.sources["chats"])}
    gate, dev = ({row["customer"] for row in desk.sources[name]} for name in ("gate", "dev"))
    leaked = desk.truth["group_leaks"]
    assert trained & gate == {one["customer"] for one in leaked}
    assert not trained & dev
    assert not gate & dev
    for one in leaked:
        assert _refs_of(desk, one["customer"], "tickets", "chats") == set(one["rows"])
        assert _refs_of(desk, one["customer"], "gate") == set(one["items"])


def _refs_of(desk: Desk, customer: str, *sources: str) -> set[str]:
    return {ref for ref, row in desk.rows.items() if ref.split(":")[0] in sources and row.get("customer") == customer}


def test_the_withdrawal_names_every_row_and_everything_derived_from_them(desk: Desk) -> None:
    withdraw = desk.truth["withdraw"]
    rows = set(withdraw["rows"])
    assert rows == _refs_of(desk, withdraw["customer"], "tickets", "chats", "dev", "gate")
    derived = {f"augmented:{row['id']}" for row in desk.sources["augmented"] if rows & set(row["derived_from"])}
    assert derived == set(withdraw["derived"])
    planted = json.dumps([value for key, value in desk.truth.items() if key != "withdraw"])
    assert not [ref for ref in rows if f'"{ref}"' in planted]


def test_paraphrases_have_sound_parents_of_their_ownintent_of(desk: Desk) -> None:
    for row in desk.sources["augmented"]:
        assert {desk.rows[parent]["intent"] for parent in row["derived_from"]} == {row["intent"]}
