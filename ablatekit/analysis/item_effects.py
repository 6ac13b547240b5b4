"""How an effect varies over evaluation items, and what it is on items like these.

Runs r are crossed with the items i of their data set; y_ri is the mean outcome. A contrast with
run weights w_r has the contribution a_i = sum_r w_r y_ri of item i, and the estimate is the sum
over data sets of the mean of a_i. With I items, S^2 the variance of a_i and s_e^2 the run x item
variance (residuals of the cell means, centred by run), items add to the variance of the estimate

    tau^2 / I = (S^2 - s_e^2 sum_r w_r^2) / I, not below 0,

so that Var = sum_r w_r^2 s_r^2 + sum over data sets of tau^2 / I, with s_r^2 the variance of run
means. These are the mean squares of a complete crossing of random runs and random items (Cornfield
& Tukey 1956); df by Satterthwaite (1946), never above those of the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cellmeans import CellMeans
from ablatekit.analysis.effects import Fitted
from ablatekit.analysis.layout import Floats, Integers
from ablatekit.analysis.outcomes import Outcomes
from ablatekit.analysis.values import ContextValues, RunValues


@dataclass(frozen=True)
class Crossing:
    """Runs of one set of items: `runs` (R,) positions in the run values, `outcome` (R, I) means."""

    runs: Integers
    outcome: Floats


@dataclass(frozen=True, kw_only=True)
class ItemEffect:
    """An effect on items like these; `sd` is that of the effect over items."""

    estimate: float
    se: float
    df: float
    sd: float


def complete_crossings(outcomes: Outcomes, fitted: Fitted) -> list[Crossing] | None:
    """Run x item tables, one per set of items; None unless every run saw all items of its set."""
    runs, size = len(fitted.values.y), np.bincount(outcomes.run)
    if outcomes.left_out or len(size) < runs or (size < 2).any():
        return None
    first = np.full(runs, outcomes.items)
    np.minimum.at(first, outcomes.run, outcomes.item)
    order = np.lexsort((outcomes.item, outcomes.run))
    run_of = outcomes.run[order]
    found = []
    for start in np.unique(first):
        members = np.flatnonzero(first == start)
        own = order[np.isin(run_of, members)]
        if (size[members] != size[members[0]]).any():
            return None
        table = outcomes.item[own].reshape(len(members), -1)
        if not (table == table[0]).all():
            return None
        found.append(Crossing(members, outcomes.mean[own].reshape(table.shape)))
    return found


def item_effect(
    crossings: Sequence[Crossing], contrast: ContextValues, model: CellMeans, values: RunValues
) -> ItemEffect:
    """An average effect of the cell means with items as a sample."""
    weights = _run_weights(model, contrast, values)
    noise, noise_df = _run_item_variance(crossings, model, values)
    parts = [(float(weights @ weights) * model.error.variance, float(model.error.df))]
    estimate, added, spread, sets = 0.0, 0.0, 0.0, 0
    for crossing in crossings:
        own = weights[crossing.runs]
        if not own.any():
            continue
        contribution = own @ crossing.outcome
        items, share = len(contribution), float(np.abs(own).sum()) / 2.0
        observed, drawn = float(contribution.var(ddof=1)), float(own @ own) * noise
        estimate += float(contribution.mean())
        added += (observed - drawn) / items
        spread += (observed - drawn) / share**2
        sets += 1
        parts += [(observed / items, items - 1.0), (drawn / items, noise_df)]
    total = parts[0][0] + max(added, 0.0)
    kept = parts if added > 0.0 else parts[:1]
    df = total**2 / sum(part**2 / df for part, df in kept)
    return ItemEffect(
        estimate=estimate,
        se=float(np.sqrt(total)),
        df=min(df, float(model.error.df)),
        sd=float(np.sqrt(max(spread / sets, 0.0))),
    )


def _run_weights(model: CellMeans, contrast: ContextValues, values: RunValues) -> Floats:
    """What every run weighs in the narrow estimate (N,): row / runs of its cell / contexts."""
    assert contrast.row is not None
    used = contrast.used[values.context]
    share = contrast.row[values.unit] / model.count[values.unit, values.context]
    return np.where(used, share / contrast.contexts, 0.0)


def _run_item_variance(
    crossings: Sequence[Crossing], model: CellMeans, values: RunValues
) -> tuple[float, float]:
    """The run x item mean square s_e^2 of the saturated cell means, and its df."""
    squares, df = 0.0, 0
    group = values.unit * len(model.layout.contexts) + values.context
    for crossing in crossings:
        outcome = crossing.outcome - crossing.outcome.mean(axis=1, keepdims=True)
        _, cell, count = np.unique(group[crossing.runs], return_inverse=True, return_counts=True)
        sums = np.zeros((len(count), outcome.shape[1]))
        np.add.at(sums, cell, outcome)
        squares += float(np.square(outcome - (sums / count[:, None])[cell]).sum())
        df += (len(cell) - len(count)) * (outcome.shape[1] - 1)
    return squares / df, float(df)
