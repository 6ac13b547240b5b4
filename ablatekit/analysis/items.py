"""The item level of a response: where outcomes vary, and effects on items like these.

Outcomes y_ri (item i in run r, mean over samples) follow a linear probability model with the
response's own fixed part, contexts fixed, and random runs and items,

    y = cells in contexts + (1 | run) + (1 | dataset:item) + residual,

weighted by samples. On complete tables its fixed effects are those of run means, so the effect
table stays the run-level one; what items add is where the variance lies, and whether effects would
hold on other items (`item_effects`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablatekit.analysis.effects import Evaluated, Fitted
from ablatekit.analysis.item_effects import Crossed, ItemEffect, complete_crossings, item_effect
from ablatekit.analysis.item_model import item_frame, item_slope
from ablatekit.analysis.layout import counted
from ablatekit.analysis.mixed.fit import SINGULAR, MixedFit, fit_mixed
from ablatekit.analysis.numbers import number, whole
from ablatekit.analysis.outcomes import Outcomes
from ablatekit.analysis.schema import (
    ItemEffectRow,
    ItemLevel,
    ModelRecord,
    RandomTerm,
    VarianceShare,
)
from ablatekit.analysis.student import t_quantile, two_sided
from ablatekit.errors import NotEstimableError, TableError

FORMULA = "outcome ~ cell:context + (1 | run) + (1 | dataset:item)"
FOOTER = (
    "Linear probability model of item outcomes, contexts fixed, weighted by samples; items are "
    "nested in their data set. Effects on items like these: equal-weight contrasts of cell means "
    "with the items of each data set as a random sample, from mean squares where every run of a "
    "data set saw the same items and from a mixed model with a random slope per item elsewhere; "
    "Satterthwaite df, never above those of the runs; not adjusted. Item outcomes are repeated "
    "measures of a run, never replicates."
)


def item_level(
    outcomes: Outcomes, fitted: Fitted, average: Sequence[Evaluated], alpha: float
) -> ItemLevel:
    """The section of a response that keeps item outcomes; a part without numbers has its reason."""
    section = ItemLevel(
        split=outcomes.split,
        runs=len(np.unique(outcomes.run)),
        items=outcomes.items,
        outcomes=int(outcomes.samples.sum()),
        random=[],
        shares=[],
        effects=_effects(outcomes, fitted, average, alpha),
        messages=_messages(outcomes),
        footer=FOOTER,
        reason=None,
    )
    try:
        if fitted.model.error.reason:
            raise NotEstimableError(fitted.model.error.reason)
        fit = fit_mixed(item_frame(outcomes, fitted))
    except (NotEstimableError, TableError) as error:
        return {**section, "reason": str(error).splitlines()[0]}
    return {
        **section,
        "model": _model(fit),
        "random": _random(fit),
        "shares": _shares(fit, outcomes, fitted),
    }


def _messages(outcomes: Outcomes) -> list[str]:
    if not outcomes.left_out:
        return []
    runs = counted(outcomes.left_out, "run")
    return [f"{runs} left out: the response is not the mean of the run's last item outcomes"]


def _model(fit: MixedFit) -> ModelRecord:
    return ModelRecord(
        formula=FORMULA,
        method="reml",
        n=fit.n,
        criterion=number(fit.criterion),
        converged=fit.convergence.converged,
        singular=fit.singular,
        messages=[*fit.convergence.messages, *_zero(fit)],
    )


def _zero(fit: MixedFit) -> list[str]:
    """Which variances are estimated as zero."""
    groups = [c.group for c in fit.components if c.sd < SINGULAR * fit.sigma]
    return [f"the variance between {group} levels is estimated as 0" for group in groups]


def _random(fit: MixedFit) -> list[RandomTerm]:
    rows = [
        RandomTerm(group=c.group, name=c.name, variance=c.variance, sd=c.sd) for c in fit.components
    ]
    rest = RandomTerm(group="Residual", name="", variance=fit.sigma**2, sd=fit.sigma)
    return [*rows, rest]


def _shares(fit: MixedFit, outcomes: Outcomes, fitted: Fitted) -> list[VarianceShare]:
    """Parts of the variance of outcomes; fixed ones as variances of fitted means over rows."""
    mean = (fit.frame.x @ fit.beta)[fit.frame.cell]
    context = fitted.values.context[outcomes.run]
    by_context = np.bincount(context, mean) / np.maximum(np.bincount(context), 1)
    within = mean - by_context[context]
    by_group = {component.group: component.variance for component in fit.components}
    parts = {
        "design choices": float(within.var()),
        "contexts": float(by_context[context].var()),
        "runs (seeds)": by_group["run"],
        "items": by_group["dataset:item"],
        "draws and run x item": fit.sigma**2,
    }
    total = sum(parts.values())
    return [
        VarianceShare(source=source, variance=number(part), share=number(part / total))
        for source, part in parts.items()
    ]


def _effects(
    outcomes: Outcomes, fitted: Fitted, average: Sequence[Evaluated], alpha: float
) -> list[ItemEffectRow]:
    """Average effects on items like these; by mean squares where the crossing is complete."""
    crossed = complete_crossings(outcomes, fitted)
    return [_effect(one, crossed, outcomes, fitted, alpha) for one in average]


def _effect(
    one: Evaluated, crossed: Crossed | None, outcomes: Outcomes, fitted: Fitted, alpha: float
) -> ItemEffectRow:
    reason = one.values.reason or fitted.model.error.reason
    if reason:
        return _row(one, None, reason, alpha)
    if crossed is not None:
        return _row(one, item_effect(crossed, one.values), None, alpha)
    try:
        return _row(one, item_slope(outcomes, fitted, one.values), None, alpha)
    except (NotEstimableError, TableError) as error:
        return _row(one, None, str(error).splitlines()[0], alpha)


def _row(
    one: Evaluated, found: ItemEffect | None, reason: str | None, alpha: float
) -> ItemEffectRow:
    estimate, se, df, sd = (
        (np.nan,) * 4 if found is None else (found.estimate, found.se, found.df, found.sd)
    )
    half = float(t_quantile(1 - alpha / 2, df)) * se
    return ItemEffectRow(
        factor=one.contrast.factor,
        level=one.contrast.level,
        baseline=one.contrast.baseline,
        estimate=number(estimate),
        se=number(se),
        df=whole(df),
        low=number(estimate - half),
        high=number(estimate + half),
        p=number(float(two_sided(estimate / se, df))) if found is not None else None,
        item_sd=number(sd),
        reason=reason,
    )
