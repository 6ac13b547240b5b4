"""Statsmodels agrees with all numbers of small tables of every kind, and sees planted faults."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.companions.second_opinion.__main__ import main
from ablatekit.analysis.companions.second_opinion.contrasts import combinations, design_cells
from ablatekit.analysis.companions.second_opinion.opinion import second_opinion
from ablatekit.analysis.companions.second_opinion.recount import Recount, relative_difference
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse
from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.run_table import run_table

BOTH = ("model", "dataset")


def _complete(factorial, sizes=(2, 2), models=3, datasets=3, replicates=2, **changes):
    return factorial(sizes, models, datasets, replicates, mean=_mean, **changes)


def _mean(*place):
    *levels, model, dataset = place
    return sum(levels) + 0.7 * levels[0] * model - 0.4 * levels[-1] * dataset + model * dataset


def _saturated(factorial):
    return _complete(factorial, (2, 3)), "AB", BOTH, {}


def _two_data_sets(factorial):
    return _complete(factorial, datasets=2), "AB", BOTH, {}


def _one_variable(factorial):
    return _complete(factorial, models=4, datasets=1), "AB", ("model",), {}


def _without_contexts(factorial):
    return _complete(factorial, models=1, datasets=1), "AB", (), {"inference": "narrow"}


def _lost_runs(factorial):
    frame = _complete(factorial, replicates=3)
    return frame.drop(index=np.random.default_rng(4).choice(108, 30, replace=False)), "AB", BOTH, {}


def _contexts_without_the_level(factorial):
    frame = _complete(factorial, (3, 2))
    lacking = (frame["A"] == "l1") & (frame["model"] == "m1")
    return frame[~lacking & ~((frame["B"] == "l1") & (frame["dataset"] == "d2"))], "AB", BOTH, {}


def _hidden_replication(factorial):
    return _complete(factorial, (2, 2, 2), replicates=1), "ABC", BOTH, {}


def _fraction_with_a_lost_run(factorial):
    frame = _complete(factorial, (2, 2, 2, 2), replicates=1)
    odd = (frame[["A", "B", "C", "D"]] == "l1").sum(axis=1) % 2
    return frame[odd == 0].iloc[1:], "ABCD", BOTH, {"interactions": 1}


def _unequal_variances(factorial):
    frame = _complete(factorial, replicates=4)
    frame["y"] *= np.where(frame["A"] == "l1", 9.0, 1.0)
    last = (frame[["A", "B"]] == "l1").all(axis=1) & (frame["model"] == "m0")
    frame = frame.drop(index=frame.index[last & frame.duplicated(["A", "B", "model", "dataset"])])
    return frame, "AB", BOTH, {}


def _three_variables(factorial):
    parts = [
        _complete(factorial, (2,), replicates=1, seed=size).assign(size=f"s{size}")
        for size in range(3)
    ]
    frame = pd.concat(parts, ignore_index=True)
    return pd.concat([frame, frame.assign(y=frame["y"] + 0.1)]), "A", (*BOTH, "size"), {}


def _conditional(factorial):
    frame = _complete(factorial, (2, 3))
    frame = frame[(frame["A"] == "l1") | (frame["B"] == "l0")].copy()
    frame.loc[frame["A"] == "l0", "B"] = ""
    return frame, "AB", BOTH, {}


def _one_level_inside(factorial):
    frame = _complete(factorial, (2, 2))
    return frame.assign(C=frame["A"].map({"l0": "only", "l1": ""})), "ABC", BOTH, {}


def _one_level_under_the_baseline(factorial):
    frame = _complete(factorial, (2, 2))
    return frame.assign(C=frame["A"].map({"l0": "only", "l1": ""})), "ABC", BOTH, {}


def _conditional_beside_another(factorial):
    frame = _complete(factorial, (2, 3, 2))
    frame = frame[(frame["A"] == "l1") | (frame["B"] == "l0")].copy()
    frame.loc[frame["A"] == "l0", "B"] = ""
    return frame, "ABC", BOTH, {}


def _unlike_inner_levels(factorial):
    frame = _complete(factorial, (2, 3, 2))
    frame = frame[(frame["A"] == "l1") | (frame["B"] == "l0")]
    lacking = (frame["A"] == "l1") & (frame["B"] == "l0") & (frame["model"] == "m0")
    frame = frame[~lacking & ~((frame["B"] == "l2") & (frame["model"] != "m0"))].copy()
    frame.loc[frame["A"] == "l0", "B"] = ""
    return frame, "ABC", BOTH, {}


def _a_name_where_it_is_not_set(factorial):
    frame = _complete(factorial, (3, 3, 2), replicates=1)
    return frame[(frame["A"] != "l0") == (frame["B"] != "l0")], "ABC", BOTH, {}


def _one_at_a_time(factorial):
    frame = _complete(factorial, (3, 2, 2))
    away = (frame[["A", "B", "C"]] != "l0").sum(axis=1)
    return frame[away <= 1], "ABC", BOTH, {"adjust": "none"}


def _doses(factorial):
    frame = _complete(factorial, (3, 2), models=4)
    frame["A"] = frame["A"].map({"l0": "1", "l1": "2", "l2": "16"})
    return frame.iloc[1:], "AB", BOTH, {}


def _doses_without_effect(factorial):
    """The same values at every dose: statistics are 0 but for rounding."""
    frame = _complete(factorial, (2, 2), models=4)
    frame["A"] = frame["A"].map({"l0": "1", "l1": "2"})
    first = frame["A"] == "1"
    frame.loc[~first, "y"] = frame.loc[first, "y"].to_numpy()[::-1]
    return frame, "AB", BOTH, {}


KINDS = [
    _saturated, _two_data_sets, _one_variable, _without_contexts, _lost_runs,
    _contexts_without_the_level, _hidden_replication, _fraction_with_a_lost_run,
    _unequal_variances, _three_variables, _conditional, _one_level_inside,
    _one_level_under_the_baseline, _unlike_inner_levels, _conditional_beside_another,
    _a_name_where_it_is_not_set,
    _one_at_a_time, _doses, _doses_without_effect,
]  # fmt: skip


@pytest.fixture
def analysed(study):
    def build(frame, factors, contexts, choices, **more):
        plan, tables = study(frame, factors, contexts, smallest=0.3, **choices, **more)
        return analyse(plan, tables, {}, []), run_table(plan, tables)

    return build


@pytest.mark.parametrize("kind", KINDS)
def test_statsmodels_agrees(kind, analysed, factorial):
    opinion = second_opinion(*analysed(*kind(factorial)))
    assert opinion["disagreements"] == []
    assert opinion["worst"] < 1e-9
    counts = {row["kind"]: row["count"] for row in opinion["kinds"]}
    assert counts["narrow"] > 10
    assert counts["contexts"] > 5
    assert ("dose" in counts) == (kind in (_doses, _doses_without_effect))
    left_out = {row["reason"]["code"] for row in opinion["not_recomputed"]}
    assert left_out <= {"empty_cells", "lower_optimum", "no_counterpart", "no_optimum"}


@pytest.mark.parametrize(
    ("names", "response"), [(("unit", "y", "c"), "acc"), (("A", "c", "unit"), "y")]
)
def test_columns_may_have_any_name(names, response, factorial):
    """Those that statsmodels is given are our own."""
    frame = _complete(factorial, models=4, datasets=1)
    frame = frame.rename(columns=dict(zip(("A", "B", "model"), names, strict=True), y=response))
    *factors, variable = names

    def check(analysis, plan, tables):
        return {**analysis, "second_opinion": second_opinion(analysis, run_table(plan, tables))}

    opinion = analyse_table(frame, response, factors, [variable], check=check)["second_opinion"]
    assert opinion["disagreements"] == []
    assert {"anova", "mixed", "narrow"} <= {row["kind"] for row in opinion["kinds"]}


def test_unequal_variances_take_welch(analysed, factorial):
    analysis, runs = analysed(*_unequal_variances(factorial))
    codes = {row["method"]["code"] for row in analysis["responses"]["y"]["effects"]}
    assert {"welch_t", "cell_means_t"} <= codes
    row = next(r for r in analysis["responses"]["y"]["effects"] if r["method"]["code"] == "welch_t")
    row["df"] *= 1.01
    assert second_opinion(analysis, runs)["disagreements"][0]["name"].endswith("narrow: df")


def test_effects_against_a_covariate(study, factorial):
    plan, tables = study(_complete(factorial, models=4), "AB", BOTH)
    sizes = {f"m{place}": {"params": 10.0 ** (5 + place**2)} for place in range(4)}
    asked = replace(plan.analysis, predict_at={"params": 7e9})
    plan = replace(plan, covariates={"model": sizes}, analysis=asked)
    analysis, runs = analyse(plan, tables, {}, []), run_table(plan, tables)
    opinion = second_opinion(analysis, runs)
    assert opinion["disagreements"] == []
    assert {"kind": "covariates", "count": 24} in [
        {"kind": row["kind"], "count": row["count"]} for row in opinion["kinds"]
    ]
    analysis["responses"]["y"]["covariates"][0]["predictions"][0]["low_new"] += 1e-5
    assert second_opinion(analysis, runs)["disagreements"][0]["name"].endswith(": low_new")


def test_the_gap_is_recomputed_within_runs(analysed, factorial, response):
    frame = _complete(factorial)
    frame["learning"] = frame["y"]
    frame["generalization"] = frame["y"] * 0.5 + np.random.default_rng(3).normal(size=len(frame))
    frame.loc[3, "generalization"] = np.nan
    responses = [
        response(name, smallest_effect=0.3, direction="lower")
        for name in ("learning", "generalization")
    ]
    analysis, runs = analysed(frame, "AB", BOTH, {}, responses=responses)
    opinion = second_opinion(analysis, runs)
    assert opinion["disagreements"] == []
    assert "carry_over" in {row["kind"] for row in opinion["kinds"]}
    analysis["comparisons"]["gap"]["carry_over"][0]["high"] += 1e-6
    analysis["comparisons"]["gap"]["effects"][0]["estimate"] += 1e-6
    caught = second_opinion(analysis, runs)["disagreements"]
    assert caught[0]["name"] == "gap: A=l1, average, narrow: estimate"
    assert caught[-1]["name"] == "carry-over: A=l1, narrow: high"


@pytest.fixture
def small(analysed, factorial):
    frame = _complete(factorial, models=4)
    return analysed(frame, "AB", BOTH, {})


def _narrow(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return response["effects"][0], "se"


def _over_both(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return next(row for row in response["effects"] if len(row["scope"]) == 2), "low_equivalence"


def _crossed(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return next(row for row in response["effects"] if len(row["parts"]) > 2)["parts"][0], "df"


def _adjusted(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return response["effects"][1], "p_adjusted"


def _beyond(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return response["effects"][1], "p_margin_adjusted"


def _pairs(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return response["effects"][0], "pairs"


def _in_context(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return response["contexts"][3], "low"


def _plain(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return response["plain_contexts"][0], "high"


def _term(response: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return response["anova"][1], "sum_squares"


PLACES = {
    _narrow: "narrow", _over_both: "broad", _crossed: "broad", _adjusted: "holm", _beyond: "holm",
    _pairs: "narrow", _in_context: "contexts", _plain: "contexts_t", _term: "anova",
}  # fmt: skip


def test_planted_disagreements_are_caught(small):
    analysis, runs = small
    planted = []
    for place, kind in PLACES.items():
        row, key = place(analysis["responses"]["y"])
        planted.append((kind, key, row[key], row[key] * (1 + 1e-6)))
        row[key] *= 1 + 1e-6
    caught = second_opinion(analysis, runs)["disagreements"]
    for kind, key, right, wrong in planted:
        (row,) = [
            row
            for row in caught
            if (row["kind"], row["ours"]) == (kind, wrong) and row["name"].endswith(f": {key}")
        ]
        assert row["theirs"] == pytest.approx(right, rel=1e-9)


def test_a_planted_variance_is_caught(small):
    analysis, runs = small
    mixed = analysis["responses"]["y"]["mixed"]
    residual = next(row for row in mixed["random"] if row["group"] == "Residual")
    residual["variance"] *= 1.1
    caught = second_opinion(analysis, runs)["disagreements"]
    assert {row["kind"] for row in caught} == {"mixed"}


def test_a_swapped_baseline_changes_what_is_contrasted(small):
    """The row's own words decide, not its place."""
    analysis, runs = small
    row = analysis["responses"]["y"]["effects"][0]
    row["level"], row["baseline"] = row["baseline"], row["level"]
    caught = second_opinion(analysis, runs)["disagreements"]
    assert any(d["ours"] == pytest.approx(-(d["theirs"] or 0.0)) for d in caught)


