"""The item level of a response: where outcomes vary, and effects on items like these.

Outcomes y_ri (item i in run r, mean over samples) follow a linear probability model with the
response's own fixed part, contexts fixed, and random runs and items,

    y = cells in contexts + (1 | run) + (1 | dataset:item) + residual,

weighted by samples. On complete tables its fixed effects are those of run means, so the effect
table stays the run-level one; what items add is where the variance lies, and whether effects would
hold on other items (`item_effects`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.cell_means import CellMeans
from ablatekit.analysis.cells.effects import Evaluated, Fitted
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.numbers import number, whole
from ablatekit.analysis.core.schema.codes import VarianceSource
from ablatekit.analysis.core.schema.companions import ItemEffectRow, ItemLevel
from ablatekit.analysis.core.schema.model import ModelRecord, RandomRow, VarianceShare
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.core.values import ContextValues, RunValues
from ablatekit.analysis.engine.design import Columns, independent_columns
from ablatekit.analysis.engine.fit import SINGULAR, MixedFit, fit_mixed
from ablatekit.analysis.engine.formula import Formula, RandomSpec
from ablatekit.analysis.engine.frame import ModelFrame, RandomTerm
from ablatekit.analysis.posthoc.coefficient_tests import linear_model
from ablatekit.analysis.tables.outcomes import Outcomes
from ablatekit.errors import NotEstimableError, TableError


@dataclass(frozen=True)
class ItemCrossing:
    """Runs of one set of items: `runs` (R,) positions in the run values, `outcome` (R, I) means."""

    runs: Integers
    outcome: Floats


@dataclass(frozen=True)
class Crossed:
    """Every run with every item of its set, and the run x item mean square with its df."""

    model: CellMeans
    values: RunValues
    tables: tuple[ItemCrossing, ...]
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


def _tables(outcomes: Outcomes, fitted: Fitted) -> tuple[ItemCrossing, ...] | None:
    """One run x item table per set of items."""
    runs, size = len(fitted.values.y), np.bincount(outcomes.run)
    if outcomes.left_out or len(size) < runs or (size < 2).any():
        return None
    first = np.full(runs, outcomes.items)
    np.minimum.at(first, outcomes.run, outcomes.item)
    order = np.lexsort((outcomes.item, outcomes.run))
    run_of = outcomes.run[order]
    crossings = []
    for start in np.unique(first):
        members = np.flatnonzero(first == start)
        rows = order[np.isin(run_of, members)]
        if (size[members] != size[members[0]]).any():
            return None
        table = outcomes.item[rows].reshape(len(members), -1)
        if not (table == table[0]).all():
            return None
        crossings.append(ItemCrossing(members, outcomes.mean[rows].reshape(table.shape)))
    return tuple(crossings)


def item_effect(crossed: Crossed, contrast: ContextValues) -> ItemEffect:
    """An average effect of the cell means with items as a sample."""
    error = crossed.model.error
    weights = _run_weights(crossed.model, contrast, crossed.values)
    parts = [(float(weights @ weights) * error.variance, float(error.df))]
    estimate, added, spread, sets = 0.0, 0.0, 0.0, 0
    for crossing in crossed.tables:
        run_weights = weights[crossing.runs]
        if not run_weights.any():
            continue
        contribution = run_weights @ crossing.outcome
        items, share = len(contribution), float(np.abs(run_weights).sum()) / 2.0
        observed, drawn = (
            float(contribution.var(ddof=1)),
            float(run_weights @ run_weights) * crossed.noise,
        )
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
    """What every run weighs in the narrow estimate (N,): weight / runs of its cell / contexts."""
    assert contrast.weights is not None
    share = contrast.weights[values.context, values.unit] / contrast.contexts
    return np.asarray(share / model.count[values.unit, values.context])


def _run_item_variance(
    crossings: Sequence[ItemCrossing], model: CellMeans, values: RunValues
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


LARGEST = 1e9
RUN, ITEM = ("run",), ("dataset", "item")


def item_frame(outcomes: Outcomes, fitted: Fitted, slope: Floats | None = None) -> ModelFrame:
    """The frame of `outcome ~ cell:context + (1 | run) + (1 + slope | dataset:item)`.

    slope: a column per unit (U,). A cell of the frame is a unit in a context.
    """
    unit, context, cell = _cells(outcomes, fitted)
    counts = np.bincount(cell).astype(float)
    matrix = _fixed_rows(fitted, unit, context)
    columns = np.ones((len(unit), 1))
    if slope is not None:
        columns = np.column_stack([columns, slope[unit]])
    kept_runs, run = np.unique(outcomes.run, return_inverse=True)
    terms = (
        _term(RandomSpec(True, (), RUN), run, len(kept_runs), columns[:, :1]),
        _term(
            RandomSpec(True, (("c",),) if slope is not None else (), ITEM),
            outcomes.item,
            outcomes.items,
            columns,
        ),
    )
    equal = bool(np.all(outcomes.samples == outcomes.samples[0]))
    return ModelFrame(
        formula=Formula("outcome", False, (), tuple(term.spec for term in terms)),
        y=outcomes.mean,
        weights=None if equal else outcomes.samples,
        cell=cell.astype(np.int32),
        counts=counts,
        variables={},
        points={},
        columns=Columns(matrix, tuple(map(str, range(matrix.shape[1]))), ()),
        kept=independent_columns(matrix, counts),
        random=terms,
        rows_dropped=0,
    )


def item_slope(outcomes: Outcomes, fitted: Fitted, contrast: ContextValues) -> ItemEffect:
    """An average effect with a random slope per item; df never above those of the runs.

    Raises NotEstimableError where the runs with outcomes do not determine it, or where the tables
    are too large for a model without a complete crossing.
    """
    size = float(len(np.unique(outcomes.run))) ** 2 * outcomes.items
    if size > LARGEST:
        raise NotEstimableError(
            "runs of one data set saw different items, and the tables are too large for a mixed "
            "model of them"
        )
    weights = contrast.weights
    assert weights is not None
    rows, row = fitted.model.unit_rows, weights[contrast.used].mean(axis=0)
    slope = (row if rows is None else rows @ row) / float(row @ row)
    frame = item_frame(outcomes, fitted, slope)
    fixed = _contrast_row(outcomes, fitted, contrast, weights)
    lost = np.delete(fixed, frame.kept)
    if np.abs(lost).max(initial=0.0) > 0.0 or abs(fixed).sum() == 0.0:
        raise NotEstimableError("a cell of this contrast has no run with item outcomes")
    fit = fit_mixed(frame)
    test = linear_model(fit, "satterthwaite").test(fixed[frame.kept][None, :])
    sd = next(c.sd for c in fit.components if c.name == "c" and c.other is None)
    df = min(float(test.df[0]), float(fitted.model.error.df))
    return ItemEffect(estimate=float(test.estimate[0]), se=float(test.se[0]), df=df, sd=sd)


def _cells(outcomes: Outcomes, fitted: Fitted) -> tuple[Integers, Integers, Integers]:
    """Unit and context of every cell with outcomes, and the cell of every row."""
    contexts = len(fitted.layout.contexts)
    group = (fitted.values.unit * contexts + fitted.values.context)[outcomes.run]
    present, cell = np.unique(group, return_inverse=True)
    return present // contexts, present % contexts, cell


def _fixed_rows(fitted: Fitted, unit: Integers, context: Integers) -> Floats:
    """The response's fixed effects (cells, p): cell means, or coded terms within contexts."""
    rows = fitted.model.unit_rows
    if rows is None:
        return np.eye(len(unit))
    indicators = np.eye(len(fitted.layout.contexts))[context]
    return np.asarray((indicators[:, :, None] * rows[unit][:, None, :]).reshape(len(unit), -1))


