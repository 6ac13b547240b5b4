"""Fitted cell means of two factors at a time, for whoever draws an interaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis


@dataclass(frozen=True, slots=True)
class PairMeans:
    """Means at every pair of levels: `per_context` (contexts, second's levels, first's levels).

    NaN where the design has no cell or the cell no run.
    """

    first_levels: tuple[str, ...]
    second_levels: tuple[str, ...]
    per_context: Floats

    @property
    def means(self) -> Floats:
        """Equal-weight means over contexts (second's levels, first's levels)."""
        return np.asarray(self.per_context.mean(axis=0))


def fitted_means(response: ResponseAnalysis) -> dict[tuple[str, str], float]:
    """Fitted cell mean by (unit, context), as the diagnostics hold them; none for a formula."""
    residuals = response["diagnostics"]["residuals"]
    units, contexts = residuals.get("unit", []), residuals.get("context", [])
    cells = zip(units, contexts, strict=True)
    return dict(zip(cells, residuals["fitted"], strict=False))


def pair_means(
    analysis: Analysis, fitted: Mapping[tuple[str, str], float], first: str, second: str
) -> PairMeans | None:
    """Equal-weight means of the fitted cell means at every pair of two factors' levels."""
    factors = {factor["name"]: factor for factor in analysis["design"]["factors"]}
    contexts = sorted({context for _, context in fitted})
    if not contexts:
        return None
    across, down = (tuple(map(str, factors[name]["levels"])) for name in (first, second))
    means = np.full((len(contexts), len(down), len(across)), np.nan)
    places = product(enumerate(contexts), enumerate(down), enumerate(across))
    for (k, context), (row, line), (column, level) in places:
        values = [
            fitted[cell["unit"], context]
            for cell in analysis["design"]["cells"]
            if (str(cell["levels"][first]), str(cell["levels"][second])) == (level, line)
            and (cell["unit"], context) in fitted
        ]
        if values:
            means[k, row, column] = np.mean(values)
    return PairMeans(across, down, means)
