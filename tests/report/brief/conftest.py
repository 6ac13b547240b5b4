"""Analyses with configurations, and tables that no study made."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.table import analyse_table

NARROW = {"inference": "narrow", "scope": []}
BASELINE = {"advantage": "none", "rollouts": "1", "queries": "q32", "kl": "none"}


def configuration(
    effect: Mapping[str, Any], levels: Mapping[str, str], gain: float, **changes: Any
) -> dict[str, Any]:
    """A narrow row of one cell; `changes` overrides its verdict, price, interval."""
    name = ", ".join(f"{factor}={level}" for factor, level in levels.items())
    return {
        **effect, **NARROW, "factor": "configuration", "level": name, "estimand": "configuration",
        "levels": {**BASELINE, **levels}, "estimate": gain, "low": gain - 0.012,
        "high": gain + 0.012, "verdict": "helps", "size": "by_more", "price": 4.0,
        "reason": None, "may_be_best": None, "best_low": None, "best_high": None, **changes,
    }  # fmt: skip


def suffices(answer: str, **changes: Any) -> dict[str, Any]:
    return {
        **NARROW, "answer": answer, "bound": 0.0713, "configuration": None, "reason": None,
        **changes,
    }  # fmt: skip


@pytest.fixture
def with_configurations(built_analysis: Any) -> Callable[..., Any]:
    """The fixture analysis with configurations on both responses.

    Takes (levels, gain, gain on learning, changes) of every cell and the answers on the baseline.
    """

    def build(
        cells: Sequence[tuple[dict[str, str], float, float, dict[str, Any]]],
        answer: Any = "no",
        on_learning: Any = None,
    ) -> Any:
        analysis = copy.deepcopy(built_analysis)
        for name, place in (("generalization", 1), ("learning", 2)):
            response = analysis["responses"][name]
            effect = response["effects"][0]
            asked = answer if place == 1 or on_learning is None else on_learning
            row = asked if isinstance(asked, dict) else suffices(asked)
            response["configurations"] = {
                "baseline": BASELINE,
                "rows": [
                    configuration(effect, cell[0], cell[place], **cell[3]) for cell in cells
                ],
                "baseline_may_be_best": None, "plain_contexts": [], "suffices": [row],
                "best_reason": None, "notes": [],
            }  # fmt: skip
        return analysis

    return build


@pytest.fixture(scope="session")
def table_analysis() -> Callable[..., Any]:
    """Analyses a made-up table: factors with their levels, models, rows of every cell."""

    def build(
        factors: Mapping[str, Sequence[str]],
        models: Sequence[str],
        rows: int,
        effect: Callable[[Mapping[str, str]], float],
        response: str = "accuracy",
    ) -> Any:
        rng = np.random.default_rng(5)
        cells = [dict(zip(factors, levels, strict=True)) for levels in
                 itertools.product(*factors.values())]  # fmt: skip
        frame = pd.DataFrame(
            {**cell, "model": model, response: effect(cell) + rng.normal(0, 0.02)}
            for cell in cells for model in models or ["-"] for _ in range(rows)
        )  # fmt: skip
        contexts = ["model"] if models else []
        return analyse_table(frame, response, list(factors), contexts)

    return build
