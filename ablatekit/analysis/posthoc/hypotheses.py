"""The hypotheses of an ANOVA table as rows of coefficients: type I, II and III.

A factor that interacts with a covariate is tested at the covariate's mean over the rows (both
values of a covariate that has two, equally), wherever the model does not change when the covariate
is centred; elsewhere at 0. Effects are averaged at the same place.

Sources: Kuznetsova et al. 2017 (the hypotheses of lmerTest); Goodnight 1978 for type III
(`ablatekit.analysis.stats.estimable`); Searle 1987, Linear Models for Unbalanced Data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import AnovaType, Statement, statement
from ablatekit.analysis.engine.design import (
    Coding,
    Columns,
    Points,
    Variables,
    independent_columns,
    model_columns,
)
from ablatekit.analysis.engine.formula import Term
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.stats.estimable import IndicatorModel, in_coefficients, type_three

WELL_CONDITIONED = 1e8


def hypotheses(frame: ModelFrame, kind: AnovaType) -> dict[str, Floats]:
    """Per term, rows L (k, p) in the estimable coefficients such that L beta = 0 is the test."""
    names = [":".join(term) for term in frame.formula.terms]
    if not names:
        return {}
    if kind == "I":
        return _sequential(frame, names, frame.counts)
    if kind == "II":
        return _type_two(frame, names)
    return dict(zip(names, _type_three(frame), strict=True))


def comparison_hypotheses(frame: ModelFrame, kind: Literal["I", "II"]) -> dict[str, Floats]:
    """The same for least squares, where a term's test compares two weighted fits.

    Type II compares the model of all terms that do not contain the term, with and without it; a
    covariate's interactions count as containing it and its factors, and columns that are aliased in
    the whole model count where they are not aliased (car). With `hypotheses` only terms with the
    same covariates contain a term (lmerTest), and rows have no weights.
    """
    names = [":".join(term) for term in frame.formula.terms]
    mass = _mass(frame)
    if kind == "I":
        return _sequential(frame, names, mass)
    return {name: _compared(frame, position, mass) for position, name in enumerate(names)}


def hypothesis_notes(frame: ModelFrame, kind: AnovaType) -> list[tuple[Statement, ...]]:
    """Per term what its test by `hypotheses` is about, where that is not plain.

    Type III: cells without rows. Type II and III: where covariates stand that interact with it.
    """
    positions = range(len(frame.formula.terms))
    if kind == "I":
        return [() for _ in positions]
    origin = _placed(frame).origin
    return [
        (
            *(_cells_without_rows(frame, position) if kind == "III" else ()),
            *_where_covariates_stand(frame, position, origin),
        )
        for position in positions
    ]


def contained_in(frame: ModelFrame, term: Term, any_covariates: bool = False) -> list[int]:
    """Positions of the terms that contain `term`: more variables, the same covariates."""

    def covariates(candidate: Term) -> set[str]:
        return {name for name in candidate if not frame.variables[name].categorical}

    return [
        position
        for position, other in enumerate(frame.formula.terms)
        if set(term) < set(other) and (any_covariates or covariates(term) == covariates(other))
    ]


@dataclass(frozen=True)
class _Placed:
    """A model whose covariates are measured from where factors are tested, in units of their rms.

    `origin` has the places (width,) of the covariates that were moved.
    """

    frame: ModelFrame
    origin: dict[str, Floats]

    @cached_property
    def points(self) -> Points:
        """Values per cell of every variable."""
        return {
            name: values
            if self.frame.variables[name].categorical
            else _scaled(values - self.origin.get(name, 0.0))
            for name, values in self.frame.points.items()
        }

    def columns(self, variables: Variables | None = None) -> Columns:
        """The model matrix per cell at these points."""
        formula, chosen = self.frame.formula, variables or self.frame.variables
        return model_columns(formula.intercept, formula.terms, chosen, self.points)

    def to_own(self, matrix: Floats) -> Floats:
        """G (q, p) with matrix @ G = x, for a matrix of full rank that spans the same columns."""
        return np.asarray(np.linalg.lstsq(matrix, self.frame.x, rcond=None)[0], dtype=np.float64)


def _scaled(values: Floats) -> Floats:
    size = np.sqrt((values**2).mean(axis=0))
    return np.asarray(values / np.where(size > 0.0, size, 1.0), dtype=np.float64)


def _placed(frame: ModelFrame) -> _Placed:
    """Covariates in interactions moved to their mean, each where that does not change the model."""
    origin: dict[str, Floats] = {}
    for name in _interacting_covariates(frame):
        moved = {**origin, name: _mean(frame, name)}
        if _same_span(frame, _Placed(frame, moved).columns().matrix):
            origin = moved
    return _Placed(frame, origin)


def _interacting_covariates(frame: ModelFrame) -> list[str]:
    joint = [name for term in frame.formula.terms if len(term) > 1 for name in term]
    return [name for name in dict.fromkeys(joint) if not frame.variables[name].categorical]


def _mean(frame: ModelFrame, name: str) -> Floats:
    """The mean over rows of a covariate's columns; of a binary one, of its two values."""
    grid = frame.variables[name].grid
    if len(grid) > 1:
        return np.asarray(np.mean(grid, axis=0), dtype=np.float64)
    return np.asarray(frame.counts @ frame.points[name] / frame.counts.sum())


