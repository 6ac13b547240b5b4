"""Rows of `analysis.json` that every way in makes alike: effects and terms of an ANOVA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

import numpy as np

from ablatekit.analysis.core.numbers import number, whole
from ablatekit.analysis.core.schema.effects import Alternative, Effect, Part
from ablatekit.analysis.core.schema.model import AnovaRow
from ablatekit.analysis.core.schema.vocabulary import Estimand, InferenceName, Statement, statement
from ablatekit.analysis.stats.effectsize import EffectSize
from ablatekit.analysis.stats.inference import Estimate, Interval
from ablatekit.analysis.stats.verdict import Judgement

SizeKey: TypeAlias = Literal[
    "partial_eta2", "partial_omega2", "partial_epsilon2", "eta2", "cohens_f"
]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """In how many contexts, and in how many of its pairs, a contrast exists."""

    contexts: int
    of_contexts: int
    pairs: int
    of_pairs: int


@dataclass(frozen=True, kw_only=True)
class EffectName:
    """Which contrast a row is about, what it averages over, and the family that judges it.

    A formula knows neither contexts nor pairs.
    """

    factor: str
    level: str
    baseline: str
    estimand: Estimand
    inference: InferenceName
    family: Statement
    averaged_over: Statement
    scope: tuple[str, ...] = ()
    coverage: Coverage | None = None


def effect_row(
    name: EffectName,
    estimate: Estimate,
    judgement: Judgement,
    needed: int | None = None,
    price: float | None = None,
) -> Effect:
    """A judged estimate; `needed`: replicates (narrow) or levels (broad) for the margin."""
    coverage = name.coverage
    row = Effect(
        factor=name.factor,
        level=name.level,
        baseline=name.baseline,
        estimand=name.estimand,
        inference=name.inference,
        scope=list(name.scope),
        method=estimate.method,
        family=name.family,
        averaged_over=name.averaged_over,
        contexts=coverage.contexts if coverage else None,
        of_contexts=coverage.of_contexts if coverage else None,
        pairs=coverage.pairs if coverage else None,
        of_pairs=coverage.of_pairs if coverage else None,
        estimate=number(estimate.estimate),
        se=number(estimate.se),
        df=whole(estimate.df),
        low=number(estimate.low),
        high=number(estimate.high),
        low_simultaneous=number(judgement.low_simultaneous),
        high_simultaneous=number(judgement.high_simultaneous),
        low_equivalence=number(estimate.low_equivalence),
        high_equivalence=number(estimate.high_equivalence),
        p=number(estimate.p),
        p_adjusted=number(judgement.p_adjusted),
        p_margin_adjusted=number(judgement.p_margin_adjusted),
        parts=[_part(part) for part in estimate.parts],
        verdict=judgement.verdict,
        size=judgement.size,
        price=None if price is None else number(price),
        replicates_needed=needed if name.inference == "narrow" else None,
        contexts_needed=needed if name.inference == "broad" else None,
        reason=estimate.reason,
        notes=list(estimate.notes),
    )
    if estimate.shared is not None:
        row["common_pairs"] = _alternative(estimate.shared)
    return row


def _part(part: Interval) -> Part:
    return Part(
        by=list(part.by), estimate=number(part.estimate), se=number(part.se), df=whole(part.df)
    )


def _alternative(other: Estimate) -> Alternative:
    return Alternative(
        method=other.method,
        estimate=number(other.estimate),
        se=number(other.se),
        df=number(other.df),
        low=number(other.low),
        high=number(other.high),
        p=number(other.p),
        reason=other.reason,
    )


@dataclass(frozen=True, kw_only=True)
class TermTest:
    """The F test of one term with its sums of squares and effect sizes; NaN without a number.

    `notes` say what is tested where that is not plain: empty cells, the place of a covariate.
    """

    term: str
    num_df: float = np.nan
    den_df: float = np.nan
    statistic: float = np.nan
    p: float = np.nan
    sum_squares: float = np.nan
    share: float = np.nan
    sizes: Mapping[SizeKey, EffectSize] = field(default_factory=dict)
    reason: Statement | None = None
    notes: tuple[Statement, ...] = ()


def anova_row(test: TermTest) -> AnovaRow:
    """The row of one term; effect sizes that the test lacks are absent or null."""
    known = test.num_df > 0
    row = AnovaRow(
        term=test.term,
        num_df=whole(test.num_df),
        den_df=whole(test.den_df),
        statistic=number(test.statistic),
        p=number(test.p),
        sum_squares=number(test.sum_squares),
        mean_square=number(test.sum_squares / test.num_df) if known else None,
        partial_eta2=None,
        partial_omega2=None,
        share=number(test.share),
        reason=test.reason,
        notes=[*test.notes, *_empty_intervals(test.sizes)],
    )
    limits: dict[str, float | None] = {}
    for key, size in test.sizes.items():
        limits |= {
            key: number(size.value),
            f"{key}_low": number(size.low),
            f"{key}_high": number(size.high),
        }
    return cast("AnovaRow", {**row, **limits})


def _empty_intervals(sizes: Mapping[SizeKey, EffectSize]) -> list[Statement]:
    empty = [key for key, size in sizes.items() if size.value < 1.0 and np.isnan(size.high)]
    return [statement("empty_size_intervals", sizes=empty)] if empty else []
