"""Families, adjusted p values, simultaneous intervals, and the verdict rule (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.analysis.stats.inference import Estimate


@dataclass(frozen=True, kw_only=True)
class VerdictRule:
    """What turns numbers into verdicts; `rise` and `fall` name significant effects by sign."""

    alpha: float
    adjust: str
    smallest_effect: float | None
    rise: Verdict = "helps"
    fall: Verdict = "hurts"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The family's part of one row."""

    p_adjusted: float
    low_simultaneous: float
    high_simultaneous: float
    verdict: Verdict


def adjusted(p: Floats, method: str) -> Floats:
    """Holm's step-down p values of one family (Holm 1979); rows without a p are no part of it."""
    result = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1) if method == "holm" else np.ones(len(order))
    scaled = np.minimum(1.0, factors * p[order])
    result[order] = np.maximum.accumulate(scaled) if method == "holm" else scaled
    return result


def judge(family: Sequence[Estimate], rule: VerdictRule) -> list[Judgement]:
    """Adjusted p, Bonferroni simultaneous interval and verdict of every row of one family."""
    p_adjusted = adjusted(np.array([row.p for row in family]), rule.adjust)
    members = int((~np.isnan(p_adjusted)).sum())
    judgements = []
    for row, p in zip(family, p_adjusted.tolist(), strict=True):
        half = row.half_width(rule.alpha / members) if not np.isnan(p) else np.nan
        judgements.append(
            Judgement(
                p_adjusted=p,
                low_simultaneous=row.estimate - half,
                high_simultaneous=row.estimate + half,
                verdict=verdict(row, p, rule),
            )
        )
    return judgements


def verdict(row: Estimate, p_adjusted: float, rule: VerdictRule) -> Verdict:
    """Equivalent if the 1 - 2 alpha interval is within the smallest effect; else by adjusted p."""
    if row.identical:
        return "identical"
    if np.isnan(p_adjusted):
        return "not_estimated"
    margin = rule.smallest_effect
    if margin is not None and -margin < row.low_equivalence and row.high_equivalence < margin:
        return "equivalent"
    if p_adjusted < rule.alpha:
        return rule.rise if row.estimate > 0 else rule.fall
    return "inconclusive"
