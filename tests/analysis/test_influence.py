"""Leave-one-run-out extremes against analyses that were made again without each run."""

from __future__ import annotations

import numpy as np
import pytest

from ablatekit.analysis.analyse import analyse

CONTEXTS = ("model", "dataset")


def _effects(study, frame, factors):
    result = analyse(*study(frame, factors, CONTEXTS), {}, [])["responses"]["y"]
    kind = ("average", "narrow")
    rows = [row for row in result["effects"] if (row["estimand"], row["inference"]) == kind]
    moved = {row["factor"] + row["level"]: row for row in result["diagnostics"]["influence"]}
    return {row["factor"] + row["level"]: row["estimate"] for row in rows}, moved


def _without_each_run(study, frame, factors):
    return [_effects(study, frame.drop(index=row), factors)[0] for row in frame.index]


@pytest.mark.parametrize("lost", [(), (3, 17)])
def test_extremes_are_those_of_analyses_without_each_run(study, factorial, lost):
    frame = factorial((2, 2), models=2, datasets=1, replicates=3, seed=1)
    frame = frame.drop(index=list(lost)).reset_index(drop=True)
    everything, moved = _effects(study, frame, ("A", "B"))
    again = _without_each_run(study, frame, ("A", "B"))
    assert moved.keys() == everything.keys() == {"Al1", "Bl1"}
    names = analyse(*study(frame, ("A", "B"), CONTEXTS), {}, [])["responses"]["y"]["diagnostics"]
    runs = names["residuals"]["run"]
    for name, row in moved.items():
        values = np.array([effects[name] for effects in again])
        assert row["low"] == pytest.approx(values.min(), abs=1e-12)
        assert row["high"] == pytest.approx(values.max(), abs=1e-12)
        assert row["run"] == runs[int(np.argmax(np.abs(values - everything[name])))]


def test_nothing_is_said_where_leaving_out_a_run_would_empty_a_cell(study, factorial):
    frame = factorial((2, 2), models=2, datasets=1, replicates=2, seed=2)
    lonely = frame.drop(index=0).reset_index(drop=True)
    effects, moved = _effects(study, lonely, ("A", "B"))
    assert set(effects) == {"Al1", "Bl1"}
    assert moved == {}


def test_nothing_is_said_of_a_model_without_cell_means(study, factorial):
    frame = factorial((2, 2, 2), models=2, datasets=1, replicates=1, seed=3)
    assert _effects(study, frame, ("A", "B", "C"))[1] == {}
