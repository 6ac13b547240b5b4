"""Rows of `analysis.json` from tests, contrasts and ANOVA tables, as plain dictionaries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ablatekit.analysis.mixed.adjust import critical_values
from ablatekit.analysis.mixed.anova import AnovaTerm
from ablatekit.analysis.mixed.effectsize import partial_size
from ablatekit.analysis.mixed.emm import Family, contrast_table, means_table
from ablatekit.analysis.mixed.formula import variables_of
from ablatekit.analysis.mixed.frame import ModelFrame
from ablatekit.analysis.mixed.tests import LinearModel, TTest


def fixed_rows(test: TTest, names: Sequence[str], alpha: float) -> list[dict[str, Any]]:
    """One row per coefficient."""
    low, high = test.interval(1.0 - alpha)
    columns = (test.estimate, test.se, test.df, test.statistic, test.p, low, high)
    keys = ("estimate", "se", "df", "statistic", "p", "low", "high")
    return [
        {"term": name, **dict(zip(keys, values, strict=True))}
        for name, *values in zip(names, *columns, strict=True)
    ]


def anova_row(term: AnovaTerm) -> dict[str, Any]:
    """One row of the ANOVA table of a mixed model."""
    test = term.test
    if test is None:
        empty = dict.fromkeys(
            ("num_df", "den_df", "statistic", "p", "partial_eta2", "partial_omega2", "share")
        )
        return {"term": term.term, **empty, "reason": "the term is aliased with earlier ones"}
    size = (test.statistic, float(test.num_df), test.den_df)
    return {
        "term": term.term,
        "num_df": test.num_df,
        "den_df": test.den_df,
        "statistic": test.statistic,
        "p": test.p,
        "partial_eta2": partial_size("eta2", *size),
        "partial_omega2": partial_size("omega2", *size),
        "share": None,
        "sum_squares": test.sum_squares,
        "reason": None,
    }


def effect_tables(
    model: LinearModel, wanted: list[tuple[str, str | None]], alpha: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Level-vs-baseline effects (one Holm family), two-way interactions (another), and means."""
    rows: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    for name, baseline in wanted:
        levels = model.frame.variables[name].levels
        base = baseline or levels[model.frame.variables[name].baseline]
        others = [level for level in levels if level != base]
        table = contrast_table(model, [name], "baseline", baseline=base, level=1.0 - alpha)
        rows += _effect_rows(
            model, table, [(name, level, base) for level in others], "average", alpha
        )
        own = means_table(model, [name], 1.0 - alpha)
        means += _mean_rows(name, own)
    holm_rows(rows)
    _simultaneous(rows, alpha)
    crossed = _interactions(model, {name for name, _ in wanted}, alpha)
    return rows + crossed, means


