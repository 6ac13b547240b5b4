"""Leave one run out: how far a single run moves an average effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.cell_means import CellMeans
from ablatekit.analysis.cells.effects import Evaluated, Fitted
from ablatekit.analysis.core.schema.effects import InfluenceRow


@dataclass(frozen=True, slots=True)
class Influence:
    """The extremes of an effect over all analyses with one run left out, in the response's unit.

    `run` is the position of the run that moves it most.
    """

    low: float
    high: float
    run: int


def without_one_run(effect: Evaluated, fitted: Fitted) -> Influence | None:
    """Exact extremes, or None where leaving out a run would empty a cell, or cells have no means.

    Leaving out a run with residual e moves the mean of its cell, of n runs, by -e/(n - 1), and so
    an effect in which that mean has weight w by -w e/(n - 1) (Cook and Weisberg 1982, 2.2).
    """
    model, values, weights = fitted.model, fitted.values, effect.values.weights
    if not isinstance(model, CellMeans) or weights is None or effect.values.reason:
        return None
    weight = weights[values.context, values.unit] / effect.values.contexts
    count = model.count[values.unit, values.context]
    taking_part = weight != 0
    if not taking_part.any() or (count[taking_part] < 2).any():
        return None
    change = np.where(taking_part, -weight * model.residual / np.maximum(count - 1, 1), 0.0)
    estimate = effect.values.mean
    farthest = int(np.argmax(np.abs(change)))
    return Influence(estimate + float(change.min()), estimate + float(change.max()), farthest)


def influence_rows(averages: Sequence[Evaluated], fitted: Fitted) -> list[InfluenceRow]:
    """The extremes of every average effect that has them."""
    extremes = ((effect, without_one_run(effect, fitted)) for effect in averages)
    return [
        InfluenceRow(
            factor=effect.contrast.factor,
            level=effect.contrast.level,
            low=moved.low,
            high=moved.high,
            run=fitted.values.run[moved.run],
        )
        for effect, moved in extremes
        if moved is not None
    ]
