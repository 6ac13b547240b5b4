"""Rows of `analysis.json` that stand beside the effect table."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from ablatekit.analysis.core.schema.effects import (
    InfluenceRow,
    TestedNumbers,
)
from ablatekit.analysis.core.schema.model import (
    ModelRecord,
    RandomRow,
    VarianceShare,
)
from ablatekit.analysis.core.schema.vocabulary import (
    Estimand,
    InferenceName,
    Number,
    Statement,
)


class Points(TypedDict):
    """Means at steps, equal-weight over cells and contexts; lists are parallel.

    `low`/`high` are pointwise intervals at 1 - alpha from the run-to-run variance within cell x
    context.
    """

    step: list[int]
    n: list[int]
    mean: list[Number]
    low: list[Number]
    high: list[Number]


class Curve(Points):
    """A metric over training for the runs at one level, on one set of items at every step.

    `full` is given where some evaluations use a part of the items and others all: the curve is that
    of the part, and `full` holds the means on all items at the steps that have them.
    """

    factor: str
    level: str
    metric: str
    full: NotRequired[Points]


class Residuals(TypedDict):
    """Parallel lists for residual plots; `quantile` is the standard normal one of the rank.

    Of a study: unit, context and run, and the run's place in the planned order. Of a formula: the
    `row` of the table, for at most 5000 rows.
    """

    fitted: list[float]
    residual: list[float]
    quantile: list[float]
    unit: NotRequired[list[str]]
    context: NotRequired[list[str]]
    run: NotRequired[list[str]]
    order: NotRequired[list[int]]
    row: NotRequired[list[int]]


class LargestResidual(TypedDict):
    """The run, or the row of a table, farthest from what the model fits."""

    residual: float
    run: NotRequired[str]
    unit: NotRequired[str]
    cell: NotRequired[str]
    context: NotRequired[str]
    in_sd: NotRequired[float]
    row: NotRequired[int]


class NearBound(TypedDict):
    """A cell mean of a proportion within 0.05 of 0 or 1."""

    unit: str
    cell: str
    context: str
    mean: float


class ContextStart(TypedDict):
    """The step-0 score of a context's runs and how far they lie apart."""

    context: str
    runs: int
    value: float
    spread: float
    equal: bool


class StepZero(TypedDict):
    """Whether all runs of a context start from the same score, as common draws promise."""

    equal: bool
    contexts: list[ContextStart]


class Diagnostics(TypedDict):
    """Checks of the model's assumptions.

    `brown_forsythe_p` tests equal run-to-run variance over cells; `near_bounds` lists cell means
    within 0.05 of 0 or 1 for responses that are proportions.
    """

    residuals: Residuals
    brown_forsythe_p: Number
    largest_residual: LargestResidual | None
    near_bounds: list[NearBound]
    step_zero: StepZero | None
    influence: list[InfluenceRow]
    messages: list[Statement]


class Missing(TypedDict):
    """Runs that did not end as `finished`, and how they enter.

    `bounds` is there when runs have no value and the response has bounds, `policies` when a level
    has 20% or more diverged runs.
    """

    policy: Statement
    runs: list[dict[str, Any]]
    by_level: list[dict[str, Any]]
    messages: list[Statement]
    bounds: NotRequired[list[Bound]]
    policies: NotRequired[list[PolicyComparison]]


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
    reason: Statement | None


class ItemLevel(TypedDict):
    """Item outcomes behind a response: `outcomes` draws of `items` items in `runs` runs.

    Without `model` there is no variance decomposition, and `reason` says why.
    """

    split: str
    runs: int
    items: int
    outcomes: int
    model: NotRequired[ModelRecord]
    random: list[RandomRow]
    shares: list[VarianceShare]
    effects: list[ItemEffectRow]
    messages: list[Statement]
    footer: Statement
    reason: Statement | None


class InterquartileMean(TypedDict):
    """Interquartile mean over the `n` runs of one level, with its bootstrap interval."""

    factor: str
    level: str
    iqm: Number
    low: Number
    high: Number
    n: int
    reason: Statement | None


class Improvement(TypedDict):
    """Probability that a run at the level beats a run at the baseline in the same combination.

    Ties count one half; 0.5 is no difference; "beats" follows the response's direction.
    """

    factor: str
    level: str
    baseline: str
    probability: Number
    low: Number
    high: Number
    reason: Statement | None


class Profile(TypedDict):
    """Performance profile: the share of a level's runs above every threshold.

    Lists are parallel; cells and contexts count equally; `low`/`high` are pointwise bootstrap
    intervals. Thresholds are the same for all levels of a response.
    """

    factor: str
    level: str
    threshold: list[float]
    share: list[Number]
    low: list[Number]
    high: list[Number]


