"""Fitted cell means of two factors at a time, for whoever draws an interaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """Equal-weight means of the fitted cell means at every pair of two factors' levels.

    Over the combinations of the other factors that a context has with every pair that occurs at
    all, so that pairs differ in nothing else; None where no context has such a combination.
    """
    factors = {factor["name"]: factor for factor in analysis["design"]["factors"]}
    across, down = (tuple(map(str, factors[name]["levels"])) for name in (first, second))
    by_rest = _by_rest(analysis, fitted, first, second)
    occurring = {pair for pairs in by_rest.values() for pair in pairs}
    shared = {place: pairs for place, pairs in by_rest.items() if pairs.keys() == occurring}
    contexts = sorted({context for context, _ in shared})
    if not contexts:
        return None
    means = np.full((len(contexts), len(down), len(across)), np.nan)
    for k, context in enumerate(contexts):
        tables = [pairs for (where, _), pairs in shared.items() if where == context]
        for level, line in occurring:
            place = k, down.index(line), across.index(level)
            means[place] = np.mean([pairs[level, line] for pairs in tables])
    return PairMeans(across, down, means)


def _by_rest(
    analysis: Analysis, fitted: Mapping[tuple[str, str], float], first: str, second: str
) -> dict[tuple[str, tuple[str, ...]], dict[tuple[str, str], float]]:
    """Fitted means by context and combination of the other factors, then by the two levels."""
    tables: dict[tuple[str, tuple[str, ...]], dict[tuple[str, str], float]] = {}
    contexts = {context for _, context in fitted}
    for cell in analysis["design"]["cells"]:
        levels = {name: str(level) for name, level in cell["levels"].items()}
        pair = levels.pop(first), levels.pop(second)
        for context in contexts:
            if (cell["unit"], context) in fitted:
                table = tables.setdefault((context, tuple(levels.values())), {})
                table[pair] = fitted[cell["unit"], context]
    return tables
