"""What levels cost beside their baseline level, as far as a backend knows it before any run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ablatekit.backend import Backend, Costing
from ablatekit.design.plan import Cell, Plan, PlannedFactor
from ablatekit.plugins import answer_of

LEAST_DIFFERENCE = 0.05
"""Of two costs, as a share: budgets end with a whole round, which is no difference worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCost:
    """A cost metric of a level and of its baseline level, the other factors being the same."""

    factor: str
    level: str
    baseline: str
    metric: str
    cost: float
    baseline_cost: float

    @property
    def ratio(self) -> float:
        """The price: a multiple of the baseline's cost."""
        return self.cost / self.baseline_cost


def level_costs(plan: Plan, backend: Backend) -> tuple[ExpectedCost, ...]:
    """Levels that cost more or less than their baseline, by factor, level and metric.

    Compared where the other factors are at their baselines, or where the design first has both
    levels with all else equal. Empty where the backend foresees no costs.
    """
    if not isinstance(backend, Costing):
        return ()
    return tuple(
        cost
        for factor in plan.factors
        for level in factor.others
        for cost in _costs(plan, backend, factor, level)
        if abs(cost.ratio - 1) >= LEAST_DIFFERENCE
    )


def _costs(
    plan: Plan, backend: Costing, factor: PlannedFactor, level: str
) -> Iterator[ExpectedCost]:
    pair = _pair(plan, factor, level)
    if pair is None:
        return
    baseline_costs, costs = (_expected(plan, backend, cell) for cell in pair)
    for metric, baseline_cost in baseline_costs.items():
        if metric in costs and baseline_cost > 0:
            yield ExpectedCost(
                factor=factor.name,
                level=level,
                baseline=factor.baseline,
                metric=metric,
                cost=costs[metric],
                baseline_cost=baseline_cost,
            )


def _pair(plan: Plan, factor: PlannedFactor, level: str) -> tuple[Cell, Cell] | None:
    """A cell at the factor's baseline and the one that differs from it in this level alone."""
    baselines = {known.name: known.baseline for known in plan.factors}
    cells = {frozenset(cell.levels.items()): cell for cell in plan.cells}
    at_baseline = (cell for cell in plan.cells if cell.levels[factor.name] == factor.baseline)
    nearest_first = sorted(
        at_baseline,
        key=lambda cell: sum(cell.levels[name] != baselines[name] for name in baselines),
    )
    for cell in nearest_first:
        other = cells.get(frozenset({**cell.levels, factor.name: level}.items()))
        if other is not None:
            return cell, other
    return None


def _expected(plan: Plan, backend: Costing, cell: Cell) -> Mapping[str, float]:
    run = next(run for run in plan.runs if run.unit == cell.unit)
    settings = {**run.spec.settings, **run.spec.execution}
    costs: Mapping[str, float] = answer_of("backend", backend, "expected_costs", settings)
    return costs
