"""Broad rows by statsmodels: one-way t's, and the mean squares of the crossed table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy.stats import t as student
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.weightstats import DescrStatsW

from ablatekit.analysis.companions.second_opinion.least_squares import Tested, from_t

FEWEST = 3
"""Levels of a variable that a t over them needs."""
VALUE = "value of the contrast"
SAME = 1e-12
"""Of the response; a smaller standard error is rounding."""


@dataclass(frozen=True)
class ScopeTest:
    """The row of a scope, and the intervals among which the widest decides (one for one-way)."""

    row: Tested
    parts: dict[tuple[str, ...], Tested]


def one_way(values: Sequence[float], alpha: float) -> Tested:
    """The t over values that count as a random sample."""
    described = DescrStatsW(np.asarray(values, dtype=float))
    _, p, df = described.ttest_mean(0.0)
    outer, inner = described.tconfint_mean(alpha), described.tconfint_mean(2 * alpha)
    return Tested(
        estimate=float(described.mean),
        se=float(described.std_mean),
        df=float(df),
        p=float(p),
        low=float(outer[0]),
        high=float(outer[1]),
        low_equivalence=float(inner[0]),
        high_equivalence=float(inner[1]),
    )


def by_scope(
    values: Mapping[str, float],
    variables: Mapping[str, Mapping[str, str]],
    scope: Sequence[str],
    alpha: float,
    size: float,
) -> ScopeTest | None:
    """A scope's row from per-context `values`; None where too few levels, or none that differ.

    `variables` maps a blocking variable to the level of every context; `size` is that of the
    response, of whose digits the last are rounding.
    """
    table = _table(values, variables)
    if any(table[name].nunique() < FEWEST for name in scope):
        return None
    parts: dict[tuple[str, ...], Tested] = {
        (name,): one_way(_means(table, name).tolist(), alpha) for name in scope
    }
    if len(scope) > 1:
        both = _over_both(variables, table, scope, list(parts.values()), alpha)
        parts |= {tuple(scope): both} if both is not None else {}
    parts = {by: part for by, part in parts.items() if part.se > SAME * size}
    return ScopeTest(_widest(list(parts.values())), parts) if parts else None


def prediction(
    values: Mapping[str, float],
    variables: Mapping[str, Mapping[str, str]],
    scope: Sequence[str],
    alpha: float,
    size: float,
) -> tuple[float, float] | None:
    """Limits for one new level (of both variables); None where a crossing is incomplete."""
    table = _table(values, variables)
    if len(scope) == 1:
        means = _means(table, scope[0]).tolist()
        drawn = sm.OLS(means, np.ones(len(means))).fit().get_prediction(np.ones((1, 1)))
        frame = drawn.summary_frame(alpha=alpha)
        return float(frame["obs_ci_lower"].iloc[0]), float(frame["obs_ci_upper"].iloc[0])
    test = by_scope(values, variables, scope, alpha, size)
    if test is None or not _is_crossing(variables, table, scope):
        return None
    first, second, rest = _squares(table, scope)["mean_sq"].tolist()
    between = max(0.0, (first - rest) / table[scope[1]].nunique())
    between += max(0.0, (second - rest) / table[scope[0]].nunique())
    half = float(student.ppf(1 - alpha / 2, test.row.df)) * (test.row.se**2 + between + rest) ** 0.5
    return test.row.estimate - half, test.row.estimate + half


def _table(values: Mapping[str, float], variables: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """A row per context: the levels of the variables, and the value."""
    labels = {name: [levels[c] for c in values] for name, levels in variables.items()}
    return pd.DataFrame({**labels, VALUE: list(values.values())})


def level_means(
    values: Mapping[str, float], variables: Mapping[str, Mapping[str, str]], name: str
) -> pd.Series[Any]:
    """The means of a variable's levels over their contexts that have a value."""
    return _means(_table(values, variables), name)


