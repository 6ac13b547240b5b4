"""Rows of a response that come from one linear model: coefficients, effects, means, ANOVA."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.formula import ContrastRow, JointTest, MeanRow
from ablatekit.analysis.core.schema.model import AnovaRow, FixedRow
from ablatekit.analysis.core.schema.vocabulary import (
    Estimand,
    InferenceName,
    Statement,
    statement,
)
from ablatekit.analysis.engine.formula import variables_of
from ablatekit.analysis.engine.frame import ModelFrame
from ablatekit.analysis.posthoc.anova import AnovaTerm
from ablatekit.analysis.posthoc.coefficient_tests import DfMethod, FTest, LinearModel, TTest
from ablatekit.analysis.posthoc.emm import (
    ContrastFamily,
    contrast_rows,
    contrast_table,
    estimate,
    means_table,
)
from ablatekit.analysis.stats.adjust import Adjustment, applicable, critical_values
from ablatekit.analysis.stats.effectsize import EffectSize, SizeName, partial_size, with_interval
from ablatekit.analysis.stats.inference import Estimate
from ablatekit.analysis.stats.rows import EffectName, SizeKey, TermTest, anova_row, effect_row
from ablatekit.analysis.stats.verdict import (
    Judgement,
    VerdictRule,
    margin_p,
    margin_test,
    size,
    verdict,
)

ContrastKind: TypeAlias = Literal["baseline", "pairwise", "mean"]

ALIASED = statement("aliased")
NO_DF = statement("no_df_left")
METHODS: Mapping[DfMethod, Statement] = {
    "satterthwaite": statement("satterthwaite"),
    "kenward-roger": statement("kenward_roger"),
    "residual": statement("residual"),
    "asymptotic": statement("asymptotic"),
}
PARTIAL_SIZES: Mapping[SizeName, SizeKey] = {
    "eta2": "partial_eta2",
    "omega2": "partial_omega2",
    "epsilon2": "partial_epsilon2",
}


def fixed_rows(test: TTest, names: Sequence[str], alpha: float) -> list[FixedRow]:
    """One row per coefficient."""
    low, high = test.interval(1.0 - alpha)
    return [
        FixedRow(
            term=name,
            estimate=number(test.estimate[i]),
            se=number(test.se[i]),
            df=number(test.df[i]),
            statistic=number(test.statistic[i]),
            p=number(test.p[i]),
            low=number(low[i]),
            high=number(high[i]),
        )
        for i, name in enumerate(names)
    ]


def joint_test(test: FTest) -> JointTest:
    """A joint F test."""
    return JointTest(
        num_df=test.num_df,
        den_df=number(test.den_df),
        statistic=number(test.statistic),
        p=number(test.p),
        sum_squares=number(test.sum_squares),
    )


def mixed_anova_row(term: AnovaTerm, alpha: float) -> AnovaRow:
    """One row of the ANOVA table of a mixed model, effect sizes with limits at 1 - alpha."""
    test = term.test
    if test is None:
        return anova_row(TermTest(term=term.term, reason=ALIASED, notes=term.notes))
    sizes: dict[SizeKey, EffectSize] = {}
    for name, key in PARTIAL_SIZES.items():
        value = partial_size(name, test.statistic, float(test.num_df), test.den_df)
        sizes[key] = with_interval(value, float(test.num_df), test.den_df, 1.0 - alpha)
    return anova_row(
        TermTest(
            term=term.term,
            num_df=test.num_df,
            den_df=test.den_df,
            statistic=test.statistic,
            p=test.p,
            sum_squares=test.sum_squares,
            sizes=sizes,
            notes=term.notes,
        )
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is compared: `factors` with their baselines, `means` as specs of factors, and how.

    `pairs` adds all pairwise comparisons; `rule` judges, and names the method for families.
    """

    factors: dict[str, str]
    means: tuple[tuple[str, ...], ...]
    pairs: bool
    rule: VerdictRule

    @property
    def alpha(self) -> float:
        """The level of tests and intervals."""
        return self.rule.alpha

    def baselines(self, frame: ModelFrame, spec: Sequence[str]) -> list[str]:
        """The baseline of every factor of a spec."""
        return [
            self.factors.get(name) or frame.variables[name].levels[frame.variables[name].baseline]
            for name in spec
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """A family's part of one effect: its method, adjusted p and simultaneous limits."""

    method: Adjustment
    p: float
    p_margin: float = math.nan
    low: float = math.nan
    high: float = math.nan


def judged_effect(
    name: EffectName, estimated: Estimate, adjusted: Adjusted, rule: VerdictRule
) -> Effect:
    """The row of one effect; with a smallest effect, equivalence and non-inferiority too."""
    judged = verdict(estimated, adjusted.p, rule)
    judgement = Judgement(
        p_adjusted=adjusted.p,
        p_margin_adjusted=adjusted.p_margin,
        low_simultaneous=adjusted.low,
        high_simultaneous=adjusted.high,
        verdict=judged,
        size=size(estimated, adjusted.p_margin, judged, rule),
    )
    row = effect_row(name, estimated, judgement)
    row["statistic"] = number(estimated.estimate / estimated.se) if estimated.se > 0.0 else None
    row["adjustment"] = adjusted.method
    if rule.smallest_effect is not None:
        test = margin_test(estimated, rule.smallest_effect, higher=rule.rise == "helps")
        row["p_equivalence"] = number(test.equivalence)
        row["p_non_inferiority"] = number(test.non_inferiority)
    return row


def effect_rows(model: LinearModel, wanted: Wanted) -> list[Effect]:
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
) -> list[Effect]:
    kind = "baseline" if order == 1 else "interaction"
    rows, labels, names = [], [], list[EffectName]()
    for spec in specs:
        bases = wanted.baselines(model.frame, spec)
        functions, contrasts = contrast_rows(model.frame, spec, kind, bases)
        rows.append(functions)
        labels += contrasts
        factor, base = ":".join(spec), ":".join(bases)
        for contrast in contrasts:
            level = contrast.removesuffix(f" - {base}") if kind == "baseline" else contrast
            names.append(effect_name(model.frame, factor, level, base, order))
    if not labels:
        return []
    method = applicable(wanted.rule.adjust, kind if len(specs) == 1 else "several factors")
    table = estimate(model, np.vstack(rows), labels, adjustment=method, level=1.0 - wanted.alpha)
    limits = _simultaneous(table, wanted.alpha)
    estimates = [
        _estimated(table, i, METHODS[model.method], wanted.alpha) for i in range(len(names))
    ]
    beyond = margin_p(estimates, wanted.rule.smallest_effect, method)
    return [
        judged_effect(
            name,
            estimates[i],
            Adjusted(
                method=method,
                p=table.p[i],
                p_margin=float(beyond[i]),
                low=limits[0][i],
                high=limits[1][i],
            ),
            wanted.rule,
        )
        for i, name in enumerate(names)
    ]


