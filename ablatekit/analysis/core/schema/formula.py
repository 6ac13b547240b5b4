"""Rows of `analysis.json` that only a formula has: what a fitted model tells beside its effects."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from ablatekit.analysis.core.schema.vocabulary import Number, Statement


class AliasedTerm(TypedDict):
    """A coefficient that the design cannot separate from earlier ones."""

    term: str
    reason: Statement


class Covariance(TypedDict):
    """A covariance (p, p) of the coefficients named by `terms` (p)."""

    terms: list[str]
    values: list[list[Number]]


class RobustCovariances(TypedDict):
    """Heteroscedasticity-consistent covariances (p, p) of the coefficients."""

    hc0: list[list[Number]]
    hc1: list[list[Number]]
    hc2: list[list[Number]]
    hc3: list[list[Number]]


class Correlation(TypedDict):
    """The covariance and correlation of two columns of one random term."""

    group: str
    name: str
    other: str
    covariance: Number
    correlation: Number


class RandomModes(TypedDict):
    """Conditional modes of one random term: a list per column, in the order of `levels`."""

    group: str
    levels: list[str]
    columns: dict[str, list[Number]]


class MeanRow(TypedDict):
    """A marginal mean; `factor` is "a:b" for the cells of two factors."""

    factor: str
    level: str
    estimate: Number
    se: Number
    df: Number
    statistic: Number
    p: Number
    low: Number
    high: Number
    reason: Statement | None


class ContrastRow(TypedDict):
    """A contrast of marginal means; one family per `factor` and `kind`."""

    factor: str
    kind: Literal["baseline", "pairwise", "mean"]
    contrast: str
    estimate: Number
    se: Number
    df: Number
    statistic: Number
    p: Number
    low: Number
    high: Number
    adjustment: str
    p_adjusted: Number
    low_simultaneous: Number
    high_simultaneous: Number
    reason: Statement | None


class JointTest(TypedDict):
    """The F test of all slopes together."""

    num_df: Number
    den_df: Number
    statistic: Number
    p: Number
    sum_squares: Number


class TermShare(TypedDict):
    """One part of the variance of a mixed model and its share of the whole."""

    term: str
    variance: Number
    share: Number


class Explained(TypedDict):
    """Marginal and conditional R2; where the model has them, correlations and variances."""

    marginal: Number
    conditional: Number
    adjusted: NotRequired[Number]
    icc: NotRequired[Number]
    icc_unadjusted: NotRequired[Number]
    fixed_variance: NotRequired[Number]
    random_variance: NotRequired[Number]
    residual_variance: NotRequired[Number]
    shares: NotRequired[list[TermShare]]


class DescentRecord(TypedDict):
    """One descent of the optimiser."""

    theta: list[Number]
    evaluations: int
    value: Number
    method: str


class ConvergenceRecord(TypedDict):
    """What the optimiser did, and how flat the criterion is where it ended."""

    starts: list[DescentRecord]
    evaluations: int
    gradient: Number
    zero_tests: int
    escapes: int
    converged: bool
    messages: list[Statement]


class LikelihoodRatioRow(TypedDict):
    """A likelihood-ratio test; the smaller model's numbers come first in both pairs."""

    against: str
    statistic: Number
    df: int
    p: Number
    log_likelihoods: list[Number]
    parameters: list[int]


class RandomTest(TypedDict):
    """The likelihood-ratio test of one random term; numbers are those of the reduced model."""

    term: str
    parameters: int
    log_likelihood: Number
    statistic: Number
    df: int
    p: Number


class RandomInterval(TypedDict):
    """Limits of one standard deviation."""

    group: str
    name: str
    sd: Number
    low: Number
    high: Number
    method: Literal["profile", "bootstrap"]
    reason: Statement | None


class MetaRecord(TypedDict):
    """Heterogeneity, its tests, the prediction interval and the shrunken effects."""

    estimator: str
    test: str
    tau2: Number
    tau2_se: Number
    tau2_low: Number
    tau2_high: Number
    tau2_reason: Statement | None
    i2: Number
    i2_low: Number
    i2_high: Number
    h2: Number
    q: Number
    q_p: Number
    moderator_statistic: Number
    moderator_p: Number
    r2: Number
    prediction_low: Number
    prediction_high: Number
    blup: list[Number]
    blup_se: list[Number]
