"""One line a person reads for each thing that a stage made."""

from __future__ import annotations

from whence.records import Evaluation, Finding, RunReport, Step


def ingest_line(report: RunReport) -> str:
    """tickets: 1,400 rows (1,380 new), 5 lines in quarantine: syntax 2 …"""
    facts = report.facts
    bad = facts["quarantined"]
    why = ", ".join(f"{code} {count}" for code, count in sorted(bad.items()))
    quarantine = f", {sum(bad.values())} in quarantine: {why}" if bad else ""
    return f"{facts['source']}: {facts['rows']:,} rows of {facts['lines']:,} records ({facts['new']:,} new){quarantine}"


def step_line(step: Step) -> str:
    """exact_duplicate: 1,990 → 1,970 (exact_duplicate 20)"""
    why = ", ".join(f"{code} {count:,}" for code, count in sorted(step.reasons.items()))
    return f"{step.name}: {step.seen:,} → {step.kept:,}" + (f" ({why})" if why else "")


def evaluation_line(who: str, made: Evaluation) -> str:
    """adapter: 91.4% [88.0%, 93.9%] of 360 items"""
    if not made.results:
        return f"{who}: nothing was scored"
    total = made.results[0]
    unscored = f", {made.unscored} unscored" if made.unscored else ""
    return f"{who}: {total.value:.1%} [{total.low:.1%}, {total.high:.1%}] of {total.n} items{unscored}"


def finding_line(finding: Finding) -> str:
    """pass  gate.gain  …"""
    return f"{finding.verdict:<8}{finding.check:<16} {finding.message}"