class Permutation(TypedDict):
    """Permutation test of an average effect, labels exchanged within combination and context.

    `statistic` is the estimate. `n_permutations` counts the exchanges that were evaluated, all of
    them when `exact`. Not adjusted. `reason` says why there is no test (unbalanced, too few runs).
    """

    factor: str
    level: str
    p: Number
    statistic: Number
    n_permutations: int
    exact: bool
    reason: Statement | None


class RobustCompanions(TypedDict):
    """Companions without a normal model; `method` says what was resampled, and how often."""

    method: Statement
    iqm: list[InterquartileMean]
    improvement: list[Improvement]
    profiles: list[Profile]
    permutation: list[Permutation]


class Detectable(TypedDict):
    """What a study of this size can find, with the observed variance.

    `half_width` is that of the interval at 1 - alpha, `minimum_detectable` the smallest true effect
    that an unadjusted test at alpha finds with probability `power` (0.8). One row for the study's
    `replicates` and one for each larger number of them. Broad rows keep the study's contexts and
    give `contexts` too. Never the power of an observed effect.
    """

    factor: str
    level: str
    estimand: Estimand
    inference: InferenceName
    scope: list[str]
    replicates: int
    contexts: int
    half_width: Number
    minimum_detectable: Number
    power: float
    reason: Statement | None


class EffectAtStep(TypedDict):
    """The average effect on the metric at one step of training, narrow inference.

    `low`/`high` are pointwise at 1 - alpha; the simultaneous ones hold at all steps of this level
    together (Bonferroni over steps).
    """

    factor: str
    level: str
    step: int
    estimate: Number
    low: Number
    high: Number
    low_simultaneous: Number
    high_simultaneous: Number


class Milestone(TypedDict):
    """How many of a level's `runs` reached the threshold, and at which step on average.

    `mean_step` is the restricted mean: a run that never reached it counts with its last step, so it
    is a lower bound unless `reached` equals `runs`.
    """

    factor: str
    level: str
    threshold: float
    reached: int
    runs: int
    mean_step: Number


class Stability(TypedDict):
    """How steady training is at a level.

    `late_sd` is the mean sd of the metric within a run over the last quarter of its steps; of those
    that used a part of the items, where the evaluations between the first and the last do.
    `collapse_rate` is the share of runs that diverged, or whose last value lies below half of the
    way from their first to their best value although that way is longer than twice `late_sd`.
    """

    factor: str
    level: str
    late_sd: Number
    collapse_rate: Number


class Bound(TypedDict):
    """Average effect when every run without a value takes the worst, then the best, possible one.

    Only for responses with bounds. `low` is the level at its worst against the baseline at its
    best, `high` the reverse; narrow estimates, no sampling error.
    """

    factor: str
    level: str
    low: Number
    high: Number
    reason: Statement | None


class PolicyComparison(TypedDict):
    """Narrow average effect under each policy for diverged runs, where a level lost many."""

    factor: str
    level: str
    score: Number
    worst: Number
    exclude: Number


class MixedEffect(TestedNumbers):
    """An average effect by the mixed model, with Kenward-Roger's standard error and df."""

    factor: str
    level: str
    baseline: str
    contexts: int


class MixedCompanion(TypedDict):
    """REML with random blocking variables and factor by blocking variable, beside the verdicts.

    It borrows differences between contexts that lack a contrast, so that it never decides.
    `random` are the variance components of every average effect's model, by factor and level.
    """

    effects: list[MixedEffect]
    random: list[MixedVariance]
    notes: list[Statement]


class MixedVariance(TypedDict):
    """One variance component of the model behind one average effect."""

    factor: str
    level: str
    group: str
    name: str
    variance: Number
    sd: Number


class Recomputed(TypedDict):
    """How one kind of number compares: `worst` is the largest relative difference."""

    kind: str
    count: int
    worst: Number
    tolerance: float


class Disagreement(TypedDict):
    """One number that the second opinion contradicts."""

    kind: str
    name: str
    ours: Number
    theirs: Number


class NotRecomputed(TypedDict):
    """Numbers that the second opinion left out, and why."""

    kind: str
    count: int
    reason: Statement


class SecondOpinion(TypedDict):
    """What statsmodels makes of the same runs, by code that shares nothing with ours (DESIGN 5)."""

    recomputed: int
    of: int
    worst: Number
    kinds: list[Recomputed]
    disagreements: list[Disagreement]
    not_recomputed: list[NotRecomputed]
