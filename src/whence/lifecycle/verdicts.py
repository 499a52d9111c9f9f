"""Verdicts as people and machines read them: a table, JUnit XML, a summary in Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from whence.evaluate import POST_HOC
from whence.records import Evaluation, Finding, Verdict, writing
from whence.store import Store

HEAD = ("rule", "says", "value", "95 % interval", "relative", "n", "needs", "shows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A rule of a gate, or a check, in a verdict."""

    finding: Finding
    relative: float | None = None
    """of a change: in shares of what the baseline has; absent where that is below a tenth"""

    def cells(self) -> tuple[str, ...]:
        """As `HEAD`: shares and changes of such; what else a finding measures only its message says."""
        one, sign = self.finding, "+" if self._changes else ""
        shown = lambda value: "–" if value is None or one.check not in SHARES else f"{value:{sign}.1%}"  # noqa: E731
        between = "–" if one.low is None or one.high is None else f"{shown(one.low).rstrip('%')} to {shown(one.high)}"
        needs = "–" if one.check == "gate.chosen" else shown(one.threshold)
        return (
            self.rule,
            one.verdict if one.severity == "high" else f"{one.verdict} ({one.severity})",
            shown(one.statistic),
            between if one.check in SHARES else "–",
            "–" if self.relative is None else f"{self.relative:+.1%}",
            "–" if one.n is None else f"{one.n:,}",
            f"≤ {needs}" if one.check == "gate.unscored" else needs,
            "–" if one.detectable is None or one.check not in SHARES else f"{one.detectable:.1%}",
        )

    @property
    def _changes(self) -> bool:
        """Whether its numbers are changes, in points; of a part both the share and the change are found."""
        return self.finding.check in CHANGES and self.finding.p is not None

    @property
    def rule(self) -> str:
        """The check, and what it is about where it has several findings."""
        one = self.finding
        if one.check in SAYS_ABOUT:
            about = one.message.partition(": ")[0]
            return f"{one.check} {about}{', gain' if one.check == 'gate.part' and self._changes else ''}"
        return one.check if one.about.startswith(("sha256:", "b3:")) else f"{one.check} {one.about}"

    def sentence(self) -> str:
        """What the finding says, and what it rests on."""
        rests = ", ".join(ref.partition(":")[2][:8] for ref in self.finding.evidence)
        return f"{self.finding.message}{f' (rests on {rests})' if rests else ''}"


CHANGES = ("gate.gain", "gate.slice", "gate.part", "gate.left", "eval.served", "eval.counter")
SHARES = (*CHANGES, "gate.value", "gate.unscored", "gate.chosen", "spec.held")
"""Checks whose numbers are shares, and of these those that may be changes, in points."""
SAYS_ABOUT = ("gate.part", "gate.unscored", "eval.served")
"""Checks whose messages begin with what they are about."""
BASE_OF_CHANGE = 0.1
"""Share that a baseline has right below which a change is not given relative to it."""


def lines_of(verdict: Verdict, baseline: float | None) -> list[Line]:
    """Each rule and check, those that decide first. baseline: share of all items that it has right; None: not known."""
    order = {"fail": 0, "abstain": 1, "pass": 2}
    found = sorted(verdict.findings, key=lambda one: (one.severity != "high", order[one.verdict]))
    return [
        Line(
            finding=one,
            relative=one.statistic / baseline
            if baseline and baseline >= BASE_OF_CHANGE and one.check == "gate.gain" and one.statistic is not None
            else None,
        )
        for one in found
    ]


def is_post_hoc(verdict: Verdict) -> bool:
    """Whether its gate was fixed when the candidate's score was known."""
    return any(one.check == POST_HOC for one in verdict.findings)


def baseline_value(store: Store, verdict: Verdict) -> float | None:
    """The share of all items that the baseline has right."""
    results = store.get(verdict.baseline, Evaluation).results
    return results[0].value if results else None


def tell(
    verdict: Verdict, baseline: float | None, junit_file: str | Path | None, summary_file: str | Path | None
) -> None:
    """Write these files, where they are named. Raises BackendFailed."""
    if junit_file:
        junit(verdict, junit_file)
    if summary_file:
        summary(verdict, lines_of(verdict, baseline), summary_file)


def junit(verdict: Verdict, path: str | Path) -> None:
    """A test case a rule or check: what fails and decides is a failure, what abstains is skipped, as is what decides
    nothing and does not pass. Raises BackendFailed."""
    suite = ET.Element("testsuite", name="whence ship", tests=str(len(verdict.findings)))
    failures = skipped = 0
    for one in verdict.findings:
        about = one.about[:19] if one.about.startswith(("sha256:", "b3:")) else one.about
        case = ET.SubElement(suite, "testcase", classname=one.check, name=f"{one.check} {about}", time="0")
        if one.verdict == "fail" and one.severity == "high":
            failures += 1
            ET.SubElement(case, "failure", message=_plain(one.message), type=one.check)
        elif one.verdict != "pass":
            skipped += 1
            ET.SubElement(case, "skipped", message=_plain(f"{one.verdict}: {one.message}"))
        ET.SubElement(case, "system-out").text = _plain(one.message)
    suite.set("failures", str(failures))
    suite.set("skipped", str(skipped))
    ET.indent(suite)
    with writing(path):
        Path(path).write_bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True) + b"\n")


def summary(verdict: Verdict, lines: list[Line], path: str | Path) -> None:
    """Adds the verdict as Markdown to a file, such as the one that GITHUB_STEP_SUMMARY names. Raises BackendFailed."""
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line.cells()) + " |" for line in lines]
    head = [
        f"## whence: {verdict.outcome}{' (post hoc)' * is_post_hoc(verdict)}",
        "",
        "| " + " | ".join(HEAD) + " |",
        "| --- " * len(HEAD) + "|",
    ]
    said = [f"- **{line.finding.check}** {line.sentence()}" for line in lines if line.finding.verdict != "pass"]
    with writing(path), open(path, "a", encoding="utf-8") as file:
        file.write("\n".join([*head, *rows, "", *said]) + "\n")


def _plain(text: str) -> str:
    """What XML can hold."""
    return "".join(c if c >= " " or c in "\t\n" else "?" for c in text)
