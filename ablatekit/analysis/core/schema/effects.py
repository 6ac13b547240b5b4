"""Rows of `analysis.json` that hold effects."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from ablatekit.analysis.core.schema.vocabulary import (
    DoseScale,
    Estimand,
    InferenceName,
    Number,
    Size,
    Statement,
    Sufficiency,
    Verdict,
)


class TestedNumbers(TypedDict):
    """An estimate and its t test with a per-comparison interval at 1 - alpha, or the reason."""

    estimate: Number
    se: Number
    df: Number
    low: Number
    high: Number
    p: Number
    reason: Statement | None


class Alternative(TestedNumbers):
    """The same question answered another way."""

    method: Statement


class Part(TypedDict):
    """One of the intervals whose widest decides a row over several variables.

    `by` names the variables: one for the t over its levels, all of them for the crossed variance.
    """

    by: list[str]
    estimate: Number
    se: Number
    df: Number


class Effect(TypedDict):
    """A contrast of cell means with its interval and verdict.

    An interaction has `factor` "a:b", `level` "x:y". `scope` are the blocking variables that a
    broad row generalises over, empty for a narrow one. `contexts` of `of_contexts` have the
    contrast, in `pairs` of `of_pairs` matched pairs (quadruples of an interaction). `low`/`high`
    are per comparison at 1 - alpha, `low_equivalence`/`high_equivalence` at 1 - 2 alpha.
    `p_margin_adjusted` tests whether the effect is larger than the smallest one that matters;
    `size` is null without a direction or a smallest effect. `price` is the ratio of mean costs,
    level to baseline. `method` names the df method. `notes` qualify the numbers; a `reason` says
    why there are none (an estimate without an interval is possible). `common_pairs` is the row over
    the pairs that all contexts share, where pairs differ between contexts. A formula adds
    `statistic`, the `adjustment` of the family and, with a smallest effect, p values of equivalence
    and non-inferiority.
    """

    factor: str
    level: str
    baseline: str
    estimand: Estimand
    inference: InferenceName
    scope: list[str]
    method: Statement
    family: Statement
    averaged_over: Statement
    contexts: int | None
    of_contexts: int | None
    pairs: int | None
    of_pairs: int | None
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
    p_margin_adjusted: Number
    parts: list[Part]
    verdict: Verdict
    size: Size | None
    price: Number
    replicates_needed: int | None
    contexts_needed: int | None
    reason: Statement | None
    notes: list[Statement]
    common_pairs: NotRequired[Alternative]
    statistic: NotRequired[Number]
    adjustment: NotRequired[str]
    p_equivalence: NotRequired[Number]
    p_non_inferiority: NotRequired[Number]


class PlainRow(TestedNumbers):
    """The t over contexts as if they were exchangeable: without verdict or family (DESIGN 5)."""

    factor: str
    level: str
    baseline: str
    estimand: Estimand
    contexts: int


class ContextEffect(TypedDict):
    """The average effect inside one context, over `pairs` of its matched pairs."""

    factor: str
    level: str
    context: str
    pairs: int
    estimate: Number
    se: Number
    low: Number
    high: Number
    reason: Statement | None


class HeterogeneityRow(TypedDict):
    """How an average effect varies over the levels of a scope.

    `tau` is the sd of the true effects of levels, `i2` the share of their observed variance that is
    real, the prediction interval is for one new level (of every variable of the scope).
    """

    factor: str
    level: str
    scope: list[str]
    tau: Number
    i2: Number
    prediction_low: Number
    prediction_high: Number
    reason: Statement | None


class Prediction(TypedDict):
    """The effect at one value of a covariate: its mean's interval, and that of one new level."""

    at: float
    estimate: Number
    se: Number
    low: Number
    high: Number
    low_new: Number
    high_new: Number


class CovariateRow(TypedDict):
    """An average effect against the log of a numeric covariate of a blocking variable.

    `slope` is the change of the effect when the covariate grows e-fold, by least squares over the
    variable's `levels` that have the contrast.
    """

    factor: str
    level: str
    baseline: str
    variable: str
    covariate: str
    levels: int
    slope: Number
    se: Number
    df: Number
    low: Number
    high: Number
    p: Number
    predictions: list[Prediction]
    reason: Statement | None
    notes: list[Statement]