def _interactions(model: LinearModel, wanted: set[str], alpha: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for term in model.frame.formula.terms:
        if len(term) != 2 or not set(term) <= wanted:
            continue
        table = contrast_table(model, list(term), "interaction", level=1.0 - alpha)
        base = ":".join(model.frame.variables[name].levels[0] for name in term)
        labels = [(":".join(term), label, base) for label in table.labels]
        rows += _effect_rows(model, table, labels, "interaction", alpha)
    holm_rows(rows)
    return rows


def _effect_rows(
    model: LinearModel,
    table: Family,
    labels: list[tuple[str, str, str]],
    estimand: str,
    alpha: float,
) -> list[dict[str, Any]]:
    low, high = table.test.interval(1.0 - 2.0 * alpha)
    out = []
    for i, (factor, level, base) in enumerate(labels):
        row = effect_shell(factor, level, base, estimand, model.method)
        row["inference"] = _inference(model.frame, factor)
        row["averaged_over"] = _averaged_over(model.frame, factor)
        values = {
            "estimate": table.test.estimate[i],
            "se": table.test.se[i],
            "df": table.test.df[i],
            "low": table.low[i],
            "high": table.high[i],
            "low_equivalence": low[i],
            "high_equivalence": high[i],
            "p": table.test.p[i],
            "reason": table.reason[i],
        }
        out.append({**row, **values})
    return out


def effect_shell(
    factor: str, level: str, baseline: str, estimand: str, method: str
) -> dict[str, Any]:
    """An effect with every key and no numbers."""
    return {
        "factor": factor,
        "level": level,
        "baseline": baseline,
        "estimand": estimand,
        "inference": "narrow",
        "method": method,
        "family": estimand,
        "averaged_over": "",
        "estimate": None,
        "se": None,
        "df": None,
        "low": None,
        "high": None,
        "low_simultaneous": None,
        "high_simultaneous": None,
        "low_equivalence": None,
        "high_equivalence": None,
        "p": None,
        "p_adjusted": None,
        "verdict": "inconclusive",
        "replicates_needed": None,
        "contexts_needed": None,
        "reason": None,
    }


def holm_rows(rows: list[dict[str, Any]]) -> None:
    """Holm-adjusted p over the rows that could be estimated and those that could not."""
    p = np.array([math.nan if row["p"] is None else row["p"] for row in rows], dtype=np.float64)
    valid = np.flatnonzero(~np.isnan(p))
    order = valid[np.argsort(p[valid], kind="stable")]
    running = 0.0
    for rank, i in enumerate(order.tolist()):
        running = max(running, min((len(p) - rank) * float(p[i]), 1.0))
        rows[i]["p_adjusted"] = running


def _simultaneous(rows: list[dict[str, Any]], alpha: float) -> None:
    """Sidak limits over the family: valid for any correlation of the estimates."""
    df = np.array([math.nan if row["df"] is None else row["df"] for row in rows], dtype=np.float64)
    if not len(df):
        return
    for row, critical in zip(rows, critical_values(df, "sidak", 1.0 - alpha), strict=True):
        row["low_simultaneous"] = row["estimate"] - critical * row["se"]
        row["high_simultaneous"] = row["estimate"] + critical * row["se"]


def _mean_rows(name: str, table: Family) -> list[dict[str, Any]]:
    return [
        {
            "factor": name,
            "level": label,
            "estimate": table.test.estimate[i],
            "se": table.test.se[i],
            "df": table.test.df[i],
            "low": table.low[i],
            "high": table.high[i],
            "reason": table.reason[i],
        }
        for i, label in enumerate(table.labels)
    ]


def _inference(frame: ModelFrame, factor: str) -> str:
    """Broad when the factor's effect varies over the levels of some random term."""
    names = set(factor.split(":"))
    for spec in frame.formula.random:
        if names & set(variables_of(spec.terms)) or (
            len(spec.group) > 1 and names & set(spec.group)
        ):
            return "broad"
    return "narrow"


def _averaged_over(frame: ModelFrame, factor: str) -> str:
    own = set(factor.split(":"))
    fixed = variables_of(frame.formula.terms)
    return ", ".join(n for n in fixed if frame.variables[n].categorical and n not in own)


def verdict(effect: dict[str, Any], direction: str, smallest_effect: Any, alpha: float) -> str:
    """The verdict rule of DESIGN 5 for one effect."""
    if effect["reason"] is not None or effect["estimate"] is None or math.isnan(effect["estimate"]):
        return "not estimated"
    low, high = effect["low_equivalence"], effect["high_equivalence"]
    if (
        None not in (smallest_effect, low, high)
        and -smallest_effect < low
        and high < smallest_effect
    ):
        return "equivalent"
    adjusted = effect["p_adjusted"]
    if adjusted is None or not adjusted < alpha:
        return "inconclusive"
    better = effect["estimate"] > 0.0 if direction == "higher" else effect["estimate"] < 0.0
    return "helps" if better else "hurts"


def plain(value: Any) -> Any:
    """Python values only: arrays to lists, NaN and infinities to None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
