"""What ends when: rules over what is known of an adapter. Pure: no clock, no store.

A rule says `Mark`s: pass, fail, or abstain where nothing is known. They are the same objects for all adapters that
share a base, a source or an environment, and become `Finding`s when somebody looks at one adapter: a registry may hold
100,000.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from whence.records import Finding
from whence.records.judgement import Outcome
from whence.register.calendar import Entry

ALERTS = (180, 90, 60, 30)
"""days before an end on which somebody is told"""
REBUILD_DAYS = 180
"""a closure that nobody made again for so long may not be makeable any more: half a year, over which the bus factor of
a team is counted too"""
WEEKS = 26
"""an end further away than this adds nothing to the score: the first alert"""
HARD = ("due.base", "due.data", "due.rights")
"""checks whose dates end service or the possibility to train again"""
MONTH = 4
"""weeks that each other finding counts as: roughly what it takes to find an owner or to mend a pipeline"""

Severity = Literal["info", "low", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What one check says of one thing that adapters share."""

    check: str
    """due.base, due.data …"""
    verdict: Outcome
    """abstain: nothing is known"""
    message: str
    """what was found"""
    do: str = ""
    """what to do about it"""
    severity: Severity = "low"
    """high: a service stops"""
    at: datetime | None = None
    """when it ends"""
    days: int | None = None
    """until then, rounded up; negative: it has ended"""
    evidence: tuple[str, ...] = ()
    """digests to look at"""

    @property
    def alert(self) -> int | None:
        """The last alert that was due: 180, 90, 60 or 30 days."""
        return None if self.days is None else min((a for a in ALERTS if self.days <= a), default=None)

    def finding(self, about: str) -> Finding:
        """The finding about one adapter."""
        return Finding(
            check=self.check,
            about=about,
            verdict=self.verdict,
            severity=self.severity,
            message=self.message + (f"; {self.do}" if self.do else ""),
            statistic=None if self.days is None else float(self.days),
            threshold=None if self.alert is None else float(self.alert),
            evidence=self.evidence,
        )


