"""The mixed-model companion against lme4, lmerTest and pbkrtest, and what it refuses.

Reference values: tests/reference/companion, made by its make.R.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.cells.effects import evaluate, fit
from ablatekit.analysis.companions.mixed import FEWEST_DF, mixed_companion
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.tables.responses import respond

REFERENCE = Path(__file__).parents[2] / "reference" / "companion"
CASES = json.loads((REFERENCE / "reference.json").read_text())


@pytest.fixture
def companion(study):
    def answer(frame, factors, order=2):
        baselines = dict.fromkeys(factors, "l0")
        plan, tables = study(frame, factors, ("model", "dataset"), baselines=baselines)
        design = layout(plan)
        response = respond(plan.analysis.responses[0], tables, design, "score")
        fitted = fit(response.values, design, order)
        return mixed_companion(fitted, evaluate(fitted, "average"), 0.05)

    return answer


@pytest.mark.parametrize("name", CASES)
def test_equals_lmer_with_kenward_roger(name, companion):
    frame = pd.read_csv(REFERENCE / "data" / f"{name}.csv")
    factors = [column for column in "ABCD" if column in frame]
    section = companion(frame, factors, 1 if name == "fraction" else 2)
    assert [(row["factor"], row["level"]) for row in section["effects"]] == [
        (row["factor"], row["level"]) for row in CASES[name]
    ]
    for ours, theirs in zip(section["effects"], CASES[name], strict=True):
        assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=1e-5, abs=1e-6)
        if theirs["df"] >= FEWEST_DF:
            for key in ("se", "df", "p"):
                assert ours[key] == pytest.approx(theirs[key], rel=1e-4)
        else:
            assert ours["se"] is None
            assert ours["reason"]["code"] == "few_kenward_roger_df"
        key = (theirs["factor"], theirs["level"])
        mine = {
            (row["group"], row["name"]): row["variance"]
            for row in section["random"]
            if (row["factor"], row["level"]) == key
        }
        expected = {(v["group"], v["name"]): v["variance"] for v in theirs["variances"]}
        assert mine == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_complete_table_of_one_variable_is_the_t_over_contexts(companion, factorial):
    frame = factorial(
        (2, 2), 6, 1, 2, mean=lambda a, b, m, d: a * 3 * np.sin(7 * m) + b + d, sd=0.3
    )
    row = companion(frame, "AB")["effects"][0]
    means = frame.groupby(["A", "model"])["y"].mean()
    values = means["l1"] - means["l0"]
    assert row["estimate"] == pytest.approx(values.mean())
    assert row["se"] == pytest.approx(values.std(ddof=1) / 6**0.5, rel=1e-6)
    assert row["df"] == pytest.approx(5, rel=1e-6)


def test_only_contexts_with_the_contrast_enter(companion, factorial):
    frame = factorial((2,), 5, 1, 3, mean=lambda a, m, d: a * 2 * np.sin(9 * m) + d, sd=0.3)
    lonely = factorial((1,), 6, 1, 3, seed=5, mean=lambda a, m, d: a + m + d - 20.0)
    lonely["model"] = "only-" + lonely["model"]
    with_others = companion(pd.concat([frame, lonely]), "A")["effects"][0]
    assert with_others == companion(frame, "A")["effects"][0]


def test_what_cannot_be_fitted_is_a_row_with_its_reason(companion, factorial):
    few = companion(factorial((2,), 2, 2), "A")["effects"][0]
    assert few["estimate"] is None
    assert few["reason"] == statement(
        "too_few_levels", variable="model", levels=2, fewest=3, of_levels=2
    )
    exact = factorial((2,), 4, 1, mean=lambda a, m, d: a + m + d, sd=0.0)
    assert companion(exact, "A")["effects"][0]["reason"]["code"] == "model_refused"
    single = companion(factorial((2,), 4, 1, 1), "A")["effects"][0]
    assert "apart" in single["reason"]["arguments"]["message"]


def test_without_a_blocking_variable_there_is_no_section(companion, factorial):
    assert companion(factorial((2,), 1, 1), "A") is None
