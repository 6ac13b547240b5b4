"""The ANOVA table: type III sums of squares, type II when cells are empty, with effect sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ablatekit.analysis.cells.coding import CodedTerms, code_terms, terms_up_to
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import Layout
from ablatekit.analysis.core.schema.model import AnovaRow
from ablatekit.analysis.core.schema.vocabulary import AnovaType, Statement, statement
from ablatekit.analysis.core.tails import f_tail
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.stats.effectsize import EffectSize, with_interval
from ablatekit.analysis.stats.rows import SizeKey, TermTest, anova_row

CONTEXT = "context"
NOISE = "seed_noise"
HIGHER = "higher_interactions"


NO_SIZE = EffectSize(np.nan, np.nan, np.nan)
NO_SIZES: Mapping[SizeKey, EffectSize] = {"partial_eta2": NO_SIZE, "partial_omega2": NO_SIZE}


@dataclass(frozen=True)
class AnovaTable:
    """Rows in the order of the terms, then higher interactions and noise."""

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
    kind: AnovaType = "II" if len(grouped.mean) < np.prod(sizes) else "III"
    coded = code_terms(grouped.levels, sizes, terms)
    squares = _type_two(grouped, coded) if kind == "II" else _type_three(grouped, coded)
    labels = [":".join(names[f] for f in term) for term in terms]
    parts = [(label, df, ss) for label, (df, ss) in zip(labels, squares, strict=True)]
    note = statement("cell_anova", type=kind, order=order, pure=pure)
    return AnovaTable(_rows(values, grouped, coded, parts, pure, alpha), note)


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
    """Each term given all others, on sum coding: b' V^-1 b of the term's coefficients."""
    root = np.sqrt(grouped.count)
    weighted = coded.matrix * root[:, None]
    inverse = np.linalg.inv(weighted.T @ weighted)
    beta = inverse @ (weighted.T @ (grouped.mean * root))
    squares = []
    for part in coded.slices:
        coefficients = beta[part]
        squares.append(
            (
                len(coefficients),
                float(coefficients @ np.linalg.solve(inverse[part, part], coefficients)),
            )
        )
    return squares


def _condensed(grouped: _Grouped, matrix: Floats) -> tuple[_Grouped, Floats]:
    """The same least squares problem for any of the columns, in as many rows as there are columns.

    With [sqrt(n) X, sqrt(n) y] = Q R, every fit on columns of X is a fit on those of R.
    """
    both = np.column_stack([matrix, grouped.mean]) * np.sqrt(grouped.count)[:, None]
    if len(both) <= both.shape[1]:
        return grouped, matrix
    r: Floats = np.asarray(np.linalg.qr(both, mode="r"))
    return replace(grouped, mean=r[:, -1], count=np.ones(len(r))), r[:, :-1]


def _type_two(grouped: _Grouped, coded: CodedTerms) -> list[tuple[int, float]]:
    """Each term given every term that does not contain it."""
    grouped, matrix = _condensed(grouped, coded.matrix)
    squares = []
    for term, part in zip(coded.terms, coded.slices, strict=True):
        keep = [0]
        for other, columns in zip(coded.terms, coded.slices, strict=True):
            if not set(term) <= set(other):
                keep.extend(range(columns.start, columns.stop))
        without, rank = _fit(grouped, matrix[:, keep])
        keep.extend(range(part.start, part.stop))
        full, full_rank = _fit(grouped, matrix[:, keep])
        squares.append((full_rank - rank, max(0.0, without - full)))
    return squares


def _rows(
    values: RunValues,
    grouped: _Grouped,
    coded: CodedTerms,
    parts: list[tuple[str, int, float]],
    pure: bool,
    alpha: float,
) -> list[AnovaRow]:
    left, rank = _fit(grouped, coded.matrix)
    higher_df, pure_df = len(grouped.mean) - rank, grouped.runs - len(grouped.mean)
    error, error_df = grouped.within, pure_df
    if pure:
        parts = [*parts, (HIGHER, higher_df, left)] if higher_df else parts
    else:
        error, error_df = error + left, error_df + higher_df
    total = float(np.sum((values.y - values.y.mean()) ** 2))
    tested = _Tested(error, error_df, grouped.runs, total, 1 - alpha)
    rows = [_row(name, df, squares, tested) for name, df, squares in parts]
    noise = _untested(NOISE, statement("is_error"), error_df, error, error / total)
    return [*rows, noise]


@dataclass(frozen=True)
class _Tested:
    """What every term is tested against, and the level of the effect sizes' intervals."""

    error: float
    error_df: int
    runs: int
    total: float
    level: float


def _row(term: str, df: int, squares: float, against: _Tested) -> AnovaRow:
    """F test with partial eta2 and partial omega2 (Olejnik and Algina 2003)."""
    error, error_df, share = against.error, against.error_df, squares / against.total
    if df == 0:
        return _untested(term, statement("aliased_term"), 0, squares)
    if error_df <= 0 or error <= 1e-24 * against.total:
        return _untested(term, statement("no_error_to_test"), df, squares, share)
    scale = error / error_df
    statistic = squares / df / scale
    omega2 = max(0.0, (squares - df * scale) / (squares + (against.runs - df) * scale))
    eta2 = squares / (squares + error)
    return anova_row(
        TermTest(
            term=term,
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
        )
    )


def _untested(
    term: str,
    reason: Statement,
    df: float = np.nan,
    squares: float = np.nan,
    share: float = np.nan,
) -> AnovaRow:
    test = TermTest(
        term=term, num_df=df, sum_squares=squares, share=share, sizes=NO_SIZES, reason=reason
    )
    return anova_row(test)
