"""The model without interactions above an order, fitted inside every context.

It serves designs whose cells do not carry their contrasts (incomplete designs without replication)
and full factorials with one replicate, whose higher interactions then stand in for the error
("hidden replication"). Contexts are fixed and crossed with every term, as in the saturated model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ablatekit.analysis.cells.cell_means import unit_weights
from ablatekit.analysis.cells.coding import code_terms, terms_up_to
from ablatekit.analysis.cells.contrasts import Contrast
from ablatekit.analysis.cells.reasons import why_nowhere
from ablatekit.analysis.core.arrays import Booleans, Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.codes import Code
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.values import (
    ContextValues,
    ErrorTerm,
    RunValues,
    identical_values,
    is_zero,
    no_values,
)


@dataclass(frozen=True)
class TruncatedModel:
    """Per context c: coefficients (C, p), their unscaled covariance (C, p, p), the row space.

    `row_space` (C, p, p) projects onto what the runs of a context determine; `count` (U, C) are the
    runs.
    """

    layout: Layout
    order: int
    coefficients: Floats
    covariance: Floats
    row_space: Floats
    count: Floats
    residual: Floats
    fitted: Floats
    error: ErrorTerm

    def evaluate(self, contrast: Contrast) -> ContextValues:
        """The contrast in every context whose runs determine it under the truncated model.

        Averaged over all planned combinations where a context determines that, else over those that
        it has complete. `pairs` counts the complete ones.
        """
        contexts = len(self.layout.contexts)
        if contrast.reason:
            reason = why_nowhere(self.layout, self.count, contrast)
            return no_values(contexts, reason, contrast.combinations)
        if self._same_runs(contrast):
            return identical_values(contexts, contrast.combinations)
        complete = self._complete(contrast)
        rows = self._combination_rows(contrast)
        pairs = (
            np.zeros_like(complete[0], dtype=np.int64)
            if contrast.grid
            else contrast.matched(complete).sum(axis=0)
        )
        values = self.linear(self._context_rows(contrast, rows, complete), pairs)
        if values.reason is None:
            return replace(
                values,
                of_pairs=0 if contrast.grid else contrast.combinations,
                notes=(*contrast.notes, *values.notes, *self._left_out(values.used)),
            )
        if values.reason["code"] == "aliased_below_order":
            grounds = why_nowhere(self.layout, self.count, contrast)
            named = grounds["code"] in ("aliased_with", "never_in_one_context", "no_run_at_level")
            values = replace(values, reason=grounds if named else values.reason)
        return replace(values, of_pairs=0 if contrast.grid else contrast.combinations)

    def _context_rows(self, contrast: Contrast, rows: Floats, complete: Booleans) -> Floats:
        """What every context averages (C, p), of the contrast's rows (rows, p); one of the grid."""
        whole = rows[0] if contrast.grid else contrast.everything() @ rows
        everything = np.broadcast_to(whole, (complete.shape[1], rows.shape[1]))
        if contrast.grid:
            return everything
        lacking = ~self._determined(everything) & complete.any(axis=0)
        some = contrast.shares(complete).T @ rows
        return np.where(lacking[:, None], some, everything)

    def _complete(self, contrast: Contrast) -> Booleans:
        """Whether a context has runs in all cells of a combination, (combinations, C).

        One row for all combinations of the grid.
        """
        if contrast.grid:
            return np.zeros((1, len(self.layout.contexts)), dtype=bool)
        weights = unit_weights(self.layout, contrast) != 0
        lacking = weights.astype(float) @ (self.count == 0).astype(float)
        return np.asarray(lacking == 0.0, dtype=np.bool_)

    def _combination_rows(self, contrast: Contrast) -> Floats:
        """Every combination over the coded terms, (combinations, p); on the grid, their mean."""
        if contrast.grid:
            share = (contrast.weights * contrast.everything()[:, None]).ravel()
            weights = np.bincount(contrast.codes.ravel(), share, self.layout.grid_size)
            return (weights @ self._grid_rows)[None, :]
        cells = self._standing_in(contrast.codes)
        rows = self._rows(cells.reshape(-1, cells.shape[-1]))
        by_cell = rows.reshape(*cells.shape[:2], -1)
        return np.asarray(np.einsum("km,kmp->kp", contrast.weights, by_cell), dtype=np.float64)

    def _determined(self, rows: Floats) -> Booleans:
        """Whether the runs of a context determine its row (C, p)."""
        projected = np.einsum("cij,cj->ci", self.row_space, rows)
        return np.asarray(np.abs(projected - rows).max(axis=1) < 1e-8, dtype=np.bool_)

    def linear(self, rows: Floats, pairs: Integers) -> ContextValues:
        """The value of every context's row (C, p) over the coded terms; `pairs` (C,)."""
        if not (np.abs(rows) > 1e-12).any():
            reason = statement("zero_by_assumption", order=self.order)
            return no_values(len(self.coefficients), reason)
        used = self._determined(rows)
        if not used.any():
            reason = statement("aliased_below_order", order=self.order)
            return no_values(len(used), reason)
        factor = np.einsum("ci,cij,cj->c", rows, self.covariance, rows)
        matched = np.where(used, pairs, 0)
        assumption: Code = "assumes_order" if matched.any() else "model_based"
        return ContextValues(
            value=np.where(used, (self.coefficients * rows).sum(axis=1), np.nan),
            factor=np.where(used, factor, np.nan),
            single=np.where(used, factor * self.layout.replicates, np.nan),
            used=used,
            pairs=matched,
            of_pairs=0,
            notes=(statement(assumption, order=self.order),),
            weights=np.where(used[:, None], rows, 0.0),
            size=self.size,
        )

    @cached_property
    def size(self) -> float:
        """The largest fitted value, in absolute value."""
        return float(np.abs(self.fitted).max(initial=0.0))

    def _left_out(self, used: Booleans) -> tuple[Statement, ...]:
        left_out = [self.layout.contexts[context] for context in np.flatnonzero(~used)]
        return (statement("contexts_left_out", contexts=left_out),) if left_out else ()

    def cell(self, unit: int) -> tuple[Floats, Floats]:
        """Fitted mean and variance factor (C,) of one unit."""
        row = self.unit_rows[unit]
        rows = np.broadcast_to(row, (len(self.coefficients), len(row)))
        values = self.linear(rows, np.zeros(len(rows), dtype=np.int64))
        return values.value, values.factor

    @cached_property
    def unit_rows(self) -> Floats:
        """The coded terms of every unit (U, p)."""
        return self._rows(self.layout.unit_cells)

    @cached_property
    def _grid_rows(self) -> Floats:
        """The coded terms of every combination of levels (grid, p)."""
        return self._rows(self._standing_in(np.arange(self.layout.grid_size)[:, None])[:, 0])

    def _rows(self, cells: Integers) -> Floats:
        terms = terms_up_to(len(self.layout.factors), self.order)
        return code_terms(cells, self.layout.sizes, terms).matrix

    def _standing_in(self, codes: Integers) -> Integers:
        """Level indices (combinations, m, F); a merged cell as the first cell of its unit."""
        levels, cells = self.layout.decode(codes), self.layout.codes
        order = np.argsort(cells)
        place = np.minimum(np.searchsorted(cells, codes, sorter=order), len(cells) - 1)
        cell = order[place]
        planned = cells[cell] == codes
        levels[planned] = self.layout.unit_cells[self.layout.cell_unit[cell[planned]]]
        return levels

    def _same_runs(self, contrast: Contrast) -> bool:
        return not contrast.grid and not unit_weights(self.layout, contrast).any()


