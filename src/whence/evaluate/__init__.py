"""Suites, scorers, prompts, evaluations, gates → verdicts."""

from whence.evaluate.evidence import judge_evidence, write_evidence
from whence.evaluate.gates import POST_HOC, fix_gate, judge, outcome, scored
from whence.evaluate.prompts import grid, messages
from whence.evaluate.rules import Pairing, rules
from whence.evaluate.run import Contender, best_prompt, evaluate
from whence.evaluate.scorers import score
from whence.evaluate.suites import ItemFields, items_of, put_suite, read_suite

__all__ = [
    "POST_HOC",
    "Contender",
    "ItemFields",
    "Pairing",
    "best_prompt",
    "evaluate",
    "fix_gate",
    "grid",
    "items_of",
    "judge",
    "judge_evidence",
    "messages",
    "outcome",
    "put_suite",
    "read_suite",
    "rules",
    "score",
    "scored",
    "write_evidence",
]
