"""What is said while something takes long."""

from __future__ import annotations

import pytest

from whence.cli import session
from whence.cli.session import NEXT_LINE, Teller


@pytest.mark.parametrize("quiet", [False, True])
def test_where_no_bar_can_be_shown_a_line_now_and_then_says_how_far_it_is(
    quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(session.time, "monotonic", lambda: now)
    teller = Teller(quiet)
    for second in range(2 * NEXT_LINE):
        now = 100.0 + second
        teller.progress("evaluate", "candidate", second, 2 * NEXT_LINE)
    teller.progress("evaluate", "base", 0, 0)
    now += 3
    teller.progress("evaluate", "base", 0, 0)
    teller.close()
    said = ["evaluate: candidate … 3%", "evaluate: candidate … 53%", "evaluate: base …"]
    assert capsys.readouterr() == ("", "" if quiet else "".join(f"{line}\n" for line in said))
