"""Broad inference (contexts like these): a t over values of the very contrast (DESIGN 5).

A scope says which blocking variables count as a random sample of their levels. Over one variable
the values are the means of its levels over the contexts that have the contrast; over several, the
widest of three intervals decides, because contexts that are a product of models and data sets are
not exchangeable. No model borrows differences between contexts that lack the contrast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.student import t_quantile, two_sided
from ablatekit.analysis.core.values import ContextValues, is_zero
from ablatekit.analysis.stats.inference import Estimate, Interval, smallest_count, t_estimate

FEWEST_LEVELS = 3
T_METHOD = statement("contexts_t")
LEVELS_METHOD = statement("levels_t")
WIDEST_METHOD = statement("widest_t")

Scope: TypeAlias = tuple[str, ...]
Blocks: TypeAlias = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class LevelValues:
    """A contrast at the levels of one variable that have it, (L,): means over their contexts.

    `noise` (L,) are the variance factors of those means, as in `ContextValues.factor`.
    """

    names: tuple[str, ...]
    value: Floats
    noise: Floats


@dataclass(frozen=True)
class TwoWayTable:
    """A contrast in a complete table of two variables' levels, (M, D), and its mean squares."""

    value: Floats
    rows: float
    columns: float
    rest: float


def scopes(layout: Layout) -> tuple[Scope, ...]:
    """What a broad row may generalise over: each blocking variable, then all with three levels.

    One empty scope where nothing varies, so that its row can say so.
    """
    blocking = layout.blocking
    if len(blocking) < 2:
        return (blocking,)
    large = [name for name in blocking if len(set(layout.blocks[name])) >= FEWEST_LEVELS]
    together = tuple(large) if len(large) > 1 else blocking
    return (*((name,) for name in blocking), together)


def broad(values: ContextValues, scope: Scope, layout: Layout, alpha: float) -> Estimate:
    """The contrast over levels of the scope's variables like those of the study."""
    method = T_METHOD if len(layout.blocking) < 2 else LEVELS_METHOD
    if values.reason:
        return Estimate(reason=values.reason, identical=values.identical, method=method)
    if not scope:
        reason = statement("no_blocking_variable")
        return Estimate(estimate=values.mean, method=method, reason=reason, notes=values.notes)
    few = _too_few(values, scope, layout.blocks)
    if few is not None:
        return Estimate(estimate=values.mean, method=method, reason=few, notes=values.notes)
    parts = [_over_variable(values, name, layout.blocks) for name in scope]
    if all(part.se == 0.0 for part in parts):
        reason = statement("same_in_every_level", variable=scope[0])
        return Estimate(estimate=values.mean, method=method, reason=reason, notes=values.notes)
    notes = (*values.notes, *_incomplete(values, scope, layout))
    if len(scope) == 1:
        return _one_way(parts[0], alpha, method, notes)
    return _widest(values, scope, parts, layout, alpha, notes)


def over_contexts(values: ContextValues, alpha: float) -> Estimate:
    """One-sample t over the contrast's value in each context, df = contexts - 1.

    Right where contexts are exchangeable; a product of models and data sets is not.
    """
    if values.reason:
        return Estimate(reason=values.reason, identical=values.identical, method=T_METHOD)
    count = values.contexts
    if count < FEWEST_LEVELS:
        few = few_levels("context", count, len(values.used))
        return Estimate(estimate=values.mean, method=T_METHOD, reason=few, notes=values.notes)
    there = values.value[values.used]
    part = _interval(("context",), there, values.size)
    if part.se == 0.0:
        reason = statement("same_in_every_level", variable="context")
        return Estimate(estimate=part.estimate, method=T_METHOD, reason=reason, notes=values.notes)
    return t_estimate(part.estimate, part.se, part.df, alpha, T_METHOD, values.notes)


