"""ANOVA hypotheses of type I, II and III, likelihood-ratio tests, and tests of random terms.

Sources: Kuznetsova et al. 2017 (the hypotheses of lmerTest); Goodnight 1980 (SAS technical report
R-101) for type III; Searle 1987, Linear Models for Unbalanced Data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from scipy import stats

from ablatekit.analysis.mixed.design import (
    Array,
    Columns,
    Variables,
    independent_columns,
    model_columns,
)
from ablatekit.analysis.mixed.fit import MixedFit, fit_mixed
from ablatekit.analysis.mixed.formula import RandomSpec, Term
from ablatekit.analysis.mixed.frame import ModelFrame
from ablatekit.analysis.mixed.tests import FTest, LinearModel
from ablatekit.errors import Problem, UsageError

AnovaType: TypeAlias = Literal["I", "II", "III"]

ZERO = 1e-8


@dataclass(frozen=True, slots=True)
class AnovaTerm:
    """One row of an ANOVA table; `test` is None when no part of the term can be estimated."""

    term: str
    test: FTest | None


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood-ratio test of a smaller against a larger model."""

    statistic: float
    df: int
    p: float
    log_likelihoods: tuple[float, float]
    parameters: tuple[int, int]


@dataclass(frozen=True, slots=True)
class RandomTermTest:
    """Likelihood-ratio test of one random term, reduced by one column or removed."""

    term: str
    parameters: int
    log_likelihood: float
    statistic: float
    df: int
    p: float


def anova(model: LinearModel, kind: AnovaType = "III") -> tuple[AnovaTerm, ...]:
    """F tests of every term of the fixed part."""
    rows = hypotheses(model.frame, kind)
    return tuple(
        AnovaTerm(name, model.joint(matrix) if len(matrix) else None)
        for name, matrix in rows.items()
    )


def hypotheses(frame: ModelFrame, kind: AnovaType, *, marginal: bool = False) -> dict[str, Array]:
    """Per term, rows L (k, p) in the estimable coefficients such that L beta = 0 is the test.

    marginal: a covariate's interactions count as containing it and its factors, as in car's type
    II; otherwise only terms with the same covariates do, as in lmerTest.
    """
    names = [":".join(term) for term in frame.formula.terms]
    if not names:
        return {}
    if kind == "I" or len(names) == 1:
        return _sequential(frame, names)
    if kind == "II":
        return _type_two(frame, names, marginal)
    return _type_three(frame, names)


def contained_in(frame: ModelFrame, term: Term, any_covariates: bool = False) -> list[int]:
    """Positions of the terms that contain `term`: more variables, the same covariates."""

    def covariates(candidate: Term) -> set[str]:
        return {name for name in candidate if not frame.variables[name].categorical}

    return [
        position
        for position, other in enumerate(frame.formula.terms)
        if set(term) < set(other) and (any_covariates or covariates(term) == covariates(other))
    ]


def _doolittle(frame: ModelFrame, order: Sequence[int]) -> Array:
    """Rows of the unit upper factor of X'X, columns taken in `order`: (p, p)."""
    x = frame.x[:, list(order)] * np.sqrt(frame.counts)[:, None]
    upper = np.asarray(np.linalg.qr(x, mode="r"), dtype=np.float64)
    out = np.empty_like(upper)
    out[:, list(order)] = upper / upper.diagonal()[:, None]
    return np.asarray(out)


def _kept_terms(frame: ModelFrame) -> list[int]:
    return [frame.columns.term[j] for j in frame.kept]


def _sequential(frame: ModelFrame, names: list[str]) -> dict[str, Array]:
    terms = _kept_terms(frame)
    rows = _doolittle(frame, range(len(terms)))
    return {
        name: rows[[j for j, term in enumerate(terms) if term == position]]
        for position, name in enumerate(names)
    }


def _type_two(frame: ModelFrame, names: list[str], marginal: bool) -> dict[str, Array]:
    """Each term after all terms that do not contain it; plain coefficients where none does."""
    terms = _kept_terms(frame)
    out: dict[str, Array] = {}
    for position, name in enumerate(names):
        above = contained_in(frame, frame.formula.terms[position], marginal)
        own = [j for j, term in enumerate(terms) if term == position]
        if not above:
            out[name] = np.eye(len(terms))[own]
            continue
        moved = own + [j for j, term in enumerate(terms) if term in above]
        order = [j for j in range(len(terms)) if j not in moved] + moved
        rows = _doolittle(frame, order)
        start = len(terms) - len(moved)
        out[name] = rows[start : start + len(own)]
    return out


def _type_three(frame: ModelFrame, names: list[str]) -> dict[str, Array]:
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
    out: dict[str, Array] = {}
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