def test_merged_cells_cancel():
    cells = design_cells(
        {
            "factors": [{"name": n, "levels": ["0", "1"], "baseline": "0"} for n in "ab"],
            "cells": [
                {"levels": {"a": a, "b": b}, "unit": "same" if b == "0" else a}
                for a in "01"
                for b in "01"
            ],
        },
        {},
    )
    row = {"estimand": "average", "factor": "a", "level": "1", "baseline": "0"}
    assert combinations(cells, row) == [[{}], [{"1": 1.0, "0": -1.0}]]


def test_differences_are_relative_but_for_rounding():
    assert relative_difference(1.0, 1.0 + 1e-6, 0.0) == pytest.approx(1e-6, rel=1e-5)
    assert relative_difference(1e-17, 0.0, 1.0) < 1e-16
    assert relative_difference(1.0, float("nan"), 1.0) == float("inf")
    recount = Recount()
    recount.compare("narrow", "x", None, 1.0)
    assert recount.result()["of"] == 0


def test_without_statsmodels_every_number_has_the_reason(small, tmp_path, monkeypatch):
    analysis, runs = small
    (tmp_path / "analysis.json").write_text(json.dumps(analysis))
    runs.to_parquet(tmp_path / "runs.parquet")
    for name in [name for name in sys.modules if "second_opinion.opinion" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    for name in [n for n in sys.modules if n.startswith("ablatekit.analysis.companions.second_")]:
        if not name.endswith(("__main__", "recount", "second_opinion")):
            monkeypatch.delitem(sys.modules, name, raising=False)
    main(*(tmp_path / name for name in ("analysis.json", "runs.parquet", "opinion.json")))
    opinion = json.loads((tmp_path / "opinion.json").read_text())
    assert opinion["recomputed"] == 0
    assert opinion["of"] > 100
    assert {row["reason"]["code"] for row in opinion["not_recomputed"]} == {"no_statsmodels"}
    assert statement("no_statsmodels") in [row["reason"] for row in opinion["not_recomputed"]]
