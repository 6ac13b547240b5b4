"""How an effect varies between contexts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.cells.broad import FEWEST_CONTEXTS
from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.core.student import t_quantile
from ablatekit.analysis.core.tails import f_tail
from ablatekit.analysis.core.values import ContextValues, ErrorTerm

WARNING_P = 0.05


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Sd of the true context effects, its share of the observed variance, prediction interval."""

    tau: float = np.nan
    i2: float = np.nan
    prediction_low: float = np.nan
    prediction_high: float = np.nan
    warning: Statement | None = None
    reason: Statement | None = None


def spread(
    values: ContextValues, error: ErrorTerm, blocks: Mapping[str, tuple[str, ...]], alpha: float
) -> Spread:
    """Between-context variance by moments (Hedges and Olkin 1985): s^2 - mean(se^2), at least 0.

    The prediction interval for the effect in one new context is mean +- t(contexts - 1)
    sqrt(tau^2 + se^2), with se the standard error of the broad mean.
    """
    if values.reason:
        return Spread(reason=values.reason)
    count = values.contexts
    if count < FEWEST_CONTEXTS:
        return Spread(
            reason=statement("few_contexts_for_spread", contexts=count, fewest=FEWEST_CONTEXTS)
        )
    if error.reason:
        return Spread(reason=error.reason)
    effects = values.value[values.used]
    observed, noise = float(np.var(effects, ddof=1)), _noise(values, error)
    tau2 = max(0.0, observed - noise)
    half = float(t_quantile(1 - alpha / 2, count - 1)) * np.sqrt(tau2 + observed / count)
    return Spread(
        tau=tau2**0.5,
        i2=tau2 / (tau2 + noise),
        prediction_low=float(effects.mean() - half),
        prediction_high=float(effects.mean() + half),
        warning=_warning(values, error, blocks),
    )


def _noise(values: ContextValues, error: ErrorTerm) -> float:
    """Mean squared standard error of the per-context values."""
    return float(error.variance * values.factor[values.used].mean())


def _warning(
    values: ContextValues, error: ErrorTerm, blocks: Mapping[str, tuple[str, ...]]
) -> Statement | None:
    """Set when one blocking variable carries most of the real variation between contexts.

    Contexts that share that variable's value then repeat each other, and the broad df are too many.
    """
    effects = values.value[values.used]
    for name, labels in blocks.items():
        there = [label for label, used in zip(labels, values.used.tolist(), strict=True) if used]
        groups = [effects[np.array(there) == label] for label in dict.fromkeys(there)]
        if 2 <= len(groups) < len(effects) and _dominates(groups, _noise(values, error), error.df):
            return statement(
                "varies_by_variable", variable=name, contexts=len(effects), values=len(groups)
            )
    return None


def _dominates(groups: list[Floats], noise: float, df: float) -> bool:
    """Whether groups hold over half of the real variance, beyond the seed noise (F, p < 0.05)."""
    sizes = np.array([len(group) for group in groups])
    total, count = sizes.sum(), len(groups)
    means = np.array([group.mean() for group in groups])
    grand = float(sizes @ means / total)
    between = float(sizes @ (means - grand) ** 2) / (count - 1)
    within = float(sum(((g - g.mean()) ** 2).sum() for g in groups)) / (total - count)
    typical = (total - (sizes**2).sum() / total) / (count - 1)
    by_group = max(0.0, between - within) / typical
    by_context = max(0.0, within - noise)
    return by_group > by_context and f_tail(between / noise, count - 1, df) < WARNING_P
