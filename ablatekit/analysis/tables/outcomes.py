"""Item outcomes of one response as arrays, of the runs that are analysed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.values import RunValues
from ablatekit.design.plan import PlannedResponse

SAME = 1e-6


@dataclass(frozen=True)
class Outcomes:
    """Rows of one split, of runs that are analysed: parallel arrays (N,).

    `run` indexes the run values, `item` the distinct (dataset, item) pairs; `mean` over `samples`.
    `left_out`: runs whose response is not the mean of their outcomes.
    """

    run: Integers
    item: Integers
    mean: Floats
    samples: Floats
    items: int
    left_out: int
    split: str


def outcomes_of(
    planned: PlannedResponse, table: pd.DataFrame, values: RunValues
) -> Outcomes | None:
    """The outcomes behind a response of analysed runs; None where there are none.

    `table`: run, split, dataset, item, samples, total (sum over samples).
    """
    rows = table[table["split"] == planned.items] if planned.items else table[:0]
    index = {run: i for i, run in enumerate(values.run)}
    run = rows["run"].astype(object).map(index).to_numpy(dtype=float)
    rows, run = rows[~np.isnan(run)], run[~np.isnan(run)].astype(np.int64)
    if not len(rows):
        return None
    samples, total = rows["samples"].to_numpy(dtype=float), rows["total"].to_numpy(dtype=float)
    size = len(values.y)
    mean = np.bincount(run, total, size) / np.maximum(np.bincount(run, samples, size), 1.0)
    there = np.bincount(run, minlength=size) > 0
    agrees = np.abs(mean - values.y) < SAME
    keep = agrees[run]
    if not keep.any():
        return None
    item = rows[keep].groupby(["dataset", "item"], observed=True, sort=True).ngroup().to_numpy()
    return Outcomes(
        run=run[keep].astype(np.int64),
        item=item.astype(np.int64),
        mean=(total / samples)[keep],
        samples=samples[keep],
        items=int(item.max()) + 1,
        left_out=int((there & ~agrees).sum()),
        split=str(planned.items),
    )
