"""Nouns of judgement: suites, scores, gates, verdicts, findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal

from whence.records.canonical import Json, Ref
from whence.records.noun import noun

Outcome = Literal["pass", "fail", "abstain"]


@noun
class Item:
    """One question of a suite. Items lie in the suite's blob."""

    id: str
    """unique in its suite"""
    input: Json
    """text, or a list of turns"""
    expected: Json
    """what the scorer compares with"""
    slices: Mapping[str, str] = field(default_factory=dict)
    """field → value"""
    group: str | None = None
    """subject or conversation, for disjointness from training"""


@noun
class Suite:
    """A versioned list of items with the scorer that judges them."""

    name: str
    """the project's name for it"""
    role: Literal["dev", "gate", "fresh", "counter"]
    """dev chooses prompts; gate judges and is never chosen on; fresh has other items each time and judges nothing; on
    counter nothing may get worse while the gate gets better"""
    scorer: Literal["label", "exact", "regex", "json_schema", "judge", "elsewhere"]
    """how an answer becomes right, wrong or unscored; elsewhere: another tool says so, and we cannot"""
    items: str
    """blob: canonical JSON lines of Item"""
    n: int
    """items"""
    root: str
    """Merkle root over the items' digests"""
    labels: tuple[str, ...] = ()
    """the closed set of answers, for the label scorer"""
    groups_are: Literal["subject", "group"] | None = None
    """what its items' groups are: people, or conversations; absent: not said"""
    part_of: str | None = None
    """the source that this is a split of"""
    republishes: str | None = None
    """the source that this is a copy of"""


@noun
class Shot:
    """One worked example inside a prompt, by the suite item it was taken from."""

    suite: Ref
    """a dev suite"""
    item: str
    """the item's id"""


@noun
class Prompt:
    """How an item is put to a model."""

    template: str
    """template name: bare, instructed"""
    text: str
    """the template's system text; empty for bare"""
    shots: tuple[Shot, ...] = ()
    """worked examples, in order"""


@noun
class Score:
    """One scorer's value on one item. *unscored* is a state of its own and never zero."""

    item: str
    """item id"""
    state: Literal["right", "wrong", "unscored"]
    """right and wrong count; unscored is missing"""
    reason: str | None = None
    """why it is unscored"""


@noun
class SliceResult:
    """The numbers of one slice, or of all items (slice ``*``)."""

    slice: str
    """``field=value`` or ``*``"""
    n: int
    """scored items"""
    right: int
    """items answered right"""
    value: float
    """right / n"""
    low: float
    """95 % Wilson interval, lower end"""
    high: float
    """95 % Wilson interval, upper end"""


@noun
class Evaluation:
    """All scores of one model on one suite under one prompt."""

    run: Ref
    """the evaluation's Run"""
    suite: Ref
    """the Suite"""
    base: Ref
    """the Base under test"""
    adapter: Ref | None
    """the Adapter under test; absent: the base alone"""
    prompt: Ref
    """the Prompt"""
    scores: str
    """blob: canonical JSON lines {item, state, reason, output}"""
    unscored: int
    """items without a value"""
    results: tuple[SliceResult, ...]
    """all items first, then slices"""


@noun
class Requirement:
    """A sentence about what answers must be."""

    id: str
    """the project's name for it"""
    text: str
    """as a person said it"""
    owner: str
    """who answers for it"""


@noun
class Criterion:
    """What would show that a requirement is not met: which answers are looked at, how, and how many must pass. What is
    absent was not said, and nobody can judge by it."""

    requirement: Ref
    """the Requirement"""
    id: str
    """the project's name for it"""
    statement: str
    """what is true of an answer that passes"""
    slice: str | None
    """which answers: ``field=value`` of the gate suite's items, or ``*`` for all"""
    check: (
        Literal["right", "contains", "not_contains", "label", "regex", "json_schema", "min_words", "max_words"] | None
    )
    """how one answer passes or fails"""
    value: Json
    """what the check compares with; of ``right``: the expected value of its examples"""
    threshold: float | None
    """share of answers that must pass, 0 to 1"""
    tolerance: float
    """how far below the threshold the true share may lie and still be let through, above 0"""
    n: int | None
    """answers that are to be looked at; absent: all there are"""
    example: tuple[str, ...]
    """answers that must pass"""
    counterexample: tuple[str, ...]
    """answers that must fail"""
    defines: tuple[str, ...]
    """words of the requirement that this gives a meaning"""
    owner: str
    """who answers for it"""


