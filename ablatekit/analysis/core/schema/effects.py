"""Rows of `analysis.json` that hold effects."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from ablatekit.analysis.core.schema.vocabulary import (
    Estimand,
    InferenceName,
    Number,
    Statement,
    Verdict,
)


class Alternative(TypedDict):
    """Another method's answer to the same question; per-comparison interval at 1 - alpha."""

    method: Statement
    estimate: Number
    se: Number
    df: Number
    low: Number
    high: Number
    p: Number
    reason: Statement | None


class Effect(TypedDict):
    """A contrast of cell means with its interval and verdict.

    An interaction has `factor` "a:b", `level` "x:y". `low`/`high` are per comparison at 1 - alpha,
    `low_equivalence`/`high_equivalence` at 1 - 2 alpha. `method` names the df method. `notes`
    qualify the numbers (combinations or contexts left out, an assumption); a `reason` says why
    there are none (an estimate without an interval is possible). `alternative` is the broad method
    that was not chosen. A formula adds `statistic`, the `adjustment` of the family and, with a
    smallest effect, p values of equivalence and non-inferiority.
    """

    factor: str
    level: str
    baseline: str
    estimand: Estimand
    inference: InferenceName
    method: Statement
    family: Statement
    averaged_over: Statement
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
    reason: Statement | None
    notes: list[Statement]
    alternative: NotRequired[Alternative]
    statistic: NotRequired[Number]
    adjustment: NotRequired[str]
    p_equivalence: NotRequired[Number]
    p_non_inferiority: NotRequired[Number]


class ContextEffect(TypedDict):
    """The average effect inside one context."""

    factor: str
    level: str
    context: str
    estimate: Number
    se: Number
    low: Number
    high: Number
    reason: Statement | None


class HeterogeneityRow(TypedDict):
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
    warning: Statement | None
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
    footer: list[Statement]
    messages: list[Statement]


class LevelCost(TypedDict):
    """Mean repeatable cost per run at one level (matched like the average effect)."""

    factor: str
    level: str
    metric: str
    mean: Number
