"""What a study of this size can find: half-widths and minimum detectable effects.

With the observed variance, never the power of an observed effect, which is a function of its p
value (Hoenig and Heisey 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import special

from ablatekit.analysis.cells.broad import LevelValues, level_values
from ablatekit.analysis.cells.effects import EffectFamily, Evaluated, Fitted
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.roots import bracketed_root
from ablatekit.analysis.core.schema.companions import Detectable
from ablatekit.analysis.core.schema.vocabulary import Estimand, Statement
from ablatekit.analysis.core.student import t_quantile
from ablatekit.analysis.core.values import ErrorTerm
from ablatekit.analysis.stats.inference import Estimate

POWER = 0.8
MORE = (0, 1, 2, 4, 8)
SHOWN: tuple[Estimand, ...] = ("average", "baseline", "removal")


@lru_cache(maxsize=4096)
def detectable_in_se(df: float, alpha: float, power: float = POWER) -> float:
    """Smallest true effect, in standard errors, that a two-sided t test finds with this power.

    The noncentrality at which P(|T| > t(1 - alpha / 2, df)) = power (Cohen 1988, 2.5).
    """
    critical = float(t_quantile(1 - alpha / 2, df))

    def gap(shift: float) -> float:
        below, above = (special.nctdtr(df, shift, limit) for limit in (-critical, critical))
        # The function is NaN instead of 0 far out in the tail.
        return 1.0 + float(np.nan_to_num(below) - np.nan_to_num(above)) - power

    return bracketed_root(gap, 0.0, 2 * critical + 10.0, 1e-10)


def detectable_rows(
    fitted: Fitted, families: Sequence[EffectFamily], alpha: float
) -> list[Detectable]:
    """For every effect, narrow and over one variable: the study's replicates, and more of them."""
    return [
        row
        for family in families
        if family.estimand in SHOWN and len(family.scope) < 2
        for effect, estimate in family.members
        for row in _rows(fitted, effect, estimate, family, alpha)
    ]


def _rows(
    fitted: Fitted, effect: Evaluated, estimate: Estimate, family: EffectFamily, alpha: float
) -> list[Detectable]:
    now = fitted.layout.replicates
    if estimate.reason:
        return [_row(effect, family, now, (np.nan, np.nan), alpha, estimate.reason)]
    rows = []
    for more in MORE:
        precision = (estimate.se, estimate.df) if more == 0 else None
        if more and family.inference == "narrow" and estimate.precision is not None:
            precision = estimate.precision(now + more)
        if more and family.inference == "broad":
            levels = level_values(effect.values, fitted.layout.blocks[family.scope[0]])
            precision = broad_precision(estimate, levels, fitted.model.error, now, now + more)
        if precision is not None and precision[1] > 0:
            rows.append(_row(effect, family, now + more, precision, alpha, None))
    return rows


def broad_precision(
    estimate: Estimate, levels: LevelValues, error: ErrorTerm, now: int, replicates: int
) -> tuple[float, float] | None:
    """Standard error and df of the mean over levels if each context had more replicates.

    Only the part of the spread between levels that is seed noise shrinks; None without an
    estimate of the noise.
    """
    if error.reason:
        return None
    count = len(levels.value)
    observed = estimate.se**2 * count
    noise = min(observed, float(error.variance * levels.noise.mean()))
    variance = observed - noise * (1 - now / replicates)
    return float(np.sqrt(variance / count)), estimate.df


def _row(
    effect: Evaluated,
    family: EffectFamily,
    replicates: int,
    precision: tuple[float, float],
    alpha: float,
    reason: Statement | None,
) -> Detectable:
    se, df = precision
    half, smallest = np.nan, np.nan
    if reason is None:
        half = float(t_quantile(1 - alpha / 2, df)) * se
        smallest = detectable_in_se(float(df), alpha) * se
    return Detectable(
        factor=effect.contrast.factor,
        level=effect.contrast.level,
        estimand=effect.contrast.estimand,
        inference=family.inference,
        scope=list(family.scope),
        replicates=replicates,
        contexts=effect.values.contexts,
        half_width=number(half),
        minimum_detectable=number(smallest),
        power=POWER,
        reason=reason,
    )
