"""Every configuration (a cell) against the baseline cell (DESIGN 5).

From raw cell means inside each context, never from a truncated model: a configuration is one cell,
and what interactions do to it is the question. Narrow rows are a family of comparisons with one
baseline (Dunnett), and say which cells may be the best (Hsu); broad ones have the scopes of
effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ablatekit.analysis.cells.broad import Scope, broad, scopes
from ablatekit.analysis.cells.cell_means import CellMeans
from ablatekit.analysis.cells.contrasts import DIFFERENCE, Contrast
from ablatekit.analysis.cells.effects import (
    UNEQUAL_VARIANCES,
    Evaluated,
    Fitted,
    Price,
    covered,
    family_name,
    over_scope,
    plain_row,
)
from ablatekit.analysis.core.arrays import Floats, Integers
from ablatekit.analysis.core.layout import NOT_SET, Layout
from ablatekit.analysis.core.numbers import number
from ablatekit.analysis.core.schema.effects import Configuration, Configurations, PlainRow, Suffices
from ablatekit.analysis.core.schema.vocabulary import InferenceName, Statement, statement
from ablatekit.analysis.core.student import upper_tail
from ablatekit.analysis.core.values import ContextValues, no_values
from ablatekit.analysis.stats.best import compare_with_best
from ablatekit.analysis.stats.dunnett import Sides, dunnett_critical, dunnett_p, product_bound
from ablatekit.analysis.stats.inference import Estimate, narrow
from ablatekit.analysis.stats.rows import EffectName, effect_row
from ablatekit.analysis.stats.verdict import (
    FamilyTests,
    Judgement,
    StepDown,
    VerdictRule,
    judge,
)

CONFIGURATION = "configuration"
NO_BASELINE = statement("no_baseline_cell")
EXACT = 1e-9


@dataclass(frozen=True)
class AgainstBaseline:
    """Dunnett's tests of a family whose estimates share the baseline cell's error.

    `shared` (k,) is each estimate's correlation with that error. Rows without a p have no part.
    """

    shared: Floats
    df: float

    def adjusted(self, family: Sequence[Estimate]) -> Floats:
        """P values of zero effects (k,): P(max |T| >= |t|)."""
        return dunnett_p(_statistics(family), self.shared, self.df)

    def beyond(self, family: Sequence[Estimate], margin: float) -> Floats:
        """P values of effects within +-margin (k,): the largest of k tests at the margins.

        At the margin on the side of its estimate each effect is tested one-sided; the chance to
        fall beyond the other margin is added member by member, which is what makes a margin of 0
        two-sided. The two-sided chance bounds both.
        """
        t = _statistics(family)
        se = np.array([row.se for row in family])
        near = np.abs(t) - margin / se
        one = dunnett_p(near, np.where(t < 0.0, -1.0, 1.0) * self.shared, self.df, "one")
        far = upper_tail(near[:, None] + 2.0 * margin / se, self.df)
        two = np.where(near > 0.0, dunnett_p(near, self.shared, self.df), 1.0)
        return np.where(np.isnan(t), np.nan, np.minimum(two, one + np.nansum(far, axis=1)))

    def half_widths(self, family: Sequence[Estimate], alpha: float) -> Floats:
        """Half of the simultaneous 1 - alpha intervals (k,)."""
        return self._widths(family, alpha, "two")

    def bound_widths(self, family: Sequence[Estimate], alpha: float) -> Floats:
        """How far simultaneous one-sided 1 - alpha bounds lie from the estimates (k,)."""
        return self._widths(family, alpha, "one")

    def _widths(self, family: Sequence[Estimate], alpha: float, sides: Sides) -> Floats:
        members = ~np.isnan(_statistics(family))
        if not members.any():
            return np.full(len(family), np.nan)
        critical = dunnett_critical(self.shared[members][None, :], self.df, 1.0 - alpha, sides)
        return np.where(members, critical * np.array([row.se for row in family]), np.nan)


def _statistics(family: Sequence[Estimate]) -> Floats:
    return np.array([row.estimate / row.se if not np.isnan(row.p) else np.nan for row in family])


def configurations(
    fitted: Fitted,
    response: str,
    rule: VerdictRule,
    inferences: Sequence[InferenceName],
    price: Price | None = None,
) -> Configurations | None:
    """Every cell against the baseline cell under every inference and scope.

    None where the design has no second cell. Without the baseline cell nothing is compared, and the
    answer on the baseline says so.
    """
    layout = fitted.layout
    if len(layout.units) < 2:
        return None
    section = Configurations(
        baseline=cell_levels(layout, baseline_cell(layout)),
        baseline_may_be_best=None,
        baseline_best_low=None,
        baseline_best_high=None,
        rows=[],
        plain_contexts=[],
        suffices=[],
        best_reason=None,
        notes=[],
    )
    compared = compared_cells(fitted, rule)
    for inference in inferences:
        for scope in scopes(layout) if inference == "broad" else ((),):
            if compared is None:
                section["suffices"].append(_unanswered(inference, scope, rule, NO_BASELINE))
            else:
                _compare(section, compared, response, inference, scope, price)
    if compared is not None:
        section["plain_contexts"] = _plain(compared)
    return section


def baseline_cell(layout: Layout) -> Integers:
    """Level indices (F,) of the cell with every factor at its baseline, where that exists.

    A conditional factor is not set where the baseline of the other one is not among its own.
    """
    cell = layout.baselines.copy()
    for conditional in layout.conditionals:
        if int(cell[conditional.outer]) not in conditional.inside:
            cell[conditional.inner] = conditional.absent
    return cell


def compared_cells(fitted: Fitted, rule: VerdictRule) -> ComparedCells | None:
    """The cells beside the baseline cell; None where no run has that cell."""
    baseline = baseline_cell(fitted.layout)
    unit = fitted.layout.unit_of.get(int(baseline @ fitted.layout.strides))
    return None if unit is None else ComparedCells(fitted, baseline, unit, rule)


@dataclass(frozen=True)
class ComparedCells:
    """The cells of a design beside its baseline cell, which is one of them."""

    fitted: Fitted
    baseline: Integers
    unit: int
    rule: VerdictRule

    @property
    def cells(self) -> CellMeans:
        """The raw cell means."""
        return self.fitted.cells

    @cached_property
    def others(self) -> list[int]:
        """The units that are compared with the baseline's."""
        return [unit for unit in range(len(self.fitted.layout.units)) if unit != self.unit]

    @cached_property
    def evaluated(self) -> list[Evaluated]:
        """Every such unit minus the baseline's, in every context that has both."""
        return [self._evaluate(unit) for unit in self.others]

    def _evaluate(self, unit: int) -> Evaluated:
        layout = self.fitted.layout
        cell = layout.unit_cells[unit]
        code = int(cell @ layout.strides)
        contrast = Contrast(
            factor=CONFIGURATION,
            level=_label(layout, cell, self.baseline),
            baseline=_label(layout, self.baseline, cell),
            estimand="configuration",
            varied=(),
            codes=np.array([[code, int(self.baseline @ layout.strides)]], dtype=np.int64),
            weights=DIFFERENCE[None, :],
        )
        return Evaluated(contrast, self._values(contrast))

    def _values(self, contrast: Contrast) -> ContextValues:
        if self.fitted.refused is not None:
            return no_values(len(self.fitted.layout.contexts), self.fitted.refused, 1)
        return self.cells.evaluate(contrast)

    @cached_property
    def unequal(self) -> bool:
        """Whether variances differ between cells, which no pooled error survives."""
        return self.fitted.brown_forsythe < UNEQUAL_VARIANCES

    def estimates(self, inference: InferenceName, scope: Scope) -> list[Estimate]:
        """All configurations under one inference."""
        alpha = self.rule.alpha
        if inference == "broad":
            layout = self.fitted.layout
            return [broad(effect.values, scope, layout, alpha) for effect in self.evaluated]
        return [self.narrow(effect.values) for effect in self.evaluated]

    def narrow(self, values: ContextValues) -> Estimate:
        """A contrast of raw cell means here, with the pooled error or that of its own cells."""
        error = self.cells.error
        separate = self.unequal and error.reason is None and values.reason is None
        welch = self.cells.welch(values) if separate else None
        return narrow(values, error, self.rule.alpha, welch)

    def tests(self, inference: InferenceName) -> FamilyTests:
        """Dunnett's where one pooled error serves a family, else Holm's."""
        pooled = inference == "narrow" and not self.unequal and self.cells.error.reason is None
        if pooled and self.rule.adjust != "none":
            return AgainstBaseline(self.product[0], float(self.cells.error.df))
        return StepDown(self.rule.adjust)

    @cached_property
    def product(self) -> tuple[Floats, bool]:
        """Correlations with the baseline's error (k,), and whether their products are exact.

        They are where all configurations have the same contexts; else each product is at most the
        correlation, which makes the family's tests conservative.
        """
        used = np.array([effect.values.used for effect in self.evaluated], dtype=np.float64)
        share = used / np.maximum(used.sum(axis=1, keepdims=True), 1.0)
        factor = np.array([effect.values.factor for effect in self.evaluated])
        variance = np.where(used > 0.0, share**2 * factor, 0.0).sum(axis=1)
        _, baseline = self.cells.cell(self.unit)
        there = np.where(np.isfinite(baseline), baseline, 0.0)
        sd = np.sqrt(np.where(variance > 0.0, variance, np.inf))
        correlation = (share * there) @ share.T / np.outer(sd, sd)
        own = np.sqrt(share**2 @ there) / sd
        shared = product_bound(correlation, own, used.sum(axis=1))
        gap = correlation - np.outer(shared, shared)
        np.fill_diagonal(gap, 0.0)
        return shared, bool(np.abs(gap).max(initial=0.0) < EXACT)


