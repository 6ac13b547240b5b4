"""Rows of the effect table: every estimand under both inferences, judged family by family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ablatekit.analysis.cells.broad import Scope, broad, over_contexts, scopes
from ablatekit.analysis.cells.cell_means import CellMeans, fit_cell_means, unit_weights
from ablatekit.analysis.cells.contrasts import Contrast, effect_contrasts, interaction_contrasts
from ablatekit.analysis.cells.reasons import meeting_contexts
from ablatekit.analysis.cells.truncated import TruncatedModel, fit_truncated
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.numbers import number, whole
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.effects import Effect, PlainRow
from ablatekit.analysis.core.schema.vocabulary import (
    Estimand,
    InferenceName,
    Statement,
    statement,
)
from ablatekit.analysis.core.values import ContextValues, RunValues, Welch, no_values
from ablatekit.analysis.stats.homogeneity import brown_forsythe
from ablatekit.analysis.stats.inference import Estimate, narrow
from ablatekit.analysis.stats.rows import Coverage, EffectName, effect_row
from ablatekit.analysis.stats.verdict import Judgement, VerdictRule, judge

Model: TypeAlias = CellMeans | TruncatedModel
Price: TypeAlias = Callable[["Evaluated"], float | None]

ESTIMANDS: tuple[Estimand, ...] = ("average", "baseline", "removal", "shapley", "interaction")
UNEQUAL_VARIANCES = 0.05
LARGEST_GRID = 2**14
NO_VALUES = statement("no_response_value")


@dataclass(frozen=True)
class Fitted:
    """The model that estimates, and whether variances differ between cells.

    `cells` are the raw cell means, which are the model where it is saturated. `refused` is why no
    contrast has a value at all.
    """

    layout: Layout
    values: RunValues
    model: Model
    cells: CellMeans
    order: int
    brown_forsythe: float
    refused: Statement | None = None

    @property
    def truncated(self) -> bool:
        """Whether interactions above the order are assumed away."""
        return isinstance(self.model, TruncatedModel)


@dataclass(frozen=True)
class Evaluated:
    """A contrast with its value in every context."""

    contrast: Contrast
    values: ContextValues


@dataclass(frozen=True)
class EffectFamily:
    """The contrasts of one estimand under one inference and scope, with their estimates."""

    estimand: Estimand
    inference: InferenceName
    scope: Scope
    members: tuple[tuple[Evaluated, Estimate], ...]


def fit(values: RunValues, layout: Layout, order: int) -> Fitted:
    """Saturated cell means where cells carry every level's effect and replicates; else truncated.

    A truncated model without residual df gives way to the cell means, whose narrow inference is
    then refused for want of replicates.
    """
    cells = fit_cell_means(values, layout)
    fitted = Fitted(layout, values, cells, cells, order, brown_forsythe(values))
    if not len(values.y):
        return replace(fitted, refused=NO_VALUES)
    replicated = _replicated(values, cells)
    matched = _all_matched(
        layout, cells.count if layout.planned_df is None else np.ones_like(cells.count)
    )
    if matched and replicated:
        return fitted
    truncated = fit_truncated(values, layout, order, _truncated_method(layout, order))
    if matched and truncated.error.df <= 0:
        return fitted
    return replace(fitted, model=truncated)


def _replicated(values: RunValues, cells: CellMeans) -> bool:
    """Whether runs within cells leave residual df: as planned, else as the runs are."""
    planned = cells.layout.planned_df
    df = len(values.y) - int((cells.count > 0).sum()) if planned is None else planned
    return df >= 1


def _all_matched(layout: Layout, count: Floats) -> bool:
    """Whether every level that meets its baseline in a context has a matched pair in one.

    `count` (U, C) are the runs. A factor with one level where it exists has nothing to match.
    """
    for contrast in effect_contrasts(layout, layout.codes, "average"):
        if contrast.reason is not None and contrast.reason["code"] == "one_level_inside":
            continue
        factor = contrast.varied[0]
        level = layout.factors[factor].levels.index(contrast.level)
        if not meeting_contexts(layout, count, factor, level).any():
            continue
        weights = unit_weights(layout, contrast) != 0
        lacking = weights.astype(float) @ (count == 0).astype(float)
        if not len(weights) or (lacking > 0).all():
            return False
    return True


def evaluate(fitted: Fitted, estimand: Estimand) -> list[Evaluated]:
    """Every contrast of an estimand in every context."""
    layout = fitted.layout
    contrasts = _contrasts(layout, layout.codes, estimand)
    if fitted.truncated and layout.grid_size <= LARGEST_GRID:
        contrasts = _on_grid(layout, contrasts, estimand)
    if estimand == "shapley" and fitted.truncated and fitted.order <= 2:
        reason = statement("shapley_is_average", order=2)
        contrasts = [replace(contrast, reason=contrast.reason or reason) for contrast in contrasts]
    return [Evaluated(contrast, _values(fitted, contrast)) for contrast in contrasts]


def _values(fitted: Fitted, contrast: Contrast) -> ContextValues:
    """The contrast in every context; where nothing is estimated, the reason that explains it."""
    values = fitted.model.evaluate(contrast)
    if fitted.refused is None or contrast.reason is not None or values.identical:
        return values
    return no_values(len(values.value), fitted.refused, values.of_pairs)


def infer_all(
    fitted: Fitted, inferences: Sequence[InferenceName], alpha: float
) -> list[EffectFamily]:
    """Every estimand under the given inferences: narrow, and broad over every scope."""
    families = []
    for estimand in ESTIMANDS:
        evaluated = evaluate(fitted, estimand)
        for inference in inferences:
            for scope in scopes(fitted.layout) if inference == "broad" else ((),):
                members = tuple(
                    (effect, infer(fitted, effect, inference, alpha, scope)) for effect in evaluated
                )
                families.append(EffectFamily(estimand, inference, scope, members))
    return families


def effect_rows(
    families: Sequence[EffectFamily],
    response: str,
    rule: VerdictRule,
    layout: Layout,
    price: Price | None = None,
) -> list[Effect]:
    """The rows of the effect table, judged family by family."""
    rows: list[Effect] = []
    for family in families:
        judgements = judge([estimate for _, estimate in family.members], rule)
        rows += [
            _row(effect, estimate, judgement, family, response, rule, layout, price)
            for (effect, estimate), judgement in zip(family.members, judgements, strict=True)
        ]
    return rows


def plain_rows(families: Sequence[EffectFamily], layout: Layout, alpha: float) -> list[PlainRow]:
    """The t over contexts of every contrast, where several variables make them no plain sample."""
    if len(layout.blocking) < 2:
        return []
    rows: dict[tuple[str, str, Estimand], PlainRow] = {}
    for family in families:
        for effect, _ in family.members:
            contrast = effect.contrast
            key = (contrast.factor, contrast.level, family.estimand)
            if key not in rows:
                rows[key] = plain_row(effect, alpha)
    return list(rows.values())


def plain_row(effect: Evaluated, alpha: float) -> PlainRow:
    """The t over contexts of one contrast."""
    contrast, estimate = effect.contrast, over_contexts(effect.values, alpha)
    return PlainRow(
        factor=contrast.factor,
        level=contrast.level,
        baseline=contrast.baseline,
        estimand=contrast.estimand,
        contexts=effect.values.contexts,
        estimate=number(estimate.estimate),
        se=number(estimate.se),
        df=whole(estimate.df),
        low=number(estimate.low),
        high=number(estimate.high),
        p=number(estimate.p),
        reason=estimate.reason,
    )


def infer(
    fitted: Fitted, effect: Evaluated, inference: InferenceName, alpha: float, scope: Scope = ()
) -> Estimate:
    """One contrast under one inference."""
    if inference == "broad":
        return broad(effect.values, scope, fitted.layout, alpha)
    return narrow(effect.values, fitted.model.error, alpha, _welch(fitted, effect))


def family_name(
    response: str, estimand: Estimand, inference: InferenceName, scope: Scope
) -> Statement:
    """The family whose members are adjusted together (DESIGN 5)."""
    return statement(
        "effect_family",
        response=response,
        estimand=estimand,
        inference=inference,
        scope=list(scope),
    )


def covered(values: ContextValues, layout: Layout) -> Coverage:
    """In how many contexts and pairs a contrast exists."""
    contexts = len(layout.contexts)
    return Coverage(
        contexts=values.contexts,
        of_contexts=contexts,
        pairs=int(values.pairs.sum()),
        of_pairs=values.of_pairs * contexts,
    )


def over_scope(values: ContextValues, scope: Scope, layout: Layout) -> Statement:
    """What a broad row generalises over, and what it holds fixed.

    A variable nested in another varies with that one and is not held fixed.
    """
    there = {
        name: list(dict.fromkeys(np.array(labels)[values.used].tolist()))
        for name, labels in layout.blocks.items()
    }
    return statement(
        "over_scope",
        scope=list(scope),
        levels=[len(there[name]) for name in scope],
        fixed=[
            {"variable": name, "levels": labels}
            for name, labels in there.items()
            if name not in scope and (name in layout.blocking or len(labels) == 1)
        ],
    )


def _on_grid(layout: Layout, contrasts: Sequence[Contrast], estimand: Estimand) -> list[Contrast]:
    """Contrasts on the grid of all levels, where the design has no combination of them."""
    lacking = {
        (contrast.factor, contrast.level)
        for contrast in contrasts
        if contrast.reason is not None and contrast.reason["code"] != "one_level_inside"
    }
    if not lacking:
        return list(contrasts)
    everything = _contrasts(layout, np.arange(layout.grid_size), estimand)
    whole = {(contrast.factor, contrast.level): contrast for contrast in everything}
    return [
        replace(whole[key], grid=True, notes=())
        if (key := (contrast.factor, contrast.level)) in lacking
        else contrast
        for contrast in contrasts
    ]


def _contrasts(layout: Layout, codes: Integers, estimand: Estimand) -> list[Contrast]:
    if estimand == "interaction":
        return interaction_contrasts(layout, codes)
    return effect_contrasts(layout, codes, estimand)


def _truncated_method(layout: Layout, order: int) -> Statement:
    hidden = layout.complete and layout.replicates == 1
    return statement("hidden_replication_t" if hidden else "truncated_t", order=order)


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
    family: EffectFamily,
    response: str,
    rule: VerdictRule,
    layout: Layout,
    price: Price | None,
) -> Effect:
    needed = None
    if estimate.needed is not None and rule.smallest_effect is not None:
        needed = estimate.needed(rule.smallest_effect)
    name = EffectName(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        baseline=effect.contrast.baseline,
        estimand=effect.contrast.estimand,
        inference=family.inference,
        family=family_name(response, family.estimand, family.inference, family.scope),
        averaged_over=_averaged_over(effect)
        if family.inference == "narrow"
        else over_scope(effect.values, family.scope, layout),
        scope=family.scope,
        coverage=covered(effect.values, layout),
    )
    return effect_row(name, estimate, judgement, needed, price(effect) if price else None)


def _averaged_over(effect: Evaluated) -> Statement:
    """What the row averages with equal weight inside contexts."""
    contexts, estimand = effect.values.contexts, effect.contrast.estimand
    if estimand in ("average", "interaction"):
        return statement(
            "over_combinations",
            combinations=int(effect.values.pairs.max(initial=0)),
            contexts=contexts,
            grid=effect.contrast.grid,
        )
    codes: Mapping[Estimand, Code] = {
        "baseline": "at_baseline",
        "removal": "off_baseline",
        "shapley": "over_orders",
    }
    return statement(codes[estimand], contexts=contexts)