def level_values(values: ContextValues, labels: Sequence[str]) -> LevelValues:
    """The means of a variable's levels over their contexts that have the contrast."""
    there = [label for label, used in zip(labels, values.used.tolist(), strict=True) if used]
    names = tuple(dict.fromkeys(there))
    member = np.array([[label == name for label in there] for name in names], dtype=float)
    size = member.sum(axis=1)
    return LevelValues(
        names=names,
        value=member @ values.value[values.used] / size,
        noise=member @ values.factor[values.used] / size**2,
    )


def two_way_table(values: ContextValues, scope: Scope, blocks: Blocks) -> TwoWayTable | None:
    """The two-way table of a contrast, where each pair of levels that have it has it once."""
    if len(scope) != 2:
        return None
    first, second = (np.array(blocks[name])[values.used] for name in scope)
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    if len(set(zip(row.tolist(), column.tolist(), strict=True))) != len(rows) * len(columns):
        return None
    table = np.empty((len(rows), len(columns)))
    table[row, column] = values.value[values.used]
    return mean_squares(table)


def mean_squares(table: Floats) -> TwoWayTable:
    """Mean squares of a two-way table (M, D) with one value a cell."""
    m, d = table.shape
    grand = table.mean()
    by_row, by_column = table.mean(axis=1), table.mean(axis=0)
    rest = table - by_row[:, None] - by_column[None, :] + grand
    return TwoWayTable(
        value=table,
        rows=float(d * np.square(by_row - grand).sum() / (m - 1)),
        columns=float(m * np.square(by_column - grand).sum() / (d - 1)),
        rest=float(np.square(rest).sum() / ((m - 1) * (d - 1))),
    )


def crossed_interval(crossed: TwoWayTable, scope: Scope) -> Interval | None:
    """Variance (MS_rows + MS_columns - MS_rest) / contexts, Satterthwaite df of at least 1.

    None where that variance is not positive.
    """
    m, d = crossed.value.shape
    total = crossed.rows + crossed.columns - crossed.rest
    if not total > 0.0:
        return None
    spread = (
        crossed.rows**2 / (m - 1)
        + crossed.columns**2 / (d - 1)
        + crossed.rest**2 / ((m - 1) * (d - 1))
    )
    return Interval(
        by=scope,
        estimate=float(crossed.value.mean()),
        se=float(np.sqrt(total / (m * d))),
        df=max(total**2 / spread, 1.0),
    )


def incomplete_interval(
    values: ContextValues, parts: Sequence[Interval], scope: Scope, blocks: Blocks
) -> Interval | None:
    """The crossed interval where some pairs of levels lack the contrast: what it becomes there.

    The variances of the means over either variable's levels, less the one that both contain twice:
    MS_rest / contexts, of levels of both variables added up. In a complete table this is
    `crossed_interval`. None where that variance is not positive or nothing is left over.
    """
    rest, df = _additive_rest(values, scope, blocks)
    if df <= 0:
        return None
    shared = rest / values.contexts
    total = sum(part.se**2 for part in parts) - shared
    if not total > 0.0:
        return None
    spread = sum(part.se**4 / part.df for part in parts) + shared**2 / df
    return Interval(by=scope, estimate=values.mean, se=total**0.5, df=max(total**2 / spread, 1.0))


def _additive_rest(values: ContextValues, scope: Scope, blocks: Blocks) -> tuple[float, int]:
    """Mean square, with its df, of what levels of two variables leave over when added up."""
    labels = [np.unique(np.array(blocks[name])[values.used], return_inverse=True) for name in scope]
    columns = np.hstack([np.eye(len(names))[place] for names, place in labels])
    value = values.value[values.used] - values.mean
    solution, _, rank, _ = np.linalg.lstsq(columns, value, rcond=1e-10)
    df = len(value) - int(rank)
    left = float(np.square(value - columns @ solution).sum())
    return (left / df if df > 0 else np.nan), df


def _too_few(values: ContextValues, scope: Scope, blocks: Blocks) -> Statement | None:
    """The variable with the fewest levels that have the contrast, where those are too few."""
    counts = {name: len(set(np.array(blocks[name])[values.used])) for name in scope}
    fewest = min(counts, key=counts.__getitem__)
    if counts[fewest] >= FEWEST_LEVELS:
        return None
    return few_levels(fewest, counts[fewest], len(set(blocks[fewest])))