def _compare(
    section: Configurations,
    compared: ComparedCells,
    response: str,
    inference: InferenceName,
    scope: Scope,
    price: Price | None,
) -> None:
    """Add the rows of one inference and scope to the section, and their answer on the baseline."""
    rule = compared.rule
    estimates = compared.estimates(inference, scope)
    tests = compared.tests(inference)
    judgements = judge(estimates, rule, tests)
    limits: Mapping[int, _Limits] = {}
    if inference == "narrow":
        limits, section["best_reason"] = _best(compared)
        section["notes"] += _notes(compared, tests)
        own = limits.get(compared.unit, NO_LIMITS)
        section["baseline_may_be_best"] = own.may_be_best
        section["baseline_best_low"], section["baseline_best_high"] = own.low, own.high
    for unit, effect, estimate, judgement in zip(
        compared.others, compared.evaluated, estimates, judgements, strict=True
    ):
        row = _row(compared, effect, estimate, judgement, response, inference, scope, price)
        section["rows"].append(_with_limits(row, limits.get(unit, NO_LIMITS)))
    answer = _suffices(compared, estimates, judgements, tests, inference, scope)
    section["suffices"].append(answer)


def _notes(compared: ComparedCells, tests: FamilyTests) -> list[Statement]:
    """How the narrow family is adjusted, and what that costs where contexts differ."""
    if not isinstance(tests, AgainstBaseline):
        own = compared.unequal and compared.cells.error.reason is None
        return [statement("welch_family", p=compared.fitted.brown_forsythe)] if own else []
    exact = compared.product[1]
    return [statement("dunnett_family"), *([] if exact else [statement("dunnett_bound")])]