def _same_span(frame: ModelFrame, matrix: Floats) -> bool:
    """Whether the model's columns span this matrix too."""
    x = frame.x / np.sqrt((frame.x**2).mean(axis=0))
    basis = np.linalg.qr(x * np.sqrt(frame.counts)[:, None])[0]
    wanted = matrix * np.sqrt(frame.counts)[:, None]
    gap = wanted - basis @ (basis.T @ wanted)
    return bool(np.linalg.norm(gap) <= 1e-7 * np.linalg.norm(wanted))


def _mass(frame: ModelFrame) -> Floats:
    """The sum of weights per cell (C,)."""
    if frame.weights is None:
        return frame.counts
    return np.bincount(frame.cell, frame.weights, minlength=len(frame.counts)).astype(np.float64)


def _compared(frame: ModelFrame, position: int, mass: Floats) -> Floats:
    """Rows that test what term `position` adds to the terms that do not contain it."""
    above = contained_in(frame, frame.formula.terms[position], True)
    columns = _Placed(frame, {}).columns(_even(frame))
    owners = np.array(columns.term)
    own = np.flatnonzero(owners == position)
    others = np.flatnonzero((owners != position) & ~np.isin(owners, above))
    matrix = columns.matrix[:, np.append(others, own)]
    kept = independent_columns(matrix, mass)
    root = np.sqrt(mass)[:, None]
    basis = np.linalg.qr(matrix[:, kept] * root)[0][:, kept >= len(others)]
    return np.asarray(basis.T @ (frame.x * root))


def _doolittle(x: Floats, order: Sequence[int], mass: Floats) -> Floats:
    """Rows of the unit upper factor of X'WX, columns taken in `order`: (p, p)."""
    upper = np.asarray(np.linalg.qr(x[:, list(order)] * np.sqrt(mass)[:, None], mode="r"))
    out = np.empty_like(upper)
    out[:, list(order)] = upper / upper.diagonal()[:, None]
    return np.asarray(out)


def _sequential(frame: ModelFrame, names: list[str], mass: Floats) -> dict[str, Floats]:
    terms = [frame.columns.term[j] for j in frame.kept]
    rows = _doolittle(frame.x, range(len(terms)), mass)
    return {
        name: rows[[j for j, term in enumerate(terms) if term == position]]
        for position, name in enumerate(names)
    }


def _type_two(frame: ModelFrame, names: list[str]) -> dict[str, Floats]:
    """Each term after all terms that do not contain it; plain coefficients where none does."""
    placed = _placed(frame)
    columns = placed.columns(_even(frame))
    kept = independent_columns(columns.matrix, frame.counts).tolist()
    x, terms = columns.matrix[:, kept], [columns.term[j] for j in kept]
    to_own = placed.to_own(x)
    out: dict[str, Floats] = {}
    for position, name in enumerate(names):
        above = contained_in(frame, frame.formula.terms[position])
        own = [j for j, term in enumerate(terms) if term == position]
        moved = own + [j for j, term in enumerate(terms) if term in above]
        order = [j for j in range(len(terms)) if j not in moved] + moved
        rows = _doolittle(x, order, frame.counts) if above else np.eye(len(terms))
        start = len(terms) - len(moved)
        out[name] = (rows[start : start + len(own)] if above else rows[own]) @ to_own
    return out


def _type_three(frame: ModelFrame) -> list[Floats]:
    """Coefficients under sum coding where all are estimable, else estimable functions."""
    placed = _placed(frame)
    coded = placed.columns(_coded(frame, "sum"))
    owners = np.array(coded.term)
    if len(independent_columns(coded.matrix, frame.counts)) == len(owners):
        to_own = placed.to_own(coded.matrix)
        rows = [to_own[owners == position] for position in range(len(frame.formula.terms))]
    else:
        rows = _estimable_rows(placed)
    return _by_treatment_columns(placed, rows)


