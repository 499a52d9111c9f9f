"""Suites, scorers, prompts, evaluations, gates → verdicts."""

from whence.evaluate.adopted import Claims, Evidence, adopt_log, by_another_tool
from whence.evaluate.audit import audit, audited, keep_audit
from whence.evaluate.checkers import passes, value_fault
from whence.evaluate.criteria import compiled, left_out
from whence.evaluate.evidence import judge_evidence, write_evidence
from whence.evaluate.gates import POST_HOC, fix_gate, judge, known_since, loss, outcome, scored
from whence.evaluate.harness import Endpoint, run_harness
from whence.evaluate.judges import Judging
from whence.evaluate.labelled import Labelled, read_labelled
from whence.evaluate.prompts import grid, messages
from whence.evaluate.reviews import Review, read_reviews
from whence.evaluate.rules import Pairing, rules
from whence.evaluate.run import Contender, best_prompt, evaluate
from whence.evaluate.scorers import score
from whence.evaluate.spec import Spec, lint
from whence.evaluate.suites import ItemFields, items_of, put_suite, read_suite

__all__ = [
    "POST_HOC",
    "Claims",
    "Contender",
    "Endpoint",
    "Evidence",
    "ItemFields",
    "Judging",
    "Labelled",
    "Pairing",
    "Review",
    "Spec",
    "audit",
    "audited",
    "adopt_log",
    "best_prompt",
    "compiled",
    "evaluate",
    "by_another_tool",
    "fix_gate",
    "grid",
    "items_of",
    "judge",
    "judge_evidence",
    "keep_audit",
    "known_since",
    "left_out",
    "lint",
    "loss",
    "messages",
    "outcome",
    "passes",
    "put_suite",
    "read_labelled",
    "read_reviews",
    "read_suite",
    "rules",
    "run_harness",
    "score",
    "scored",
    "value_fault",
    "write_evidence",
]
