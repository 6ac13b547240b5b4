"""Type III hypotheses by estimable functions, for complete, empty and nested cells alike.

A linear function of the coefficients is estimable when it lies in the row space of the model
matrix, every term coded by indicators of its cells. The type III hypothesis of a term consists of
the estimable functions that involve only the term and the terms that contain it, orthogonal to
those that involve only the containing terms. So it depends on which cells have rows, never on the
names, the order or the coding of levels, nor on how many rows a cell has.

Source: Goodnight 1978, The Four Types of Estimable Functions (SAS technical report R-101).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Floats, Index

RANK = 1e-9


@dataclass(frozen=True)
class IndicatorModel:
    """An over-parametrised model: `matrix` (m, P), `owner` (P,) the term of every column.

    The intercept's owner is -1. `containing[t]` are the terms that contain term t. Columns of a
    covariate are best centred and scaled; how often a row repeats does not matter.
    """

    matrix: Floats
    owner: Index
    containing: tuple[tuple[int, ...], ...]


def type_three(model: IndicatorModel) -> tuple[Floats, ...]:
    """Per term, rows L (k, P) such that L beta = 0 is its type III hypothesis; k = 0 if aliased."""
    functions = _row_basis(model.matrix)
    return tuple(_hypothesis(model, functions, term) for term in range(len(model.containing)))


def in_coefficients(rows: Floats, model: IndicatorModel, x: Floats) -> Floats:
    """Estimable rows (k, P) as functions (k, p) of the coefficients of x (m, p).

    x has the column space of the model's matrix, and both have the same rows. Where x is not of
    full rank, any least-squares coefficients serve.
    """
    return np.asarray(np.linalg.lstsq(model.matrix.T, rows.T, rcond=RANK)[0].T @ x)


def sum_of_squares(rows: Floats, beta: Floats, unscaled: Floats) -> float:
    """What the hypothesis L beta = 0 takes: (L b)'(L V L')^-1 (L b) with V = (X'WX)^- (p, p)."""
    value = rows @ beta
    return float(value @ np.linalg.solve(rows @ unscaled @ rows.T, value)) if len(rows) else 0.0


def _hypothesis(model: IndicatorModel, functions: Floats, term: int) -> Floats:
    """Functions of the term and those above it, without what lies above it alone."""
    above = np.isin(model.owner, model.containing[term])
    within = _only(functions, (model.owner == term) | above)
    if not len(within) or not above.any():
        return within
    nested = _only(functions, above)
    rest = within - within @ nested.T @ nested
    return np.asarray(np.linalg.svd(rest)[2][: len(within) - len(nested)], dtype=np.float64)


def _only(functions: Floats, columns: Booleans) -> Floats:
    """An orthonormal basis of the functions (r, P) that involve no other columns than these."""
    others = functions[:, ~columns].T
    if not others.size:
        return functions
    triangle = np.linalg.qr(others, mode="r") if len(others) > others.shape[1] else others
    _, values, right = np.linalg.svd(triangle)
    return np.asarray(right[int((values > RANK).sum()) :] @ functions, dtype=np.float64)


def _row_basis(matrix: Floats) -> Floats:
    """Orthonormal rows (r, P) that span the rows of the matrix."""
    triangle = np.linalg.qr(matrix, mode="r") if len(matrix) > matrix.shape[1] else matrix
    _, values, right = np.linalg.svd(triangle, full_matrices=False)
    largest = float(values.max(initial=0.0))
    return np.asarray(right[: int((values > RANK * max(largest, 1e-300)).sum())], dtype=np.float64)
