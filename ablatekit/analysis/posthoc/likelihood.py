"""Likelihood-ratio tests: a formula against another one, and each random term in turn.

A variance tested against zero lies on the boundary of its range, so the chi2 p value is too large
there (Self & Liang 1987, JASA 82); the tests are reported as lmerTest's `ranova` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.tails import chi2_tail
from ablatekit.analysis.engine.design import model_columns
from ablatekit.analysis.engine.fit import MixedFit, fit_mixed
from ablatekit.analysis.engine.formula import RandomSpec
from ablatekit.analysis.engine.frame import ModelFrame, compress
from ablatekit.analysis.engine.glmm import LogisticFit
from ablatekit.errors import Problem, UsageError


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


def likelihood_ratio(one: MixedFit | LogisticFit, two: MixedFit | LogisticFit) -> LikelihoodRatio:
    """Test that the model with more parameters fits no better; the order does not matter.

    Raises UsageError when the models are not nested, when they were fitted to different rows, or
    when restricted likelihoods of different fixed effects would be compared.
    """
    smaller, larger = sorted((one, two), key=lambda fit: fit.parameters)
    _refuse_comparison(smaller, larger)
    statistic = max(2.0 * (larger.log_likelihood - smaller.log_likelihood), 0.0)
    df = larger.parameters - smaller.parameters
    return LikelihoodRatio(
        statistic,
        df,
        chi2_tail(statistic, df),
        (smaller.log_likelihood, larger.log_likelihood),
        (smaller.parameters, larger.parameters),
    )


def _refuse_comparison(smaller: MixedFit | LogisticFit, larger: MixedFit | LogisticFit) -> None:
    pair = f"{smaller.frame.formula.text} and {larger.frame.formula.text}"
    same_rows = len(smaller.frame.y) == len(larger.frame.y)
    if not same_rows or not np.array_equal(smaller.frame.y, larger.frame.y):
        remedy = "Drop the rows where any column of either formula is empty"
        rule = "a likelihood-ratio test needs the same response and rows in both models"
        raise UsageError(Problem(rule, pair, remedy))
    if smaller.method != larger.method:
        raise UsageError(Problem("one model is fitted by REML, the other by ML", pair, "Use ML"))
    inside = _spans(larger.frame, smaller.frame)
    if smaller.method == "reml" and not (inside and _spans(smaller.frame, larger.frame)):
        raise UsageError(
            Problem(
                "restricted likelihoods of models with different fixed effects are not comparable",
                pair,
                "Refit both with --method ml",
            )
        )
    if not inside or not _random_nested(smaller.frame, larger.frame):
        raise UsageError(
            Problem("the models are not nested", pair, "Every term of one must be in the other")
        )
    if larger.parameters == smaller.parameters:
        raise UsageError(Problem("the models have the same number of parameters", pair))


def _spans(larger: ModelFrame, smaller: ModelFrame) -> bool:
    """Whether the fixed columns of `smaller` are combinations of those of `larger`, row by row."""
    width = len(smaller.counts)
    pairs = compress(
        larger.cell.astype(np.int64) * width + smaller.cell, len(larger.counts) * width
    )[1]
    x, target = larger.x[pairs // width], smaller.x[pairs % width]
    rest = target - x @ np.linalg.lstsq(x, target, rcond=None)[0]
    return bool((_lengths(rest) <= 1e-8 * _lengths(target)).all())


def _lengths(columns: Floats) -> Floats:
    return np.asarray(np.sqrt((columns**2).sum(axis=0)), dtype=np.float64)


def _random_nested(smaller: ModelFrame, larger: ModelFrame) -> bool:
    def columns(frame: ModelFrame) -> dict[frozenset[str], set[str]]:
        out: dict[frozenset[str], set[str]] = {}
        for term in frame.random:
            out.setdefault(frozenset(term.spec.group), set()).update(term.names)
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
            p = chi2_tail(statistic, df)
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