class Due(NamedTuple):
    """One adapter for which something is due or not known. A tuple: there may be many."""

    adapter: str
    """digest"""
    name: str
    """what training called it"""
    releases: tuple[str, ...]
    """names"""
    live: bool
    """a deployment of it is not known to have ended"""
    accountable: str | None
    """who answers for it now; None: nobody"""
    score: float
    """see docs/due.md; the highest first"""
    days: int | None
    """until the nearest end"""
    marks: tuple[Mark, ...]
    """what fails or is not known, the soonest first"""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The marks as findings about this adapter."""
        return tuple(mark.finding(self.adapter) for mark in self.marks)


def days_until(at: datetime, now: datetime) -> int:
    """Whole days, a begun one counted."""
    return math.ceil((at - now) / timedelta(days=1))


def nearest(marks: Iterable[Mark]) -> int | None:
    """Days until the first end of all."""
    return min((mark.days for mark in marks if mark.days is not None and mark.verdict == "fail"), default=None)


def score(marks: Iterable[Mark]) -> float:
    """Weeks lost of 26 until the nearest hard end, and four for each other finding that fails."""
    failing = [mark for mark in marks if mark.verdict == "fail"]
    hard = [mark.days for mark in failing if mark.check in HARD and mark.days is not None]
    lost = max(0.0, min(WEEKS, WEEKS - min(hard) / 7)) if hard else 0.0
    return round(lost + MONTH * len({mark.check for mark in failing if mark.check not in HARD}), 1)


def rank(found: Iterable[Due]) -> list[Due]:
    """Live ones first, then by score, then the nearest end; those of which nothing fails come last."""
    return sorted(
        found,
        key=lambda one: (not one.score, not one.live, -one.score, math.inf if one.days is None else one.days, one.name),
    )


def merged(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """One mark a check, the soonest first: where a clock and a probe both speak, the worse verdict with both messages.
    What passes is left out."""
    found: dict[str, Mark] = {}
    for mark in marks:
        before = found.get(mark.check)
        found[mark.check] = mark if before is None else _worse(before, mark)
    shown = [mark for mark in found.values() if mark.verdict != "pass"]
    return tuple(sorted(shown, key=_soonest)) if len(shown) > 1 else tuple(shown)


def _soonest(mark: Mark) -> tuple[bool, float, str]:
    return mark.verdict != "fail", math.inf if mark.days is None else mark.days, mark.check


_BADNESS = ("pass", "abstain", "fail")


def _worse(a: Mark, b: Mark) -> Mark:
    if a.verdict == b.verdict and a.verdict != "pass":
        first, second = sorted((a, b), key=lambda m: (m.severity != "high", *_soonest(m)))
        timed = first if first.days is not None else second
        return replace(
            first,
            message=f"{first.message}; {second.message}",
            do="; ".join(dict.fromkeys(d for d in (first.do, second.do) if d)),
            at=timed.at,
            days=timed.days,
            evidence=first.evidence + second.evidence,
        )
    return max(a, b, key=lambda m: _BADNESS.index(m.verdict))


# -- rules -------------------------------------------------------------------------------------------------------------


def severity(live: bool) -> Severity:
    """What ends is serious where something answers with it."""
    return "high" if live else "low"


def when(days: int) -> str:
    """in 20 days, today, 3 days ago"""
    plural = "" if abs(days) == 1 else "s"
    return "today" if days == 0 else f"in {days} day{plural}" if days > 0 else f"{-days} day{plural} ago"


def base_end(entries: Sequence[Entry]) -> datetime | None:
    """When requests to a base fail, or its weights cannot be had any more."""
    return next((entry.ends for entry in entries if entry.kind in ("retired", "withdrawn")), None)


SAID = {
    "retired": "is retired by",
    "withdrawn": "cannot be had any more: withdrawn by",
    "jobs_stop": "takes no new training jobs:",
    "deprecated": "is deprecated by",
    "support_ends": "loses support:",
}


def base(name: str | None, held: bool, entries: Sequence[Entry], now: datetime, within: int, live: bool) -> Mark:
    """``due.base``: the base against the calendar. `held`: its weights were seen here."""
    if name is None:
        return Mark(
            check="due.base",
            verdict="abstain",
            message="nothing is known of its base",
            do="say which: whence adopt --base",
        )
    dated = [e for e in entries if e.kind != "deprecated"]
    for entry in sorted(dated, key=lambda e: (e.kind == "jobs_stop", e.at)):
        days = days_until(entry.ends, now)
        if days <= within:
            ends = entry.kind != "jobs_stop"
            return Mark(
                check="due.base",
                verdict="fail",
                severity=severity(live) if ends else "low",
                message=f"{name} {SAID[entry.kind]} {entry.provider} on {entry.at} ({when(days)})",
                do="train on another base before then" if days > 0 else "train on another base",
                at=entry.ends,
                days=days,
            )
    if entries and not dated:
        what = f"{name} {SAID['deprecated']} {entries[0].provider} since {entries[0].at}, no end is published"
        return Mark(check="due.base", verdict="abstain", message=what, do="ask the provider")
    if not entries and not held:
        what = f"nothing is known of {name}: its weights were never seen here, and no calendar names it"
        return Mark(check="due.base", verdict="abstain", message=what, do="add its end to whence-calendar.toml")
    return Mark(check="due.base", verdict="pass", message=f"{name}: nothing ends within {within} days")


def data(
    sources: Sequence[tuple[str, datetime | None]] | None,
    base_ends: datetime | None,
    clashes: dict[str, str],
    now: datetime,
    within: int,
    live: bool,
) -> Mark:
    """``due.data``: deletion of what it was trained on, where that comes before the base's own end. `clashes`: source →
    withdrawals that cover rows of it."""
    if sources is None:
        do = "bring the file in: whence adopt --data"
        return Mark(check="due.data", verdict="abstain", message="nothing is known of its training data", do=do)
    dated = sorted((at, name) for name, at in sources if at is not None)
    due = [(days_until(at, now), at, name) for at, name in dated if base_ends is None or at < base_ends]
    due = [one for one in due if one[0] <= within]
    if not due:
        return Mark(check="due.data", verdict="pass", message="nothing that it was trained on is deleted first")
    days, at, name = due[0]
    more = f" (and {len(due) - 1} more)" if len(due) > 1 else ""
    before = "" if base_ends is None else f", before its base ends on {base_ends:%Y-%m-%d}"
    gone = "was" if days <= 0 else "is"
    message = f"source {name}{more} {gone} deleted on {at:%Y-%m-%d} ({when(days)}){before}"
    held = [clashes[source] for _, _, source in due if source in clashes]
    if held:
        message += (
            f"; at odds with this: {'; '.join(held)}. Keeping the data would break that, deleting it ends rebuilds"
        )
        do = "a person decides which comes first"
    else:
        do = "keep a copy that is allowed, or rebuild elsewhere" if days <= 0 else "rebuild or copy before then"
    return Mark(
        check="due.data", verdict="fail", severity=severity(live), message=message, do=do, at=at, days=days
    )  # fmt: skip


def rights(
    ends: Sequence[tuple[datetime, str, str]], now: datetime, within: int, live: bool, ended: bool = False
) -> Mark:
    """``due.rights``: rights that ended, withdrawals that are known to come, waivers that expire.

    ends: (when, what, digest or ""). ended: it stands on rows that may not be used now.
    """
    if ended:
        return Mark(
            check="due.rights", verdict="fail", severity=severity(live), days=0,
            message="it stands on rows that may not be used any more", do="see whence ask blast-radius",
        )  # fmt: skip
    due = sorted((days_until(at, now), at, what, ref) for at, what, ref in ends if days_until(at, now) <= within)
    if not due:
        return Mark(check="due.rights", verdict="pass", message="no right ends")
    days, at, _, _ = due[0]
    return Mark(
        check="due.rights",
        verdict="fail",
        severity=severity(live),
        message="; ".join(f"{what} on {on:%Y-%m-%d} ({when(left)})" for left, on, what, _ in due[:3])
        + (f"; and {len(due) - 3} more" if len(due) > 3 else ""),
        do="train without it, or judge again, before then" if days > 0 else "take it down, or judge again",
        at=at,
        days=days,
        evidence=tuple(ref for _, _, _, ref in due if ref),
    )


def environment(
    known: bool, python: str | None, ending: Sequence[tuple[str, Entry]], now: datetime, within: int
) -> Mark:
    """``due.environment``: Python and packages against the calendar. `ending`: (``name==version``, its entry)."""
    if not known:
        return Mark(check="due.environment", verdict="abstain", message="nothing is known of its environment")
    due = sorted((days_until(e.ends, now), name, e.ends) for name, e in ending if days_until(e.ends, now) <= within)
    if due:
        days, _, at = due[0]
        listed = ", ".join(f"{name} ({when(left)})" for left, name, _ in due[:4])
        return Mark(
            check="due.environment", verdict="fail", message=f"support ends: {listed}", days=days, at=at,
            do="rebuild in a newer environment and compare",
        )  # fmt: skip
    if python is None:
        return Mark(check="due.environment", verdict="abstain", message="which Python made it is not on record")
    return Mark(check="due.environment", verdict="pass", message=f"Python {python} is supported")


def owner(
    accountable: str | None,
    gone: datetime | None,
    backup: str | None,
    backup_gone: datetime | None,
    now: datetime,
    within: int,
    live: bool,
) -> Mark:
    """``due.owner``: whether somebody answers for it, and somebody else could."""
    say = "whence rights own NAME --accountable PERSON --backup PERSON"
    if accountable is None:
        return _owner("nobody is named to answer for it", say, severity(live))
    left, backup_left = gone is not None and gone <= now, backup_gone is not None and backup_gone <= now
    if left:
        assert gone is not None
        since = f"{accountable} left on {gone:%Y-%m-%d}"
        if backup is None or backup_left:
            second = "no backup is named" if backup is None else f"the backup {backup} left too"
            return _owner(f"orphaned: {since}, {second}", say, severity(live))
        return _owner(f"{since}; {backup} is the backup and not accountable yet", say, "low")
    if backup is None or backup_left:
        found = "no backup is named" if backup is None else f"the backup {backup} left"
        return _owner(f"{accountable} answers for it; {found}", say, "low")
    if gone is not None and days_until(gone, now) <= within:
        days = days_until(gone, now)
        mark = _owner(f"{accountable} leaves on {gone:%Y-%m-%d} ({when(days)})", say, "low")
        return replace(mark, at=gone, days=days)
    return Mark(check="due.owner", verdict="pass", message=f"{accountable} answers for it, {backup} is the backup")


def _owner(message: str, do: str, how_much: Severity) -> Mark:
    return Mark(check="due.owner", verdict="fail", message=message, do=do, severity=how_much)


def code(commit: str | None, clean: bool | None) -> Mark:
    """``due.code``: whether the code that made it is named."""
    if commit is None:
        return Mark(check="due.code", verdict="abstain", message="which code made it is not on record")
    if clean is False:
        found = "it was made from a commit with changes that nobody committed"
        return Mark(check="due.code", verdict="fail", message=found, do="rebuild from a clean commit")
    return Mark(check="due.code", verdict="pass", message="its code is named")


def rebuild(made_at: datetime | None, now: datetime) -> Mark:
    """``due.rebuild``: how long ago it was last made from its closure, the first time included."""
    if made_at is None:
        return Mark(check="due.rebuild", verdict="abstain", message="when it was made is not on record")
    age = -days_until(made_at, now)
    if age > REBUILD_DAYS:
        found = f"last made {age} days ago; more than {REBUILD_DAYS} say little about today"
        return Mark(check="due.rebuild", verdict="fail", message=found, do="whence model rebuild")
    return Mark(check="due.rebuild", verdict="pass", message=f"last made {age} days ago")