def _row(
    compared: ComparedCells,
    effect: Evaluated,
    estimate: Estimate,
    judgement: Judgement,
    response: str,
    inference: InferenceName,
    scope: Scope,
    price: Price | None,
) -> Configuration:
    layout, contrast, margin = (
        compared.fitted.layout,
        effect.contrast,
        compared.rule.smallest_effect,
    )
    needed = estimate.needed(margin) if estimate.needed and margin is not None else None
    name = EffectName(
        factor=contrast.factor,
        level=contrast.level,
        baseline=contrast.baseline,
        estimand="configuration",
        inference=inference,
        family=family_name(response, "configuration", inference, scope),
        averaged_over=statement("cell_against_baseline", contexts=effect.values.contexts)
        if inference == "narrow"
        else over_scope(effect.values, scope, layout),
        scope=scope,
        coverage=covered(effect.values, layout),
    )
    row = effect_row(name, estimate, judgement, needed, price(effect) if price else None)
    cell = layout.decode(contrast.codes[0, 0])
    return Configuration(
        **row, levels=cell_levels(layout, cell), may_be_best=None, best_low=None, best_high=None
    )


@dataclass(frozen=True)
class _Limits:
    """Hsu's limits of one cell minus the best of the others, None where nothing is known."""

    may_be_best: bool | None = None
    low: float | None = None
    high: float | None = None


NO_LIMITS = _Limits()


def _with_limits(row: Configuration, limits: _Limits) -> Configuration:
    return {
        **row,
        "may_be_best": limits.may_be_best,
        "best_low": limits.low,
        "best_high": limits.high,
    }


