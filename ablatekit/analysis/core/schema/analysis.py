"""The shape of `analysis.json` (DESIGN 3.5): stable, versioned; the report shows nothing else.

Everything except `provenance` is a pure function of the plan and of what the runs reported, so two
executions of one study give the same bytes. A part that cannot be estimated is a row whose numbers
are null and whose `reason` says why.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from ablatekit.analysis.core.schema.companions import (
    Curve,
    Detectable,
    Diagnostics,
    EffectAtStep,
    ItemLevel,
    Milestone,
    Missing,
    MixedCompanion,
    RobustCompanions,
    SecondOpinion,
    Stability,
)
from ablatekit.analysis.core.schema.effects import (
    CellTable,
    Configurations,
    ContextEffect,
    CovariateRow,
    Dose,
    Effect,
    GapComparison,
    HeterogeneityRow,
    LevelCost,
    PlainRow,
)
from ablatekit.analysis.core.schema.formula import (
    AliasedTerm,
    ContrastRow,
    ConvergenceRecord,
    Correlation,
    Covariance,
    Explained,
    JointTest,
    LikelihoodRatioRow,
    MeanRow,
    MetaRecord,
    RandomInterval,
    RandomModes,
    RandomTest,
    RobustCovariances,
)
from ablatekit.analysis.core.schema.model import (
    AnovaRow,
    FixedRow,
    ModelRecord,
    RandomRow,
)
from ablatekit.analysis.core.schema.vocabulary import Number, Statement

SCHEMA_VERSION = 4


class ResponseAnalysis(TypedDict):
    """Everything about one response, whichever way in made it.

    An absent key is an absent section of the report; keys after `footers` come from a formula only,
    companions (`dynamics` to `detectable`) from factors and studies.
    """

    label: str
    metric: str
    summary: str
    direction: Literal["higher", "lower"]
    smallest_effect: Number
    unit: str
    model: ModelRecord
    residual_sd: Number
    random: NotRequired[list[RandomRow]]
    fixed: list[FixedRow]
    anova: list[AnovaRow]
    anova_note: Statement
    effects: list[Effect]
    contexts: list[ContextEffect]
    heterogeneity: list[HeterogeneityRow]
    plain_contexts: NotRequired[list[PlainRow]]
    cells: NotRequired[CellTable]
    configurations: NotRequired[Configurations]
    dose: NotRequired[Dose]
    covariates: NotRequired[list[CovariateRow]]
    mixed: NotRequired[MixedCompanion]
    dynamics: NotRequired[list[Curve]]
    effects_over_training: NotRequired[list[EffectAtStep]]
    milestones: NotRequired[list[Milestone]]
    stability: NotRequired[list[Stability]]
    items: NotRequired[ItemLevel]
    robust: NotRequired[RobustCompanions]
    detectable: NotRequired[list[Detectable]]
    diagnostics: Diagnostics
    missing: Missing
    footers: dict[str, list[Statement]]
    residual_df: NotRequired[int]
    aliased: NotRequired[list[AliasedTerm]]
    vcov: NotRequired[Covariance]
    vcov_robust: NotRequired[RobustCovariances]
    vcov_conditional: NotRequired[Covariance]
    correlations: NotRequired[list[Correlation]]
    theta: NotRequired[dict[str, Number]]
    random_effects: NotRequired[list[RandomModes]]
    means: NotRequired[list[MeanRow]]
    contrasts: NotRequired[list[ContrastRow]]
    joint_test: NotRequired[JointTest]
    explained: NotRequired[Explained]
    convergence: NotRequired[ConvergenceRecord]
    log_likelihood: NotRequired[Number]
    parameters: NotRequired[int]
    aic: NotRequired[Number]
    bic: NotRequired[Number]
    likelihood_ratio: NotRequired[LikelihoodRatioRow]
    random_tests: NotRequired[list[RandomTest]]
    random_intervals: NotRequired[list[RandomInterval]]
    meta: NotRequired[MetaRecord]


class Counts(TypedDict):
    """No run ever disappears: planned >= started >= finished + diverged + failed."""

    planned: int
    started: int
    finished: int
    diverged: int
    failed: int
    analysed: int


class DesignRecord(TypedDict):
    """The design as it was planned."""

    kind: str
    factors: list[dict[str, Any]]
    contexts: list[dict[str, str]]
    replicates: int
    cells: list[dict[str, Any]]
    merged: list[list[dict[str, str]]]
    excluded: list[dict[str, str]]
    held_equal: dict[str, Any]
    warnings: list[str]
    cost: list[LevelCost]


class Analysis(TypedDict):
    """The whole of `analysis.json`; a formula has neither a design nor runs to count."""

    schema_version: int
    study: dict[str, Any]
    design: NotRequired[DesignRecord]
    counts: NotRequired[Counts]
    deviations: list[str]
    provenance: dict[str, Any]
    responses: dict[str, ResponseAnalysis]
    comparisons: dict[str, GapComparison]
    second_opinion: NotRequired[SecondOpinion]