def effect_name(
    frame: ModelFrame, factor: str, level: str, baseline: str, order: int = 1
) -> EffectName:
    """What one contrast of marginal means is about."""
    estimand: Estimand = "average" if order == 1 else "interaction"
    return EffectName(
        factor=factor,
        level=level,
        baseline=baseline,
        estimand=estimand,
        inference=_inference(frame, factor),
        family=statement("marginal_family", estimand=estimand, order=order),
        averaged_over=_averaged_over(frame, factor),
    )


def _estimated(table: ContrastFamily, i: int, method: Statement, alpha: float) -> Estimate:
    test = table.test
    low, high = (float(side[i]) for side in test.interval(1.0 - alpha))
    inner_low, inner_high = (float(side[i]) for side in test.interval(1.0 - 2.0 * alpha))
    return Estimate(
        method=method,
        estimate=float(test.estimate[i]),
        se=float(test.se[i]),
        df=float(test.df[i]),
        low=low,
        high=high,
        low_equivalence=inner_low,
        high_equivalence=inner_high,
        p=float(test.p[i]),
        reason=table.reason[i] or (NO_DF if math.isnan(test.df[i]) else None),
    )


def _simultaneous(table: ContrastFamily, alpha: float) -> tuple[Floats, Floats]:
    """Limits (k,) that hold together; Sidak's where the adjustment is stepwise."""
    if table.adjustment not in ("holm", "bh", "sidak"):
        return table.low, table.high
    half = critical_values(table.test.df, "sidak", 1.0 - alpha) * table.test.se
    return table.test.estimate - half, table.test.estimate + half


def mean_rows(model: LinearModel, wanted: Wanted) -> list[MeanRow]:
    """Marginal means of the cells of every spec."""
    rows = []
    for spec in wanted.means:
        table = means_table(model, spec, 1.0 - wanted.alpha)
        rows += [
            MeanRow(
                factor=":".join(spec),
                level=label,
                estimate=number(table.test.estimate[i]),
                se=number(table.test.se[i]),
                df=number(table.test.df[i]),
                statistic=number(table.test.statistic[i]),
                p=number(table.test.p[i]),
                low=number(table.low[i]),
                high=number(table.high[i]),
                reason=table.reason[i],
            )
            for i, label in enumerate(table.labels)
        ]
    return rows


def contrast_table_rows(model: LinearModel, wanted: Wanted) -> list[ContrastRow]:
    """Contrasts of marginal means, one family per spec and kind, as emmeans makes them."""
    kinds: list[ContrastKind] = ["baseline", "pairwise", "mean"]
    return [
        row
        for spec in wanted.means
        for kind in kinds
        if wanted.pairs or kind != "pairwise"
        for row in _contrasts(model, wanted, spec, kind)
    ]


def _contrasts(
    model: LinearModel, wanted: Wanted, spec: tuple[str, ...], kind: ContrastKind
) -> list[ContrastRow]:
    method = applicable(wanted.rule.adjust, kind)
    level, baselines = 1.0 - wanted.alpha, wanted.baselines(model.frame, spec)
    table = contrast_table(model, spec, kind, adjustment=method, baselines=baselines, level=level)
    low, high = table.test.interval(level)
    return [
        ContrastRow(
            factor=":".join(spec),
            kind=kind,
            contrast=label,
            estimate=number(table.test.estimate[i]),
            se=number(table.test.se[i]),
            df=number(table.test.df[i]),
            statistic=number(table.test.statistic[i]),
            p=number(table.test.p[i]),
            low=number(low[i]),
            high=number(high[i]),
            adjustment=method,
            p_adjusted=number(table.p[i]),
            low_simultaneous=number(table.low[i]),
            high_simultaneous=number(table.high[i]),
            reason=table.reason[i],
        )
        for i, label in enumerate(table.labels)
    ]


def _inference(frame: ModelFrame, factor: str) -> InferenceName:
    """Broad when the factor's effect varies over the levels of some random term."""
    names = set(factor.split(":"))
    for spec in frame.formula.random:
        if names & set(variables_of(spec.terms)) or (
            len(spec.group) > 1 and names & set(spec.group)
        ):
            return "broad"
    return "narrow"


def _averaged_over(frame: ModelFrame, factor: str) -> Statement:
    named = set(factor.split(":"))
    fixed = variables_of(frame.formula.terms)
    others = [n for n in fixed if frame.variables[n].categorical and n not in named]
    return statement("over_factors", factors=others)