def _means(table: pd.DataFrame, name: str) -> pd.Series[Any]:
    means: pd.Series[Any] = table.groupby(name, sort=True)[VALUE].mean()
    return means


def _is_crossing(
    variables: Mapping[str, Mapping[str, str]], table: pd.DataFrame, scope: Sequence[str]
) -> bool:
    """Whether the scope is all that varies, and the contrast exists once in every combination."""
    pairs = table[list(scope)].drop_duplicates()
    full = table[list(scope)].nunique().prod()
    return _is_all(variables, scope) and len(pairs) == len(table) == full


def _is_all(variables: Mapping[str, Mapping[str, str]], scope: Sequence[str]) -> bool:
    """Whether the scope is two variables, and nothing else varies."""
    studied = pd.DataFrame(variables)
    count = studied.nunique()
    outer = [name for name in variables if count[name] > 1 and not _nested(studied, name)]
    return len(scope) == len(outer) == 2


def _over_both(
    variables: Mapping[str, Mapping[str, str]],
    table: pd.DataFrame,
    scope: Sequence[str],
    ways: Sequence[Tested],
    alpha: float,
) -> Tested | None:
    """The interval over two variables; where pairs of levels lack it, from what their sum leaves.

    None for three variables, and where the variance is not positive.
    """
    if not _is_all(variables, scope):
        return None
    if _is_crossing(variables, table, scope):
        return _crossed(table, scope, alpha)
    fitted = _additive(table, scope).fit()
    shared = float(fitted.mse_resid) / len(table)
    total = sum(way.se**2 for way in ways) - shared
    if not (fitted.df_resid > 0 and total > 0.0):
        return None
    spread = sum(way.se**4 / way.df for way in ways) + shared**2 / float(fitted.df_resid)
    df = max(1.0, total**2 / spread)
    return from_t(float(table[VALUE].mean()), float(total**0.5), df, alpha)


def _nested(studied: pd.DataFrame, name: str) -> bool:
    """Whether every level of a variable lies in one level of another one, which has fewer."""
    count = studied.nunique()
    return any(
        studied.groupby(name)[other].nunique().max() == 1
        for other in studied.columns.astype(str)
        if other != name and 1 < count[other] < count[name]
    )


def _additive(table: pd.DataFrame, scope: Sequence[str]) -> Any:
    """Levels of two variables added up."""
    named = pd.DataFrame({"a": table[scope[0]], "b": table[scope[1]], "value": table[VALUE]})
    return smf.ols("value ~ C(a) + C(b)", named)


def _squares(table: pd.DataFrame, scope: Sequence[str]) -> pd.DataFrame:
    """The analysis of variance of a two-way table with one value in a cell."""
    squares: pd.DataFrame = anova_lm(_additive(table, scope).fit())
    return squares.assign(mean_sq=squares["sum_sq"] / squares["df"])


def _crossed(table: pd.DataFrame, scope: Sequence[str], alpha: float) -> Tested | None:
    """The interval of the two-way table; None where its variance is not positive."""
    squares = _squares(table, scope)
    first, second, rest = squares["mean_sq"].tolist()
    total = first + second - rest
    if not total > 0.0:
        return None
    spread = float((squares["mean_sq"] ** 2 / squares["df"]).sum())
    df = max(1.0, total**2 / spread)
    return from_t(float(table[VALUE].mean()), float((total / len(table)) ** 0.5), df, alpha)


def _widest(parts: Sequence[Tested]) -> Tested:
    """At each level the widest interval, about the estimate of the one that decides at 1 - alpha.

    The largest p; se and df are those of the one that decides.
    """
    decides = max(parts, key=lambda part: part.high - part.low)
    inner = max(part.high_equivalence - part.low_equivalence for part in parts) / 2.0
    return replace(
        decides,
        p=max(part.p for part in parts),
        low_equivalence=decides.estimate - inner,
        high_equivalence=decides.estimate + inner,
    )