def few_levels(variable: str, levels: int, of_levels: int) -> Statement:
    """Too few levels of a variable have the contrast, of those that are there."""
    return statement(
        "too_few_levels",
        variable=variable,
        levels=levels,
        fewest=FEWEST_LEVELS,
        of_levels=of_levels,
    )


def _over_variable(values: ContextValues, name: str, blocks: Blocks) -> Interval:
    return _interval((name,), level_values(values, blocks[name]).value, values.size)


def _interval(by: tuple[str, ...], value: Floats, size: float) -> Interval:
    """The one-sample t of values (L,); an error that is rounding noise of runs of a size is 0."""
    count, sd = len(value), float(np.std(value, ddof=1))
    if is_zero(sd**2, max(size, float(np.abs(value).max()))):
        sd = 0.0
    return Interval(by=by, estimate=float(value.mean()), se=sd / count**0.5, df=count - 1)


def _one_way(
    part: Interval, alpha: float, method: Statement, notes: tuple[Statement, ...]
) -> Estimate:
    sd = part.se * (part.df + 1) ** 0.5
    needed = _levels_needed(sd, alpha)
    return t_estimate(part.estimate, part.se, part.df, alpha, method, notes, needed)


def _widest(
    values: ContextValues,
    scope: Scope,
    parts: list[Interval],
    layout: Layout,
    alpha: float,
    notes: tuple[Statement, ...],
) -> Estimate:
    """The widest interval at each level and the largest p; a complete table gives a crossed one."""
    whole = len(layout.blocking) == len(scope) == 2
    interval = _over_both(values, parts, scope, layout.blocks) if whole else None
    if interval is None and not (whole and two_way_table(values, scope, layout.blocks)):
        notes = (*notes, statement("widest_of_one_way", scope=list(scope)))
    parts = [*([interval] if interval else []), *parts]
    parts = [part for part in parts if part.se > 0.0]
    decides = max(parts, key=lambda part: part.half_width(alpha))
    tested = t_estimate(decides.estimate, decides.se, decides.df, alpha, WIDEST_METHOD)
    inner = max(part.half_width(2 * alpha) for part in parts)
    p = max(float(two_sided(part.estimate / part.se, part.df)) for part in parts)
    return replace(
        tested,
        low_equivalence=decides.estimate - inner,
        high_equivalence=decides.estimate + inner,
        p=p,
        parts=tuple(parts),
        notes=(*notes, statement("decided_by", by=list(decides.by))),
    )


def _over_both(
    values: ContextValues, parts: Sequence[Interval], scope: Scope, blocks: Blocks
) -> Interval | None:
    """The crossed interval of two variables, whether every pair of their levels is there or not."""
    crossed = two_way_table(values, scope, blocks)
    if crossed is None:
        return incomplete_interval(values, parts, scope, blocks)
    return crossed_interval(crossed, scope)


def _incomplete(values: ContextValues, scope: Scope, layout: Layout) -> tuple[Statement, ...]:
    """What the levels of a variable are averaged over, where each has contexts of its own."""
    others = [name for name in layout.blocking if name not in scope or len(scope) > 1]
    notes = []
    for name in scope:
        for other in others:
            if other != name and not _crossed(values, name, other, layout.blocks):
                notes.append(statement("own_levels", variable=name, other=other))
    return tuple(notes)


def _crossed(values: ContextValues, name: str, other: str, blocks: Blocks) -> bool:
    first, second = (np.array(blocks[key])[values.used].tolist() for key in (name, other))
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == len(set(first)) * len(set(second))


def _levels_needed(sd: float, alpha: float) -> Callable[[float], int | None]:
    def half_width(levels: int) -> float:
        if levels < FEWEST_LEVELS:
            return np.inf
        return float(t_quantile(1 - alpha / 2, levels - 1) * sd / levels**0.5)

    return lambda target: smallest_count(half_width, target)
