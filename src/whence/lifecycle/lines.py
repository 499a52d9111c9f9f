"""One line a person reads for each thing that a stage made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from whence.records import Adapter, Evaluation, Finding, Json, Ref, RunReport, Step


def ingest_line(report: RunReport) -> str:
    """tickets: 1,400 rows (1,380 new), 5 lines in quarantine: syntax 2 …"""
    facts = report.facts
    bad = facts["quarantined"]
    why = ", ".join(f"{code} {count}" for code, count in sorted(bad.items()))
    quarantine = f", {sum(bad.values())} in quarantine: {why}" if bad else ""
    return f"{facts['source']}: {facts['rows']:,} rows of {facts['lines']:,} records ({facts['new']:,} new){quarantine}"


def step_line(step: Step) -> str:
    """exact_duplicate: 1,990 → 1,970 (exact_duplicate 20)"""
    why = [f"{code} {count:,}" for code, count in sorted(step.reasons.items())]
    why += [f"lowered {step.lowers:,}"] if step.lowers else []
    return f"{step.name}: {step.seen:,} → {step.kept:,}" + (f" ({', '.join(why)})" if why else "")


def training_lines(facts: Json, ref: Ref, adapter: Adapter) -> list[str]:
    """1,390 of 1,400 rows fed (not fed: truncated 10), 174 steps, 5,220 tokens learnt; the adapter; its limits"""
    why = ", ".join(f"{code} {count}" for code, count in sorted(facts["rows_not_fed"].items()))
    fed = f"{facts['rows_fed']:,} of {facts['rows']:,} rows fed" + (f" (not fed: {why})" if why else "")
    learnt = f"{facts['steps']:,} steps, {facts['tokens_learnt']:,} tokens learnt"
    if "answers_sampled" in facts:
        learnt = f"{facts['steps']:,} steps, {facts['answers_sampled']:,} answers sampled"
    lines = [f"{fed}, {learnt}", f"adapter {ref[7:19]}, weights {adapter.weights[:15]}…"]
    if "rewards" in facts:
        named = ", ".join(
            f"{name} {value:.3g}" for name, value in sorted(facts["rewards"].items()) if "std" not in name
        )
        lines.append(f"its trainer says of the last steps: {named}")
    if "pair_accuracy" in facts:
        share = f"{facts['pair_accuracy']:.1%} of the pairs it was trained on have the chosen answer score higher"
        lines.append(f"{share}; a model that scores is not served, so the walk ends here")
    if not facts.get("exact_replay", True):
        lines.append(f"training again without some rows is not promised to be exact: {facts['why']}")
    return lines


def room_line(room: Mapping[str, Json] | None) -> str:
    """clean room: 58 wheels by sha256, whence as installed; empty home; no network (namespace)"""
    if room is None:
        return "it was not trained in a clean room"
    if room["environment"] == "wheels":
        whence = "from its wheel" if room["whence"] == "wheel" else "as installed"
        made = f"{room['wheels']} wheels by sha256, whence {whence}"
    else:
        made = f"environment as installed, {room['packages']} packages by version"
    home = {"empty": "empty home"}.get(room["home"], "a home that was NOT EMPTY")
    but = " but for the catalogue" if "catalogue" in room else ""
    return f"clean room: {made}; {home}; no network{but} ({room['network']})"


def evaluation_line(who: str, made: Evaluation) -> str:
    """adapter: 91.4% [88.0%, 93.9%] of 360 items"""
    if not made.results:
        return f"{who}: nothing was scored"
    total = made.results[0]
    unscored = f", {made.unscored} unscored" if made.unscored else ""
    return f"{who}: {total.value:.1%} [{total.low:.1%}, {total.high:.1%}] of {total.n} items{unscored}"


def asked_line(reports: Iterable[RunReport]) -> str:
    """asked for 1,080 answers (360 were known): 30,120 tokens, 9.4 CPU s"""
    every = list(reports)
    names = ("asked", "known", "prompt_tokens", "completion_tokens")
    asked, known, read, written = (sum(one.facts[name] for one in every) for name in names)
    were = f" ({known:,} were known)" if known else ""
    return f"asked for {asked:,} answers{were}: {read + written:,} tokens, {sum(one.cpu_s for one in every):.1f} CPU s"


def finding_line(finding: Finding) -> str:
    """pass  gate.gain  …"""
    return f"{finding.verdict:<8}{finding.check:<16} {finding.message}"
