"""`whence check` and `[use]` at the door that people use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whence.cli import main
from whence.project import read_project
from whence.records import Unmet

FILE = """\
[project]
name = "desk"
owner = "ada@example.org"
{use}
[[sources]]
name = "rows"
path = "rows.jsonl"
kind = "licensed"
licence = "{licence}"
consent_basis = "not-personal"
map = {{ id = "id" }}

[base]
path = "org/model"
"""
SERVICE = '[use]\ncommercial = true\ndistribute = "service"\n'


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"id": "{i}", "text": "question {i}"}}\n' for i in range(5)))
    return tmp_path


def declare(desk: Path, use: str, licence: str = "CC-BY-NC-4.0") -> None:
    (desk / "whence.toml").write_text(FILE.format(use=use, licence=licence))


def test_a_check_says_which_rows_which_licence_and_which_clause(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(desk, "")
    assert main(["run", "--to", "curate"]) == 0
    capsys.readouterr()
    assert main(["check", "rights.licences"]) == 4
    assert "[use]" in capsys.readouterr().out
    declare(desk, SERVICE)
    assert main(["check", "rights", "--json"]) == 2
    found = {one["check"]: one for one in json.loads(capsys.readouterr().out)}
    assert (found["rights.licences"]["verdict"], found["rights.licences"]["statistic"]) == ("fail", 5.0)
    assert "CC-BY-NC-4.0 §2(a)(1)" in found["rights.licences"]["message"]
    assert found["rights.withdrawn"]["verdict"] == "pass"
    declare(desk, '[use]\ncommercial = false\ndistribute = "none"\n')
    assert main(["check", "rights.licences", "--on", "desk"]) == 0
    assert main(["check"]) == 0


def walk(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["run", "--to", "curate"]) == 0
    return " ".join(capsys.readouterr().out.split())


def findings(capsys: pytest.CaptureFixture[str], code: int) -> list[tuple[str, str, str]]:
    capsys.readouterr()
    assert main(["check", "rights.licences", "--json"]) == code
    return [(one["verdict"], one["severity"], one["message"]) for one in json.loads(capsys.readouterr().out)]


def test_a_licence_that_is_corrected_after_rows_were_read_is_said(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(desk, SERVICE, "CC-BY-4.0")
    assert "stay" not in walk(capsys)
    assert [verdict for verdict, _, _ in findings(capsys, 0)] == ["pass"]
    declare(desk, SERVICE, "CC-BY-NC-4.0")
    do = "whence rights change --source rows --to CC-BY-NC-4.0 --all-rows"
    said = f"rows: 5 rows were read before under CC-BY-4.0 and stay so; it is claimed to be CC-BY-NC-4.0 now: {do}"
    assert said in walk(capsys)
    assert said in walk(capsys)  # up to date, and still so
    assert ("abstain", "high", said) in findings(capsys, 4)
    declare(desk, SERVICE, "CC0-1.0")
    assert "claimed to be CC0-1.0 now" in walk(capsys)
    assert [severity for _, severity, message in findings(capsys, 4) if "CC0" in message] == ["low"]
    declare(desk, SERVICE, "CC-BY-NC-4.0")
    assert main(do.split()[1:]) == 0  # this is what is to be done
    assert "stay" not in walk(capsys)
    assert [message for *_, message in findings(capsys, 4) if "stay" in message] == []


def test_rows_that_name_their_own_licence_are_not_held_against_a_new_claim(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ({"id": str(i), "text": f"question {i}", "terms": "CC-BY-4.0"} for i in range(5))
    (desk / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for licence in ("CC-BY-4.0", "CC-BY-NC-4.0"):
        declare(desk, SERVICE, licence)
        file = desk / "whence.toml"
        file.write_text(file.read_text().replace('id = "id"', 'id = "id", licence = "terms"'))
        assert "stay" not in walk(capsys)


def test_every_source_is_listed_when_nothing_is_new(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(desk, "")
    (desk / "more.jsonl").write_text('{"id": "m1", "text": "another"}\n')
    more = '[[sources]]\nname = "more"\npath = "more.jsonl"\nkind = "licensed"\nlicence = "MIT"\n'
    file = desk / "whence.toml"
    file.write_text(file.read_text().replace("[base]", more + "[base]"))
    walk(capsys)
    again = walk(capsys)
    assert "ingest up to date rows: 5 rows" in again
    assert "more: 1 rows" in again


def test_checks_are_listed_and_an_unknown_one_is_named(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(desk, "")
    assert main(["check"]) == 1
    assert main(["run", "--to", "curate"]) == 0
    capsys.readouterr()
    assert main(["check", "--list", "--json"]) == 0
    assert {"rights.withdrawn", "rights.licences", "rights.audited", "rights.declared"} <= set(
        json.loads(capsys.readouterr().out)
    )
    assert main(["check", "right"]) == 3
    assert "no check is called 'right'" in capsys.readouterr().err


def test_an_audit_comes_in_where_there_is_no_project(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"Unique Dataset Identifier": "a", "Licenses": [{"License": "MIT"}], "Model Generated": []}
    (desk / "audit.jsonl").write_text(json.dumps(good) + "\n")
    assert main(["adopt", "audit", "audit.jsonl"]) == 0
    assert "1 data sets, 1 claims: adopted" in capsys.readouterr().out
    (desk / "audit.jsonl").write_text(json.dumps(good) + "\n{\n")
    assert main(["adopt", "audit", "audit.jsonl", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["bad"][0][0] == 2


@pytest.mark.parametrize(
    ("use", "fault"),
    [
        ("[use]\ncommercial = true\n", "use.distribute: is missing"),
        (SERVICE + 'licence = "MIT"\n', "is read where distribute"),
        (SERVICE + "research = true\n", "is not commercial"),
        (SERVICE + "competing = true\n", "did you mean 'competes'?"),
        (SERVICE + 'generators = { "our-7b" = "nonsense" }\n', "no SPDX licence"),
        ('[use]\ncommercial = false\ndistribute = "weights"\nlicence = "MIT OR"\n', "no SPDX expression"),
    ],
)
def test_a_use_that_cannot_be_meant_is_refused_with_its_line(desk: Path, use: str, fault: str) -> None:
    declare(desk, use)
    with pytest.raises(Unmet, match=r"whence\.toml:[4-9]: use") as refused:
        read_project(desk)
    assert fault in str(refused.value)
