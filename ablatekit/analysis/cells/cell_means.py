"""The saturated cell-means model: one mean per unit and context, one pooled residual variance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ablatekit.analysis.cells.contrasts import Contrast
from ablatekit.analysis.cells.reasons import why_nowhere
from ablatekit.analysis.core.arrays import Booleans, Floats
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.values import (
    ContextValues,
    ErrorTerm,
    RunValues,
    Welch,
    identical_values,
    is_zero,
    no_values,
)

TINY = 1e-12
METHOD = statement("cell_means_t")


@dataclass(frozen=True)
class CellMeans:
    """Means, counts and within-cell sums of squares, each (U, C); `residual` (N,) of the runs."""

    layout: Layout
    mean: Floats
    count: Floats
    squares: Floats
    residual: Floats
    fitted: Floats
    error: ErrorTerm

    @property
    def unit_rows(self) -> None:
        """Every unit has a mean of its own."""
        return None

    def evaluate(self, contrast: Contrast) -> ContextValues:
        """The contrast in every context, over the combinations that this context has complete."""
        contexts = self.mean.shape[1]
        if contrast.reason:
            reason = why_nowhere(self.layout, self.count, contrast)
            return no_values(contexts, reason, contrast.combinations)
        weights = unit_weights(self.layout, contrast)
        if not weights.any():
            return identical_values(contexts, contrast.combinations)
        empty_cells = (weights != 0).astype(float) @ (self.count == 0).astype(float)
        return self._average(contrast, weights, np.equal(empty_cells, 0.0))

    def mean_of(self, unit: int) -> ContextValues:
        """The mean of one unit in every context that has it."""
        used: Booleans = np.asarray(self.count[unit] > 0, dtype=np.bool_)
        if not used.any():
            return no_values(len(used), statement("no_run_value"))
        weights = np.zeros((len(used), len(self.count)))
        weights[:, unit] = 1.0
        return self._weighted(weights, used)

    def _average(self, contrast: Contrast, weights: Floats, complete: Booleans) -> ContextValues:
        """The mean over `complete` (combinations, C) of `weights` (combinations, U)."""
        used: Booleans = np.any(complete & weights.any(axis=1, keepdims=True), axis=0)
        pairs = contrast.matched(complete).sum(axis=0)
        by_context = contrast.shares(complete).T @ weights
        if not used.any():
            reason = why_nowhere(self.layout, self.count, contrast)
            return no_values(len(used), reason, contrast.combinations)
        values = self._weighted(by_context, used)
        everywhere: Booleans = np.all(complete[:, used], axis=1)
        differ = bool((everywhere != np.any(complete[:, used], axis=1)).any())
        shared = None
        if differ and weights[everywhere].any():
            there = everywhere[:, None]
            common = np.broadcast_to(contrast.shares(there).T @ weights, by_context.shape)
            shared = replace(
                self._weighted(common, used),
                pairs=np.where(used, int(contrast.matched(there).sum()), 0),
                of_pairs=contrast.combinations,
            )
        return replace(
            values,
            pairs=np.where(used, pairs, 0),
            of_pairs=contrast.combinations,
            notes=_notes(self.layout, contrast, weights, used),
            shared=shared,
        )

    def _weighted(self, weights: Floats, used: Booleans) -> ContextValues:
        """Unit weights of every context (C, U), none of which needs an empty cell where `used`."""
        weights = np.where(used[:, None], weights, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.where(weights != 0, weights * self.mean.T, 0.0).sum(axis=1)
            factor = np.where(weights != 0, weights**2 / self.count.T, 0.0).sum(axis=1)
        return ContextValues(
            value=np.where(used, value, np.nan),
            factor=np.where(used, factor, np.nan),
            single=np.where(used, (weights**2).sum(axis=1), np.nan),
            used=used,
            pairs=np.zeros(len(used), dtype=np.int64),
            of_pairs=0,
            weights=weights,
            size=self.size,
        )

    @cached_property
    def size(self) -> float:
        """The largest cell mean, in absolute value."""
        return float(np.abs(self.fitted).max(initial=0.0))

    def welch(self, values: ContextValues) -> Welch | None:
        """Variance of the mean over contexts from the contrast's own cells (Welch 1947).

        None when one of those cells has fewer than two runs, or when none of them varies.
        """
        if values.weights is None:
            return None
        needed = values.weights != 0
        count, squares = self.count.T[needed], self.squares.T[needed]
        if (count < 2).any():
            return None
        share = (values.weights[needed] / values.contexts) ** 2
        parts = share * squares / (count - 1) / count
        total = float(parts.sum())
        if is_zero(total, self.size):
            return None
        return Welch(variance=total, df=float(total**2 / np.sum(parts**2 / (count - 1))))

    def cell(self, unit: int) -> tuple[Floats, Floats]:
        """Mean and variance factor (C,) of one unit."""
        with np.errstate(divide="ignore"):
            return self.mean[unit], 1.0 / self.count[unit]


def fit_cell_means(values: RunValues, layout: Layout) -> CellMeans:
    """Group the runs by unit and context; the error is pooled within groups (pure error)."""
    shape = (len(layout.units), len(layout.contexts))
    group = values.unit * shape[1] + values.context
    cells = shape[0] * shape[1]
    count = np.bincount(group, minlength=cells).astype(float)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(group, weights=values.y, minlength=cells) / count
    fitted = mean[group]
    residual = values.y - fitted
    squares = np.bincount(group, weights=residual**2, minlength=cells).astype(float)
    return CellMeans(
        layout=layout,
        mean=mean.reshape(shape),
        count=count.reshape(shape),
        squares=squares.reshape(shape),
        residual=residual,
        fitted=fitted,
        error=_pure_error(values, count, squares),
    )


def _pure_error(values: RunValues, count: Floats, squares: Floats) -> ErrorTerm:
    cells = int((count > 0).sum())
    df = len(values.y) - cells
    variance = float(squares.sum()) / df if df > 0 else np.nan
    reason = None
    if not len(values.y):
        reason = statement("no_run_value")
    elif df <= 0:
        reason = statement("no_replicates")
    elif is_zero(variance, float(np.abs(values.y).max())):
        variance, reason = np.nan, _why_no_spread(values.y)
    return ErrorTerm(
        variance=variance, df=df, cells=cells, parameters=cells, method=METHOD, reason=reason
    )


def _why_no_spread(y: Floats) -> Statement:
    """Why runs within cells do not differ: outcomes of 0 and 1 may do so without any mistake."""
    if np.ptp(y) == 0:
        return statement("constant_response")
    outcomes = bool(np.isin(y, (0.0, 1.0)).all())
    return statement("outcomes_agree" if outcomes else "identical_replicates")


def unit_weights(layout: Layout, contrast: Contrast) -> Floats:
    """Weights over units (combinations, U); cells that share a unit add up, or cancel."""
    units = np.vectorize(layout.unit_of.__getitem__, otypes=[np.int64])(contrast.codes)
    weights = np.zeros((len(units), len(layout.units)))
    rows = np.broadcast_to(np.arange(len(units))[:, None], units.shape)
    np.add.at(weights, (rows, units), contrast.weights)
    weights[np.abs(weights) < TINY] = 0.0
    return weights


def _notes(
    layout: Layout, contrast: Contrast, weights: Floats, used: Booleans
) -> tuple[Statement, ...]:
    """What the combinations are, which are zero by construction, and what contexts lack them."""
    notes = [*contrast.notes]
    different: Booleans = np.any(weights, axis=1, keepdims=True)
    same = int((~contrast.matched(different)).sum())
    if same:
        told = {"combinations": same, "of_combinations": contrast.combinations}
        notes.append(statement("same_runs_in", **told))
    if not used.all():
        left_out = [layout.contexts[context] for context in np.flatnonzero(~used)]
        notes.append(statement("contexts_left_out", contexts=left_out))
    return tuple(notes)
