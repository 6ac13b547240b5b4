"""Why a level cannot be compared with its baseline, with the names that a reader needs."""

from __future__ import annotations

import numpy as np

from ablatekit.analysis.cells.contrasts import Contrast
from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.layout import Layout, level_units
from ablatekit.analysis.core.schema.vocabulary import Statement, statement


def why_nowhere(layout: Layout, count: Floats, contrast: Contrast) -> Statement:
    """Why no context has a combination of the contrast; `count` (U, C) are its runs."""
    if contrast.reason is not None and contrast.reason["code"] == "one_level_inside":
        return contrast.reason
    reason = None
    if len(contrast.varied) == 1:
        factor = contrast.varied[0]
        level = layout.factors[factor].levels.index(contrast.level)
        reason = _why_never_met(layout, count, factor, level)
    return reason or contrast.reason or statement("no_shared_runs")


def meeting_contexts(layout: Layout, count: Floats, factor: int, level: int) -> Booleans:
    """The contexts (C,) with runs at the level and runs at the baseline."""
    return _has_runs(layout, count, factor, level) & _has_runs(
        layout, count, factor, int(layout.baselines[factor])
    )


def _has_runs(layout: Layout, count: Floats, factor: int, level: int) -> Booleans:
    there = count[level_units(layout, factor, level)] > 0
    return np.asarray(there.any(axis=0), dtype=np.bool_)


def _why_never_met(layout: Layout, count: Floats, factor: int, level: int) -> Statement | None:
    """The two lie in different contexts, or another factor always changes with them."""
    baseline = int(layout.baselines[factor])
    there = [_has_runs(layout, count, factor, side) for side in (level, baseline)]
    if not (there[0].any() and there[1].any()):
        lacking = level if not there[0].any() else baseline
        return statement("no_run_at_level", level=layout.level(factor, lacking))
    if not (there[0] & there[1]).any():
        return statement(
            "never_in_one_context",
            level_contexts=_named(layout, there[0]),
            baseline_contexts=_named(layout, there[1]),
        )
    partners = _partners(layout, count, factor, level, there[0] & there[1])
    return statement("aliased_with", partners=partners) if partners else None


def _named(layout: Layout, contexts: Booleans) -> list[str]:
    return [layout.contexts[context] for context in np.flatnonzero(contexts)]


def _partners(
    layout: Layout, count: Floats, factor: int, level: int, contexts: Booleans
) -> list[str]:
    """Factors that share no level between the two sides in any of the contexts."""
    sides = [level_units(layout, factor, side) for side in (level, int(layout.baselines[factor]))]
    names = []
    for other in range(len(layout.factors)):
        if other != factor and not any(
            _levels(layout, count, sides[0], other, c) & _levels(layout, count, sides[1], other, c)
            for c in np.flatnonzero(contexts).tolist()
        ):
            names.append(layout.factors[other].name)
    return names


def _levels(layout: Layout, count: Floats, units: Integers, factor: int, context: int) -> set[int]:
    there = units[count[units, context] > 0]
    return set(layout.unit_cells[there, factor].tolist())