def _clean(matrix: Array) -> Array:
    """Entries that are rounding noise become zero."""
    largest = float(np.abs(matrix).max(initial=0.0))
    return np.where(np.abs(matrix) < 1e-9 * max(largest, 1e-300), 0.0, matrix)


def likelihood_ratio(smaller: MixedFit, larger: MixedFit) -> LikelihoodRatio:
    """Test that the larger model fits no better.

    Raises UsageError when the models are not nested, when they were fitted to different rows, or
    when restricted likelihoods of different fixed effects would be compared.
    """
    _refuse_comparison(smaller, larger)
    statistic = max(2.0 * (larger.log_likelihood - smaller.log_likelihood), 0.0)
    df = larger.parameters - smaller.parameters
    return LikelihoodRatio(
        statistic,
        df,
        float(stats.chi2.sf(statistic, df)),
        (smaller.log_likelihood, larger.log_likelihood),
        (smaller.parameters, larger.parameters),
    )


def _refuse_comparison(smaller: MixedFit, larger: MixedFit) -> None:
    pair = f"{smaller.frame.formula.text} and {larger.frame.formula.text}"
    if smaller.n != larger.n or not np.array_equal(smaller.frame.y, larger.frame.y):
        raise UsageError(
            Problem("a likelihood-ratio test needs the same rows in both models", pair)
        )
    if smaller.method != larger.method:
        raise UsageError(Problem("one model is fitted by REML, the other by ML", pair, "Use ML"))
    same_space = _spans(larger, smaller) and _spans(smaller, larger)
    if smaller.method == "reml" and not same_space:
        raise UsageError(
            Problem(
                "restricted likelihoods of models with different fixed effects are not comparable",
                pair,
                "Refit both with --method ml",
            )
        )
    if not _spans(larger, smaller) or not _random_nested(smaller, larger):
        raise UsageError(
            Problem("the models are not nested", pair, "Every term of one must be in the other")
        )
    if larger.parameters == smaller.parameters:
        raise UsageError(Problem("the models have the same number of parameters", pair))


def _spans(larger: MixedFit, smaller: MixedFit) -> bool:
    """Whether the fixed columns of `smaller` lie in the span of those of `larger`."""
    return {frozenset(t) for t in smaller.frame.formula.terms} <= {
        frozenset(t) for t in larger.frame.formula.terms
    } and smaller.frame.formula.intercept <= larger.frame.formula.intercept


def _random_nested(smaller: MixedFit, larger: MixedFit) -> bool:
    def columns(fit: MixedFit) -> dict[str, set[str]]:
        out: dict[str, set[str]] = {}
        for term in fit.frame.random:
            out.setdefault(term.spec.grouping, set()).update(term.names)
        return out

    big = columns(larger)
    return all(names <= big.get(group, set()) for group, names in columns(smaller).items())


def random_term_tests(fit: MixedFit) -> tuple[RandomTermTest, ...]:
    """Each random term reduced in turn, by the fit's own criterion (lmerTest's `ranova`)."""
    out = []
    for position, spec in enumerate(fit.frame.formula.random):
        for label, reduced in _reductions(spec):
            other = fit_mixed(_with_random(fit.frame, position, reduced), fit.method)
            statistic = max(2.0 * (fit.log_likelihood - other.log_likelihood), 0.0)
            df = fit.parameters - other.parameters
            p = float(stats.chi2.sf(statistic, df))
            out.append(
                RandomTermTest(label, other.parameters, other.log_likelihood, statistic, df, p)
            )
    return tuple(out)


def _reductions(spec: RandomSpec) -> list[tuple[str, RandomSpec | None]]:
    if not spec.terms:
        return [(spec.text, None)]
    out: list[tuple[str, RandomSpec | None]] = []
    for term in spec.terms:
        if any(set(term) < set(other) for other in spec.terms):
            continue
        rest = tuple(other for other in spec.terms if other != term)
        reduced = replace(spec, terms=rest) if rest or spec.intercept else None
        out.append((f"{':'.join(term)} in {spec.text}", reduced))
    return out


def _with_random(frame: ModelFrame, position: int, reduced: RandomSpec | None) -> ModelFrame:
    """The same frame with random term `position` reduced or removed."""
    terms = list(frame.random)
    if reduced is None:
        del terms[position]
    else:
        own = {v: frame.points[v] for term in reduced.terms for v in term}
        columns = model_columns(reduced.intercept, reduced.terms, frame.variables, own)
        matrix = columns.matrix if own else np.ones((len(frame.counts), 1))
        terms[position] = replace(
            terms[position], spec=reduced, columns=matrix, names=columns.names
        )
    formula = replace(frame.formula, random=tuple(term.spec for term in terms))
    return replace(frame, formula=formula, random=tuple(terms))
