"""The ANOVA table by statsmodels: type III with sums to zero, where no cell is empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy.stats import f as fisher
from statsmodels.stats.anova import anova_lm

from ablatekit.analysis.companions.second_opinion.least_squares import MOST_WORK, LinearFit
from ablatekit.analysis.core.arrays import Floats

CONTEXT, HIGHER = "context", "higher_interactions"


@dataclass(frozen=True)
class RecomputedTerm:
    """The F test of one term."""

    num_df: float
    den_df: float
    sum_squares: float
    statistic: float
    p: float


def has_empty_cell(frame: pd.DataFrame, names: Sequence[str]) -> bool:
    """Whether a combination of the levels and contexts that have runs has none itself."""
    observed = frame[list(names)]
    return bool(len(observed.drop_duplicates()) < np.prod(observed.nunique().to_list()))


def type_three(
    frame: pd.DataFrame, y: Floats, factors: Sequence[str], order: int, pure: LinearFit | None
) -> dict[str, RecomputedTerm] | None:
    """Every term up to `order`, contexts being one more factor; None where it is too large.

    `frame` has the levels of the factors and `context`, y (N,) the response.

    The error is that of `pure`, runs of one cell in one context, or without it the residual.
    """
    count = frame[[*factors, CONTEXT]].nunique()
    names = [name for name in (*factors, CONTEXT) if count[name] > 1]
    short = {name: f"f{number}" for number, name in enumerate(names)}
    sizes = [count[name] for name in names]
    if len(frame) * float(np.prod(sizes)) ** 2 > MOST_WORK:
        return None
    coded = frame[names].rename(columns=short).assign(y=y)
    terms = " + ".join(f"C({name}, Sum)" for name in short.values())
    table = anova_lm(smf.ols(f"y ~ ({terms}) ** {min(order, len(names))}", coded).fit(), typ=3)
    left = (table.loc["Residual", "sum_sq"], table.loc["Residual", "df"])
    error = left if pure is None else (float(pure.fit.ssr), float(pure.fit.df_resid))
    long = {name: original for original, name in short.items()}
    tests = {}
    for label, row in table.drop(index=["Intercept", "Residual"]).iterrows():
        parts = [part.removeprefix("C(").removesuffix(", Sum)") for part in str(label).split(":")]
        tests[":".join(long[part] for part in parts)] = _tested(row["sum_sq"], row["df"], error)
    if left[1] > error[1]:
        tests[HIGHER] = _tested(left[0] - error[0], left[1] - error[1], error)
    return tests


def _tested(squares: float, df: float, error: tuple[float, float]) -> RecomputedTerm:
    """The F test of a sum of squares against that of the error, with its df."""
    statistic = float(squares / df / (error[0] / error[1]))
    return RecomputedTerm(
        num_df=float(df),
        den_df=float(error[1]),
        sum_squares=float(squares),
        statistic=statistic,
        p=float(fisher.sf(statistic, df, error[1])),
    )
