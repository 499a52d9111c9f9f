"""From a sentence to something falsifiable: what is missing is found, once; what is whole passes."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from spoken import CLEAR, HEAD, VAGUE, written

from whence.cli import main
from whence.evaluate import lint
from whence.project import read_project
from whence.records import Finding


def found(folder: Path, requirements: dict[str, str], head: str = HEAD) -> list[Finding]:
    """What lint says of these requirements."""
    return lint(read_project(written(folder, requirements, head)).spec())


def wanting(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    """Those that do not pass."""
    return [(one.check, one.about, one.verdict) for one in findings if one.verdict != "pass"]


def test_four_vague_requirements_of_ten_are_four_findings(tmp_path: Path) -> None:
    said = found(tmp_path, {**CLEAR, **VAGUE})
    assert wanting(said) == [("spec.vague", name, "fail") for name in VAGUE]
    words = {one.about: re.findall(r"'([^']+)'", one.message) for one in said if one.check == "spec.vague"}
    assert words == {
        "kindness": ["friendly"],
        "help": ["helpful", "appropriate"],
        "speed": ["as soon as possible"],
        "brevity": ["short"],
    }
    assert "it also lacks: population, check, counterexample, example" in next(
        o.message for o in said if o.about == "help"
    )
    rates = {one.about: one for one in said if one.check == "spec.mutants"}
    assert [name.partition(".")[0] for name in rates] == list(CLEAR)
    for one in rates.values():
        assert (one.verdict, one.threshold) == ("pass", 0.95)
        assert one.statistic >= 0.95
        assert one.n >= 10
        assert f"({one.statistic:.0%})" in one.message


def test_a_clean_spec_passes_and_an_empty_one_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(written(tmp_path, CLEAR))
    assert main(["eval", "lint"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "deadline.days (requires '14'): contains fails 15 of 15 answers that violate it (100%)" in shown
    assert main(["eval", "lint", "--json"]) == 0
    assert {one["verdict"] for one in json.loads(capsys.readouterr().out)} == {"pass"}
    written(tmp_path, {})
    assert main(["eval", "lint"]) == 1
    assert "[[requirements]]" in capsys.readouterr().err
    written(tmp_path, VAGUE)
    assert main(["eval", "lint"]) == 2


def test_a_vague_word_is_defined_by_a_criterion_that_says_so(tmp_path: Path) -> None:
    short = CLEAR["length"].replace("Answers fit on the screen of a telephone.", "Answers are short.")
    assert wanting(found(tmp_path, {"length": short})) == [("spec.vague", "length", "fail")]
    assert wanting(found(tmp_path, {"length": short + 'defines = ["Short"]\n'})) == []
    unchecked = short.replace('check = "max_words"\nvalue = 12\n', "") + 'defines = ["short"]\n'
    assert wanting(found(tmp_path, {"length": unchecked})) == [("spec.vague", "length", "fail")]


CUT = {
    "threshold = 0.95\n": ("spec.threshold", "threshold = 0.95"),
    'slice = "topic=returns"\n': ("spec.population", "field=value"),
    'counterexample = "Send it back whenever you like."\n': ("spec.counterexample", "must fail"),
    'example = "You have 14 days to send it back. Keep the receipt."\n': ("spec.counterexample", "must pass"),
    'check = "contains"\nvalue = "14 days"\n': ("spec.checker", "one of right, contains"),
}


@pytest.mark.parametrize("cut", CUT)
def test_what_is_missing_is_one_finding(tmp_path: Path, cut: str) -> None:
    whole = {**CLEAR, "cover": CLEAR["length"].replace("length", "cover")}
    check, say = CUT[cut]
    said = found(tmp_path, whole | {"deadline": CLEAR["deadline"].replace("\n" + cut, "\n", 1)})
    assert wanting(said) == [(check, "deadline.days", "fail")]
    assert say in next(one.message for one in said if one.verdict == "fail")


CHECK, BAD = 'check = "contains"\nvalue = "14 days"', "Send it back whenever you like."
ALTERED = {
    "the example fails": ('value = "14 days"', 'value = "15 days"', "spec.checker", "fail"),
    "the counterexample passes": ('value = "14 days"', 'value = "you"', "spec.checker", "fail"),
    "it looks at another word": ('value = "14 days"', 'value = "receipt"', "spec.mutants", "fail"),
    "it looks at the length": (CHECK, 'check = "min_words"\nvalue = 7', "spec.mutants", "fail"),
    "any number will do": (CHECK, "check = 'regex'\nvalue = '(?s).*[0-9].*'", "spec.mutants", "fail"),
    "the pair says the same": (BAD, "KEEP the receipt. You have 14 days to send it back!", "spec.checker", "fail"),
    "its slice is nowhere": ("topic=returns", "topic=return", "spec.orphan", "fail"),
    "too few to tell": ("n = 220", "n = 100", "spec.power", "abstain"),
    "more than there are": ("n = 220", "n = 300", "spec.power", "abstain"),
    "so narrow that nobody can tell": ("n = 220", "n = 220\ntolerance = 0.0001", "spec.power", "abstain"),
}


@pytest.mark.parametrize("how", ALTERED)
def test_a_fault_of_a_criterion_is_one_finding_about_it(tmp_path: Path, how: str) -> None:
    old, new, check, verdict = ALTERED[how]
    assert old in CLEAR["deadline"]
    said = found(tmp_path, CLEAR | {"deadline": CLEAR["deadline"].replace(old, new)})
    assert wanting(said) == [(check, "deadline.days", verdict)]


def test_power_says_how_many_it_takes(tmp_path: Path) -> None:
    few = CLEAR | {"deadline": CLEAR["deadline"].replace("n = 220", "n = 100")}
    [said] = [one for one in found(tmp_path, few) if one.verdict == "abstain"]
    assert "100 answers tell 95.0% from 90.0% with power 0.436; that takes 203 answers" in said.message
    assert (said.n, said.threshold) == (100, 0.8)


def demand(name: str, check: str, value: str, population: str = "*", threshold: float = 0.9) -> str:
    return f"""
