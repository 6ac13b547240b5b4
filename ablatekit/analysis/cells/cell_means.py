"""The saturated cell-means model: one mean per unit and context, one pooled residual variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.contrasts import Contrast
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
        """The contrast in every context, over the combinations that all used contexts have.

        A context without any complete combination is left out of this contrast; a combination that
        lacks a cell in a remaining context is left out in all of them, so that every context
        estimates the same thing.
        """
        contexts = self.mean.shape[1]
        if contrast.reason:
            return no_values(contexts, contrast.reason)
        weights = _unit_weights(self.layout, contrast)
        if not (np.abs(weights.mean(axis=0)) > TINY).any():
            return identical_values(contexts, len(weights))
        empty_cells = (weights != 0).astype(float) @ (self.count == 0).astype(float)
        return self._average(contrast, weights, np.equal(empty_cells, 0.0))

    def _average(self, contrast: Contrast, weights: Floats, complete: Booleans) -> ContextValues:
        estimable = complete & weights.any(axis=1, keepdims=True)
        used: Booleans = np.any(estimable, axis=0)
        keep: Booleans = np.all(complete[:, used], axis=1) & used.any()
        mean_weights = weights[keep].mean(axis=0) if keep.any() else np.zeros(weights.shape[1])
        if not mean_weights.any():
            return no_values(len(used), statement("no_shared_runs"))
        value, factor = self.combine(mean_weights)
        single = np.full(len(used), float(np.sum(mean_weights**2)))
        return ContextValues(
            value=np.where(used, value, np.nan),
            factor=np.where(used, factor, np.nan),
            single=np.where(used, single, np.nan),
            used=used,
            combinations=int(keep.sum()),
            notes=_notes(self.layout, contrast, weights, keep, used),
            row=mean_weights,
        )

    def combine(self, weights: Floats) -> tuple[Floats, Floats]:
        """Value and variance factor (C,) of unit weights (U,); NaN where a cell is empty."""
        needed = weights != 0
        value = weights[needed] @ self.mean[needed]
        with np.errstate(divide="ignore"):
            factor = weights[needed] ** 2 @ (1.0 / self.count[needed])
        return value, factor

    def welch(self, values: ContextValues) -> Welch | None:
        """Variance of the mean over contexts from the contrast's own cells (Welch 1947).

        None when one of those cells has fewer than two runs, or when none of them varies.
        """
        if values.row is None:
            return None
        needed = values.row != 0
        count = self.count[np.ix_(needed, values.used)]
        if (count < 2).any():
            return None
        squares = self.squares[np.ix_(needed, values.used)]
        share = (values.row[needed, None] / values.contexts) ** 2
        parts = share * squares / (count - 1) / count
        total = float(parts.sum())
        if is_zero(total, float(np.abs(self.fitted).max())):
            return None
        return Welch(variance=total, df=float(total**2 / np.sum(parts**2 / (count - 1))))

    def cell(self, unit: int) -> tuple[Floats, Floats]:
        """Mean and variance factor (C,) of one unit."""
        return self.combine(np.eye(len(self.mean))[unit])


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
        constant = bool(np.ptp(values.y) == 0)
        variance = np.nan
        reason = statement("constant_response" if constant else "identical_replicates")
    return ErrorTerm(
        variance=variance, df=df, cells=cells, parameters=cells, method=METHOD, reason=reason
    )


def _unit_weights(layout: Layout, contrast: Contrast) -> Floats:
    """Weights over units (combinations, U); cells that share a unit add up, or cancel."""
    units = np.vectorize(layout.unit_of.__getitem__, otypes=[np.int64])(contrast.codes)
    weights = np.zeros((len(units), len(layout.units)))
    rows = np.broadcast_to(np.arange(len(units))[:, None], units.shape)
    np.add.at(weights, (rows, units), np.broadcast_to(contrast.weights, units.shape))
    weights[np.abs(weights) < TINY] = 0.0
    return weights


def _notes(
    layout: Layout, contrast: Contrast, weights: Floats, keep: Booleans, used: Booleans
) -> tuple[Statement, ...]:
    """What the average leaves out, and which of its parts are zero by construction."""
    notes = []
    same = int((keep & ~weights.any(axis=1)).sum())
    if same:
        combinations = int(keep.sum())
        notes.append(statement("same_runs_in", combinations=same, of_combinations=combinations))
    lost = contrast.codes[~keep, 0]
    if len(lost):
        cells = [layout.cell_label(cell, contrast.varied) for cell in layout.decode(lost)]
        notes.append(statement("combinations_left_out", cells=cells))
    if not used.all():
        left_out = [layout.contexts[context] for context in np.flatnonzero(~used)]
        notes.append(statement("contexts_left_out", contexts=left_out))
    return tuple(notes)
