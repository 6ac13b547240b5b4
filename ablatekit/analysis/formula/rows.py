"""Rows of `analysis.json` from tests, contrasts and ANOVA tables, as plain dictionaries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ablatekit.analysis.core.schema.vocabulary import Estimand, Statement, statement
from ablatekit.analysis.engine.formula import variables_of
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.posthoc.anova import AnovaTerm
from ablatekit.analysis.posthoc.coefficient_tests import DfMethod, FTest, LinearModel, TTest
from ablatekit.analysis.posthoc.emm import (
    ContrastFamily,
    contrast_rows,
    equivalence,
    estimate,
    marginal_means,
    non_inferiority,
)
from ablatekit.analysis.stats.adjust import Adjustment, applicable, critical_values
from ablatekit.analysis.stats.effectsize import EffectSize, SizeName, partial_size, with_interval

ALIASED = statement("aliased")
NO_DF = statement("no_df_left")
METHODS: Mapping[DfMethod, Statement] = {
    "satterthwaite": statement("satterthwaite"),
    "kenward-roger": statement("kenward_roger"),
    "residual": statement("residual"),
    "asymptotic": statement("asymptotic"),
}


def fixed_rows(test: TTest, names: Sequence[str], alpha: float) -> list[dict[str, Any]]:
    """One row per coefficient."""
    low, high = test.interval(1.0 - alpha)
    columns = (test.estimate, test.se, test.df, test.statistic, test.p, low, high)
    keys = ("estimate", "se", "df", "statistic", "p", "low", "high")
    return [
        {"term": name, **dict(zip(keys, values, strict=True))}
        for name, *values in zip(names, *columns, strict=True)
    ]


def test_row(test: FTest) -> dict[str, Any]:
    """A joint F test."""
    return {
        "num_df": test.num_df,
        "den_df": test.den_df,
        "statistic": test.statistic,
        "p": test.p,
        "sum_squares": test.sum_squares,
    }


def anova_row(term: AnovaTerm, alpha: float) -> dict[str, Any]:
    """One row of the ANOVA table of a mixed model, effect sizes with limits at 1 - alpha."""
    test = term.test
    if test is None:
        keys = ("num_df", "den_df", "statistic", "p", "partial_eta2", "partial_omega2", "share")
        return {"term": term.term, **dict.fromkeys(keys), "reason": ALIASED}
    out: dict[str, Any] = {"term": term.term, **test_row(test)}
    out["mean_square"] = test.sum_squares / test.num_df
    names: tuple[SizeName, ...] = ("eta2", "omega2", "epsilon2")
    for name in names:
        value = partial_size(name, test.statistic, float(test.num_df), test.den_df)
        size = with_interval(value, float(test.num_df), test.den_df, 1.0 - alpha)
        out |= size_keys(f"partial_{name}", size)
    return {**out, "share": None, "reason": None}


def size_keys(name: str, size: EffectSize) -> dict[str, float]:
    """An effect size under three keys."""
    return {name: size.value, f"{name}_low": size.low, f"{name}_high": size.high}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is compared: `factors` with their baselines, `means` as specs of factors, and how.

    `pairs` adds all pairwise comparisons; `adjust` is the method for families of tests.
    """

    factors: dict[str, str]
    means: tuple[tuple[str, ...], ...]
    pairs: bool
    adjust: Adjustment
    alpha: float

    def baselines(self, frame: ModelFrame, spec: Sequence[str]) -> list[str]:
        """The baseline of every factor of a spec."""
        return [
            self.factors.get(name) or frame.variables[name].levels[frame.variables[name].baseline]
            for name in spec
        ]


def effect_rows(model: LinearModel, wanted: Wanted) -> list[dict[str, Any]]:
    """Level-vs-baseline effects as one family, then interactions, one family per order."""
    specs: dict[int, list[tuple[str, ...]]] = {1: [(name,) for name in wanted.factors]}
    for term in model.frame.formula.terms:
        if len(term) > 1 and set(term) <= set(wanted.factors):
            specs.setdefault(len(term), []).append(term)
    return [
        row for order, terms in specs.items() for row in _family_rows(model, wanted, order, terms)
    ]


def _family_rows(
    model: LinearModel, wanted: Wanted, order: int, specs: Sequence[tuple[str, ...]]
) -> list[dict[str, Any]]:
    kind = "baseline" if order == 1 else "interaction"
    estimand: Estimand = "average" if order == 1 else "interaction"
    family = statement("marginal_family", estimand=estimand, order=order)
    rows, labels, shells = [], [], []
    for spec in specs:
        bases = wanted.baselines(model.frame, spec)
        own, names = contrast_rows(model.frame, spec, kind, bases)
        rows.append(own)
        labels += names
        factor, base = ":".join(spec), ":".join(bases)
        for name in names:
            level = name.removesuffix(f" - {base}") if kind == "baseline" else name
            shell = effect_shell(factor, level, base, estimand, METHODS[model.method])
            shells.append({**shell, "family": family})
    if not labels:
        return []
    method = applicable(wanted.adjust, kind if len(specs) == 1 else "several factors")
    table = estimate(model, np.vstack(rows), labels, adjustment=method, level=1.0 - wanted.alpha)
    return [
        {**shell, **_effect_numbers(table, i, wanted.alpha)}
        for i, shell in enumerate(_described(model.frame, shells))
    ]


