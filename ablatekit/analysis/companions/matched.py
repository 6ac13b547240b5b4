"""Which cells stand for a level where levels are shown on their own, not as a difference.

A mean over all runs at a level compares the other choices that happen to go with it as much as the
level itself. So the levels of a factor are shown over what they share: inside each context, the
combinations of the other factors that it has with all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Integers
from ablatekit.analysis.core.layout import Layout


@dataclass(frozen=True)
class MatchedLevels:
    """The cells of one factor's levels: `units` (U, C) enter, `levels` are shown.

    `whole`: nothing with runs is left out.
    """

    factor: str
    levels: tuple[int, ...]
    units: Booleans
    whole: bool

    def at(self, unit: Integers, context: Integers, level_units: Integers) -> Booleans:
        """Which rows (N,), each with a unit and a context, stand for a level of these units."""
        return np.asarray(np.isin(unit, level_units) & self.units[unit, context], dtype=np.bool_)


def matched_levels(layout: Layout, present: Booleans) -> list[MatchedLevels]:
    """One entry per factor; `present` (U, C) says which units have runs in which contexts.

    A level without a matched pair is left out; where the others share no combination, all are.
    """
    return [_matched(layout, present, factor) for factor in range(len(layout.factors))]


def _matched(layout: Layout, present: Booleans, factor: int) -> MatchedLevels:
    level, unit = layout.cells[:, factor], layout.cell_unit
    rest, combinations = _combinations(layout, factor)
    there = np.zeros((int(layout.sizes[factor]), combinations, present.shape[1]), dtype=bool)
    np.logical_or.at(there, (level, rest), present[unit])
    baseline = int(layout.baselines[factor])
    paired = [one for one in layout.compared(factor) if (there[one] & there[baseline]).any()]
    shown = tuple(sorted([baseline, *paired])) if paired else ()
    shared: Booleans = np.all(there[list(shown)], axis=0) & bool(shown)
    units = np.zeros(present.shape, dtype=bool)
    chosen = np.isin(level, shown)
    np.logical_or.at(units, unit[chosen], shared[rest[chosen]])
    units &= present
    if not units.any():
        shown = ()
    compared = np.isin(level, [baseline, *layout.compared(factor)])
    every = np.zeros(present.shape, dtype=bool)
    every[unit[compared]] = present[unit[compared]]
    name = layout.factors[factor].name
    return MatchedLevels(name, shown, units, bool((units == every).all()))


def _combinations(layout: Layout, factor: int) -> tuple[Integers, int]:
    """What every cell (K,) combines the factor's level with, numbered; and how many there are.

    Factors that exist at some of its levels alone go with those.
    """
    changed = [factor, *layout.under([factor])]
    key = layout.codes - layout.cells[:, changed] @ layout.strides[changed]
    values, place = np.unique(key, return_inverse=True)
    return place.astype(np.int64), len(values)
