"""How much the missing runs could matter: worst and best cases, and the policies side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ablatekit.analysis.cells.cell_means import CellMeans, fit_cell_means
from ablatekit.analysis.cells.contrasts import Contrast, effect_contrasts
from ablatekit.analysis.cells.effects import evaluate, fit
from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.companions import Bound, PolicyComparison
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.tables.responses import Response, is_proportion, positions, respond
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import PlannedAnalysis, PlannedResponse

MANY_DIVERGED = 0.2
POLICIES = ("score", "worst", "exclude")


def bounds(
    planned: PlannedResponse, response: Response, tables: StudyTables, layout: Layout
) -> list[Bound]:
    """Average effects with every run that has no value at 0 or at 1 (Manski 1990).

    Empty when no run lacks a value or when the response has no bounds.
    """
    lost = np.isnan(response.by_run)
    if not lost.any() or lost.all() or not is_proportion(planned, response.values.y):
        return []
    unit = positions(tables.runs["unit"], layout.units)
    context = positions(tables.runs["context"], layout.contexts)
    names = tuple(tables.runs["run"])
    sides = [
        fit_cell_means(
            RunValues(np.where(lost, fill, response.by_run), unit, context, names), layout
        )
        for fill in (0.0, 1.0)
    ]
    contrasts = effect_contrasts(layout, layout.codes, "average")
    return [_bound(contrast, *sides) for contrast in contrasts]


def _bound(contrast: Contrast, worst: CellMeans, best: CellMeans) -> Bound:
    """Positive weights on one case and negative weights on the other give either end."""
    values = worst.evaluate(contrast)
    low, high = np.nan, np.nan
    if values.weights is not None:
        low, high = (
            _mixed(values.weights, *ends, values.contexts)
            for ends in ((worst, best), (best, worst))
        )
    return Bound(
        factor=contrast.factor,
        level=contrast.level,
        low=number(low),
        high=number(high),
        reason=values.reason,
    )


def _mixed(weights: Floats, level: CellMeans, baseline: CellMeans, contexts: int) -> float:
    """Weights (C, U) averaged over contexts, positive ones on one case, negative on the other."""
    weighted = weights != 0
    means = np.where(weights > 0, level.mean.T, baseline.mean.T)
    return float(weights[weighted] @ means[weighted]) / contexts


def many_diverged(tables: StudyTables, layout: Layout) -> set[tuple[str, str]]:
    """Factor and level of which 20% or more of the ended runs diverged."""
    status = tables.runs["status"].to_numpy(dtype=str)
    unit = positions(tables.runs["unit"], layout.units)
    lost = set()
    for f, factor in enumerate(layout.factors):
        for i, level in enumerate(factor.levels):
            at_level = np.isin(unit, level_units(layout, f, i))
            ended = int((at_level & np.isin(status, ("finished", "diverged"))).sum())
            diverged = int((at_level & (status == "diverged")).sum())
            if ended and diverged >= MANY_DIVERGED * ended:
                lost.add((factor.name, level))
    return lost


def unsteady_cells(tables: StudyTables, layout: Layout) -> list[Statement]:
    """What to tell about cells of which 20% or more of the ended runs diverged; else empty."""
    status = tables.runs["status"].to_numpy(dtype=str)
    unit, size = positions(tables.runs["unit"], layout.units), len(layout.units)
    ended = np.bincount(unit[np.isin(status, ("finished", "diverged"))], minlength=size)
    diverged = np.bincount(unit[status == "diverged"], minlength=size)
    count = int(((diverged > 0) & (diverged >= MANY_DIVERGED * ended)).sum())
    return [statement("unsteady_cells", cells=count)] if count else []


def policies(
    planned: PlannedResponse, tables: StudyTables, layout: Layout, analysis: PlannedAnalysis
) -> list[PolicyComparison]:
    """Average effects under every policy, where the level or its baseline lost many runs."""
    lost = many_diverged(tables, layout)
    if not lost:
        return []
    by_policy = {
        policy: _averages(respond(planned, tables, layout, policy), layout, analysis.interactions)
        for policy in POLICIES
    }
    return [
        PolicyComparison(
            factor=factor.name,
            level=level,
            score=by_policy["score"].get((factor.name, level)),
            worst=by_policy["worst"].get((factor.name, level)),
            exclude=by_policy["exclude"].get((factor.name, level)),
        )
        for factor in layout.factors
        for level in factor.others
        if lost & {(factor.name, level), (factor.name, factor.baseline)}
    ]


def _averages(
    response: Response, layout: Layout, order: int
) -> Mapping[tuple[str, str], float | None]:
    if not len(response.values.y):
        return {}
    rows: Sequence[tuple[Contrast, float]] = [
        (effect.contrast, effect.values.mean)
        for effect in evaluate(fit(response.values, layout, order), "average")
        if effect.values.used.any()
    ]
    return {(contrast.factor, contrast.level): number(value) for contrast, value in rows}
