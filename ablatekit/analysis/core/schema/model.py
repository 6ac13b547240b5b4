"""Rows of `analysis.json` that describe a fitted model."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from ablatekit.analysis.core.schema.codes import VarianceSource
from ablatekit.analysis.core.schema.vocabulary import Number, Statement


class ModelRecord(TypedDict):
    """The fitted model and its convergence record."""

    formula: str
    method: Statement
    n: int
    criterion: Number
    converged: bool
    singular: bool
    messages: list[Statement]


class RandomRow(TypedDict):
    """One variance component; a formula says over how many `levels`."""

    group: str
    name: str
    variance: Number
    sd: Number
    levels: NotRequired[int]


class FixedRow(TypedDict):
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

    Intervals of effect sizes are at 1 - alpha, from the noncentral F; which sizes there are beside
    partial eta2 and partial omega2 depends on the model.
    """

    term: str
    num_df: Number
    den_df: Number
    statistic: Number
    p: Number
    partial_eta2: Number
    partial_omega2: Number
    sum_squares: Number
    mean_square: Number
    partial_eta2_low: NotRequired[Number]
    partial_eta2_high: NotRequired[Number]
    partial_omega2_low: NotRequired[Number]
    partial_omega2_high: NotRequired[Number]
    partial_epsilon2: NotRequired[Number]
    partial_epsilon2_low: NotRequired[Number]
    partial_epsilon2_high: NotRequired[Number]
    eta2: NotRequired[Number]
    eta2_low: NotRequired[Number]
    eta2_high: NotRequired[Number]
    cohens_f: NotRequired[Number]
    cohens_f_low: NotRequired[Number]
    cohens_f_high: NotRequired[Number]
    share: Number
    reason: Statement | None
    notes: list[Statement]


class VarianceShare(TypedDict):
    """One source of the variance of item outcomes and its share of the whole."""

    source: VarianceSource
    variance: Number
    share: Number