def _contrast_row(
    outcomes: Outcomes, fitted: Fitted, contrast: ContextValues, weights: Floats
) -> Floats:
    """The mean over contexts of the contrast's weights (C, U or p), over the fixed effects (p,)."""
    shares = np.where(contrast.used[:, None], weights, 0.0) / contrast.contexts
    if fitted.model.unit_rows is not None:
        return shares.ravel()
    unit, context, _ = _cells(outcomes, fitted)
    there = shares[context, unit]
    complete = np.isclose(np.abs(there).sum(), np.abs(shares).sum())
    return there if complete else np.zeros(len(unit))


def _term(spec: RandomSpec, codes: Integers, size: int, columns: Floats) -> RandomTerm:
    names = ("(Intercept)", "c")[: columns.shape[1]]
    return RandomTerm(spec, codes.astype(np.int32), tuple(map(str, range(size))), columns, names)


FORMULA = "outcome ~ cell:context + (1 | run) + (1 | dataset:item)"


def item_level(
    outcomes: Outcomes, fitted: Fitted, average: Sequence[Evaluated], alpha: float
) -> ItemLevel:
    """The section of a response that keeps item outcomes; a part without numbers has its reason."""
    section = ItemLevel(
        split=outcomes.split,
        runs=len(np.unique(outcomes.run)),
        items=outcomes.items,
        outcomes=int(outcomes.samples.sum()),
        random=[],
        shares=[],
        effects=_effects(outcomes, fitted, average, alpha),
        messages=_messages(outcomes),
        footer=statement("item_model"),
        reason=fitted.model.error.reason,
    )
    if section["reason"] is not None:
        return section
    try:
        fit = fit_mixed(item_frame(outcomes, fitted))
    except (NotEstimableError, TableError) as error:
        return {**section, "reason": _refused(error)}
    return {
        **section,
        "model": _model(fit),
        "random": _random(fit),
        "shares": _shares(fit, outcomes, fitted),
    }


