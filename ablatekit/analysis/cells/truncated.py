"""The model without interactions above an order, fitted inside every context.

It serves designs whose cells do not carry their contrasts (incomplete designs without replication)
and full factorials with one replicate, whose higher interactions then stand in for the error
("hidden replication"). Contexts are fixed and crossed with every term, as in the saturated model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.coding import code_terms, terms_up_to
from ablatekit.analysis.cells.contrasts import Contrast
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout
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

    `row_space` (C, p, p) projects onto what the runs of a context determine.
    """

    layout: Layout
    order: int
    coefficients: Floats
    covariance: Floats
    row_space: Floats
    residual: Floats
    fitted: Floats
    error: ErrorTerm

    def evaluate(self, contrast: Contrast) -> ContextValues:
        """The contrast in every context whose runs determine it under the truncated model."""
        contexts = len(self.layout.contexts)
        if contrast.reason:
            return no_values(contexts, contrast.reason)
        if self._same_runs(contrast):
            return identical_values(contexts, len(contrast.codes))
        cells = self._standing_in(contrast.codes)
        return self.combine(np.tile(contrast.weights, len(cells)), cells, len(contrast.codes))

    def combine(self, weights: Floats, cells: Integers, combinations: int) -> ContextValues:
        """The mean over combinations of weighted cells (combinations, m, F)."""
        rows = self._rows(cells.reshape(-1, cells.shape[-1]))
        return self.linear(weights @ rows / combinations, combinations)

    def linear(self, row: Floats, combinations: int) -> ContextValues:
        """The value of `row` (p,) over the coded terms, which averages over `combinations`."""
        if not (np.abs(row) > 1e-12).any():
            reason = statement("zero_by_assumption", order=self.order)
            return no_values(len(self.coefficients), reason)
        gap = np.abs(self.row_space @ row - row).max(axis=1)
        used = gap < 1e-8
        if not used.any():
            reason = statement("aliased_below_order", order=self.order)
            return no_values(len(used), reason)
        factor = np.einsum("i,cij,j->c", row, self.covariance, row)
        return ContextValues(
            value=np.where(used, self.coefficients @ row, np.nan),
            factor=np.where(used, factor, np.nan),
            single=np.where(used, factor * self.layout.replicates, np.nan),
            used=used,
            combinations=combinations,
            notes=(statement("assumes_order", order=self.order),),
            row=row,
        )

    def cell(self, unit: int) -> tuple[Floats, Floats]:
        """Fitted mean and variance factor (C,) of one unit."""
        values = self.combine(np.ones(1), self.layout.unit_cells[unit][None, None, :], 1)
        return values.value, values.factor

    @property
    def unit_rows(self) -> Floats:
        """The coded terms of every unit (U, p)."""
        return self._rows(self.layout.unit_cells)

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
        if contrast.grid or contrast.codes.shape[1] != 2:
            return False
        unit = self.layout.unit_of
        return all(unit[a] == unit[b] for a, b in contrast.codes.tolist())


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
        residual=residual,
        fitted=fitted,
        error=_residual_error(values, residual, ranks, method),
    )


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
