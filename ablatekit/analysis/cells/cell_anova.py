"""The ANOVA table of a study: type III sums of squares by estimable hypotheses, effect sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ablatekit.analysis.cells.coding import CodedTerms, code_terms, terms_up_to
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.model import AnovaRow
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.tails import f_tail
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.stats.effectsize import EffectSize, with_interval
from ablatekit.analysis.stats.estimable import (
    IndicatorModel,
    in_coefficients,
    sum_of_squares,
    type_three,
)
from ablatekit.analysis.stats.rows import SizeKey, TermTest, anova_row

CONTEXT = "context"
NOISE = "seed_noise"
LEFT_OVER = "left_over"
HIGHER = "higher_interactions"
"""Variation between runs of one cell and context; what a model without the higher interactions
leaves over, which is never called noise; those interactions where they are told from the noise."""

NO_SIZE = EffectSize(np.nan, np.nan, np.nan)
NO_SIZES: Mapping[SizeKey, EffectSize] = {"partial_eta2": NO_SIZE, "partial_omega2": NO_SIZE}


@dataclass(frozen=True)
class AnovaTable:
    """Rows in the order of the terms, then higher interactions and the error."""

    rows: list[AnovaRow]
    note: Statement


@dataclass(frozen=True)
class _Grouped:
    """Group means (G,) with counts (G,), level indices (G, F) and the squares within groups."""

    mean: Floats
    count: Floats
    levels: Integers
    within: float
    runs: int


def anova(
    values: RunValues, layout: Layout, order: int, pure: bool, alpha: float = 0.05
) -> AnovaTable:
    """Test every term up to `order`, contexts counting as one more factor.

    With `pure` the error is the variation between runs of one cell and context, and what the terms
    leave over is a line of its own; otherwise the error is the residual of the terms.
    """
    names, grouped, sizes = _group(values, layout)
    if len(values.y) < 2 or np.ptp(values.y) == 0 or not names:
        reason = statement("no_response_varies" if names else "no_factor_varies")
        return AnovaTable([_untested("all", reason)], reason)
    terms = terms_up_to(len(names), order)
    coded = code_terms(grouped.levels, sizes, terms)
    notes = _cells_without_runs(grouped.levels, sizes, terms, names)
    parts = [
        _Part(":".join(names[f] for f in term), df, squares, told)
        for term, (df, squares), told in zip(terms, _type_three(grouped, coded), notes, strict=True)
    ]
    note = statement("cell_anova", order=order, pure=pure)
    return AnovaTable(_rows(values, grouped, coded, parts, pure, alpha), note)


@dataclass(frozen=True)
class _Part:
    """The df and sum of squares of a term, and what it tests where cells are empty."""

    term: str
    df: int
    squares: float
    notes: tuple[Statement, ...] = ()


def _group(values: RunValues, layout: Layout) -> tuple[list[str], _Grouped, Integers]:
    """Means by unit and context; only factors with two or more levels that have runs."""
    keys = np.column_stack([layout.unit_cells[values.unit], values.context])
    groups, index, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    mean = np.bincount(index, weights=values.y) / count
    within = float(np.sum((values.y - mean[index]) ** 2))
    names = [*(factor.name for factor in layout.factors), CONTEXT]
    present = [np.unique(groups[:, i], return_inverse=True) for i in range(len(names))]
    kept = [i for i, (levels, _) in enumerate(present) if len(levels) > 1]
    columns = [present[i][1] for i in kept]
    sizes = np.array([len(present[i][0]) for i in kept], dtype=np.int64)
    levels = np.column_stack(columns) if columns else np.empty((len(groups), 0), dtype=np.int64)
    grouped = _Grouped(mean, count.astype(float), levels, within, len(values.y))
    return [names[i] for i in kept], grouped, sizes


def _fit(grouped: _Grouped, matrix: Floats) -> tuple[float, int]:
    """Weighted residual sum of squares of the group means, and the rank."""
    root = np.sqrt(grouped.count)
    weighted, target = matrix * root[:, None], grouped.mean * root
    solution, _, rank, _ = np.linalg.lstsq(weighted, target, rcond=1e-10)
    residual = target - weighted @ solution
    return float(residual @ residual), int(rank)


def _type_three(grouped: _Grouped, coded: CodedTerms) -> list[tuple[int, float]]:
    """The df and sum of squares of every term's hypothesis.

    Where all coefficients under sum coding are estimable, those of the term are its hypothesis.
    """
    plain, matrix = _condensed(grouped, coded.matrix)
    weighted = matrix * np.sqrt(plain.count)[:, None]
    left, values, right = np.linalg.svd(weighted, full_matrices=False)
    used = values > 1e-10 * values.max()
    inverse = (right[used].T / values[used]) @ left[:, used].T
    beta, unscaled = inverse @ (plain.mean * np.sqrt(plain.count)), inverse @ inverse.T
    if used.sum() == len(beta):
        rows = [np.eye(len(beta))[part] for part in coded.slices]
    else:
        model = _indicator_model(grouped.levels, coded.terms)
        rows = [in_coefficients(functions, model, coded.matrix) for functions in type_three(model)]
    return [(len(functions), sum_of_squares(functions, beta, unscaled)) for functions in rows]


def _indicator_model(levels: Integers, terms: tuple[tuple[int, ...], ...]) -> IndicatorModel:
    """The intercept and the observed cells of every term; levels (G, F)."""
    blocks, owner = [np.ones((len(levels), 1))], [-1]
    for position, term in enumerate(terms):
        cell = np.unique(levels[:, term], axis=0, return_inverse=True)[1].reshape(-1)
        blocks.append((cell[:, None] == np.arange(cell.max() + 1)).astype(np.float64))
        owner += [position] * blocks[-1].shape[1]
    above = tuple(_containing(term, terms) for term in terms)
    return IndicatorModel(np.hstack(blocks), np.array(owner), above)


def _containing(term: tuple[int, ...], terms: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return tuple(position for position, other in enumerate(terms) if set(term) < set(other))


def _cells_without_runs(
    levels: Integers, sizes: Integers, terms: tuple[tuple[int, ...], ...], names: list[str]
) -> list[tuple[Statement, ...]]:
    """Per term, which of it and of the terms that contain it have cells without runs."""
    cells = [prod(int(sizes[factor]) for factor in term) for term in terms]
    empty = [
        size - len(np.unique(levels[:, term], axis=0))
        for term, size in zip(terms, cells, strict=True)
    ]
    labels = [":".join(names[factor] for factor in term) for term in terms]
    notes: list[tuple[Statement, ...]] = []
    for position, term in enumerate(terms):
        here = [j for j in (position, *_containing(term, terms)) if empty[j]]
        told = {
            "terms": [labels[j] for j in here],
            "empty": [empty[j] for j in here],
            "cells": [cells[j] for j in here],
        }
        notes.append((statement("tests_observed_cells", **told),) if here else ())
    return notes


def _condensed(grouped: _Grouped, matrix: Floats) -> tuple[_Grouped, Floats]:
    """The same least squares problem for any of the columns, in as many rows as there are columns.

    With [sqrt(n) X, sqrt(n) y] = Q R, every fit on columns of X is a fit on those of R.
    """
    both = np.column_stack([matrix, grouped.mean]) * np.sqrt(grouped.count)[:, None]
    if len(both) <= both.shape[1]:
        return grouped, matrix
    r: Floats = np.asarray(np.linalg.qr(both, mode="r"))
    return replace(grouped, mean=r[:, -1], count=np.ones(len(r))), r[:, :-1]


def _rows(
    values: RunValues,
    grouped: _Grouped,
    coded: CodedTerms,
    parts: list[_Part],
    pure: bool,
    alpha: float,
) -> list[AnovaRow]:
    left, rank = _fit(grouped, coded.matrix)
    higher_df, pure_df = len(grouped.mean) - rank, grouped.runs - len(grouped.mean)
    error, error_df = grouped.within, pure_df
    if pure:
        parts = [*parts, _Part(HIGHER, higher_df, left)] if higher_df else parts
    else:
        error, error_df = error + left, error_df + higher_df
    total = float(np.sum((values.y - values.y.mean()) ** 2))
    tested = _Tested(error, error_df, grouped.runs, total, 1 - alpha)
    name = LEFT_OVER if higher_df and not pure else NOISE
    last = _untested(name, statement("is_error"), error_df, error, error / total)
    return [*(_row(part, tested) for part in parts), last]


@dataclass(frozen=True)
class _Tested:
    """What every term is tested against, and the level of the effect sizes' intervals."""

    error: float
    error_df: int
    runs: int
    total: float
    level: float