def _refused(error: NotEstimableError | TableError) -> Statement:
    """Why a model has no fit, in the words of the exception."""
    return statement("model_refused", message=str(error).splitlines()[0])


def _messages(outcomes: Outcomes) -> list[Statement]:
    left_out = outcomes.left_out
    return [statement("outcomes_left_out", runs=left_out)] if left_out else []


def _model(fit: MixedFit) -> ModelRecord:
    return ModelRecord(
        formula=FORMULA,
        method=statement("reml"),
        n=fit.n,
        criterion=number(fit.criterion),
        converged=fit.convergence.converged,
        singular=fit.singular,
        messages=[*fit.convergence.messages, *_zero(fit)],
    )


def _zero(fit: MixedFit) -> list[Statement]:
    """Which variances are estimated as zero."""
    groups = [c.group for c in fit.components if c.sd < SINGULAR * fit.sigma]
    return [statement("zero_variance", group=group) for group in groups]


def _random(fit: MixedFit) -> list[RandomRow]:
    rows = [
        RandomRow(group=c.group, name=c.name, variance=c.variance, sd=c.sd) for c in fit.components
    ]
    rest = RandomRow(group="Residual", name="", variance=fit.sigma**2, sd=fit.sigma)
    return [*rows, rest]


def _shares(fit: MixedFit, outcomes: Outcomes, fitted: Fitted) -> list[VarianceShare]:
    """Parts of the variance of outcomes; fixed ones as variances of fitted means over rows."""
    mean = (fit.frame.x @ fit.beta)[fit.frame.cell]
    context = fitted.values.context[outcomes.run]
    by_context = np.bincount(context, mean) / np.maximum(np.bincount(context), 1)
    within = mean - by_context[context]
    by_group = {component.group: component.variance for component in fit.components}
    parts: dict[VarianceSource, float] = {
        "design": float(within.var()),
        "contexts": float(by_context[context].var()),
        "runs": by_group["run"],
        "items": by_group["dataset:item"],
        "draws": fit.sigma**2,
    }
    total = sum(parts.values())
    return [
        VarianceShare(source=source, variance=number(part), share=number(part / total))
        for source, part in parts.items()
    ]


def _effects(
    outcomes: Outcomes, fitted: Fitted, average: Sequence[Evaluated], alpha: float
) -> list[ItemEffectRow]:
    """Average effects on items like these; by mean squares where the crossing is complete."""
    crossed = complete_crossings(outcomes, fitted)
    return [_effect(effect, crossed, outcomes, fitted, alpha) for effect in average]


def _effect(
    effect: Evaluated, crossed: Crossed | None, outcomes: Outcomes, fitted: Fitted, alpha: float
) -> ItemEffectRow:
    reason = effect.values.reason or fitted.model.error.reason
    if reason:
        return _row(effect, None, reason, alpha)
    if crossed is not None:
        return _row(effect, item_effect(crossed, effect.values), None, alpha)
    try:
        return _row(effect, item_slope(outcomes, fitted, effect.values), None, alpha)
    except (NotEstimableError, TableError) as error:
        return _row(effect, None, _refused(error), alpha)


def _row(
    effect: Evaluated, estimated: ItemEffect | None, reason: Statement | None, alpha: float
) -> ItemEffectRow:
    estimate, se, df, sd = (
        (np.nan,) * 4
        if estimated is None
        else (estimated.estimate, estimated.se, estimated.df, estimated.sd)
    )
    half = float(t_quantile(1 - alpha / 2, df)) * se
    return ItemEffectRow(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        baseline=effect.contrast.baseline,
        estimate=number(estimate),
        se=number(se),
        df=whole(df),
        low=number(estimate - half),
        high=number(estimate + half),
        p=number(float(two_sided(estimate / se, df))) if estimated is not None else None,
        item_sd=number(sd),
        reason=reason,
    )
