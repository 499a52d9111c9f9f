"""What a ``whence.toml`` may say. Every field is read by something; an unknown one is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(pattern=r"\S")]


class _Strict:
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True)
class ProjectPart(_Strict):
    """Who answers for it. ``wheels``: a folder with the packages that train, each named by its SHA-256 in what is
    recorded, and installed from there when an adapter is made again (docs/unlearning.md)."""

    name: Name
    owner: str
    backup: str | None = None
    wheels: str | None = None


@dataclass(frozen=True, kw_only=True)
class StorePart(_Strict):
    """Where the record lies; the key file must lie outside it. ``catalogue`` is the address of a PostgreSQL database,
    for writers on several machines that share the folder."""

    path: str = ".whence"
    keys: str = "whence.key"
    catalogue: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourcePart(_Strict):
    """One file of rows, and what is claimed about it. ``path`` may be a URL, or a folder that ``datasets`` saved.
    ``part_of``: what it is a split of; ``republishes``: the source or suite that it is a copy of (docs/kin.md).
    ``revocable``: its rows may have to go, and are trained so that they can (docs/unlearning.md)."""

    name: Name
    path: str
    kind: Literal["production_log", "human_annotation", "synthetic", "user_correction", "licensed", "scraped"]
    format: Literal["auto", "jsonl", "json", "csv", "parquet", "datasets"] = "auto"
    licence: str | None = None
    evidence: str | None = None
    consent_basis: Literal["consent", "contract", "legitimate-interest", "legal-duty", "not-personal"] | None = None
    collector: str | None = None
    retrieved_at: str | None = None
    purge_at: str | None = None
    part_of: str | None = None
    republishes: str | None = None
    revocable: bool = False
    map: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UsePart(_Strict):
    """What the models are for; `whence check rights` holds every licence against it (docs/licences.md). ``distribute``:
    nobody outside gets anything, answers, or the weights, these under ``licence`` (SPDX). ``research``: academic
    research and nothing else. ``competes``: with the makers of models that wrote rows. ``generators``: a model that
    wrote rows = the terms on what it writes, where the shipped table has none."""

    commercial: bool
    distribute: Literal["none", "service", "weights"]
    licence: str | None = None
    research: bool = False
    competes: bool | None = None
    generators: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BasePart(_Strict):
    """The pretrained model: a folder, or a hub id."""

    path: str
    revision: str | None = None
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class RecipePart(_Strict):
    """How the adapter is trained; see `whence.records.Recipe` for units. The last four are read by some methods only,
    which have defaults for them: see docs/training.md. ``revocable``: rows of revocable sources get an adapter of their
    own, to which requests are routed, or a tier, the last stretch of the one training, with its ``rehearsal`` and
    ``peak``; absent: whichever fits what these rows ask."""

    method: Literal["sft", "dpo", "orpo", "reward", "kto", "grpo"] = "sft"
    epochs: Positive = 2
    batch_rows: Positive = 16
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    lr_schedule: Literal["linear", "constant", "cosine"] = "linear"
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    rank: Positive = 8
    alpha: Positive = 16
    dropout: Share = 0.0
    target_modules: str = "all-linear"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    seed: Annotated[int, Field(ge=0)] = 0
    max_length: Positive = 512
    micro_batch_rows: Positive = 8
    checkpoint_every: Positive = 50
    threads: Positive = 1
    dtype: Literal["float32", "bfloat16"] = "float32"
    revocable: Literal["routed", "tier"] | None = None
    rehearsal: Share = 0.5
    peak: Annotated[float, Field(gt=0)] = 1.0
    beta: Annotated[float, Field(gt=0)] | None = None
    generations: Annotated[int, Field(ge=2)] | None = None
    answer_tokens: Positive | None = None
    reward: Name | None = None


@dataclass(frozen=True, kw_only=True)
class SuitePart(_Strict):
    """A file of items; ``dev`` chooses the base's best prompt, ``gate`` judges, ``fresh`` (one or none) has
    other items each time: a gate that rises while fresh ones do not is found out; on those of ``counter`` a candidate
    may lose no more than ``max_slice_drop`` against its base. ``groups_are``: whether items' groups
    are people or conversations; absent: `disjoint` takes them for people, and kin is looked for both ways. ``part_of``
    and ``republishes``: the source that it is a split or a copy of (docs/kin.md). ``scorer = "judge"``: an answer is
    right where the judge holds it for at least as good as the one expected (docs/judges.md)."""

    name: Name
    role: Literal["dev", "gate", "fresh", "counter"]
    path: str
    scorer: Literal["label", "exact", "regex", "json_schema", "judge"] = "exact"
    map: Mapping[str, str | list[str]] = field(default_factory=dict)
    groups_are: Literal["subject", "group"] | None = None
    part_of: str | None = None
    republishes: str | None = None


@dataclass(frozen=True, kw_only=True)
class JudgePart(_Strict):
    """A model that judges answers (docs/judges.md): hosted, ``at`` an address under the name ``model``, ``key`` the
    environment variable that holds its key; or a ``base`` in this process. ``rubric``: a file that says what makes an
    answer better; absent: a plain one."""

    at: str | None = None
    model: Text | None = None
    key: Name | None = None
    base: str | None = None
    kind: Literal["pair", "grade"] = "pair"
    rubric: str | None = None


@dataclass(frozen=True, kw_only=True)
class GatePart(_Strict):
    """What a release must show; fixed before the candidate's first score. ``budget``: adapters that may be scored on
    the same items; beyond, a verdict abstains."""

    min_value: Share | None = None
    min_gain: Annotated[float, Field(ge=-1, le=1)] = 0.0
    max_slice_drop: Share = 0.1
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    min_items: Positive = 100
    min_slice_items: Positive = 20
    max_unscored: Share = 0.02
    budget: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class CriterionPart(_Strict):
    """What would show that the requirement above it is not met (docs/criteria.md). ``slice``: which answers,
    ``field=value`` of the gate suite's items or ``*`` for all. ``threshold``: share of them that must pass;
    ``tolerance``: how far below it the true share may lie. ``n``: how many are to be looked at. ``example`` must pass,
    ``counterexample`` must fail. ``defines``: vague words of the requirement that this gives a meaning."""

    id: Name
    statement: Text
    slice: str | None = None
    check: (
        Literal["right", "contains", "not_contains", "label", "regex", "json_schema", "min_words", "max_words"] | None
    ) = None
    value: object = None
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    n: Positive | None = None
    example: Text | list[Text] = field(default_factory=list)
    counterexample: Text | list[Text] = field(default_factory=list)
    defines: list[Text] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RequirementPart(_Strict):
    """A sentence about what answers must be, and what would show that they are not. ``owner``: who answers for it;
    absent: who answers for the project. A release is held to each complete criterion (docs/criteria.md)."""

    id: Name
    text: Text
    owner: Text | None = None
    criteria: list[CriterionPart] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ServingPart(_Strict):
    """How the release answers. ``unbound`` is what becomes of a release whose base is another than in training, or not
    known: the gateway does not start, or the release answers shadow traffic only. One that does not fit never loads."""

    alias: Name | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8321
    consent: Literal["none", "train"] = "none"
    lease_s: Annotated[float, Field(gt=0)] = 60.0
    max_tokens: Positive = 64
    unbound: Literal["block", "shadow"] = "block"


@dataclass(frozen=True, kw_only=True)
class ProjectFile(_Strict):
    """The whole file."""

    project: ProjectPart
    store: StorePart = field(default_factory=StorePart)
    sources: list[SourcePart]
    use: UsePart | None = None
    curate: list[dict[str, object]] = field(default_factory=list)
    base: BasePart
    recipe: RecipePart = field(default_factory=RecipePart)
    suites: list[SuitePart] = field(default_factory=list)
    judge: JudgePart | None = None
    gate: GatePart = field(default_factory=GatePart)
    requirements: list[RequirementPart] = field(default_factory=list)
    serving: ServingPart = field(default_factory=ServingPart)
