"""What every effect costs (DESIGN 5): mean cost, level to baseline, over its own matched pairs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from typing_extensions import TypedDict

from ablatekit.analysis.cells.cell_means import unit_weights
from ablatekit.analysis.cells.contrasts import Contrast, effect_contrasts
from ablatekit.analysis.cells.effects import Evaluated, Fitted, Price
from ablatekit.analysis.core.arrays import Booleans, Floats
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.tables.costs import Prices


class LevelPrice(TypedDict):
    """The price of a level's average effect, as a multiple of the baseline's cost."""

    factor: str
    level: str
    baseline: str
    metric: str
    ratio: float | None


def pricing(prices: Prices | None, fitted: Fitted) -> Price | None:
    """How rows of effects are priced; not at all in a cost that differs between executions."""
    if prices is None or not prices.repeatable:
        return None
    return partial(_effect_price, prices, fitted)


def level_prices(prices: Prices | None, layout: Layout) -> list[LevelPrice]:
    """Prices of average effects in a cost that differs between executions: for the provenance."""
    if prices is None or prices.repeatable:
        return []
    return [
        LevelPrice(
            factor=contrast.factor,
            level=contrast.level,
            baseline=contrast.baseline,
            metric=prices.metric,
            ratio=price_of(prices, contrast, layout, prices.known),
        )
        for contrast in effect_contrasts(layout, layout.codes, "average")
    ]


def price_of(prices: Prices, contrast: Contrast, layout: Layout, present: Booleans) -> float | None:
    """The price of a contrast over the combinations of which a context has every cell.

    `present` (U, C) marks the units that a context has. None for an interaction, which has no level
    to pay for, and where no context has a combination.
    """
    if contrast.reason is not None or contrast.grid or contrast.estimand == "interaction":
        return None
    level, baseline = (_side(layout, contrast, sign) for sign in (1.0, -1.0))
    lacking = ~(present & prices.known)
    needed = (level + baseline > 0).astype(float)
    complete: Booleans = np.equal(needed @ lacking.astype(float), 0.0)
    share = contrast.shares(complete).T
    return prices.ratio(share @ level, share @ baseline)


def _effect_price(prices: Prices, fitted: Fitted, effect: Evaluated) -> float | None:
    if effect.values.reason is not None and not effect.values.identical:
        return None
    return price_of(prices, effect.contrast, fitted.layout, fitted.cells.count > 0)


def _side(layout: Layout, contrast: Contrast, sign: float) -> Floats:
    """Weights of one side of every combination over units, (combinations, U), not negative."""
    return unit_weights(layout, replace(contrast, weights=np.maximum(sign * contrast.weights, 0.0)))
