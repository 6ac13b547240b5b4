"""Families, simultaneous intervals, margins, and the verdict rule (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.analysis.core.student import upper_tail
from ablatekit.analysis.stats.adjust import Adjustment, adjust_p
from ablatekit.analysis.stats.inference import Estimate


@dataclass(frozen=True, kw_only=True)
class VerdictRule:
    """What turns numbers into verdicts; `rise` and `fall` name significant effects by sign."""

    alpha: float
    adjust: Adjustment
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


@dataclass(frozen=True, kw_only=True)
class MarginTest:
    """P values that an effect lies inside the margins (two one-sided tests), or above the lower."""

    equivalence: float
    non_inferiority: float


def rule_for(
    direction: str, alpha: float, adjust: Adjustment, smallest_effect: float | None
) -> VerdictRule:
    """The rule for a response that is better when `direction` (higher or lower)."""
    rise: Verdict = "helps" if direction == "higher" else "hurts"
    fall: Verdict = "hurts" if direction == "higher" else "helps"
    return VerdictRule(
        alpha=alpha, adjust=adjust, smallest_effect=smallest_effect, rise=rise, fall=fall
    )


def judge(family: Sequence[Estimate], rule: VerdictRule) -> list[Judgement]:
    """Adjusted p, Bonferroni simultaneous interval and verdict of every row of one family.

    Rows without a p are no part of the family.
    """
    p_raw = np.array([row.p for row in family])
    members = int((~np.isnan(p_raw)).sum())
    p_adjusted = adjust_p(p_raw, rule.adjust, members)
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
    if row.reason is not None or np.isnan(row.estimate):
        return "not_estimated"
    margin = rule.smallest_effect
    if margin is not None and -margin < row.low_equivalence and row.high_equivalence < margin:
        return "equivalent"
    if p_adjusted < rule.alpha:
        return rule.rise if row.estimate > 0 else rule.fall
    return "inconclusive"


def margin_test(row: Estimate, margin: float, *, higher: bool) -> MarginTest:
    """Schuirmann 1987 against +-margin; non-inferiority in the direction that is better.

    `margin` is positive. NaN where the row has no standard error.
    """
    if not row.se > 0.0:
        return MarginTest(equivalence=np.nan, non_inferiority=np.nan)
    above, below = (
        float(upper_tail((margin + sign * row.estimate) / row.se, row.df)) for sign in (1.0, -1.0)
    )
    return MarginTest(
        equivalence=float(np.maximum(above, below)), non_inferiority=above if higher else below
    )
