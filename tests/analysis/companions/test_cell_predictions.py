"""Cells on their own: means, gains and predictions against statsmodels and closed forms."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from ablatekit.analysis.study import analyse

CONTEXTS = ("model", "dataset")


@pytest.fixture
def cells_of(study: Any) -> Any:
    def build(frame: pd.DataFrame, contexts: tuple[str, ...] = CONTEXTS) -> Any:
        response = analyse(*study(frame, "AB", contexts), {}, ())["responses"]["y"]
        return response["cells"], response

    return build


def table(models: int = 3, datasets: int = 2, noise: Any = None) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    rows = [
        {
            "A": f"l{a}", "B": f"l{b}", "model": f"m{m}", "dataset": f"d{d}",
            "y": a + 0.3 * b * m + 0.1 * d + rng.normal(0.0, noise(a, b) if noise else 0.2),
        }
        for a in range(2) for b in range(3) for m in range(models) for d in range(datasets)
        for _ in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def in_cell(frame: pd.DataFrame, row: Any) -> pd.DataFrame:
    return frame[(frame["A"] == row["levels"]["A"]) & (frame["B"] == row["levels"]["B"])]


def test_means_and_gains_are_those_of_a_cell_means_regression(cells_of: Any) -> None:
    frame = table()
    cells, _ = cells_of(frame)
    frame["cell"] = frame["A"] + frame["B"] + frame["model"] + frame["dataset"]
    fit = smf.ols("y ~ 0 + C(cell)", frame).fit()
    names = [name.removeprefix("C(cell)[").rstrip("]") for name in fit.params.index]
    for row in cells["rows"]:
        weights = np.array([name.startswith("".join(row["levels"].values())) for name in names])
        mean = weights / weights.sum()
        test = fit.t_test(mean)
        assert row["estimate"] == pytest.approx(float(np.squeeze(test.effect)), abs=1e-12)
        assert row["se"] == pytest.approx(float(np.squeeze(test.sd)), rel=1e-9)
        assert (row["low"], row["high"]) == pytest.approx(np.squeeze(test.conf_int()), rel=1e-9)
        assert row["df"] == fit.df_resid
        assert row["pooled"] is True
        baseline = np.array([name.startswith("l0l0") for name in names])
        gain = fit.t_test(mean - baseline / baseline.sum())
        if row["name"]:
            assert row["gain"]["se"] == pytest.approx(float(np.squeeze(gain.sd)), rel=1e-9)


def test_a_gain_is_the_configuration(cells_of: Any) -> None:
    for frame in (table(), table(noise=lambda a, b: 0.05 + a * b)):
        cells, response = cells_of(frame)
        rows = response["configurations"]["rows"]
        narrow = {row["level"]: row for row in rows if row["inference"] == "narrow"}
        assert [row["name"] for row in cells["rows"]] == ["", *narrow]
        for row in cells["rows"][1:]:
            same = narrow[row["name"]]
            for key in ("estimate", "se", "df", "low", "high"):
                assert row["gain"][key] == same[key]


def test_unequal_variances_take_each_cells_own_error(cells_of: Any) -> None:
    frame = table(noise=lambda a, b: 0.05 + a * b)
    cells, _ = cells_of(frame)
    for row in cells["rows"]:
        assert row["pooled"] is False
        groups = in_cell(frame, row).groupby(["model", "dataset"])["y"]
        parts = groups.var() / groups.size() / groups.ngroups**2
        assert row["se"] == pytest.approx(np.sqrt(parts.sum()), rel=1e-12)
        df = parts.sum() ** 2 / (parts**2 / (groups.size() - 1)).sum()
        assert row["df"] == pytest.approx(df, rel=1e-12)


def test_a_cell_with_one_run_somewhere_takes_the_pooled_error(cells_of: Any) -> None:
    frame = table(noise=lambda a, b: 0.05 + a * b)
    once = in_cell(frame, {"levels": {"A": "l1", "B": "l1"}})
    once = once[(once["model"] == "m0") & (once["dataset"] == "d0")]
    kept = frame.drop(index=once.index[1:])
    cells, _ = cells_of(kept)
    pooled = {tuple(row["levels"].values()): row for row in cells["rows"] if row["pooled"]}
    assert list(pooled) == [("l1", "l1")]
    cells_in_contexts = kept.groupby(["A", "B", "model", "dataset"]).ngroups
    assert pooled["l1", "l1"]["df"] == len(kept) - cells_in_contexts


def test_one_new_level_is_the_one_way_prediction(cells_of: Any) -> None:
    frame = table(models=4)
    cells, _ = cells_of(frame)
    baseline = in_cell(frame, cells["rows"][0]).groupby("model")["y"].mean()
    for row in cells["rows"]:
        value = in_cell(frame, row).groupby("model")["y"].mean()
        for values, every in ((value, row["new"]), (value - baseline, row["gain_new"])):
            for new in every:
                if new["scope"] != ["model"]:
                    assert new["reason"] is not None
                    continue
                half = stats.t.ppf(0.975, 3) * values.std() * np.sqrt(1 + 1 / 4)
                limits = values.mean() - half, values.mean() + half
                assert (new["low"], new["high"]) == pytest.approx(limits, rel=1e-9)


def test_cells_without_runs_are_not_predicted(cells_of: Any) -> None:
    frame = table()
    gone = (frame["A"] == "l1") & (frame["B"] == "l2")
    lost = (frame["A"] == "l1") & (frame["B"] == "l1") & (frame["model"] == "m0")
    cells, _ = cells_of(frame[~gone & ~lost])
    assert {"A": "l1", "B": "l2"} not in [row["levels"] for row in cells["rows"]]
    (partial,) = [row for row in cells["rows"] if row["levels"] == {"A": "l1", "B": "l1"}]
    known = [mean is not None for mean in partial["means"]]
    assert known == [context["model"] != "m0" for context in cells["contexts"]]
    assert partial["estimate"] == pytest.approx(np.mean([m for m in partial["means"] if m]))


def test_one_run_per_cell_has_means_without_intervals(cells_of: Any) -> None:
    frame = table().drop_duplicates(["A", "B", "model", "dataset"])
    cells, _ = cells_of(frame)
    for row in cells["rows"]:
        assert row["estimate"] is not None
        assert (row["se"], row["low"]) == (None, None)
        assert row["reason"]["code"] == "no_replicates"
    assert all(new["low"] is not None for new in cells["rows"][1]["gain_new"][:1])
    json.dumps(cells, allow_nan=False)


def test_without_a_baseline_cell_there_is_nothing_to_gain_over(study: Any) -> None:
    frame = table()
    frame = frame[(frame["A"] != "l0") | (frame["B"] != "l0")]
    baselines = {"A": "l0", "B": "l0"}
    response = analyse(*study(frame, "AB", CONTEXTS, baselines=baselines), {}, ())["responses"]["y"]
    assert "cells" not in response