[[requirements.criteria]]
id = "{name}"
statement = "An answer is as {name} has it."
slice = "{population}"
check = "{check}"
value = {value}
threshold = {threshold}
"""


TWO = {
    "more words than there may be": (("min_words", "20"), ("max_words", "10"), True),
    "as many": (("min_words", "10"), ("max_words", "10"), False),
    "demanded and forbidden": (("contains", '"call us"'), ("not_contains", '["us"]'), True),
    "demanded and another forbidden": (("contains", '"call us"'), ("not_contains", '["use"]'), False),
    "longer than it may be": (("contains", '"one two three"'), ("max_words", "2"), True),
    "two closed sets": (("label", '["a", "b"]'), ("label", '["c"]'), True),
    "two sets that share one": (("label", '["a", "b"]'), ("label", '["B"]'), False),
    "a label that no pattern takes": (("label", '["a"]'), ("regex", "'[0-9]+'"), True),
    "another field": (("min_words", "20", "topic=lost"), ("max_words", "10", "topic=returns"), False),
    "a part of all": (("min_words", "20", "*"), ("max_words", "10", "topic=returns"), True),
    "a part that the rest allows": (("min_words", "20", "*", 0.7), ("max_words", "10", "topic=returns", 0.9), False),
    "half and half": (("min_words", "20", "*", 0.5), ("max_words", "10", "*", 0.5), False),
    "nine tenths and a fifth": (("contains", '"x"', "*", 0.9), ("not_contains", '"x"', "*", 0.2), True),
}


@pytest.mark.parametrize("how", TWO)
def test_two_criteria_that_cannot_both_hold(tmp_path: Path, how: str) -> None:
    one, other, clash = TWO[how]
    text = 'text = "Said twice."\n' + demand("one", *one) + demand("other", *other)
    said = [f for f in found(tmp_path, {"two": text}) if f.check == "spec.contradiction"]
    assert [f.about for f in said] == ["one"] * clash
    assert not said or "other" in said[0].message


def test_orphans_either_way(tmp_path: Path) -> None:
    part = {name: CLEAR[name] for name in ("deadline", "ticket")} | {"lonely": 'text = "Answers name the bank."\n'}
    said = found(tmp_path, part)
    assert wanting(said) == [("spec.orphan", "lonely", "fail"), ("spec.orphan", "gate", "fail")]
    assert said[-1].message == "no criterion speaks of 500 of the gate suite's 1,000 items: topic=lost, topic=sorting"
    without = HEAD.partition("[[suites]]")[0]
    assert wanting(found(tmp_path, {"length": CLEAR["length"] + "n = 220\n"}, without)) == []
    assert wanting(found(tmp_path, {"length": CLEAR["length"]}, without)) == [("spec.power", "length.words", "abstain")]
    assert wanting(found(tmp_path, {"deadline": CLEAR["deadline"]}, without)) == [("spec.orphan", "gate", "abstain")]


# -- two reviewers -----------------------------------------------------------------------------------------------------


def reviews(folder: Path, first: str, second: str, criterion: str = "deadline.days") -> Path:
    """What two said of the answers one after the other: ``p`` and ``f``."""
    lines = [
        {"criterion": criterion, "output": f"a{i}", "reviewer": who, "verdict": {"p": "pass", "f": "fail"}[letter]}
        for who, said in (("ann", first), ("ben", second))
        for i, letter in enumerate(said)
    ]
    random.Random(1).shuffle(lines)
    file = folder / "reviews.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    return file


@pytest.mark.parametrize(
    ("first", "second", "verdict", "says"),
    [
        (
            "p" * 15 + "f" * 15,
            "p" * 9 + "f" * 6 + "p" * 6 + "f" * 9,
            "fail",
            ", 0.51], needs 0.6: back to its author",
        ),
        ("p" * 15 + "f" * 15, "p" * 12 + "f" * 3 + "p" * 3 + "f" * 12, "pass", "kappa 0.60 ["),
        ("p" * 20 + "f" * 10, "p" * 20 + "f" * 10, "pass", "kappa 1.00"),
        ("p" * 29, "p" * 29, "abstain", "looked at 29 of the same answers; needs 30"),
        ("p" * 40, "p" * 40, "abstain", "said one and the same of every one"),
    ],
)
def test_a_statement_that_two_read_in_two_ways_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    first: str, second: str, verdict: str, says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(written(tmp_path, {"deadline": CLEAR["deadline"], "length": CLEAR["length"]}))
    file = reviews(tmp_path, first, second)
    assert main(["eval", "lint", "--reviews", file.name, "--json"]) == (2 if verdict == "fail" else 4)
    said = {one["about"]: one for one in json.loads(capsys.readouterr().out) if one["check"] == "spec.agreement"}
    assert said["deadline.days"]["verdict"] == verdict
    assert says in said["deadline.days"]["message"]
    assert (said["length.words"]["verdict"], said["length.words"]["n"]) == ("abstain", 0)


def test_bad_lines_are_named_and_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(written(tmp_path, {"deadline": CLEAR["deadline"], "length": CLEAR["length"]}))
    good = {"criterion": "deadline.days", "output": "a1", "reviewer": "ann", "verdict": "pass"}
    bad = [
        "{",
        json.dumps(good | {"verdict": "good"}),
        json.dumps(good | {"criterion": "deadline.day"}),
        "",
        json.dumps(good),
    ]
    Path("bad.jsonl").write_text("\n".join([json.dumps(good), *bad]))
    assert main(["eval", "lint", "--reviews", "bad.jsonl"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    for line, what in ((2, "Invalid JSON"), (3, "verdict: "), (4, "did you mean 'deadline.days'?"), (6, "in line 1")):
        assert re.search(rf"bad\.jsonl:{line}: .*{re.escape(what)}", said.err), said.err
    Path("bad.jsonl").write_text("\n")
    assert main(["eval", "lint", "--reviews", "bad.jsonl"]) == 1
    assert "holds no review" in capsys.readouterr().err
    assert main(["eval", "lint", "--reviews", "gone.jsonl"]) == 1
