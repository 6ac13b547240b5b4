"""Every cell on its own: its mean here and at a new level, and its gain over the baseline cell.

What a reader needs who asks what a recipe would give. From raw cell means, as configurations are;
no cell is predicted that has no run.
"""

from __future__ import annotations

from ablatekit.analysis.cells.broad import scopes
from ablatekit.analysis.cells.configurations import (
    ComparedCells,
    cell_levels,
    compared_cells,
)
from ablatekit.analysis.cells.effects import Evaluated, Fitted, Price
from ablatekit.analysis.cells.heterogeneity import predict
from ablatekit.analysis.core.numbers import number, numbers
from ablatekit.analysis.core.schema.effects import CellMean, CellTable, Limits, NewLevel
from ablatekit.analysis.core.values import ContextValues
from ablatekit.analysis.stats.inference import WELCH_METHOD, Estimate
from ablatekit.analysis.stats.verdict import VerdictRule

MOST_CELLS = 256
"""Cells of a design that are listed; of more, a table of means helps nobody."""


def cell_predictions(
    fitted: Fitted, rule: VerdictRule, price: Price | None = None
) -> CellTable | None:
    """Means, gains and predictions of every cell with a run, the baseline first.

    None where the design has a single cell or too many, no baseline cell, or no value at all.
    """
    layout = fitted.layout
    if not 2 <= len(layout.units) <= MOST_CELLS or fitted.refused is not None:
        return None
    compared = compared_cells(fitted, rule)
    if compared is None or not (fitted.cells.count[compared.unit] > 0).any():
        return None
    rows = [_row(compared, compared.unit, None, price)]
    for unit, effect in zip(compared.others, compared.evaluated, strict=True):
        if (fitted.cells.count[unit] > 0).any():
            rows.append(_row(compared, unit, effect, price))
    contexts = [
        {name: labels[place] for name, labels in layout.blocks.items()}
        for place in range(len(layout.contexts))
    ]
    return CellTable(contexts=contexts, rows=rows)


def _row(
    compared: ComparedCells, unit: int, effect: Evaluated | None, price: Price | None
) -> CellMean:
    cells, layout = compared.cells, compared.fitted.layout
    values = cells.mean_of(unit)
    mean = compared.narrow(values)
    return CellMean(
        **_limits(mean),
        levels=cell_levels(layout, layout.unit_cells[unit]),
        name=effect.contrast.level if effect else "",
        runs=int(cells.count[unit].sum()),
        pooled=mean.method != WELCH_METHOD,
        means=numbers(values.value),
        new=_new(compared, values),
        gain=_limits(compared.narrow(effect.values)) if effect else None,
        gain_new=_new(compared, effect.values) if effect else [],
        price=price(effect) if price and effect else None,
    )


def _limits(estimate: Estimate) -> Limits:
    return Limits(
        estimate=number(estimate.estimate),
        se=number(estimate.se),
        df=number(estimate.df),
        low=number(estimate.low),
        high=number(estimate.high),
        reason=estimate.reason,
    )


def _new(compared: ComparedCells, values: ContextValues) -> list[NewLevel]:
    """What one new level of every scope would show."""
    every = scopes(compared.fitted.layout)
    return [_new_level(compared, values, scope) for scope in every if scope]


def _new_level(compared: ComparedCells, values: ContextValues, scope: tuple[str, ...]) -> NewLevel:
    layout, alpha = compared.fitted.layout, compared.rule.alpha
    prediction = predict(values, scope, layout, alpha)
    low, high = prediction.limits(alpha)
    return NewLevel(
        scope=list(scope),
        estimate=number(prediction.estimate),
        se=number(prediction.se),
        df=number(prediction.df),
        low=number(low),
        high=number(high),
        reason=prediction.reason,
    )