def _row(part: _Part, against: _Tested) -> AnovaRow:
    """F test with partial eta2 and partial omega2 (Olejnik and Algina 2003)."""
    df, squares = part.df, part.squares
    error, error_df, share = against.error, against.error_df, squares / against.total
    if df == 0:
        return _untested(part.term, statement("aliased_term"), 0, squares, notes=part.notes)
    if error_df <= 0 or error <= 1e-24 * against.total:
        return _untested(part.term, statement("no_error_to_test"), df, squares, share, part.notes)
    scale = error / error_df
    statistic = squares / df / scale
    omega2 = max(0.0, (squares - df * scale) / (squares + (against.runs - df) * scale))
    eta2 = squares / (squares + error)
    return anova_row(
        TermTest(
            term=part.term,
            num_df=df,
            den_df=error_df,
            statistic=statistic,
            p=f_tail(statistic, df, error_df),
            sum_squares=squares,
            share=share,
            sizes={
                "partial_eta2": with_interval(eta2, df, error_df, against.level),
                "partial_omega2": with_interval(omega2, df, error_df, against.level),
            },
            notes=part.notes,
        )
    )


def _untested(
    term: str,
    reason: Statement,
    df: float = np.nan,
    squares: float = np.nan,
    share: float = np.nan,
    notes: tuple[Statement, ...] = (),
) -> AnovaRow:
    return anova_row(
        TermTest(
            term=term,
            num_df=df,
            sum_squares=squares,
            share=share,
            sizes=NO_SIZES,
            reason=reason,
            notes=notes,
        )
    )
