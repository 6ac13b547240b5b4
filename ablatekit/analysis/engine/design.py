"""Coded columns of a model: variables, treatment and sum coding, cells, aliasing as in R.

Rows that share every variable of the model share a cell; a model matrix has one row per cell and
is never stored per row of the table. Source of the coding rule: Chambers & Hastie 1992,
Statistical Models in S, section 2.4.1: inside a term, a factor is coded by contrasts when the term
without it is in the model, by indicators otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Codes, Floats, Index
from ablatekit.analysis.engine.formula import Term

Coding: TypeAlias = Literal["treatment", "sum"]

RANK_TOLERANCE = 1e-7
ESTIMABLE = 1e-8


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the model: categorical with `levels`, or numeric with `width` columns.

    `grid` lists the points (each `width` values) at which a reference grid holds a covariate.
    """

    name: str
    levels: tuple[str, ...] = ()
    coding: Coding = "treatment"
    baseline: int = 0
    width: int = 1
    grid: tuple[tuple[float, ...], ...] = ()

    @property
    def categorical(self) -> bool:
        """Whether the variable has levels."""
        return bool(self.levels)

    def columns(self, point: Codes, contrasts: bool) -> tuple[Floats, list[str]]:
        """Coded columns at `point` (codes (m,) or values (m, width)) and their names."""
        if not self.levels:
            names = (
                [self.name]
                if self.width == 1
                else [f"{self.name}{j + 1}" for j in range(self.width)]
            )
            return np.asarray(point, dtype=np.float64).reshape(len(point), self.width), names
        matrix, names = self.coding_matrix(contrasts)
        return matrix[np.asarray(point, dtype=np.intp)], names

    def coding_matrix(self, contrasts: bool) -> tuple[Floats, list[str]]:
        """The (levels, columns) coding and the column names in R's style (`Al1`, sum: `A1`)."""
        size = len(self.levels)
        indicators = np.eye(size)
        if not contrasts:
            return indicators, [self.name + level for level in self.levels]
        if self.coding == "sum":
            return (
                np.vstack([np.eye(size - 1), -np.ones((1, size - 1))]),
                [f"{self.name}{j + 1}" for j in range(size - 1)],
            )
        kept = [j for j in range(size) if j != self.baseline]
        return indicators[:, kept], [self.name + self.levels[j] for j in kept]


Variables: TypeAlias = Mapping[str, Variable]
Points: TypeAlias = Mapping[str, Codes]


@dataclass(frozen=True, slots=True)
class Columns:
    """A model matrix (m, p): `term[j]` is the index of column j's term, -1 for the intercept."""

    matrix: Floats
    names: tuple[str, ...]
    term: tuple[int, ...]


def model_columns(
    intercept: bool, terms: Sequence[Term], variables: Variables, points: Points
) -> Columns:
    """Code every term at the given points; the first variable of a term varies fastest.

    Without an intercept the first factor takes indicators and stands in for it, as in R.
    """
    size = len(next(iter(points.values()))) if points else 1
    blocks: list[Floats] = [np.ones((size, 1))] if intercept else []
    names: list[str] = ["(Intercept)"] if intercept else []
    index: list[int] = [-1] if intercept else []
    present = {frozenset(term) for term in terms} | ({frozenset[str]()} if intercept else set())
    for position, term in enumerate(terms):
        block, labels = _term_columns(term, present, variables, points)
        if len(term) == 1 and variables[term[0]].categorical:
            present.add(frozenset())
        blocks.append(block)
        names += labels
        index += [position] * len(labels)
    matrix = np.hstack(blocks) if blocks else np.empty((size, 0))
    return Columns(matrix, tuple(names), tuple(index))


def _term_columns(
    term: Term, present: set[frozenset[str]], variables: Variables, points: Points
) -> tuple[Floats, list[str]]:
    block: Floats | None = None
    labels: list[str] = []
    for name in term:
        contrasts = frozenset(term) - {name} in present
        columns, level_labels = variables[name].columns(points[name], contrasts)
        if block is None:
            block, labels = columns, level_labels
            continue
        block = (columns[:, :, None] * block[:, None, :]).reshape(len(columns), -1)
        labels = [f"{left}:{right}" for right in level_labels for left in labels]
    assert block is not None
    return block, labels


def independent_columns(matrix: Floats, counts: Floats) -> Index:
    """Columns kept when later linearly dependent ones are dropped, as R's dqrdc2 does.

    matrix: (m, p), one row per cell; counts: (m,) rows per cell. A column is dropped when the norm
    of its residual on the kept earlier columns is below 1e-7 of its own norm. A column far from
    zero is measured around its mean once a constant is among the kept ones, so a large offset
    alone never drops a covariate.
    """
    root = np.sqrt(counts)[:, None]
    scaled = matrix * root
    total = float(counts.sum())
    kept: list[int] = []
    basis = np.empty((len(matrix), min(matrix.shape)))
    for j in range(matrix.shape[1]):
        column = scaled[:, j]
        norm = float(np.linalg.norm(column))
        if norm == 0.0 or len(kept) == basis.shape[1]:
            continue
        used = basis[:, : len(kept)]
        centred = (matrix[:, j] - counts @ matrix[:, j] / total) * root[:, 0]
        spread = float(np.linalg.norm(centred))
        if spread > 1e-12 * norm and spread < 0.01 * norm and 0 in kept and _constant(matrix[:, 0]):
            column, norm = centred, spread
        rest = column - used @ (used.T @ column)
        rest = rest - used @ (used.T @ rest)
        size = float(np.linalg.norm(rest))
        if size >= RANK_TOLERANCE * norm:
            basis[:, len(kept)] = rest / size
            kept.append(j)
    return np.array(kept, dtype=np.intp)


def _constant(column: Floats) -> bool:
    return bool(np.all(column == column[0]))


def row_space(matrix: Floats) -> Floats:
    """An orthonormal basis (p, r) of the row space of the uncompressed model matrix (m, p).

    A linear function of the coefficients is estimable exactly when its coefficients lie in it.
    """
    scale = np.sqrt((matrix**2).mean(axis=0)) if len(matrix) else np.ones(matrix.shape[1])
    scale[scale == 0.0] = 1.0
    _, values, right = np.linalg.svd(matrix / scale, full_matrices=False)
    rank = int((values > 1e-9 * values.max(initial=0.0)).sum())
    basis, _ = np.linalg.qr(right[:rank].T * scale[:, None])
    return np.asarray(basis, dtype=np.float64)


def estimable(rows: Floats, matrix: Floats) -> Booleans:
    """Whether each linear function (k, P) lies in the row space of the model matrix (m, P)."""
    basis = row_space(matrix)
    gap = ((rows - rows @ basis @ basis.T) ** 2).sum(axis=1)
    return np.asarray(gap <= ESTIMABLE * np.maximum((rows**2).sum(axis=1), 1e-300))
