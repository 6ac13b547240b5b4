"""Leave-one-run-out effects against effects computed again without each run."""

from __future__ import annotations

import copy
import itertools

import pytest

from ablatekit.report.influence import influence
from ablatekit.report.reading import Comparison

LEVEL = Comparison("a", "on", "off", "a")
SCORES = {
    ("off-x", "c1"): {"r1": 0.10, "r2": 0.16, "r3": 0.11},
    ("on-x", "c1"): {"r4": 0.22, "r5": 0.21},
    ("off-y", "c1"): {"r6": 0.31, "r7": 0.30},
    ("on-y", "c1"): {"r8": 0.47, "r9": 0.40},
    ("off-x", "c2"): {"r10": 0.52, "r11": 0.50},
    ("on-x", "c2"): {"r12": 0.55, "r13": 0.51},
    ("off-y", "c2"): {"r14": 0.61, "r15": 0.66},
    ("on-y", "c2"): {"r16": 0.70, "r17": 0.72, "r18": 0.71},
}


def mean(values):
    return sum(values) / len(values)


def effect_of(scores):
    means = {cell: mean(list(runs.values())) for cell, runs in scores.items()}
    pairs = itertools.product("xy", ("c1", "c2"))
    return mean([means[f"on-{b}", c] - means[f"off-{b}", c] for b, c in pairs])


def study(scores):
    columns = {name: [] for name in ("unit", "context", "fitted", "residual", "run")}
    for (unit, context), runs in scores.items():
        centre = mean(list(runs.values()))
        for run, score in runs.items():
            for name, value in zip(
                columns, (unit, context, centre, score - centre, run), strict=True
            ):
                columns[name].append(value)
    cells = [
        {"levels": {"a": a, "b": b}, "unit": f"{a}-{b}"}
        for a, b in itertools.product(("off", "on"), "xy")
    ]
    return {"design": {"cells": cells}}, {"diagnostics": {"residuals": columns}}


def test_extremes_equal_the_effect_computed_again_without_each_run():
    again = {}
    for cell, runs in SCORES.items():
        for run in runs:
            fewer = copy.deepcopy(SCORES)
            del fewer[cell][run]
            again[run] = effect_of(fewer)
    found = influence(*study(SCORES), LEVEL, {"estimate": effect_of(SCORES)})
    assert found.low == pytest.approx(min(again.values()), abs=1e-12)
    assert found.high == pytest.approx(max(again.values()), abs=1e-12)
    far = {run: abs(value - effect_of(SCORES)) for run, value in again.items()}
    assert far[found.run] == pytest.approx(max(far.values()), abs=1e-12)


def test_nothing_is_said_where_it_does_not_follow_from_the_residuals():
    estimate = effect_of(SCORES)
    assert influence(*study(SCORES), LEVEL, {"estimate": estimate + 1e-4}) is None
    lonely = {**SCORES, ("on-x", "c1"): {"r4": 0.22}}
    assert influence(*study(lonely), LEVEL, {"estimate": effect_of(lonely)}) is None
    lacking = {cell: runs for cell, runs in SCORES.items() if cell != ("on-y", "c2")}
    assert influence(*study(lacking), LEVEL, {"estimate": estimate}) is None
