"""The shape of `analysis.json` (DESIGN 3.5): stable, versioned; the report shows nothing else.

Everything except `provenance` is a pure function of the plan and of what the runs reported, so two
executions of one study give the same bytes. A part that cannot be estimated is a row whose numbers
are null and whose `reason` says why.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from ablatekit.analysis.schema_companions import (
    Alternative,
    Bound,
    Detectable,
    EffectAtStep,
    Estimand,
    Improvement,
    InferenceName,
    InterquartileMean,
    Milestone,
    Number,
    Permutation,
    PolicyComparison,
    Profile,
    Robust,
    Stability,
    Verdict,
)

__all__ = [
    "SCHEMA_VERSION",
    "Alternative",
    "Analysis",
    "AnovaRow",
    "Bound",
    "ContextEffect",
    "Counts",
    "Curve",
    "DesignRecord",
    "Detectable",
    "Diagnostics",
    "Effect",
    "EffectAtStep",
    "Estimand",
    "FixedTerm",
    "GapComparison",
    "Heterogeneity",
    "Improvement",
    "InferenceName",
    "InterquartileMean",
    "ItemEffectRow",
    "ItemLevel",
    "LevelCost",
    "Milestone",
    "Missing",
    "ModelRecord",
    "Number",
    "Permutation",
    "PolicyComparison",
    "Profile",
    "RandomTerm",
    "ResponseAnalysis",
    "Robust",
    "Stability",
    "VarianceShare",
    "Verdict",
]

SCHEMA_VERSION = 1


class ModelRecord(TypedDict):
    """The fitted model and its convergence record."""

    formula: str
    method: str
    n: int
    criterion: Number
    converged: bool
    singular: bool
    messages: list[str]


class RandomTerm(TypedDict):
    """One variance component."""

    group: str
    name: str
    variance: Number
    sd: Number


class FixedTerm(TypedDict):
    """One coefficient; in a cell-means model, one cell mean in one context."""

    term: str
    estimate: Number
    se: Number
    df: Number
    statistic: Number
    p: Number
    low: Number
    high: Number


class AnovaRow(TypedDict):
    """One term of the ANOVA table. `share` is its share of the total sum of squares.

    The intervals of partial eta2 and partial omega2 are at 1 - alpha, from the noncentral F.
    """

    term: str
    num_df: Number
    den_df: Number
    statistic: Number
    p: Number
    partial_eta2: Number
    partial_omega2: Number
    partial_eta2_low: NotRequired[Number]
    partial_eta2_high: NotRequired[Number]
    partial_omega2_low: NotRequired[Number]
    partial_omega2_high: NotRequired[Number]
    share: Number
    reason: str | None


class Effect(TypedDict):
    """A contrast of cell means with its interval and verdict.

    An interaction has `factor` "a:b", `level` "x:y". `low`/`high` are per comparison at 1 - alpha,
    `low_equivalence`/`high_equivalence` at 1 - 2 alpha. `method` names the df method. A `note`
    qualifies the numbers (combinations or contexts left out, an assumption); a `reason` says why
    there are none (an estimate without an interval is possible). `alternative` is the broad method
    that was not chosen.
    """

    factor: str
    level: str
    baseline: str
    estimand: Estimand
    inference: InferenceName
    method: str
    family: str
    averaged_over: str
    estimate: Number
    se: Number
    df: Number
    low: Number
    high: Number
    low_simultaneous: Number
    high_simultaneous: Number
    low_equivalence: Number
    high_equivalence: Number
    p: Number
    p_adjusted: Number
    verdict: Verdict
    replicates_needed: int | None
    contexts_needed: int | None
    reason: str | None
    note: NotRequired[str | None]
    alternative: NotRequired[Alternative]


class ContextEffect(TypedDict):
    """The average effect inside one context."""

    factor: str
    level: str
    context: str
    estimate: Number
    se: Number
    low: Number
    high: Number
    reason: str | None


class Heterogeneity(TypedDict):
    """How an average effect varies between contexts.

    `tau` is the sd of true context effects, `i2` the share of their observed variance that is real,
    the prediction interval is for the effect in one new context. `warning` is set when effects vary
    more by one blocking variable than by context.
    """

    factor: str
    level: str
    tau: Number
    i2: Number
    prediction_low: Number
    prediction_high: Number
    warning: str | None
    reason: str | None


class Curve(TypedDict):
    """A metric over training for the runs at one level: equal-weight mean over cells and contexts.

    Lists are parallel; `low`/`high` are pointwise intervals at 1 - alpha from the run-to-run
    variance within cell x context.
    """

    factor: str
    level: str
    metric: str
    step: list[int]
    n: list[int]
    mean: list[Number]
    low: list[Number]
    high: list[Number]


class InfluenceRow(TypedDict):
    """The smallest and largest average effect over all analyses with one run left out.

    `run` is the one that moves it most.
    """

    factor: str
    level: str
    low: float
    high: float
    run: str


class Diagnostics(TypedDict):
    """Checks of the model's assumptions.

    `residuals` are parallel lists (fitted, residual, normal quantile, unit, context, run, and the
    run's place in the planned order).
    `brown_forsythe_p` tests equal run-to-run variance over cells; `near_bounds` lists cell means
    within 0.05 of 0 or 1 for responses that are proportions.
    """

    residuals: dict[str, list[Any]]
    brown_forsythe_p: Number
    largest_residual: dict[str, Any] | None
    near_bounds: list[dict[str, Any]]
    step_zero: dict[str, Any] | None
    influence: list[InfluenceRow]
    messages: list[str]


class Missing(TypedDict):
    """Runs that did not end as `finished`, and how they enter.

    `bounds` is there when runs have no value and the response has bounds, `policies` when a level
    has 20% or more diverged runs.
    """

    policy: str
    runs: list[dict[str, Any]]
    by_level: list[dict[str, Any]]
    messages: list[str]
    bounds: NotRequired[list[Bound]]
    policies: NotRequired[list[PolicyComparison]]


class VarianceShare(TypedDict):
    """One source of the variance of item outcomes and its share of the whole."""

    source: str
    variance: Number
    share: Number


class ItemEffectRow(TypedDict):
    """An average effect on items like these, interval at 1 - alpha; `item_sd`: sd over items."""

    factor: str
    level: str
    baseline: str
    estimate: Number
    se: Number
    df: Number
    low: Number
    high: Number
    p: Number
    item_sd: Number
    reason: str | None


class ItemLevel(TypedDict):
    """Item outcomes behind a response: `outcomes` draws of `items` items in `runs` runs.

    Without `model` there is no variance decomposition, and `reason` says why.
    """

    split: str
    runs: int
    items: int
    outcomes: int
    model: NotRequired[ModelRecord]
    random: list[RandomTerm]
    shares: list[VarianceShare]
    effects: list[ItemEffectRow]
    messages: list[str]
    footer: str
    reason: str | None


class ResponseAnalysis(TypedDict):
    """Everything about one response. An absent key is an absent section of the report."""

    label: str
    metric: str
    summary: str
    direction: Literal["higher", "lower"]
    smallest_effect: Number
    unit: str
    model: ModelRecord
    residual_sd: Number
    random: NotRequired[list[RandomTerm]]
    fixed: list[FixedTerm]
    anova: list[AnovaRow]
    anova_note: str
    effects: list[Effect]
    contexts: list[ContextEffect]
    heterogeneity: list[Heterogeneity]
    dynamics: NotRequired[list[Curve]]
    effects_over_training: NotRequired[list[EffectAtStep]]
    milestones: NotRequired[list[Milestone]]
    stability: NotRequired[list[Stability]]
    items: NotRequired[ItemLevel]
    robust: NotRequired[Robust]
    detectable: NotRequired[list[Detectable]]
    diagnostics: Diagnostics
    missing: Missing
    footers: dict[str, str]


class GapComparison(TypedDict):
    """Learning against generalization: effects on the gap, paired within the run."""

    learning: str
    generalization: str
    effects: list[Effect]
    footer: str
    messages: list[str]


class Counts(TypedDict):
    """No run ever disappears: planned >= started >= finished + diverged + failed."""

    planned: int
    started: int
    finished: int
    diverged: int
    failed: int
    analysed: int


class LevelCost(TypedDict):
    """Mean repeatable cost per run at one level (matched like the average effect)."""

    factor: str
    level: str
    metric: str
    mean: Number


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
    """The whole of `analysis.json`."""

    schema_version: int
    study: dict[str, Any]
    design: DesignRecord
    counts: Counts
    deviations: list[str]
    provenance: dict[str, Any]
    responses: dict[str, ResponseAnalysis]
    comparisons: dict[str, GapComparison]