def _estimable_rows(placed: _Placed) -> list[Floats]:
    """Type III hypotheses by estimable functions, in the frame's coefficients.

    Without an intercept the first factor stands for it: its test has the mean of everything too.
    """
    frame = placed.frame
    model = _indicator_model(placed)
    rows = [in_coefficients(functions, model, frame.x) for functions in type_three(model)]
    first = _stands_for_intercept(frame)
    if first is not None:
        mean = rows.pop()
        rows[first] = np.vstack([mean, rows[first]])
    return rows


def _stands_for_intercept(frame: ModelFrame) -> int | None:
    """The position of the factor whose indicators a model without an intercept begins with."""
    single = (
        position
        for position, term in enumerate(frame.formula.terms)
        if len(term) == 1 and frame.variables[term[0]].categorical
    )
    return None if frame.formula.intercept else next(single, None)


def _even(frame: ModelFrame) -> Variables:
    """Without an intercept sum coding, so that no factor is tested at the baselines of others."""
    return frame.variables if frame.formula.intercept else _coded(frame, "sum")


def _coded(frame: ModelFrame, coding: Coding) -> Variables:
    return {name: replace(v, coding=coding) for name, v in frame.variables.items()}


def _by_treatment_columns(placed: _Placed, rows: list[Floats]) -> list[Floats]:
    """The same hypotheses, one row per treatment-coded coefficient of the term, as in lmerTest.

    Satterthwaite's df of several numerator df depend on the rows that state a hypothesis.
    """
    coded = placed.columns(_coded(placed.frame, "treatment"))
    kept = independent_columns(coded.matrix, placed.frame.counts)
    owners = np.array(coded.term)[kept]
    from_own = np.linalg.pinv(placed.to_own(coded.matrix[:, kept]))
    out: list[Floats] = []
    for position, functions in enumerate(rows):
        block = (functions @ from_own)[:, owners == position]
        square = block.shape[0] == block.shape[1] > 0
        stated = square and float(np.linalg.cond(block)) < WELL_CONDITIONED
        out.append(np.asarray(np.linalg.solve(block, functions)) if stated else functions)
    return out


def _indicator_model(placed: _Placed) -> IndicatorModel:
    """Every term coded by indicators of its cells; a constant that factors imply is a last term."""
    frame = placed.frame
    terms = frame.formula.terms
    above = [tuple(contained_in(frame, term)) for term in terms]
    owners, blocks = list[int](), list[Floats]()
    if frame.formula.intercept:
        owners, blocks = [-1], [np.ones((len(frame.counts), 1))]
    elif _stands_for_intercept(frame) is not None:
        owners, blocks = [len(terms)], [np.ones((len(frame.counts), 1))]
        above.append(tuple(contained_in(frame, ())))
    for position, term in enumerate(terms):
        block = model_columns(False, [term], frame.variables, placed.points).matrix
        blocks.append(block[:, np.abs(block).max(axis=0) > 0.0])
        owners += [position] * blocks[-1].shape[1]
    return IndicatorModel(np.hstack(blocks), np.array(owners), tuple(above))


def _cells_without_rows(frame: ModelFrame, position: int) -> tuple[Statement, ...]:
    """The term, or terms that contain it, whose cells have no rows."""
    term = frame.formula.terms[position]
    terms, empty, cells = [], [], []
    for other in [position, *contained_in(frame, term)]:
        factors = [n for n in frame.formula.terms[other] if frame.variables[n].categorical]
        size = prod(len(frame.variables[name].levels) for name in factors)
        used = len(np.unique([frame.points[name] for name in factors], axis=1).T) if factors else 1
        if used < size:
            terms.append(":".join(frame.formula.terms[other]))
            empty.append(size - used)
            cells.append(size)
    if not terms:
        return ()
    return (statement("tests_observed_cells", terms=terms, empty=empty, cells=cells),)


def _where_covariates_stand(
    frame: ModelFrame, position: int, origin: Mapping[str, Floats]
) -> tuple[Statement, ...]:
    """The places of covariates that interact with the term: their mean, or 0."""
    term = set(frame.formula.terms[position])
    joint = [n for other in frame.formula.terms if term < set(other) for n in other]
    names = [n for n in dict.fromkeys(joint) if n not in term and not frame.variables[n].levels]
    moved = [name for name in names if name in origin]
    at_zero = [name for name in names if name not in origin]
    places = [origin[name].tolist() for name in moved]
    notes = [statement("tests_at_mean", covariates=moved, values=places)] if moved else []
    return (*notes, *([statement("tests_at_zero", covariates=at_zero)] if at_zero else []))
