"""Rows of the effect table: every estimand under both inferences, judged family by family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from ablatekit.analysis.cells.broad import broad
from ablatekit.analysis.cells.cell_means import CellMeans, fit_cell_means
from ablatekit.analysis.cells.context_slope import UnitSums, unit_sums
from ablatekit.analysis.cells.contrasts import Contrast, effect_contrasts, interaction_contrasts
from ablatekit.analysis.cells.truncated import TruncatedModel, fit_truncated
from ablatekit.analysis.core.arrays import Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.effects import Alternative, Effect
from ablatekit.analysis.core.schema.vocabulary import (
    Estimand,
    InferenceName,
    Statement,
    statement,
)
from ablatekit.analysis.core.values import ContextValues, RunValues, Welch, no_values
from ablatekit.analysis.stats.homogeneity import brown_forsythe
from ablatekit.analysis.stats.inference import Estimate, narrow
from ablatekit.analysis.stats.rows import EffectName, effect_row
from ablatekit.analysis.stats.verdict import Judgement, VerdictRule, judge

Model: TypeAlias = CellMeans | TruncatedModel

ESTIMANDS: tuple[Estimand, ...] = ("average", "baseline", "removal", "shapley", "interaction")
UNEQUAL_VARIANCES = 0.05
LARGEST_GRID = 2**14
NO_VALUES = statement("no_response_value")


@dataclass(frozen=True)
class Fitted:
    """The model that estimates, and whether variances differ between cells.

    `refused` is why no contrast has a value at all.
    """

    layout: Layout
    values: RunValues
    model: Model
    order: int
    brown_forsythe: float
    refused: Statement | None = None

    @property
    def truncated(self) -> bool:
        """Whether interactions above the order are assumed away."""
        return isinstance(self.model, TruncatedModel)

    @cached_property
    def sums(self) -> UnitSums:
        """What broad inference takes of the runs."""
        return unit_sums(self.values, self.layout, self.model.unit_rows)


@dataclass(frozen=True)
class Evaluated:
    """A contrast with its value in every context."""

    contrast: Contrast
    values: ContextValues


@dataclass(frozen=True)
class EffectFamily:
    """The contrasts of one estimand under one inference, with their estimates."""

    estimand: Estimand
    inference: InferenceName
    members: tuple[tuple[Evaluated, Estimate], ...]


def fit(values: RunValues, layout: Layout, order: int) -> Fitted:
    """Saturated cell means where cells carry every level's effect and replicates; else truncated.

    A truncated model without residual df gives way to the cell means, whose narrow inference is
    then refused for want of replicates.
    """
    cells = fit_cell_means(values, layout)
    variances = brown_forsythe(values)
    if not len(values.y):
        return Fitted(layout, values, cells, order, variances, refused=NO_VALUES)
    matched = all(
        contrast.reason is None for contrast in effect_contrasts(layout, layout.codes, "average")
    )
    if matched and layout.replicates > 1:
        return Fitted(layout, values, cells, order, variances)
    truncated = fit_truncated(values, layout, order, _truncated_method(layout, order))
    if matched and truncated.error.df <= 0:
        return Fitted(layout, values, cells, order, variances)
    return Fitted(layout, values, truncated, order, variances)


def evaluate(fitted: Fitted, estimand: Estimand) -> list[Evaluated]:
    """Every contrast of an estimand in every context."""
    layout = fitted.layout
    contrasts = _contrasts(layout, layout.codes, estimand)
    if fitted.truncated and layout.grid_size <= LARGEST_GRID:
        grid = _contrasts(layout, np.arange(layout.grid_size), estimand)
        contrasts = [
            contrast if contrast.reason is None else replace(whole_grid, grid=True)
            for contrast, whole_grid in zip(contrasts, grid, strict=True)
        ]
    if estimand == "shapley" and fitted.truncated and fitted.order <= 2:
        reason = statement("shapley_is_average", order=2)
        contrasts = [replace(contrast, reason=contrast.reason or reason) for contrast in contrasts]
    return [Evaluated(contrast, _values(fitted, contrast)) for contrast in contrasts]


def _values(fitted: Fitted, contrast: Contrast) -> ContextValues:
    """The contrast in every context; where nothing is estimated, the reason that explains it."""
    values = fitted.model.evaluate(contrast)
    if fitted.refused is None or contrast.reason is not None or values.identical:
        return values
    return no_values(len(values.value), fitted.refused)


def infer_all(
    fitted: Fitted, inferences: Sequence[InferenceName], alpha: float
) -> list[EffectFamily]:
    """Every estimand under the given inferences."""
    families = []
    for estimand in ESTIMANDS:
        evaluated = evaluate(fitted, estimand)
        for inference in inferences:
            members = tuple(
                (effect, infer(fitted, effect, inference, alpha)) for effect in evaluated
            )
            families.append(EffectFamily(estimand, inference, members))
    return families


def effect_rows(families: Sequence[EffectFamily], response: str, rule: VerdictRule) -> list[Effect]:
    """The rows of the effect table, judged family by family."""
    rows: list[Effect] = []
    for family in families:
        judgements = judge([estimate for _, estimate in family.members], rule)
        name = statement(
            "effect_family",
            response=response,
            estimand=family.estimand,
            inference=family.inference,
        )
        rows += [
            _row(effect, estimate, judgement, family.inference, name, rule)
            for (effect, estimate), judgement in zip(family.members, judgements, strict=True)
        ]
    return rows


def _contrasts(layout: Layout, codes: Integers, estimand: Estimand) -> list[Contrast]:
    if estimand == "interaction":
        return interaction_contrasts(layout, codes)
    return effect_contrasts(layout, codes, estimand)


def _truncated_method(layout: Layout, order: int) -> Statement:
    hidden = layout.complete and layout.replicates == 1
    return statement("hidden_replication_t" if hidden else "truncated_t", order=order)


def infer(fitted: Fitted, effect: Evaluated, inference: InferenceName, alpha: float) -> Estimate:
    """One contrast under one inference."""
    if inference == "broad":
        return broad(effect.values, fitted.sums, alpha)
    return narrow(effect.values, fitted.model.error, alpha, _welch(fitted, effect))


def _welch(fitted: Fitted, effect: Evaluated) -> Welch | None:
    """Own cells' variance for baseline and removal effects when variances differ between cells."""
    unequal = fitted.brown_forsythe < UNEQUAL_VARIANCES
    if effect.contrast.estimand not in ("baseline", "removal") or not unequal:
        return None
    if isinstance(fitted.model, TruncatedModel) or fitted.model.error.reason:
        return None
    return fitted.model.welch(effect.values)


def _row(
    effect: Evaluated,
    estimate: Estimate,
    judgement: Judgement,
    inference: InferenceName,
    family: Statement,
    rule: VerdictRule,
) -> Effect:
    needed = None
    if estimate.needed is not None and rule.smallest_effect is not None:
        needed = estimate.needed(rule.smallest_effect)
    name = EffectName(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        baseline=effect.contrast.baseline,
        estimand=effect.contrast.estimand,
        inference=inference,
        family=family,
        averaged_over=_averaged_over(effect),
    )
    row = effect_row(name, estimate, judgement, needed)
    if estimate.alternative is not None:
        row["alternative"] = _alternative(estimate.alternative)
    return row


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


def _averaged_over(effect: Evaluated) -> Statement:
    """What the row averages with equal weight."""
    contexts, estimand = effect.values.contexts, effect.contrast.estimand
    if estimand in ("average", "interaction"):
        return statement(
            "over_combinations",
            combinations=effect.values.combinations,
            contexts=contexts,
            grid=effect.contrast.grid,
        )
    codes: Mapping[Estimand, Code] = {
        "baseline": "at_baseline",
        "removal": "off_baseline",
        "shapley": "over_orders",
    }
    return statement(codes[estimand], contexts=contexts)