def fit_truncated(
    values: RunValues, layout: Layout, order: int, method: Statement
) -> TruncatedModel:
    """Least squares inside every context, with one residual variance for all of them."""
    terms = terms_up_to(len(layout.factors), order)
    rows = code_terms(layout.unit_cells, layout.sizes, terms).matrix[values.unit]
    contexts, width = len(layout.contexts), rows.shape[1]
    coefficients = np.zeros((contexts, width))
    covariance = np.zeros((contexts, width, width))
    row_space = np.zeros((contexts, width, width))
    ranks = 0
    for c in range(contexts):
        context_rows = rows[values.context == c]
        if not len(context_rows):
            continue
        inverse = np.linalg.pinv(context_rows, rcond=1e-10)
        coefficients[c] = inverse @ values.y[values.context == c]
        covariance[c] = inverse @ inverse.T
        row_space[c] = inverse @ context_rows
        ranks += int(np.linalg.matrix_rank(context_rows))
    fitted = np.einsum("np,np->n", rows, coefficients[values.context])
    residual = values.y - fitted
    return TruncatedModel(
        layout=layout,
        order=order,
        coefficients=coefficients,
        covariance=covariance,
        row_space=row_space,
        count=_counts(values, layout),
        residual=residual,
        fitted=fitted,
        error=_residual_error(values, residual, ranks, method),
    )


def _counts(values: RunValues, layout: Layout) -> Floats:
    shape = (len(layout.units), len(layout.contexts))
    count = np.bincount(values.unit * shape[1] + values.context, minlength=shape[0] * shape[1])
    return count.reshape(shape).astype(float)


def _residual_error(
    values: RunValues, residual: Floats, ranks: int, method: Statement
) -> ErrorTerm:
    groups = {(u, c) for u, c in zip(values.unit.tolist(), values.context.tolist(), strict=True)}
    df = len(values.y) - ranks
    variance = float(residual @ residual) / df if df > 0 else np.nan
    reason = None
    if df <= 0:
        reason = statement("no_error_left")
    elif is_zero(variance, 1e3 * float(np.abs(values.y).max())):
        variance, reason = np.nan, statement("no_residual_variance")
    return ErrorTerm(
        variance=variance,
        df=df,
        cells=len(groups),
        parameters=ranks,
        method=method,
        reason=reason,
    )
