"""Prices by hand: ratios of mean costs over matched pairs, contexts equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import pandas as pd
import pytest

from ablatekit.analysis.cells.contrasts import at_baseline, average
from ablatekit.analysis.cells.effects import evaluate, fit
from ablatekit.analysis.cells.prices import level_prices, price_of, pricing
from ablatekit.analysis.core.layout import Layout, layout
from ablatekit.analysis.tables.costs import Prices, prices
from ablatekit.analysis.tables.responses import respond
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan

Study: TypeAlias = Callable[..., tuple[Plan, StudyTables]]

COSTS = {
    ("a0", "b0", "m0"): 10.0,
    ("a1", "b0", "m0"): 20.0,
    ("a0", "b1", "m0"): 30.0,
    ("a1", "b1", "m0"): 90.0,
    ("a0", "b0", "m1"): 1.0,
    ("a1", "b0", "m1"): 3.0,
    ("a1", "b1", "m1"): 5.0,
}
"""Context m1 lacks the pair at b1."""


def _priced(
    study: Study, costs: Mapping[str, Callable[[float], float]], **changes: Any
) -> tuple[Plan, StudyTables]:
    """Two runs of every cell of `COSTS`, whose metrics are functions of the cell's cost."""
    rows = [
        {"A": a, "B": b, "model": m, "y": cost + run, "cost": cost}
        for (a, b, m), cost in COSTS.items()
        for run in range(2)
    ]
    frame = pd.DataFrame(rows)
    plan, tables = study(frame, ["A", "B"], ["model"])
    reported = [
        pd.DataFrame({"run": tables.runs["run"], "metric": name, "value": frame["cost"].map(of)})
        for name, of in costs.items()
    ]
    results = pd.concat([tables.results, *reported], ignore_index=True)
    changed = replace(plan, cost_metrics=tuple(costs), **changes)
    return changed, replace(tables, results=results)


def _identity(cost: float) -> float:
    return cost


def _of_tokens(study: Study) -> tuple[Plan, StudyTables, Layout, Prices]:
    plan, tables = _priced(study, {"cost/tokens": _identity})
    design = layout(plan)
    chosen = prices(plan, tables, design)
    assert chosen is not None
    return plan, tables, design, chosen


def test_an_effect_costs_the_mean_over_its_own_pairs_contexts_equal(study: Study) -> None:
    _, _, design, chosen = _of_tokens(study)
    codes, present = design.codes, chosen.known
    of_a = price_of(chosen, average(design, codes, 0, 1), design, present)
    assert of_a == pytest.approx((55 + 3) / (20 + 1))
    of_b = price_of(chosen, average(design, codes, 1, 1), design, present)
    assert of_b == pytest.approx((60 + 5) / (15 + 3))
    of_a_at_baseline = price_of(chosen, at_baseline(design, codes, 0, 1), design, present)
    assert of_a_at_baseline == pytest.approx((20 + 3) / (10 + 1))


def test_a_configuration_costs_the_ratio_of_two_cells(study: Study) -> None:
    _, _, design, chosen = _of_tokens(study)
    unit = {design.unit_label(unit): unit for unit in range(len(design.units))}
    full, baseline, only_b = (
        unit[f"A={a}, B={b}"] for a, b in (("a1", "b1"), ("a0", "b0"), ("a0", "b1"))
    )
    assert chosen.between(full, baseline) == pytest.approx((90 + 5) / (10 + 1))
    assert chosen.between(only_b, baseline) == pytest.approx(30 / 10)
    assert chosen.between(baseline, baseline) == 1.0


def test_rows_of_effects_have_prices_and_interactions_have_none(study: Study) -> None:
    plan, tables, design, chosen = _of_tokens(study)
    fitted = fit(respond(plan.analysis.responses[0], tables, design, "score").values, design, 2)
    price = pricing(chosen, fitted)
    assert price is not None
    assert price(evaluate(fitted, "average")[0]) == pytest.approx(58 / 21)
    assert price(evaluate(fitted, "removal")[0]) == pytest.approx(90 / 30)
    assert price(evaluate(fitted, "interaction")[0]) is None
    assert pricing(None, fitted) is None


@pytest.mark.parametrize(
    ("metrics", "stated", "unrepeatable", "chosen"),
    [
        (("updates", "cost/new_tokens", "samples"), None, (), "samples"),
        (("updates", "cost/new_tokens", "samples=1"), None, (), "cost/new_tokens"),
        (("updates", "tokens=7", "samples=1"), None, (), "updates"),
        (("tokens=7", "seconds"), None, ("seconds",), None),
        (("tokens", "flops"), None, ("tokens",), None),
        (("tokens", "samples=1"), "samples", (), "samples"),
        (("tokens", "flops"), "flops", (), "flops"),
        (("tokens",), "flops", (), None),
    ],
)
def test_the_first_cost_that_differs_between_cells_is_the_price(
    study: Study,
    metrics: tuple[str, ...],
    stated: str | None,
    unrepeatable: tuple[str, ...],
    chosen: str | None,
) -> None:
    costs: dict[str, Callable[[float], float]] = {}
    for metric in metrics:
        name, _, constant = metric.partition("=")
        costs[name] = (lambda _, same=float(constant): same) if constant else _identity
    plan, tables = _priced(study, costs, unrepeatable_metrics=unrepeatable)
    plan = replace(plan, analysis=replace(plan.analysis, price=stated))
    found = prices(plan, tables, layout(plan))
    assert (None if found is None else found.metric) == chosen


def test_seconds_are_priced_on_request_and_beside_the_effects(study: Study) -> None:
    plan, tables = _priced(study, {"seconds": _identity}, unrepeatable_metrics=("seconds",))
    plan = replace(plan, analysis=replace(plan.analysis, price="seconds"))
    design = layout(plan)
    chosen = prices(plan, tables, design)
    assert chosen is not None
    assert not chosen.repeatable
    fitted = fit(respond(plan.analysis.responses[0], tables, design, "score").values, design, 2)
    assert pricing(chosen, fitted) is None
    rows = [(row["factor"], row["level"], row["ratio"]) for row in level_prices(chosen, design)]
    assert rows == [("A", "a1", pytest.approx(58 / 21)), ("B", "b1", pytest.approx(65 / 18))]
    assert level_prices(None, design) == []
    assert level_prices(replace(chosen, repeatable=True), design) == []


def test_unknown_and_free_baselines_have_no_price(study: Study) -> None:
    plan, tables = _priced(study, {"tokens": lambda cost: float(cost == 20.0)})
    design = layout(plan)
    chosen = prices(plan, tables, design)
    assert chosen is not None
    assert price_of(chosen, average(design, design.codes, 0, 1), design, chosen.known) is None
    nowhere = ~chosen.known & chosen.known
    assert price_of(chosen, average(design, design.codes, 0, 1), design, nowhere) is None
