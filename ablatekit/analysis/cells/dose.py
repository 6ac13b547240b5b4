"""Factors with an order: whether the response follows the dose, and its slope (DESIGN 5).

Trends over the scores of a factor's levels, inside each context over the combinations of the other
factors that it has at every level, averaged with equal weight like an average effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.broad import Scope, scopes
from ablatekit.analysis.cells.contrasts import Contrast
from ablatekit.analysis.cells.effects import LARGEST_GRID, Evaluated, Fitted, infer
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.numbers import number, whole
from ablatekit.analysis.core.scales import default_scale, scores
from ablatekit.analysis.core.schema.effects import Dose, DoseSlope, DoseTest
from ablatekit.analysis.core.schema.vocabulary import (
    DoseScale,
    InferenceName,
    Statement,
    statement,
)
from ablatekit.analysis.core.tails import f_tail
from ablatekit.analysis.core.values import ContextValues, no_values
from ablatekit.analysis.stats.adjust import adjust_p
from ablatekit.analysis.stats.polynomial import slope_contrast, trend_contrasts
from ablatekit.analysis.stats.verdict import VerdictRule, judge


@dataclass(frozen=True)
class Ordered:
    """A factor whose levels have scores: `levels` (L,) their indices, `score` (L,)."""

    factor: int
    scale: DoseScale
    levels: Integers
    score: Floats


def dose(
    fitted: Fitted, response: str, rule: VerdictRule, inferences: Sequence[InferenceName]
) -> Dose | None:
    """Trend tests and slopes of every factor with an order; None without one.

    Directions only: a slope has another unit than the smallest effect.
    """
    factors = list(ordered_factors(fitted.layout))
    if not factors:
        return None
    slopes: list[DoseSlope] = []
    evaluated = [_slope(fitted, factor) for factor in factors]
    for inference in inferences:
        for scope in scopes(fitted.layout) if inference == "broad" else ((),):
            slopes += _slope_rows(fitted, response, rule, factors, evaluated, inference, scope)
    tests = _tests(fitted, rule, factors) if "narrow" in inferences else []
    return Dose(tests=tests, slopes=slopes)


def ordered_factors(layout: Layout) -> Iterator[Ordered]:
    """The factors whose levels lie on a scale, stated or by their names, at different places."""
    for place, factor in enumerate(layout.factors):
        levels = [i for i in range(len(factor.levels)) if i != layout.absent[place]]
        names = [factor.levels[i] for i in levels]
        score = scores(names, factor.scale)
        scale = factor.scale or default_scale(names)
        if score is not None and scale is not None and len(np.unique(score)) == len(levels) > 1:
            yield Ordered(place, scale, np.array(levels, dtype=np.int64), score)


def trend(fitted: Fitted, ordered: Ordered, coefficients: Floats) -> Contrast:
    """A contrast over the levels (L,), over the combinations that the design has at all levels.

    Without any, a truncated model is asked for it over all combinations.
    """
    layout = fitted.layout
    factor = layout.factors[ordered.factor]
    sets = _full_sets(layout, layout.codes, ordered)
    grid = not len(sets) and fitted.truncated and layout.grid_size <= LARGEST_GRID
    if grid:
        sets = _full_sets(layout, np.arange(layout.grid_size, dtype=np.int64), ordered)
    return Contrast(
        factor=factor.name,
        level=factor.levels[int(ordered.levels[-1])],
        baseline=factor.baseline,
        estimand="average",
        varied=(),
        codes=sets,
        weights=np.tile(coefficients, (len(sets), 1)),
        reason=None if len(sets) else statement("no_full_order"),
        grid=grid,
    )


def _full_sets(layout: Layout, codes: Integers, ordered: Ordered) -> Integers:
    """Cells (combinations, L) that differ in the ordered factor only, at each of its levels."""
    stride = layout.strides[ordered.factor]
    rest = np.unique(codes - layout.decode(codes)[:, ordered.factor] * stride)
    sets = rest[:, None] + ordered.levels * stride
    return np.asarray(sets[np.isin(sets, codes).all(axis=1)], dtype=np.int64)


def _evaluate(fitted: Fitted, contrast: Contrast) -> ContextValues:
    if fitted.refused is not None and contrast.reason is None:
        return no_values(len(fitted.layout.contexts), fitted.refused, len(contrast.codes))
    return fitted.model.evaluate(contrast)


def _slope(fitted: Fitted, ordered: Ordered) -> Evaluated:
    contrast = trend(fitted, ordered, slope_contrast(ordered.score))
    return Evaluated(contrast, _evaluate(fitted, contrast))


def _slope_rows(
    fitted: Fitted,
    response: str,
    rule: VerdictRule,
    factors: Sequence[Ordered],
    evaluated: Sequence[Evaluated],
    inference: InferenceName,
    scope: Scope,
) -> list[DoseSlope]:
    """The slopes of one inference and scope, a family of their own."""
    estimates = [infer(fitted, effect, inference, rule.alpha, scope) for effect in evaluated]
    direction = VerdictRule(
        alpha=rule.alpha, adjust=rule.adjust, smallest_effect=None, rise=rule.rise, fall=rule.fall
    )
    judgements = judge(estimates, direction)
    return [
        DoseSlope(
            factor=effect.contrast.factor,
            scale=ordered.scale,
            inference=inference,
            scope=list(scope),
            method=estimate.method,
            family=statement(
                "dose_family", response=response, inference=inference, scope=list(scope)
            ),
            contexts=effect.values.contexts,
            of_contexts=len(fitted.layout.contexts),
            estimate=number(estimate.estimate),
            se=number(estimate.se),
            df=whole(estimate.df),
            low=number(estimate.low),
            high=number(estimate.high),
            p=number(estimate.p),
            p_adjusted=number(judgement.p_adjusted),
            verdict=judgement.verdict,
            reason=estimate.reason,
        )
        for ordered, effect, estimate, judgement in zip(
            factors, evaluated, estimates, judgements, strict=True
        )
    ]


@dataclass(frozen=True)
class _Test:
    """The F test of one factor's trend; NaN where `reason` says why there is none."""

    num_df: int
    den_df: float = np.nan
    statistic: float = np.nan
    p: float = np.nan
    reason: Statement | None = None


