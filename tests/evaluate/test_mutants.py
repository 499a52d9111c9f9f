"""Mutants violate what a statement says, whatever the checker is: the right one fails them all, others do not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whence.evaluate.checkers import CHECKS, holds, words
from whence.evaluate.mutants import claim, limits, mutants
from whence.evaluate.vague import vague

WORDS = ["you", "have", "14", "days", "Card", "is", "not", "lost", "a-b", "it's", "é", "Straße", "x9", "İ"]
SENTENCE = st.builds(
    lambda said, end: " ".join(said) + end,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
    st.sampled_from(".!?"),
)
TEXT = st.lists(SENTENCE, min_size=1, max_size=3).map(" ".join)
PLANTED = st.sampled_from(["refund", "by Friday", "555-0100", "zwölf"])


def rate(statement: str, good: list[str], bad: list[str], check: str, value: Any) -> tuple[float, int, int]:
    """(share of mutants that the checker fails, mutants, harmless changes that it fails)."""
    made = mutants(statement, good, bad)
    failed = [not CHECKS[check](value, one) for one in made.violating]
    assert not {*good, *bad} & set(made.violating)
    spared = sum(not CHECKS[check](value, one) for one in made.harmless)
    return (sum(failed) / len(failed) if failed else 0.0), len(failed), spared


@settings(deadline=None, max_examples=60)
@given(TEXT, TEXT, PLANTED, st.booleans())
def test_what_must_be_said_is_in_no_mutant(e: str, c: str, planted: str, named: bool) -> None:
    statement = f"An answer says '{planted}'." if named else "An answer says what was asked of it."
    share, n, spared = rate(statement, [f"{e} It is {planted} now. {e}"], [c], "contains", planted)
    assert (share, spared) == (1.0, 0)
    assert n >= 5


@settings(deadline=None, max_examples=60)
@given(TEXT, TEXT, PLANTED, st.booleans())
def test_what_must_not_be_said_is_in_every_mutant(e: str, c: str, planted: str, named: bool) -> None:
    statement = f"No answer says '{planted}'." if named else "No answer says what it must not."
    share, n, spared = rate(statement, [e], [f"{c} It is {planted} now."], "not_contains", planted)
    assert (share, spared) == (1.0, 0)
    assert n >= 5


@settings(deadline=None, max_examples=60)
@given(TEXT, TEXT, st.integers(0, 40), st.sampled_from(["max_words", "min_words"]))
def test_a_limit_is_broken_by_every_mutant(e: str, c: str, more: int, check: str) -> None:
    few, many = sorted((e, f"{c} {e}"), key=words)
    n = words(few) + more % (words(many) - words(few)) + (check == "min_words")
    good, bad = (few, many) if check == "max_words" else (many, few)
    said = f"An answer has at {'most' if check == 'max_words' else 'least'} {n} words."
    share, made, spared = rate(said, [good], [bad], check, n)
    assert (share, spared) == (1.0, 0)
    assert made >= 1


@settings(deadline=None, max_examples=60)
@given(TEXT, st.lists(TEXT, min_size=1, max_size=2), st.lists(TEXT, min_size=1, max_size=2))
def test_nothing_is_made_of_what_says_the_same_and_nothing_breaks(
    statement: str, good: list[str], bad: list[str]
) -> None:
    made = mutants(statement, good, bad)
    assert not {*good, *bad} & set(made.violating)
    assert mutants(statement, good[:1], good[:1]).violating == ()


DAYS = ("An answer about returns names the deadline of 14 days.",
        ["You have 14 days to send it back. Keep the receipt."], ["Send it back whenever you like."])  # fmt: skip
MONEY = ("No answer promises or guarantees a refund.",
         ["The team looks at it and writes to you by Friday."],
         ["I guarantee that you get your money back.", "A refund is guaranteed."])  # fmt: skip
SHORT = ("An answer has at most 12 words.", ["Your card is on its way."],
         ["Your card is on its way and it arrives on Friday and we thank you for all your patience."])  # fmt: skip
TICKET = ("An answer is a JSON object with the fields `ticket` and `status`.",
          ['{"ticket": 12, "status": "open"}'], ['{"ticket": 12}', "Ticket 12 is open."])  # fmt: skip
SORTED = ("The answer is one of the labels card, fee and transfer.", ["card", "fee"], ["I would say card."])
CANCEL = ("An answer says that the customer can cancel.", ["Yes, you can cancel it."], ["Yes, you cannot cancel it."])
LETTERS = ("A ticket is written in capitals.", ["Your ticket is ABC and open."], ["Your ticket is abc and open."])
CALL = ("An answer about a lost card gives a telephone number.",
        ["Please call 555-0100 at once.", "The number is 555-0199. Have your name at hand."],
        ["Please call us at once.", "The number is on your card. Have your name at hand."])  # fmt: skip
RIGHT = [
    (DAYS, "contains", "14 days"),
    (MONEY, "not_contains", ["guarantee", "guaranteed"]),
    (SHORT, "max_words", 12),
    (TICKET, "json_schema", {"type": "object", "required": ["ticket", "status"]}),
    (SORTED, "label", ["card", "fee", "transfer"]),
    (CANCEL, "regex", "(?s)(?!.*(?i:not|never|no )).*can cancel.*"),
    (LETTERS, "regex", r"(?s).*\b[A-Z]{3}\b.*"),
    (CALL, "regex", r"(?s).*\d{3}-\d{4}.*"),
]
WRONG = [
    (DAYS, "not_contains", "whenever"),
    (DAYS, "contains", "receipt"),
    (DAYS, "min_words", 7),
    (DAYS, "regex", r"(?s).*\d.*"),
    (MONEY, "contains", "Friday"),
    (MONEY, "min_words", 9),
    (SHORT, "not_contains", "patience"),
    (SHORT, "max_words", 14),
    (TICKET, "contains", ["status"]),
    (TICKET, "json_schema", {"type": "object", "required": ["status"]}),
    (SORTED, "not_contains", "say"),
    (SORTED, "max_words", 2),
    (CANCEL, "not_contains", "cannot"),
    (LETTERS, "regex", ".*A.*"),
    (CALL, "not_contains", ["us", "on"]),
]
"""Each passes the examples and fails the counterexamples."""


@pytest.mark.parametrize(("of", "check", "value"), RIGHT)
def test_the_right_checker_fails_them_all(of: tuple[str, list[str], list[str]], check: str, value: Any) -> None:
    share, n, spared = rate(*of, check, value)
    assert (share >= 0.95, n >= 5, spared) == (True, True, 0)


@pytest.mark.parametrize(("of", "check", "value"), WRONG)
def test_one_that_looks_at_something_else_does_not(
    of: tuple[str, list[str], list[str]], check: str, value: Any
) -> None:
    _, good, bad = of
    assert all(CHECKS[check](value, e) for e in good)
    assert not any(CHECKS[check](value, c) for c in bad)
    assert rate(*of, check, value)[0] < 0.95


def test_one_that_knows_the_example_by_heart_fails_what_does_no_harm() -> None:
    for of, value in ((DAYS, "You have 14 days to send it back. Keep the receipt."), (TICKET, r"\{.ticket.: .*")):
        share, _, spared = rate(*of, "regex", value)
        assert spared > 0 or share < 0.95


@pytest.mark.parametrize(
    ("said", "is_read"),
    [
        ("An answer names the bank.", "requires"),
        ("No answer names the bank.", "forbids"),
        ("An answer never names the bank.", "forbids"),
        ("Answers do not name the bank.", "forbids"),
        ("Answers must be free of names.", "forbids"),
        ("If the order is not known, the answer asks for it.", "requires"),
        ("An answer that does not know says so.", "both"),
        ("An answer names the bank and no other.", "both"),
        ("An answer says 'not known'.", "requires"),
        ("Don't forget to name the bank.", "requires"),
    ],
)
def test_what_a_sentence_claims(said: str, is_read: str) -> None:
    assert claim(said) == is_read


@pytest.mark.parametrize(
    ("said", "unit", "most", "least"),
    [
        ("At most 60 words.", "word", 60, None),
        ("No more than three sentences.", "sentence", 3, None),
        ("Fewer than 5 lines.", "line", 4, None),
        ("More than 5 lines.", "line", None, 6),
        ("At least 10 characters.", "character", None, 10),
        ("Between 10 and 20 words.", "word", 20, 10),
        ("It has 20 words or fewer.", "word", 20, None),
        ("Exactly one sentence.", "sentence", 1, 1),
    ],
)
def test_limits_of_a_sentence(said: str, unit: str, most: int | None, least: int | None) -> None:
    assert limits(said) == [(unit, most, least)]


def test_a_number_that_is_not_understood_makes_nothing() -> None:
    few, many = "Your card is here.", "Your card is here. It is new. It is blue. It is yours."
    assert mutants("An answer is of the 9-word kind.", [few], [many]).violating == ()
    made = mutants("An answer has at most 2 words.", [few], [many])
    assert (made.how, made.violating) == ("an example does not keep to at most 2 words", ())


def test_words_are_vague_where_nothing_measures_them() -> None:
    said = (
        "Replies are Polite, easily read and briefer where possible, not 'good', shorter than 5 lines, at most 9 words."
    )
    assert vague(said) == ["polite", "easily", "briefer", "where possible"]
    assert vague("An answer has at least 10 and no more than 20 words; it says how long it takes.") == []
    assert holds("Not Known", "it is  not\nknown.")
    assert not holds("no", "it is not known")
    assert json.loads(mutants(*TICKET).harmless[1]) == json.loads(TICKET[1][0])