@noun
class Gate:
    """Rules fixed before the first score of the candidate is recorded."""

    suite: Ref
    """the gate suite"""
    min_value: float | None
    """lowest accuracy of the candidate, 0 to 1"""
    min_gain: float
    """least gain over the base with its best prompt, 0 to 1; negative allows a loss"""
    max_slice_drop: float
    """largest allowed loss in any slice, 0 to 1"""
    alpha: float
    """significance level; Benjamini-Hochberg over slices"""
    min_items: int
    """fewer scored items: abstain"""
    min_slice_items: int
    """fewer scored items: that slice abstains"""
    max_unscored: float
    """largest share of unscored items, 0 to 1"""
    own: tuple[str, ...] | None = None
    """ids of the items that ask what revocable rows teach: these and the rest are held to `min_value` and `min_gain`
    each by itself; absent: nothing is revocable, or it was judged by itself"""
    criteria: tuple[Ref, ...] | None = None
    """each Criterion that the candidate's answers are held to; absent: none is complete"""
    budget: int | None = None
    """adapters that may be scored on the suite's items; absent: as many as there come"""


@noun
class Canaries:
    """What a model answered to fixed questions, kept so that a later look can tell whether it still does."""

    name: str
    """what was asked, whatever became of it since: ``canaries:`` before an Adapter's digest, ``base:LOCATION`` or
    ``URL MODEL``"""
    about: Ref | None
    """the Adapter, or the Base asked alone; absent: a hosted model"""
    at: datetime
    """when"""
    weights: str | None
    """``b3:`` of the base that answered; absent: hosted, nobody can say"""
    repeats: int
    """times each question was asked"""
    questions: str | None
    """``sha256:`` of the questions that come with whence; absent: a person's own, which lie with the answers"""
    answers: str | None
    """blob: canonical JSON lines {question, answers}; absent where they are a person's own"""
    words: str | None = None
    """salted digest of the same in the journal, for a person's own questions"""
    effect: float | None = None
    """of the adapter: mean divergence (Kullback-Leibler, nats) of its next token from its base's, over questions"""
    moved: float | None = None
    """share of questions, 0 to 1, that the adapter answers otherwise than its base"""


@noun
class Judge:
    """A model that is asked what it thinks of answers, and how it is asked."""

    called: str
    """what `a_by` and `b_by` call it"""
    model: str
    """``b3:`` of its weights; of a hosted one ``URL MODEL``, and nobody can say what answers there"""
    kind: Literal["grade", "pair"]
    """grade: a number for one answer; pair: which of two is better"""
    rubric: str
    """what makes an answer better, as a person said it"""
    reads: Literal["answer", "likeliest"]
    """answer: what it says; likeliest: which of the answers asked for has the likeliest first token"""
    asking: str
    """version of the prompts and of how they are read"""


@noun
class Finding:
    """What any check returns: one a check and thing."""

    check: str
    """registered id, such as rights.withdrawn"""
    about: str
    """digest or name of the thing"""
    verdict: Outcome
    """abstain is too little evidence, never a pass"""
    severity: Literal["info", "low", "high"]
    """how much it matters when it fails"""
    message: str
    """one line for a person"""
    statistic: float | None = None
    """what was measured"""
    threshold: float | None = None
    """what it was compared with"""
    n: int | None = None
    """sample size"""
    low: float | None = None
    """95 % interval, lower end"""
    high: float | None = None
    """95 % interval, upper end"""
    p: float | None = None
    """p-value, adjusted where several were tested"""
    detectable: float | None = None
    """smallest change that n shows in 8 of 10, in the statistic's unit"""
    evidence: tuple[str, ...] = ()
    """digests to look at"""
    rows: str | None = None
    """blob: affected rows as a roaring bitmap"""


@noun
class Verdict:
    """Pass, fail or abstain, with every number that was used."""

    outcome: Outcome
    """what the gate said"""
    gate: Ref
    """the Gate"""
    candidate: Ref
    """the candidate's Evaluation"""
    baseline: Ref
    """the base's Evaluation with its best prompt"""
    findings: tuple[Finding, ...]
    """each rule and check with its numbers"""


@noun
class Waiver:
    """A person's dated exception for one verdict."""

    verdict: Ref
    """what is waived"""
    person: str
    """who takes it on"""
    reason: str
    """salted digest of the reason's text"""
    expires_at: datetime
    """after which it counts no more"""


@noun
class BindingWaiver:
    """A person's dated exception for one release on one base that is not the one it was trained on."""

    release: Ref
    """what may be served"""
    weights: str
    """``b3:`` of the base that it may be served on; of no other"""
    person: str
    """who takes it on"""
    reason: str
    """salted digest of the reason's text"""
    expires_at: datetime
    """after which it counts no more"""
