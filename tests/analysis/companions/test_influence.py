"""Leave-one-run-out extremes against effects that were estimated again without each run."""

from __future__ import annotations

import numpy as np
import pytest

from ablatekit.analysis.cells.effects import evaluate, fit
from ablatekit.analysis.companions.influence import influence_rows
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.responses import respond

CONTEXTS = ("model", "dataset")


def _averages(study, frame):
    plan, tables = study(frame, ("A", "B"), CONTEXTS)
    design = layout(plan)
    values = respond(plan.analysis.responses[0], tables, design, "score").values
    fitted = fit(values, design, 2)
    return evaluate(fitted, "average"), fitted


def _estimates(study, frame):
    averages, _ = _averages(study, frame)
    return [float(np.mean(one.values.value[one.values.used])) for one in averages]


@pytest.mark.parametrize("lost", [(), (3, 17)])
def test_extremes_are_those_of_estimates_without_each_run(study, factorial, lost):
    frame = factorial((2, 3), models=2, datasets=1, replicates=3, seed=1)
    frame = frame.drop(index=list(lost)).reset_index(drop=True)
    averages, fitted = _averages(study, frame)
    again = np.array([_estimates(study, frame.drop(index=row)) for row in frame.index])
    change = np.abs(again - _estimates(study, frame))
    rows = influence_rows(averages, fitted)
    assert [(row["factor"], row["level"]) for row in rows] == [
        ("A", "l1"), ("B", "l1"), ("B", "l2")
    ]  # fmt: skip
    for effect, row in enumerate(rows):
        assert row["low"] == pytest.approx(again[:, effect].min(), abs=1e-12)
        assert row["high"] == pytest.approx(again[:, effect].max(), abs=1e-12)
        assert row["run"] == fitted.values.run[int(np.argmax(change[:, effect]))]


def test_nothing_is_said_where_leaving_out_a_run_would_empty_a_cell(study, factorial):
    frame = factorial((2, 2), models=2, datasets=1, replicates=2, seed=2)
    averages, fitted = _averages(study, frame.drop(index=0).reset_index(drop=True))
    assert len(averages) == 2
    assert influence_rows(averages, fitted) == []


def test_nothing_is_said_of_a_model_without_cell_means(study, factorial):
    frame = factorial((2, 2, 2), models=2, datasets=1, replicates=1, seed=3)
    plan, tables = study(frame, ("A", "B", "C"), CONTEXTS)
    result = analyse(plan, tables, {}, [])["responses"]["y"]
    assert result["model"]["method"]["code"] == "truncated_least_squares"
    assert result["diagnostics"]["influence"] == []
