"""TRL's runs and rft's, as committed: the same cells have the same means but for seeds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPORTS = Path(__file__).parents[3] / "reports"
MOST = 3.0
"""Standard errors; of 16 cells and 2 means one in 16 sets of them goes beyond by chance alone."""


def response(backend: str, name: str) -> Any:
    analysis = json.loads((REPORTS / f"recipes_{backend}" / "analysis.json").read_text())
    return analysis["responses"][name]


def means(response: Any) -> np.ndarray[Any, Any]:
    """(cells, contexts) means, in the order of the cells' names."""
    rows = sorted(response["cells"]["rows"], key=lambda row: sorted(row["levels"].items()))
    return np.array([row["means"] for row in rows])


@pytest.mark.parametrize("name", ["learning", "generalization"])
def test_cells_differ_by_seeds_alone(name: str) -> None:
    ours, theirs = response("rft", name), response("trl", name)
    difference = means(theirs) - means(ours)
    noise = math.hypot(ours["residual_sd"], theirs["residual_sd"])
    of_cells = difference.mean(axis=1) / (noise / math.sqrt(12))
    assert np.abs(of_cells).max() < MOST
    assert abs(difference.mean()) < MOST * noise / math.sqrt(96)
    assert 0.8 < (difference / (noise / math.sqrt(2))).std() < 1.25


@pytest.mark.parametrize("name", ["learning", "generalization"])
def test_no_effect_differs_beyond_its_noise(name: str) -> None:
    rows = {
        backend: {
            (row["factor"], row["level"]): row
            for row in response(backend, name)["effects"]
            if row["estimand"] == "average" and row["inference"] == "narrow"
        }
        for backend in ("rft", "trl")
    }
    assert rows["rft"].keys() == rows["trl"].keys()
    assert len(rows["rft"]) == 4
    for key, ours in rows["rft"].items():
        theirs = rows["trl"][key]
        noise = math.hypot(ours["se"], theirs["se"])
        assert abs(theirs["estimate"] - ours["estimate"]) < MOST * noise, key