def _described(frame: ModelFrame, shells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for shell in shells:
        shell["inference"] = _inference(frame, shell["factor"])
        shell["averaged_over"] = _averaged_over(frame, shell["factor"])
    return shells


def _effect_numbers(table: ContrastFamily, i: int, alpha: float) -> dict[str, Any]:
    test = table.test
    low, high = (side[i] for side in test.interval(1.0 - alpha))
    narrow_low, narrow_high = (side[i] for side in test.interval(1.0 - 2.0 * alpha))
    simultaneous = "sidak" if table.adjustment in ("holm", "bh") else table.adjustment
    limits = (table.low[i], table.high[i])
    if simultaneous == "sidak":
        half = critical_values(test.df, "sidak", 1.0 - alpha)[i] * test.se[i]
        limits = (test.estimate[i] - half, test.estimate[i] + half)
    return {
        "estimate": test.estimate[i],
        "se": test.se[i],
        "df": test.df[i],
        "statistic": test.statistic[i],
        "low": low,
        "high": high,
        "low_equivalence": narrow_low,
        "high_equivalence": narrow_high,
        "low_simultaneous": limits[0],
        "high_simultaneous": limits[1],
        "p": test.p[i],
        "p_adjusted": table.p[i],
        "adjustment": table.adjustment,
        "reason": table.reason[i] or _no_test(test, i),
    }


def _no_test(test: TTest, i: int) -> Statement | None:
    return NO_DF if math.isnan(test.df[i]) else None


def mean_rows(model: LinearModel, wanted: Wanted) -> list[dict[str, Any]]:
    """Marginal means of the cells of every spec."""
    out = []
    for spec in wanted.means:
        means = marginal_means(model.frame, spec)
        labels = [":".join(label) for label in means.labels]
        table = estimate(model, means.rows, labels, level=1.0 - wanted.alpha)
        out += [
            {
                "factor": ":".join(spec),
                "level": label,
                **_numbers(table.test, i),
                "low": table.low[i],
                "high": table.high[i],
                "reason": table.reason[i],
            }
            for i, label in enumerate(labels)
        ]
    return out


def contrast_table_rows(model: LinearModel, wanted: Wanted) -> list[dict[str, Any]]:
    """Contrasts of marginal means, one family per spec and kind, as emmeans makes them."""
    kinds = ["baseline", *(["pairwise"] if wanted.pairs else []), "mean"]
    return [
        row
        for spec in wanted.means
        for kind in kinds
        for row in _contrasts(model, wanted, spec, kind)
    ]


def _contrasts(
    model: LinearModel, wanted: Wanted, spec: tuple[str, ...], kind: str
) -> list[dict[str, Any]]:
    rows, labels = contrast_rows(model.frame, spec, kind, wanted.baselines(model.frame, spec))
    size = len(marginal_means(model.frame, spec).labels)
    method = applicable(wanted.adjust, kind)
    level = 1.0 - wanted.alpha
    table = estimate(model, rows, labels, adjustment=method, level=level, means=size)
    low, high = table.test.interval(level)
    return [
        {
            "factor": ":".join(spec),
            "kind": kind,
            "contrast": label,
            **_numbers(table.test, i),
            "low": low[i],
            "high": high[i],
            "adjustment": method,
            "p_adjusted": table.p[i],
            "low_simultaneous": table.low[i],
            "high_simultaneous": table.high[i],
            "reason": table.reason[i],
        }
        for i, label in enumerate(labels)
    ]


def _numbers(test: TTest, i: int) -> dict[str, Any]:
    return {
        "estimate": test.estimate[i],
        "se": test.se[i],
        "df": test.df[i],
        "statistic": test.statistic[i],
        "p": test.p[i],
    }


def effect_shell(
    factor: str, level: str, baseline: str, estimand: Estimand, method: Statement
) -> dict[str, Any]:
    """An effect with every key and no numbers."""
    return {
        "factor": factor,
        "level": level,
        "baseline": baseline,
        "estimand": estimand,
        "inference": "narrow",
        "method": method,
        "family": statement("marginal_family", estimand=estimand, order=1),
        "averaged_over": statement("over_factors", factors=[]),
        "estimate": None,
        "se": None,
        "df": None,
        "statistic": None,
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
        "notes": [],
    }


def margin_tests(rows: list[dict[str, Any]], direction: str, margin: float) -> None:
    """Equivalence (two one-sided tests) and non-inferiority against the smallest effect."""
    keys = ("estimate", "se", "df", "statistic", "p")
    values = [[math.nan if row[key] is None else row[key] for row in rows] for key in keys]
    test = TTest(*(np.array(column, dtype=np.float64) for column in values))
    df = [math.inf if row["df"] is None else row["df"] for row in rows]
    test = replace(test, df=np.array(df, dtype=np.float64))
    better = test if direction == "higher" else replace(test, estimate=-test.estimate)
    both, one_sided = equivalence(test, margin).p, non_inferiority(better, margin)
    for row, two, one in zip(rows, both, one_sided, strict=True):
        row["p_equivalence"], row["p_non_inferiority"] = two, one


def _inference(frame: ModelFrame, factor: str) -> str:
    """Broad when the factor's effect varies over the levels of some random term."""
    names = set(factor.split(":"))
    for spec in frame.formula.random:
        if names & set(variables_of(spec.terms)) or (
            len(spec.group) > 1 and names & set(spec.group)
        ):
            return "broad"
    return "narrow"


def _averaged_over(frame: ModelFrame, factor: str) -> Statement:
    own = set(factor.split(":"))
    fixed = variables_of(frame.formula.terms)
    others = [n for n in fixed if frame.variables[n].categorical and n not in own]
    return statement("over_factors", factors=others)


def verdict(effect: dict[str, Any], direction: str, smallest_effect: Any, alpha: float) -> str:
    """The verdict rule of DESIGN 5 for one effect."""
    if effect["reason"] is not None or effect["estimate"] is None or math.isnan(effect["estimate"]):
        return "not_estimated"
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