def _best(compared: ComparedCells) -> tuple[Mapping[int, _Limits], Statement | None]:
    """Which units may be the best, the baseline among them, or why that is not known.

    Over the contexts that have every cell that has any run: means over other contexts compare
    contexts, too.
    """
    cells, error = compared.cells, compared.cells.error
    if error.reason is not None or compared.fitted.refused is not None:
        return {}, compared.fitted.refused or error.reason
    if compared.unequal:
        return {}, statement("best_needs_equal_variances", p=compared.fitted.brown_forsythe)
    units = np.flatnonzero((cells.count > 0).any(axis=1))
    contexts = np.flatnonzero((cells.count[units] > 0).all(axis=0))
    if len(units) < 2 or not len(contexts):
        return {}, statement("no_common_context")
    there = np.ix_(units, contexts)
    found = compare_with_best(
        cells.mean[there].mean(axis=1),
        (1.0 / cells.count[there]).sum(axis=1) / len(contexts) ** 2,
        float(np.sqrt(error.variance)),
        float(error.df),
        1.0 - compared.rule.alpha,
        higher=compared.rule.rise == "helps",
    )
    limits = zip(found.may_be_best, found.low.tolist(), found.high.tolist(), strict=True)
    return {
        unit: _Limits(bool(may_be), low, high)
        for unit, (may_be, low, high) in zip(units.tolist(), limits, strict=True)
    }, None


def _suffices(
    compared: ComparedCells,
    estimates: Sequence[Estimate],
    judgements: Sequence[Judgement],
    tests: FamilyTests,
    inference: InferenceName,
    scope: Scope,
) -> Suffices:
    """The answer on the baseline: no, where one configuration gains by more than matters; yes,
    where the bounds of all gains lie below the smallest effect; else open."""
    rule = compared.rule
    margin = rule.smallest_effect
    labels = [effect.contrast.level for effect in compared.evaluated]
    bounds = _gain_bounds(estimates, tests, rule)
    missing = [estimate.reason for estimate in estimates if estimate.reason is not None]
    known = ~np.isnan(bounds)
    largest = int(np.nanargmax(bounds)) if known.any() else None
    answer = Suffices(
        inference=inference,
        scope=list(scope),
        answer="not_judged" if margin is None else "open",
        bound=None if largest is None else number(float(bounds[largest])),
        configuration=None if largest is None else labels[largest],
        reason=missing[0] if missing else None,
    )
    if margin is None:
        return answer
    better = [
        place
        for place, judgement in enumerate(judgements)
        if judgement.verdict == "helps" and judgement.size == "by_more"
    ]
    if better:
        best = max(better, key=lambda place: abs(estimates[place].estimate))
        return {**answer, "answer": "no", "configuration": labels[best], "reason": None}
    if known.all() and bool((bounds < margin).all()):
        return {**answer, "answer": "yes"}
    return answer


def _unanswered(
    inference: InferenceName, scope: Scope, rule: VerdictRule, reason: Statement
) -> Suffices:
    return Suffices(
        inference=inference,
        scope=list(scope),
        answer="not_judged" if rule.smallest_effect is None else "open",
        bound=None,
        configuration=None,
        reason=reason,
    )


def _gain_bounds(estimates: Sequence[Estimate], tests: FamilyTests, rule: VerdictRule) -> Floats:
    """Simultaneous one-sided 1 - alpha bounds for the gains (k,), NaN where one is unknown."""
    if isinstance(tests, AgainstBaseline):
        widths = tests.bound_widths(estimates, rule.alpha)
    else:  # a two-sided interval at 2 alpha / k is a one-sided bound at alpha / k
        widths = tests.half_widths(estimates, 2.0 * rule.alpha)
    gain = np.array([row.estimate for row in estimates]) * (1.0 if rule.rise == "helps" else -1.0)
    return np.asarray(gain + widths)


def _plain(compared: ComparedCells) -> list[PlainRow]:
    """The t over contexts of every configuration, where several variables make them no sample."""
    if len(compared.fitted.layout.blocking) < 2:
        return []
    return [plain_row(effect, compared.rule.alpha) for effect in compared.evaluated]


def cell_levels(layout: Layout, cell: Integers) -> dict[str, str]:
    """The level of every factor."""
    return {
        factor.name: factor.levels[int(level)]
        for factor, level in zip(layout.factors, cell, strict=True)
    }


def _label(layout: Layout, cell: Integers, other: Integers) -> str:
    """The levels in which a cell differs from another; those that are not set go unsaid."""
    same = [
        place
        for place, (ours, theirs) in enumerate(zip(cell.tolist(), other.tolist(), strict=True))
        if ours == theirs or layout.level(place, ours) == NOT_SET
    ]
    return layout.cell_label(cell, same)
