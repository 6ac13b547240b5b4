"""Least squares by statsmodels: a mean per cell and context, or terms up to an order."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy.stats import t as student

from ablatekit.analysis.companions.second_opinion.contrasts import UNIT, Cells, Weights
from ablatekit.analysis.core.arrays import Floats

MOST_WORK = 5e9
"""Multiplications of one fit, runs times columns squared; beyond it nothing is recomputed."""
ESTIMABLE, ZERO = 1e-8, 1e-12


@dataclass(frozen=True)
class Tested:
    """One contrast by least squares, with its interval at 1 - alpha and that at 1 - 2 alpha."""

    estimate: float
    se: float
    df: float
    p: float
    low: float
    high: float
    low_equivalence: float
    high_equivalence: float


@dataclass(frozen=True)
class LinearFit:
    """A fitted model and what every unit in every context is in terms of its coefficients.

    `rows` maps (unit, context) to coefficients (p,); `fit` is statsmodels' result.
    """

    fit: Any
    rows: Mapping[tuple[str, str], Floats]
    saturated: bool

    def row(self, weights: Weights, context: str) -> Floats | None:
        """A contrast of units in one context; None where the runs do not determine it."""
        if any((unit, context) not in self.rows for unit in weights):
            return None
        parts = [weight * self.rows[unit, context] for unit, weight in weights.items()]
        row = np.sum(parts, axis=0) if parts else np.zeros(len(self.fit.params))
        known = self.saturated or self._gap(row) < ESTIMABLE
        return row if known and np.abs(row).max() > ZERO else None

    def _gap(self, row: Floats) -> float:
        return float(np.abs(row @ self._row_space - row).max(initial=0.0))

    @cached_property
    def _row_space(self) -> Floats:
        exog = self.fit.model.exog
        return np.asarray(np.linalg.pinv(exog, rcond=1e-10) @ exog)

    def test(self, rows: Sequence[Floats], alpha: float) -> list[Tested]:
        """The t tests of contrasts of the coefficients."""
        if not rows:
            return []
        tests = self.fit.t_test(np.vstack(rows))
        outer, inner = tests.conf_int(alpha=alpha), tests.conf_int(alpha=2 * alpha)
        estimates, errors = np.ravel(tests.effect), np.ravel(tests.sd)
        p = np.ravel(tests.pvalue)
        return [
            Tested(
                float(estimates[i]), float(errors[i]), float(tests.df_denom), float(p[i]),
                float(outer[i, 0]), float(outer[i, 1]), float(inner[i, 0]), float(inner[i, 1]),
            )
            for i in range(len(rows))
        ]  # fmt: skip

    def welch(self, row: Floats, alpha: float) -> Tested:
        """The same with a variance of its own for every cell; saturated models only.

        HC2 of the means of the contrast's cells is the sum of the variances of those means.
        """
        used = row != 0
        runs = self.fit.model.exog[:, used].any(axis=1)
        exog, y = self.fit.model.exog[np.ix_(runs, used)], self.fit.model.endog[runs]
        robust = sm.OLS(y, exog).fit(cov_type="HC2", use_t=True)
        parts = row[used] ** 2 * np.diag(robust.cov_params())
        variance, weights = float(parts.sum()), exog.sum(axis=0) - 1.0
        df = variance**2 / float(np.sum(parts**2 / weights))
        return from_t(float(row[used] @ robust.params), variance**0.5, df, alpha)


def from_t(estimate: float, se: float, df: float, alpha: float) -> Tested:
    """Student's t test of zero with its intervals."""
    outer, inner = student.ppf(1 - alpha / 2, df) * se, student.ppf(1 - alpha, df) * se
    return Tested(
        estimate=estimate,
        se=se,
        df=df,
        p=float(2 * student.sf(abs(estimate) / se, df)) if se > 0 else np.nan,
        low=float(estimate - outer),
        high=float(estimate + outer),
        low_equivalence=float(estimate - inner),
        high_equivalence=float(estimate + inner),
    )


def cell_means(frame: pd.DataFrame) -> LinearFit | None:
    """`y ~ 0 + C(cell)`, a cell being a unit in a context; None where it is too large."""
    pairs = pd.MultiIndex.from_frame(frame[["unit", "context"]])
    codes, observed = pd.factorize(pairs, sort=True)
    if len(frame) * float(len(observed)) ** 2 > MOST_WORK:
        return None
    exog = np.eye(len(observed))[codes]
    fit = sm.OLS(frame["y"].to_numpy(dtype=float), exog).fit(method="qr")
    unit_rows = dict(zip(observed, np.eye(len(observed)), strict=True))
    return LinearFit(fit, unit_rows, True)


def truncated(frame: pd.DataFrame, cells: Cells, order: int) -> LinearFit | None:
    """`y ~ context * (factors)^order`, contexts fixed and crossed with every term.

    A unit of several cells counts as its first one. None where it is too large.
    """
    first = cells.frame.drop_duplicates(UNIT).set_index(UNIT)
    contexts = sorted(frame["context"].unique())
    coded = coded_terms(cells, order, first)
    width = coded.shape[1] * len(contexts)
    if len(frame) * float(width) ** 2 > MOST_WORK:
        return None
    rows: dict[tuple[str, str], Floats] = {}
    for place, context in enumerate(contexts):
        for unit, terms in zip(first.index, coded, strict=True):
            row = np.zeros(width)
            row[place * coded.shape[1] : (place + 1) * coded.shape[1]] = terms
            rows[unit, context] = row
    pairs = zip(frame["unit"], frame["context"], strict=True)
    exog = np.vstack([rows[pair] for pair in pairs])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a deficient rank is what contrasts are checked against
        fit = sm.OLS(frame["y"].to_numpy(dtype=float), exog).fit()
    return LinearFit(fit, rows, False)


def coded_terms(cells: Cells, order: int, first: pd.DataFrame) -> Floats:
    """The coded terms of every unit (U, p), with the levels that cells have."""
    names = {name: f"f{number}" for number, name in enumerate(cells.factors)}
    data = {short: pd.Categorical(first[name]) for name, short in names.items()}
    varied = [short for short, levels in data.items() if len(levels.categories) > 1]
    formula = f"({' + '.join(varied)}) ** {min(order, len(varied))}" if varied else "1"
    return np.asarray(smf.ols(f"one ~ {formula}", pd.DataFrame(data).assign(one=1.0)).exog)
