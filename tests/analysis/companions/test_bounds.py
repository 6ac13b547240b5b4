"""Bounds over missing runs by brute force, and the three policies side by side."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from ablatekit.analysis.cells.cell_means import fit_cell_means
from ablatekit.analysis.cells.contrasts import effect_contrasts
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.responses import positions

CONTEXTS = ("model", "dataset")


def _missing(plan, tables):
    return analyse(plan, tables, {}, [])["responses"]["y"]["missing"]


@pytest.fixture
def proportions(factorial, study, response):
    def build(lost=(), **analysis):
        frame = factorial(
            (2, 2), models=2, datasets=1, seed=6, sd=0.02, mean=lambda a, *_: 0.4 + a / 5
        )
        frame.loc[list(lost), "y"] = np.nan
        planned = [response("y", unit="accuracy")]
        return frame, *study(frame, "AB", CONTEXTS, responses=planned, **analysis)

    return build


def test_bounds_are_the_extremes_over_all_fillings(proportions, pick):
    lost = (0, 1, 5, 10)
    frame, plan, tables = proportions(lost)
    design = layout(plan)
    unit = positions(tables.runs["unit"], design.units)
    context = positions(tables.runs["context"], design.contexts)
    contrast = effect_contrasts(design, design.codes, "average")[0]
    found = []
    for fill in itertools.product((0.0, 1.0), repeat=len(lost)):
        y = frame["y"].to_numpy(copy=True)
        y[list(lost)] = fill
        values = fit_cell_means(RunValues(y, unit, context, tuple(tables.runs["run"])), design)
        found.append(values.evaluate(contrast).value.mean())
    row = pick(_missing(plan, tables)["bounds"], factor="A")
    assert (row["low"], row["high"]) == pytest.approx((min(found), max(found)))
    assert row["reason"] is None


def test_the_estimate_lies_within_its_bounds(proportions, pick):
    _, plan, tables = proportions((0, 9))
    found = analyse(plan, tables, {}, [])["responses"]["y"]
    row = pick(found["missing"]["bounds"], factor="A")
    effect = pick(found["effects"], factor="A", estimand="average", inference="narrow")
    assert row["low"] < effect["estimate"] < row["high"]


def test_complete_runs_and_unbounded_responses_have_no_bounds(proportions, factorial, study):
    _, plan, tables = proportions()
    assert "bounds" not in _missing(plan, tables)
    frame = factorial((2,), mean=lambda a, *_: 5.0 + a)
    frame.loc[0, "y"] = np.nan
    assert "bounds" not in _missing(*study(frame, "A", CONTEXTS))


def _diverge(tables, rows):
    status = tables.runs["status"].to_numpy(dtype=object, copy=True)
    status[list(rows)] = "diverged"
    return replace(tables, runs=tables.runs.assign(status=status))


def test_policies_stand_side_by_side_where_a_level_lost_many(proportions, pick):
    frame, plan, tables = proportions()
    rows = np.flatnonzero(frame["A"] == "l1")[::3]
    y = frame["y"].to_numpy(copy=True)
    found = _missing(plan, _diverge(tables, rows))
    row = pick(found["policies"], factor="A")

    def average(y):
        cells = frame.assign(y=y).groupby(["A", "B", "model"])["y"].mean().groupby("A").mean()
        return cells["l1"] - cells["l0"]

    assert row["score"] == pytest.approx(average(y))
    y[rows] = 0.0
    assert row["worst"] == pytest.approx(average(y))
    y[rows] = np.nan
    assert row["exclude"] == pytest.approx(average(y))


def test_a_cell_that_often_diverges_is_a_warning(proportions):
    _, plan, tables = proportions()
    message = _missing(plan, _diverge(tables, [0]))["messages"][-1]
    assert message == statement("unsteady_cells", cells=1)
    assert _missing(plan, tables)["messages"] == []


def test_a_few_diverged_runs_need_no_comparison(proportions):
    _, plan, tables = proportions()
    assert "policies" not in _missing(plan, _diverge(tables, [0]))


def test_excluded_runs_have_bounds(proportions, pick):
    _, plan, tables = proportions(diverged="exclude")
    row = pick(_missing(plan, _diverge(tables, [0, 12]))["bounds"], factor="B")
    assert row["low"] < row["high"]


def test_a_level_without_any_pair_has_a_reason(factorial, study, response, pick):
    frame = factorial((2, 2), models=2, datasets=1, mean=lambda *_: 0.5, sd=0.01)
    frame = frame[(frame["A"] == "l0") == (frame["B"] == "l0")].reset_index(drop=True)
    frame.loc[0, "y"] = np.nan
    found = _missing(*study(frame, "AB", CONTEXTS, responses=[response("y", unit="accuracy")]))
    row = pick(found["bounds"], factor="A")
    assert row["low"] is None
    assert row["reason"] == statement("aliased_with", partners=["B"])
