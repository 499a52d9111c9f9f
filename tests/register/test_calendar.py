"""The shipped calendar is well formed; names match as they should; the score is what docs/due.md says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from whence.register import Due, Mark, calendar, shipped
from whence.register import due as rules
from whence.register.calendar import Entry, entries_in
from whence.register.due import merged, rank, score

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


def test_the_shipped_entries_are_whole_and_say_where_they_come_from() -> None:
    as_of, entries = shipped()
    assert as_of >= date(2026, 11, 21)
    assert len(entries) >= 60
    for entry in entries:
        assert entry.source.startswith("https://"), entry
        assert entry.read <= as_of
        assert date(2020, 1, 1) < entry.at < date(2035, 1, 1)
        assert all(len(pattern.replace("*", "")) >= 2 for pattern in entry.matches), entry
    said = [(e.provider, e.kind, e.at, pattern) for e in entries for pattern in e.matches]
    assert len(said) == len(set(said))
    providers = {e.provider for e in entries}
    assert {"OpenAI", "Anthropic", "Azure OpenAI", "Google Cloud", "Mistral", "Cohere", "Python"} <= providers


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("gpt-4o-mini-2024-07-18", "2027-01-14"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "2027-01-14"),
        ("GPT-4.1-2025-04-14", "2027-01-14"),
        ("claude-sonnet-4-5-20250929", "2026-11-30"),
        ("azure/gpt-4o-mini-2024-07-18.ft-0e20", "2027-10-01"),
        ("gpt-4o-mini", None),
        ("my-gpt-4", None),
        ("Qwen/Qwen3-8B", None),
    ],
)
def test_names_match_whole(name: str, ends: str | None) -> None:
    end = rules.base_end(calendar().about(name))
    assert (end and f"{end:%Y-%m-%d}") == ends


def test_python_versions() -> None:
    for minor, year in ((9, 2025), (10, 2026), (11, 2027), (12, 2028), (13, 2029), (14, 2030)):
        (entry,) = calendar().about(f"python==3.{minor}.1")
        assert (entry.kind, entry.at) == ("support_ends", date(year, 10, 31))
    assert not calendar().about("python==3.99.1")


def test_a_name_with_wildcards_in_an_answer_matches_itself_only() -> None:
    answer = {"data": [{"id": "a*[b]?", "shutdown_date": "2026-12-01"}]}
    dates = calendar(answers=entries_in(answer, "models.json", NOW.date()))
    assert dates.about("a*[b]?")
    assert not dates.about("axb1")


def test_new_jobs_that_stop_do_not_end_the_service() -> None:
    stop = Entry(
        provider="x", kind="jobs_stop", at=date(2027, 1, 6), matches=("m",), source="https://x", read=NOW.date()
    )
    mark = rules.base("m", False, [stop], NOW, 180, live=True)
    assert (mark.verdict, mark.severity, rules.base_end([stop])) == ("fail", "low", None)


def fail(check: str, days: int | None = None) -> Mark:
    return Mark(check=check, verdict="fail", message=check, days=days)


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([], 0.0),
        ([fail("due.base", 182)], 0.0),
        ([fail("due.base", 0)], 26.0),
        ([fail("due.base", -400)], 26.0),
        ([fail("due.base", 91)], 13.0),
        ([fail("due.base", 91), fail("due.data", 14)], 24.0),
        ([fail("due.owner")], 4.0),
        ([fail("due.owner"), fail("due.import"), fail("due.base", 49)], 27.0),
        ([Mark(check="due.base", verdict="abstain", message="?")], 0.0),
    ],
)
def test_the_score(marks: list[Mark], expected: float) -> None:
    assert score(marks) == expected


def test_live_ones_come_first_and_what_is_only_not_known_last() -> None:
    def one(name: str, live: bool, *marks: Mark) -> Due:
        return Due(
            adapter=name,
            name=name,
            releases=(),
            live=live,
            accountable=None,
            score=score(marks),
            days=rules.nearest(marks),
            marks=tuple(marks),
        )

    unknown = Mark(check="due.base", verdict="abstain", message="?")
    found = [one("unknown", True, unknown), one("far", True, fail("due.base", 150))]
    found += [one("near", False, fail("due.data", 3)), one("soon", True, fail("due.base", 20))]
    assert [d.name for d in rank(found)] == ["soon", "far", "near", "unknown"]


def test_a_clock_and_a_probe_are_one_finding_and_the_worse_one_counts() -> None:
    clock, probe = fail("due.base", 43), Mark(check="due.base", verdict="fail", severity="high", message="gone")
    passed = Mark(check="due.base", verdict="pass", message="fine")
    (both,) = merged([clock, probe])
    assert (both.message, both.days, both.severity) == ("gone; due.base", 43, "high")
    assert merged([passed, clock]) == (clock,)
    assert merged([clock, passed]) == (clock,)
    assert merged([passed, passed]) == ()


@pytest.mark.parametrize(("days", "alert"), [(181, None), (180, 180), (90, 90), (61, 90), (30, 30), (-5, 30)])
def test_alerts(days: int, alert: int | None) -> None:
    assert fail("due.base", days).alert == alert


def test_a_begun_day_counts() -> None:
    assert rules.days_until(NOW + timedelta(days=20), NOW) == 20
    assert rules.days_until(NOW + timedelta(hours=1), NOW) == 1
    assert rules.days_until(NOW - timedelta(hours=1), NOW) == 0


def test_the_calendar_is_shipped_with_the_package() -> None:
    import whence

    assert (Path(whence.__file__).parent / "register/calendar.toml").is_file()
