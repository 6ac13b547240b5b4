"""What levels cost beside their baseline, where a backend knows it before any run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ablatekit.backend import Backend, Costing, Settings
from ablatekit.design.build import build_plan
from ablatekit.design.costs import level_costs
from ablatekit.design.plan import Plan
from ablatekit.plugins import load_backend
from ablatekit.report.language.prices import cost_notes
from ablatekit.study.load import load_study

Write = Callable[[str], Path]

STUDY = """\
version: 1
name: priced
backend: {name: fake}
factors:
  rollouts: {baseline: 1, levels: [1, 4]}
  queries: {baseline: q32, levels: {q32: {queries_per_round: 32}, q64: {queries_per_round: 64}}}
contexts: {model: [a], dataset: [x]}
"""


def samples(settings: Settings) -> Mapping[str, float]:
    amount, unit = settings["budget.amount"], settings["budget.unit"]
    per_round = settings["queries_per_round"] * settings["rollouts"]
    return {"updates": 5.0, "samples": amount if unit == "samples" else amount * per_round}


def test_a_backend_that_foresees_nothing_has_no_notes(toy_plan: Plan, backend: Backend) -> None:
    assert not isinstance(backend, Costing)
    assert level_costs(toy_plan, backend) == ()


def test_levels_are_compared_with_the_other_factors_at_their_baselines(
    backend: Backend, write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(backend), "expected_costs", staticmethod(samples), raising=False)
    plan = build_plan(load_study(write_study(STUDY)), backend)
    costs = level_costs(plan, backend)
    assert [(cost.factor, cost.level, cost.metric, cost.ratio) for cost in costs] == [
        ("rollouts", "4", "samples", 4.0),
        ("queries", "q64", "samples", 2.0),
    ]
    assert next(cost_notes(costs[1:])).startswith(
        "queries: q64 takes 2\N{MULTIPLICATION SIGN} the samples (640 against 320) of q32"
    )
    equal = load_study(write_study(STUDY), ["backend.settings.budget.unit=samples"])
    assert level_costs(build_plan(equal, backend), backend) == ()


def test_a_design_without_the_baseline_cell_compares_what_it_has(
    backend: Backend, write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(backend), "expected_costs", staticmethod(samples), raising=False)
    text = STUDY + "exclude: [{rollouts: 4, queries: q32}]\n"
    costs = level_costs(build_plan(load_study(write_study(text)), backend), backend)
    assert [(cost.level, cost.cost, cost.baseline_cost) for cost in costs] == [
        ("4", 2560.0, 640.0),
        ("q64", 640.0, 320.0),
    ]


def test_the_simulated_backend_reports_what_it_foresaw() -> None:
    backend = load_backend("simulated")
    assert isinstance(backend, Costing)
    high = backend.expected_costs({"rounds": 3, "dose": "high"})
    assert high == {"cost/updates": 3.0, "cost/samples": 192.0}
