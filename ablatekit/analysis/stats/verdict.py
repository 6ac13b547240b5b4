"""Families, simultaneous intervals, margins, and the verdict rule (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ablatekit.analysis.core.arrays import Floats
from ablatekit.analysis.core.schema.vocabulary import Size, Verdict
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
    p_margin_adjusted: float
    low_simultaneous: float
    high_simultaneous: float
    verdict: Verdict
    size: Size | None


class FamilyTests(Protocol):
    """How the p values of one family are adjusted, and how wide its simultaneous intervals are."""

    def adjusted(self, family: Sequence[Estimate]) -> Floats:
        """P values of zero effects (k,), NaN for rows without a p."""

    def beyond(self, family: Sequence[Estimate], margin: float) -> Floats:
        """P values of effects within +-margin (k,)."""

    def half_widths(self, family: Sequence[Estimate], alpha: float) -> Floats:
        """Half of the simultaneous 1 - alpha intervals (k,)."""


@dataclass(frozen=True)
class StepDown:
    """Holm's, or another adjustment of p values; Bonferroni's simultaneous intervals."""

    adjust: Adjustment

    def adjusted(self, family: Sequence[Estimate]) -> Floats:
        """P values of zero effects (k,)."""
        return self._adjust(np.array([row.p for row in family]))

    def beyond(self, family: Sequence[Estimate], margin: float) -> Floats:
        """P values of effects within +-margin (k,)."""
        tested = [row.beyond(margin) if not np.isnan(row.p) else np.nan for row in family]
        return self._adjust(np.array(tested))

    def half_widths(self, family: Sequence[Estimate], alpha: float) -> Floats:
        """Bonferroni's (k,)."""
        members = sum(not np.isnan(row.p) for row in family)
        halves = [np.nan if np.isnan(row.p) else row.half_width(alpha / members) for row in family]
        return np.array(halves)

    def _adjust(self, p: Floats) -> Floats:
        return adjust_p(p, self.adjust, int((~np.isnan(p)).sum()))


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


def judge(
    family: Sequence[Estimate], rule: VerdictRule, tests: FamilyTests | None = None
) -> list[Judgement]:
    """Adjusted p values, simultaneous interval, direction and size of every row of one family.

    Rows without a p are no part of the family. `tests` adjust otherwise than the rule says.
    """
    tests = tests or StepDown(rule.adjust)
    margin = rule.smallest_effect
    unknown = np.full(len(family), np.nan)
    p_adjusted = tests.adjusted(family)
    p_margin = unknown if margin is None else tests.beyond(family, margin)
    half = tests.half_widths(family, rule.alpha)
    return [
        _judgement(row, float(p), float(beyond), float(width), rule)
        for row, p, beyond, width in zip(family, p_adjusted, p_margin, half, strict=True)
    ]


def _judgement(
    row: Estimate, p: float, p_margin: float, half: float, rule: VerdictRule
) -> Judgement:
    judged = verdict(row, p, rule)
    return Judgement(
        p_adjusted=p,
        p_margin_adjusted=p_margin,
        low_simultaneous=row.estimate - half,
        high_simultaneous=row.estimate + half,
        verdict=judged,
        size=size(row, p_margin, judged, rule),
    )


def verdict(row: Estimate, p_adjusted: float, rule: VerdictRule) -> Verdict:
    """A direction by the adjusted p; else equivalent within the margin (at 1 - 2 alpha)."""
    if row.identical:
        return "identical"
    if row.reason is not None or np.isnan(row.estimate):
        return "not_estimated"
    if p_adjusted < rule.alpha:
        return rule.rise if row.estimate > 0 else rule.fall
    return "equivalent" if _within_margin(row, rule) else "inconclusive"


def size(
    row: Estimate, p_margin_adjusted: float, judged: Verdict, rule: VerdictRule
) -> Size | None:
    """By more than matters at alpha / 2, less if the 1 - 2 alpha interval is in the margin.

    None without a direction or a smallest effect.
    """
    if rule.smallest_effect is None or judged not in (rule.rise, rule.fall):
        return None
    if p_margin_adjusted < rule.alpha / 2:
        return "by_more"
    return "less" if _within_margin(row, rule) else "open"


def _within_margin(row: Estimate, rule: VerdictRule) -> bool:
    margin = rule.smallest_effect
    if margin is None:
        return False
    return bool(-margin < row.low_equivalence and row.high_equivalence < margin)


def margin_p(family: Sequence[Estimate], margin: float | None, adjust: Adjustment) -> Floats:
    """Adjusted p values of effects within +-margin (k,), NaN without a margin.

    A method that is made for a family's zero hypotheses only gives way to Holm's.
    """
    if margin is None:
        return np.full(len(family), np.nan)
    stepped = adjust if adjust in ("none", "holm", "bh", "bonferroni") else "holm"
    return StepDown(stepped).beyond(family, margin)


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
