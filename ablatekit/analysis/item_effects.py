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


@dataclass(frozen=True)
class Crossed:
    """Every run with every item of its set, and the run x item mean square with its df."""

    model: CellMeans
    values: RunValues
    tables: tuple[Crossing, ...]
    noise: float
    noise_df: float


@dataclass(frozen=True, kw_only=True)
class ItemEffect:
    """An effect on items like these; `sd` is that of the effect over items."""

    estimate: float
    se: float
    df: float
    sd: float


def complete_crossings(outcomes: Outcomes, fitted: Fitted) -> Crossed | None:
    """The crossings behind cell means with an error; None where a run lacks items of its set."""
    model, values = fitted.model, fitted.values
    if not isinstance(model, CellMeans) or model.error.reason:
        return None
    tables = _tables(outcomes, fitted)
    if tables is None:
        return None
    noise, df = _run_item_variance(tables, model, values)
    return Crossed(model, values, tables, noise, df)


def _tables(outcomes: Outcomes, fitted: Fitted) -> tuple[Crossing, ...] | None:
    """One run x item table per set of items."""
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
    return tuple(found)


def item_effect(crossed: Crossed, contrast: ContextValues) -> ItemEffect:
    """An average effect of the cell means with items as a sample."""
    error = crossed.model.error
    weights = _run_weights(crossed.model, contrast, crossed.values)
    parts = [(float(weights @ weights) * error.variance, float(error.df))]
    estimate, added, spread, sets = 0.0, 0.0, 0.0, 0
    for crossing in crossed.tables:
        own = weights[crossing.runs]
        if not own.any():
            continue
        contribution = own @ crossing.outcome
        items, share = len(contribution), float(np.abs(own).sum()) / 2.0
        observed, drawn = float(contribution.var(ddof=1)), float(own @ own) * crossed.noise
        estimate += float(contribution.mean())
        added += (observed - drawn) / items
        spread += (observed - drawn) / share**2
        sets += 1
        parts += [(observed / items, items - 1.0), (drawn / items, crossed.noise_df)]
    total = parts[0][0] + max(added, 0.0)
    kept = parts if added > 0.0 else parts[:1]
    df = total**2 / sum(part**2 / df for part, df in kept)
    return ItemEffect(
        estimate=estimate,
        se=float(np.sqrt(total)),
        df=min(df, float(error.df)),
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
