"""Slopes against doses and covariates, by statsmodels' least squares and F tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests

from ablatekit.analysis.companions.second_opinion.effect_rows import (
    NO_COUNTERPART,
    TOO_LARGE,
    compare_row,
)
from ablatekit.analysis.companions.second_opinion.inquiry import COVARIATE, InContext, Inquiry
from ablatekit.analysis.companions.second_opinion.recount import (
    ROUNDING,
    TOLERANCE,
    Recount,
    count_numbers,
)
from ablatekit.analysis.companions.second_opinion.scopes import by_scope, level_means
from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.analysis import ResponseAnalysis

TEST_NUMBERS = ("num_df", "den_df", "statistic", "p")
LINE_NUMBERS = ("slope", "se", "df", "low", "high", "p")


def dose_rows(recount: Recount, inquiry: Inquiry, response: ResponseAnalysis) -> None:
    """The F tests of linear and quadratic trends, and slopes under every scope."""
    section = response.get("dose")
    if section is None:
        return
    scores = {row["factor"]: row["scores"] for row in section["tests"]}
    slopes: list[Mapping[str, Any]] = [r for r in section["slopes"] if r["estimate"] is not None]
    for row in slopes:
        if row["factor"] in scores and inquiry.model is not None:
            _slope(recount, inquiry, row, scores[row["factor"]])
        else:
            reason = NO_COUNTERPART if inquiry.model else TOO_LARGE
            recount.leave_out("dose", count_numbers(row), reason)
    _adjusted(recount, inquiry, slopes)
    tests: list[Mapping[str, Any]] = [row for row in section["tests"] if row["p"] is not None]
    for row in tests:
        _trend_test(recount, inquiry, row)
    _adjusted(recount, inquiry, tests)


def _slope(
    recount: Recount, inquiry: Inquiry, row: Mapping[str, Any], scores: Sequence[float]
) -> None:
    away = np.array(scores) - np.mean(scores)
    found = _found(inquiry, row["factor"], away / float(away @ away))
    model = inquiry.model
    assert model is not None
    recount.compare("dose", f"{_name(inquiry, row)}: contexts", row["contexts"], len(found))
    if not found or row["se"] is None:
        return
    if row["inference"] == "narrow":
        vector = np.mean([part.vector for part in found.values()], axis=0)
        compare_row(
            recount, "dose", inquiry, _as_effect(row), model.test([vector], inquiry.alpha)[0]
        )
        return
    values = {c: float(part.vector @ model.fit.params) for c, part in found.items()}
    test = by_scope(values, inquiry.variables, row["scope"], inquiry.alpha, inquiry.size)
    if test is None:
        recount.compare("dose", f"{_name(inquiry, row)}: se", row["se"], math.nan)
    else:
        compare_row(recount, "dose", inquiry, _as_effect(row), test.row)


def _found(inquiry: Inquiry, factor: str, weights: Floats) -> dict[str, InContext]:
    model = inquiry.model
    asked = {"estimand": "trend", "factor": factor, "weights": weights.tolist()}
    return {} if model is None else inquiry.contexts(asked, model)


def _trend_test(recount: Recount, inquiry: Inquiry, row: Mapping[str, Any]) -> None:
    """Both parts of a parabola together; any two contrasts that span them give the same F."""
    score, model = np.array(row["scores"]), inquiry.model
    powers = [score**power for power in range(1, min(len(score), 3))]
    vectors = []
    for power in powers:
        found = _found(inquiry, row["factor"], power - power.mean())
        vectors.append(np.mean([part.vector for part in found.values()], axis=0))
    # orthogonal to each other, so that the covariance of large powers stays regular
    centred = np.linalg.qr(np.column_stack([power - power.mean() for power in powers]))[1]
    rows = np.linalg.solve(centred.T, np.vstack(vectors))
    if model is None:
        return
    test = model.fit.f_test(rows)
    theirs = (test.df_num, test.df_denom, float(test.fvalue), float(test.pvalue))
    for key, number in zip(TEST_NUMBERS, theirs, strict=True):
        # Without an effect F, which chance alone makes 1, is a rounding error.
        scale = ROUNDING / TOLERANCE if key == "statistic" else 0.0
        name = f"{inquiry.name}: trend of {row['factor']}: {key}"
        recount.compare("dose", name, row[key], number, scale)


def _adjusted(recount: Recount, inquiry: Inquiry, rows: Sequence[Mapping[str, Any]]) -> None:
    """Holm's p values: of slopes within inference and scope, of tests all together."""
    families: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["p"] is not None:
            key = (row.get("inference", ""), *row.get("scope", []))
            families.setdefault(key, []).append(row)
    for family in families.values():
        raw = [row["p"] for row in family]
        theirs = multipletests(raw, method="holm")[1] if inquiry.holm else raw
        for row, p in zip(family, theirs, strict=True):
            recount.compare("holm", f"{_name(inquiry, row)}: p_adjusted", row["p_adjusted"], p)


def covariate_rows(recount: Recount, inquiry: Inquiry, response: ResponseAnalysis) -> None:
    """Average effects against the logarithm of a covariate of a blocking variable."""
    for row in response.get("covariates", []):
        model = inquiry.model
        if row["se"] is None or model is None:
            continue
        asked = {**row, "estimand": "average"}
        values = {
            context: float(part.vector @ model.fit.params)
            for context, part in inquiry.contexts(asked, model).items()
        }
        _line(recount, inquiry, row, level_means(values, inquiry.variables, row["variable"]))


def _line(
    recount: Recount, inquiry: Inquiry, row: Mapping[str, Any], means: pd.Series[Any]
) -> None:
    column = f"{COVARIATE}{row['variable']}:{row['covariate']}"
    sizes = inquiry.frame.groupby(inquiry.frame["context"].map(inquiry.variables[row["variable"]]))
    size = np.log(sizes[column].first().loc[means.index].to_numpy(dtype=float))
    fit = sm.OLS(means.to_numpy(), sm.add_constant(size)).fit()
    low, high = fit.conf_int(inquiry.alpha)[1]
    theirs = (fit.params[1], fit.bse[1], fit.df_resid, low, high, fit.pvalues[1])
    name = f"{inquiry.name}: {row['factor']}={row['level']} against {row['covariate']}"
    for key, number in zip(LINE_NUMBERS, theirs, strict=True):
        scale = 0.0 if key in ("df", "p") else inquiry.scale
        recount.compare("covariates", f"{name}: {key}", row[key], float(number), scale)
    for point in row["predictions"]:
        drawn = fit.get_prediction(np.array([[1.0, math.log(point["at"])]]))
        there = drawn.summary_frame(alpha=inquiry.alpha).iloc[0]
        for key, label in PREDICTED.items():
            where = f"{name} at {point['at']:g}: {key}"
            recount.compare("covariates", where, point[key], float(there[label]), inquiry.scale)


PREDICTED = {
    "estimate": "mean", "se": "mean_se", "low": "mean_ci_lower", "high": "mean_ci_upper",
    "low_new": "obs_ci_lower", "high_new": "obs_ci_upper",
}  # fmt: skip


def _as_effect(row: Mapping[str, Any]) -> dict[str, Any]:
    """A slope in the words of an effect, for the names of its numbers."""
    return {**row, "level": "slope", "estimand": "trend"}


def _name(inquiry: Inquiry, row: Mapping[str, Any]) -> str:
    scope = f" over {' and '.join(row['scope'])}" if row.get("scope") else ""
    return f"{inquiry.name}: trend of {row['factor']}{scope}"
