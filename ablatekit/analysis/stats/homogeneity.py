"""Brown and Forsythe's test of equal variances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.tails import f_tail
from ablatekit.analysis.core.values import RunValues


def brown_forsythe(values: RunValues) -> float:
    """P value for equal run-to-run variance over units, contexts pooled; NaN if nothing tells.

    One-way analysis of variance of absolute deviations from the medians of unit and context (Brown
    and Forsythe 1974), without the deviation in every group that the others determine (Hines and
    Hines 2000): with few replicates the plain test is far from its level.
    """
    samples = _deviations(values) if len(values.y) else []
    samples = [sample for sample in samples if len(sample) > 1]
    if len(samples) < 2 or all(np.ptp(sample) == 0 for sample in samples):
        return np.nan
    return _equal_means(samples)


def _equal_means(samples: Sequence[Floats]) -> float:
    """P value of the one-way analysis of variance."""
    pooled = np.concatenate(samples)
    between = sum(len(sample) * (sample.mean() - pooled.mean()) ** 2 for sample in samples)
    within = sum(((sample - sample.mean()) ** 2).sum() for sample in samples)
    df, error_df = len(samples) - 1, len(pooled) - len(samples)
    return f_tail((between / df) / (within / error_df), df, error_df)


def _deviations(values: RunValues) -> list[Floats]:
    """Absolute deviations per unit, less the structural zero of every unit and context."""
    key = values.unit * (values.context.max() + 1) + values.context
    order = np.lexsort((values.y, key))
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    per_unit: dict[int, list[Floats]] = {}
    for group in np.split(order, starts[1:]):
        if len(group) > 1:
            deviations = _without_structural_zero(values.y[group])
            per_unit.setdefault(int(values.unit[group[0]]), []).append(deviations)
    return [np.concatenate(per_unit[unit]) for unit in sorted(per_unit)]


def _without_structural_zero(ordered: Floats) -> Floats:
    """|y - median| of an ordered sample: an odd one loses its median, an even one's two middle
    deviations, which are equal, become one of sqrt(2) times their size."""
    middle = len(ordered) // 2
    deviations = np.abs(ordered - np.median(ordered))
    if len(ordered) % 2:
        return np.delete(deviations, middle)
    kept = np.delete(deviations, middle)
    kept[middle - 1] *= np.sqrt(2.0)
    return kept