class Configuration(Effect):
    """A cell against the baseline cell: `factor` is "configuration", `levels` the whole cell.

    `level` names the factors that differ from the baseline. `best_low`/`best_high` are Hsu's
    simultaneous limits for the cell minus the best of the others (narrow only), `may_be_best`
    whether they leave it room to be the best.
    """

    levels: dict[str, str]
    may_be_best: bool | None
    best_low: Number
    best_high: Number


class Suffices(TypedDict):
    """Whether the baseline suffices within the smallest effect, under one inference and scope.

    `bound` is the largest simultaneous one-sided 1 - alpha bound for a gain, `configuration` the
    one that has it (or that gains by more than matters).
    """

    inference: InferenceName
    scope: list[str]
    answer: Sufficiency
    bound: Number
    configuration: str | None
    reason: Statement | None


class Configurations(TypedDict):
    """Every cell against the baseline cell, from raw cell means inside each context.

    `baseline_may_be_best` and its limits are those of the baseline cell itself, as in its rows.
    """

    baseline: dict[str, str]
    baseline_may_be_best: bool | None
    baseline_best_low: Number
    baseline_best_high: Number
    rows: list[Configuration]
    plain_contexts: list[PlainRow]
    suffices: list[Suffices]
    best_reason: Statement | None
    notes: list[Statement]


class Limits(TypedDict):
    """A value with its interval at 1 - alpha: estimate +- t(df) se."""

    estimate: Number
    se: Number
    df: Number
    low: Number
    high: Number
    reason: Statement | None


class NewLevel(Limits):
    """The same for one new level of a scope; `se` holds the error of the mean and its spread."""

    scope: list[str]


class CellMean(Limits):
    """The raw mean of a cell over the contexts that have it, which are fixed (narrow).

    `name` is that of the configuration, empty for the baseline cell, whose gain is null. `means`
    are those of the contexts, in the order of `CellTable.contexts`; null where a context lacks the
    cell. `gain` is over the baseline cell, over the contexts that have both. `new` and `gain_new`
    are for one new level of every scope. `price` is that of the configuration. `pooled`: the error
    is the residual variance of all cells, else that of this cell's runs (unequal variances).
    """

    levels: dict[str, str]
    name: str
    runs: int
    pooled: bool
    means: list[Number]
    new: list[NewLevel]
    gain: Limits | None
    gain_new: list[NewLevel]
    price: Number


class CellTable(TypedDict):
    """Every cell that has runs. Means of different cells share no error but a pooled variance."""

    contexts: list[dict[str, str]]
    rows: list[CellMean]


class DoseTest(TypedDict):
    """F test of the linear and quadratic parts of an ordered factor; a Holm family of its own."""

    factor: str
    scale: DoseScale
    scores: list[float]
    method: Statement
    num_df: Number
    den_df: Number
    statistic: Number
    p: Number
    p_adjusted: Number
    reason: Statement | None


class DoseSlope(TypedDict):
    """The linear slope of an ordered factor per unit of its score, under one inference and scope.

    A direction only: slopes are in another unit than the smallest effect.
    """

    factor: str
    scale: DoseScale
    inference: InferenceName
    scope: list[str]
    method: Statement
    family: Statement
    contexts: int
    of_contexts: int
    estimate: Number
    se: Number
    df: Number
    low: Number
    high: Number
    p: Number
    p_adjusted: Number
    verdict: Verdict
    reason: Statement | None


class Dose(TypedDict):
    """Factors with an order: tests of a trend, and slopes."""

    tests: list[DoseTest]
    slopes: list[DoseSlope]


class CarryOverRow(TypedDict):
    """The effect on generalization divided by that on learning, with Fieller's interval."""

    factor: str
    level: str
    baseline: str
    inference: InferenceName
    scope: list[str]
    ratio: Number
    low: Number
    high: Number
    df: Number
    learning_p: Number
    reason: Statement | None


class InfluenceRow(TypedDict):
    """The smallest and largest average effect over all analyses with one run left out.

    `run` is the one that moves it most.
    """

    factor: str
    level: str
    low: float
    high: float
    run: str


class GapComparison(TypedDict):
    """Learning against generalization: effects on the gap, paired within the run."""

    learning: str
    generalization: str
    effects: list[Effect]
    plain_contexts: NotRequired[list[PlainRow]]
    carry_over: NotRequired[list[CarryOverRow]]
    footer: list[Statement]
    messages: list[Statement]


class LevelCost(TypedDict):
    """Mean repeatable cost per run at one level (matched like the average effect)."""

    factor: str
    level: str
    metric: str
    mean: Number
