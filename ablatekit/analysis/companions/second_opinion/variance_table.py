"""The ANOVA table by statsmodels: type III with sums to zero, where no cell is empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy.stats import f as fisher
from statsmodels.stats.anova import anova_lm

from ablatekit.analysis.companions.second_opinion.least_squares import MOST_WORK, LeastSquares

CONTEXT = "context"


@dataclass(frozen=True)
class TermTest:
    """The F test of one term."""

    num_df: float
    den_df: float
    sum_squares: float
    statistic: float
    p: float


def has_empty_cell(frame: pd.DataFrame, names: Sequence[str]) -> bool:
    """Whether a combination of the levels and contexts that have runs has none itself."""
    return len(frame[list(names)].drop_duplicates()) < np.prod([frame[n].nunique() for n in names])


def type_three(
    frame: pd.DataFrame, factors: Sequence[str], order: int, pure: LeastSquares | None
) -> dict[str, TermTest] | None:
    """Every term up to `order`, contexts being one more factor; None where it is too large.

    The error is that of `pure`, runs of one cell in one context, or without it the residual.
    """
    names = [name for name in (*factors, CONTEXT) if frame[name].nunique() > 1]
    short = {name: f"f{number}" for number, name in enumerate(names)}
    sizes = [frame[name].nunique() for name in names]
    if len(frame) * float(np.prod(sizes)) ** 2 > MOST_WORK:
        return None
    coded = frame[names].rename(columns=short).assign(y=frame["y"])
    terms = " + ".join(f"C({name}, Sum)" for name in short.values())
    table = anova_lm(smf.ols(f"y ~ ({terms}) ** {min(order, len(names))}", coded).fit(), typ=3)
    error, error_df = table.loc["Residual", "sum_sq"], table.loc["Residual", "df"]
    if pure is not None:
        error, error_df = pure.fit.ssr, pure.fit.df_resid
    long = {name: original for original, name in short.items()}
    tests = {}
    for label, row in table.drop(index=["Intercept", "Residual"]).iterrows():
        parts = [part.removeprefix("C(").removesuffix(", Sum)") for part in str(label).split(":")]
        statistic = row["sum_sq"] / row["df"] / (error / error_df)
        tests[":".join(long[part] for part in parts)] = TermTest(
            num_df=float(row["df"]),
            den_df=float(error_df),
            sum_squares=float(row["sum_sq"]),
            statistic=float(statistic),
            p=float(fisher.sf(statistic, row["df"], error_df)),
        )
    return tests
