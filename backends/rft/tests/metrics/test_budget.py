from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ablatekit_rft.metrics.budget import (
    BudgetMeter,
    Costs,
    EvaluationPoints,
    expected_samples,
    learning_rate,
)
from ablatekit_rft.settings import Budget

EXTRA = {"advantage": "extra_baseline", "extra_rollouts": 3}
GREEDY = {"advantage": "remax", "rollouts": 1}


def test_evaluation_points_are_shares_of_the_budget() -> None:
    points = EvaluationPoints(BudgetMeter(Budget(unit="samples", amount=100)), 4)

    def reached(before: int, after: int) -> str:
        return points.reached(Costs(samples=before), Costs(samples=after))

    assert reached(0, 24) == "none"
    assert reached(24, 25) == "intermediate"
    assert reached(25, 49) == "none"
    assert reached(20, 80) == "intermediate"
    assert reached(80, 100) == "end"
    assert reached(99, 130) == "end"


def test_learning_rate_follows_its_formula(make_settings: Any) -> None:
    def rates(**changed: Any) -> list[float]:
        settings = make_settings(learning_rate=1.0, **changed)
        return [learning_rate(settings, step / 10, (step + 1) / 10) for step in range(10)]

    assert rates() == [1.0] * 10
    assert rates(lr_schedule="linear") == pytest.approx([1 - step / 10 for step in range(10)])
    cosine = [(1 + np.cos(np.pi * step / 10)) / 2 for step in range(10)]
    assert rates(lr_schedule="cosine") == pytest.approx(cosine)
    warm = rates(lr_schedule="linear", warmup_fraction=0.2)
    assert warm[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert warm[3] == pytest.approx(1 - 0.1 / 0.8)
    late = rates(lr_schedule="linear", lr_decay_share=0.4, lr_floor=0.1)
    assert late == pytest.approx([1.0] * 7 + [0.775, 0.55, 0.325])
    floor = rates(lr_schedule="cosine", lr_floor=0.25)
    assert floor == pytest.approx([0.25 + 0.75 * value for value in cosine])
    root = rates(lr_schedule="inverse_sqrt", warmup_fraction=0.2)
    assert root[:4] == pytest.approx([0.5, 1.0, 1.0, np.sqrt(2 / 3)])
    assert root[-1] == pytest.approx(np.sqrt(0.2 / 0.9))


@pytest.mark.parametrize(
    ("changed", "samples"),
    [
        ({"budget": {"unit": "rounds", "amount": 10}, "queries_per_round": 8, "rollouts": 1}, 80),
        ({"budget": {"unit": "rounds", "amount": 10}, "queries_per_round": 8, "rollouts": 4}, 320),
        ({"budget": {"unit": "samples", "amount": 90}, "queries_per_round": 8, "rollouts": 4}, 96),
        ({"budget": {"unit": "generated_tokens", "amount": 90}}, None),
        (
            {"budget": {"amount": 2}, "queries_per_round": 8, "rollouts": 2, **EXTRA},
            2 * 8 * (2 + 3),
        ),
        ({"budget": {"amount": 2}, "queries_per_round": 8, **GREEDY}, 2 * 8 * (1 + 1)),
        ({"group_filter": "refill", "rollouts": 4}, None),
        ({"sample_policy": "easy_to_hard"}, None),
    ],
)
def test_samples_are_foreseen_where_settings_decide_them(
    make_settings: Any, changed: dict[str, Any], samples: int | None
) -> None:
    assert expected_samples(make_settings(**changed)) == samples
