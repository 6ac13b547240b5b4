"""ANOVA hypotheses of type I, II and III.

Sources: Kuznetsova et al. 2017 (the hypotheses of lmerTest); Goodnight 1980 (SAS technical report
R-101) for type III; Searle 1987, Linear Models for Unbalanced Data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import AnovaType
from ablatekit.analysis.engine.design import Columns, Variables, independent_columns, model_columns
from ablatekit.analysis.engine.formula import Term
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.posthoc.coefficient_tests import FTest, LinearModel

ZERO = 1e-8


@dataclass(frozen=True, slots=True)
class AnovaTerm:
    """One row of an ANOVA table; `test` is None when no part of the term can be estimated."""

    term: str
    test: FTest | None


def anova(model: LinearModel, kind: AnovaType = "III") -> tuple[AnovaTerm, ...]:
    """F tests of every term of the fixed part."""
    rows = hypotheses(model.frame, kind)
    return tuple(
        AnovaTerm(name, model.joint(matrix) if len(matrix) else None)
        for name, matrix in rows.items()
    )


def hypotheses(frame: ModelFrame, kind: AnovaType) -> dict[str, Floats]:
    """Per term, rows L (k, p) in the estimable coefficients such that L beta = 0 is the test."""
    names = [":".join(term) for term in frame.formula.terms]
    if not names:
        return {}
    if kind == "I" or len(names) == 1:
        return _sequential(frame, names, frame.counts)
    if kind == "II":
        return _type_two(frame, names)
    return _type_three(frame, names)


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


def _mass(frame: ModelFrame) -> Floats:
    """The sum of weights per cell (C,)."""
    if frame.weights is None:
        return frame.counts
    return np.bincount(frame.cell, frame.weights, minlength=len(frame.counts)).astype(np.float64)


def _compared(frame: ModelFrame, position: int, mass: Floats) -> Floats:
    """Rows that test what term `position` adds to the terms that do not contain it."""
    above = contained_in(frame, frame.formula.terms[position], True)
    owners = np.array(frame.columns.term)
    own = np.flatnonzero(owners == position)
    others = np.flatnonzero((owners != position) & ~np.isin(owners, above))
    matrix = frame.columns.matrix[:, np.append(others, own)]
    kept = independent_columns(matrix, mass)
    root = np.sqrt(mass)[:, None]
    basis = np.linalg.qr(matrix[:, kept] * root)[0][:, kept >= len(others)]
    return np.asarray(basis.T @ (frame.x * root))


def contained_in(frame: ModelFrame, term: Term, any_covariates: bool = False) -> list[int]:
    """Positions of the terms that contain `term`: more variables, the same covariates."""

    def covariates(candidate: Term) -> set[str]:
        return {name for name in candidate if not frame.variables[name].categorical}

    return [
        position
        for position, other in enumerate(frame.formula.terms)
        if set(term) < set(other) and (any_covariates or covariates(term) == covariates(other))
    ]


def _doolittle(frame: ModelFrame, order: Sequence[int], mass: Floats) -> Floats:
    """Rows of the unit upper factor of X'WX, columns taken in `order`: (p, p)."""
    x = frame.x[:, list(order)] * np.sqrt(mass)[:, None]
    upper = np.asarray(np.linalg.qr(x, mode="r"), dtype=np.float64)
    out = np.empty_like(upper)
    out[:, list(order)] = upper / upper.diagonal()[:, None]
    return np.asarray(out)


def _kept_terms(frame: ModelFrame) -> list[int]:
    return [frame.columns.term[j] for j in frame.kept]


def _sequential(frame: ModelFrame, names: list[str], mass: Floats) -> dict[str, Floats]:
    terms = _kept_terms(frame)
    rows = _doolittle(frame, range(len(terms)), mass)
    return {
        name: rows[[j for j, term in enumerate(terms) if term == position]]
        for position, name in enumerate(names)
    }


def _type_two(frame: ModelFrame, names: list[str]) -> dict[str, Floats]:
    """Each term after all terms that do not contain it; plain coefficients where none does."""
    terms = _kept_terms(frame)
    out: dict[str, Floats] = {}
    for position, name in enumerate(names):
        above = contained_in(frame, frame.formula.terms[position])
        own = [j for j, term in enumerate(terms) if term == position]
        if not above:
            out[name] = np.eye(len(terms))[own]
            continue
        moved = own + [j for j, term in enumerate(terms) if term in above]
        order = [j for j in range(len(terms)) if j not in moved] + moved
        rows = _doolittle(frame, order, frame.counts)
        start = len(terms) - len(moved)
        out[name] = rows[start : start + len(own)]
    return out


def _type_three(frame: ModelFrame, names: list[str]) -> dict[str, Floats]:
    """Equal-weight hypotheses: estimable functions orthogonal to those of containing terms."""
    formula, points = frame.formula, frame.points
    treatment: Variables = {
        name: replace(v, coding="treatment") for name, v in frame.variables.items()
    }
    coded = model_columns(formula.intercept, formula.terms, treatment, points)
    kept = independent_columns(coded.matrix, frame.counts).tolist()
    root = np.sqrt(frame.counts)[:, None]
    x = coded.matrix[:, kept] * root
    full = _indicator_columns(frame, treatment)
    basis = _clean((np.linalg.pinv(x) @ (full.matrix * root)).T)
    labels = [coded.names[j] for j in kept]
    owners = [coded.term[j] for j in kept]
    for position in sorted(range(len(names)), key=lambda t: -len(formula.terms[t])):
        above = contained_in(frame, formula.terms[position])
        columns = [j for j, term in enumerate(owners) if term == position]
        others = [j for j, term in enumerate(owners) if term in above]
        if above and columns and others:
            solution = np.linalg.lstsq(basis[:, others], basis[:, columns], rcond=1e-10)[0]
            basis[:, columns] = _clean(basis[:, columns] - basis[:, others] @ solution)
    where = {name: row for row, name in enumerate(full.names)}
    rows = basis[[where[label] for label in labels]].T
    to_model = np.eye(len(labels))
    if any(v.coding == "sum" for v in frame.variables.values()):
        to_model = _clean(np.linalg.pinv(x) @ (frame.x * root))
    out: dict[str, Floats] = {}
    for position, name in enumerate(names):
        own = rows[[j for j, term in enumerate(owners) if term == position]]
        out[name] = own[np.abs(own).sum(axis=1) > ZERO] @ to_model
    return out


def _indicator_columns(frame: ModelFrame, variables: Variables) -> Columns:
    """Every term coded by indicators of its cells, the intercept first."""
    blocks, names, index = [], [], []
    if frame.formula.intercept:
        blocks.append(np.ones((len(frame.counts), 1)))
        names.append("(Intercept)")
        index.append(-1)
    for position, term in enumerate(frame.formula.terms):
        coded = model_columns(False, [term], variables, frame.points)
        blocks.append(coded.matrix)
        names += coded.names
        index += [position] * len(coded.names)
    return Columns(np.hstack(blocks), tuple(names), tuple(index))


def _clean(matrix: Floats) -> Floats:
    """Entries that are rounding noise become zero."""
    largest = float(np.abs(matrix).max(initial=0.0))
    return np.where(np.abs(matrix) < 1e-9 * max(largest, 1e-300), 0.0, matrix)