def _tests(fitted: Fitted, rule: VerdictRule, factors: Sequence[Ordered]) -> list[DoseTest]:
    """The F test of every ordered factor, one family."""
    tested = [_test(fitted, ordered) for ordered in factors]
    p = np.array([test.p for test in tested])
    adjusted = adjust_p(p, rule.adjust, int((~np.isnan(p)).sum()))
    return [
        DoseTest(
            factor=fitted.layout.factors[ordered.factor].name,
            scale=ordered.scale,
            scores=ordered.score.tolist(),
            method=fitted.model.error.method,
            num_df=test.num_df,
            den_df=whole(test.den_df),
            statistic=number(test.statistic),
            p=number(test.p),
            p_adjusted=number(float(together)),
            reason=test.reason,
        )
        for ordered, test, together in zip(factors, tested, adjusted, strict=True)
    ]


def _test(fitted: Fitted, ordered: Ordered) -> _Test:
    """Linear and quadratic together: the squared distance of both from 0, in their covariance."""
    rows = trend_contrasts(ordered.score)
    parts = [_evaluate(fitted, trend(fitted, ordered, row)) for row in rows]
    error = fitted.model.error
    reason = next((part.reason for part in parts if part.reason is not None), error.reason)
    if reason is not None:
        return _Test(len(rows), reason=reason)
    value = np.array([part.mean for part in parts])
    covariance = error.variance * _unscaled_covariance(fitted, ordered, rows, parts)
    statistic = float(value @ np.linalg.solve(covariance, value)) / len(rows)
    p = f_tail(statistic, len(rows), float(error.df))
    return _Test(len(rows), float(error.df), statistic, p)


def _unscaled_covariance(
    fitted: Fitted, ordered: Ordered, rows: Floats, parts: Sequence[ContextValues]
) -> Floats:
    """Covariance (m, m) of m <= 2 estimates over the residual variance; the variance of their sum
    gives that of two."""
    covariance = np.diag([_factor(part) for part in parts])
    if len(parts) == 2:
        both = _factor(_evaluate(fitted, trend(fitted, ordered, rows.sum(axis=0))))
        covariance[0, 1] = covariance[1, 0] = (both - covariance.trace()) / 2.0
    return covariance


def _factor(values: ContextValues) -> float:
    return float(values.factor[values.used].sum()) / values.contexts**2
