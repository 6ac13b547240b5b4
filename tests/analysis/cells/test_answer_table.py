"""The answer table against R: contrasts inside contexts, narrow, and broad over every scope.

Reference values: tests/reference/answer_table (emmeans, t.test and anova; its README names the
scripts). PyKEEN's public ablation table stays outside the project: its values are held against it
where `ABLATEKIT_PUBLIC_DATA` names the folder with pykeen_ablation.csv.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from ablatekit.analysis.cells.effects import effect_rows, fit, infer_all, plain_rows
from ablatekit.analysis.cells.heterogeneity import spread
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.stats.verdict import rule_for
from ablatekit.analysis.table import analyse_table, plan_from_table
from ablatekit.analysis.tables.responses import respond

FOLDER = Path(__file__).parents[2] / "reference" / "answer_table"
TABLES = json.loads((FOLDER / "tables.json").read_text())
CONFIGURATION = "configuration"
SIZES = {"more": "by_more", "less": "less", "open": "open"}
NUMBERS = ("estimate", "se", "df", "p", "low", "high")


def close(value):
    return pytest.approx(value, rel=1e-8, abs=1e-10)


def key_of(row):
    return row["factor"], row["level"], row["estimand"], tuple(row["scope"])


def expected_rows(expected):
    """R's rows by factor, level, estimand and scope, configurations apart."""
    varying = {
        name: name for row in expected["rows"] for name in row.get("parts", {}) if name != "crossed"
    }
    scopes = {"narrow": (), "both": tuple(varying)} | {
        name: (name,) for name in expected["contexts"]
    }
    return {
        (row["factor"], row["level"], row["estimand"], scopes[row["scope"]]): row
        for row in expected["rows"]
        if row["estimand"] != CONFIGURATION
    }


def check_effect(row, expected):
    """One row of the effect table against R's."""
    own_cells = row["method"]["code"] == "welch_t"
    numbers = {**expected, **expected["welch"]} if own_cells else expected
    for name in ("estimate", "se", "df") if own_cells else NUMBERS:
        assert row[name] == close(numbers[name]), name
    if "pairs_by_context" in expected:
        shapley = row["estimand"] == "shapley"
        assert shapley or row["pairs"] == sum(expected["pairs_by_context"].values())
        assert row["contexts"] == expected["contexts"]
        assert row["of_contexts"] == expected["of_contexts"]
    parts = {
        "crossed" if len(part["by"]) > 1 else part["by"][0]: part for part in row.get("parts", ())
    }
    assert parts.keys() == expected.get("parts", {}).keys()
    for by, part in expected.get("parts", {}).items():
        assert parts[by]["estimate"] == close(part["estimate"])
        assert parts[by]["se"] == close(part["se"])
        assert parts[by]["df"] == close(max(part["df"], 1.0))


def check_judgement(row, expected):
    """Holm's p values, direction and size of a row whose family has pooled error throughout."""
    assert row["p_adjusted"] == close(expected["p_adjusted"])
    if "verdict" in expected:
        assert row["verdict"] == expected["verdict"]
        assert row["p_margin_adjusted"] == close(expected["p_margin_adjusted"])
        assert row["low_equivalence"] == close(expected["low_equivalence"])
        assert row["high_equivalence"] == close(expected["high_equivalence"])
        assert row["size"] == (SIZES[expected["size"]] if expected.get("size") else None)


def check_table(effects, plain, expected):
    """Every row that R has, and nothing beside them that has a number."""
    rows = {key_of(row): row for row in effects}
    references = expected_rows(expected)
    assert {key for key, row in rows.items() if row["p"] is not None} == references.keys()
    own_cells = {key_of(row)[2:] for row in effects if row["method"]["code"] == "welch_t"}
    for key, reference in references.items():
        check_effect(rows[key], reference)
        if key[2:] not in own_cells:
            check_judgement(rows[key], reference)
    beside = {(row["factor"], row["level"], row["estimand"]): row for row in plain}
    for reference in expected["plain"]:
        key = (reference["factor"], reference["level"], reference["estimand"])
        if key[2] != CONFIGURATION and reference["contexts"] > 2:
            for name in NUMBERS:
                assert beside[key][name] == close(reference[name])


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_row_of_the_effect_table_agrees_with_r(response, name):
    expected = TABLES[name]
    frame = pd.read_csv(FOLDER / "data" / f"{name}.csv", dtype=dict.fromkeys("ABC", str))
    planned = response("y", smallest_effect=expected["smallest_effect"])
    contexts = expected["contexts"]
    contexts = [contexts] if isinstance(contexts, str) else contexts
    plan, tables = plan_from_table(
        frame, [planned], expected["factors"], contexts, expected["baselines"]
    )
    design = layout(plan)
    values = respond(planned, tables, design, "score").values  # noqa: PD011
    fitted = fit(values, design, 2)
    families = infer_all(fitted, ("narrow", "broad"), 0.05)
    rule = rule_for("higher", 0.05, "holm", planned.smallest_effect)
    effects = effect_rows(families, "y", rule, design)
    check_table(effects, plain_rows(families, design, 0.05), {**expected, "contexts": contexts})
    checked = 0
    references = expected_rows({**expected, "contexts": contexts})
    for family in families:
        for effect, _ in family.members:
            contrast = effect.contrast
            key = contrast.factor, contrast.level, contrast.estimand, family.scope
            if family.scope and "prediction_low" in references.get(key, {}):
                found = spread(effect.values, family.scope, fitted.model.error, design, 0.05)
                assert found.prediction_low == close(references[key]["prediction_low"])
                assert found.prediction_high == close(references[key]["prediction_high"])
                checked += 1
    assert checked


TRUNCATED = json.loads((FOLDER / "truncated.json").read_text())


@pytest.mark.parametrize("name", sorted(TRUNCATED))
def test_models_without_higher_interactions_agree_with_r(response, name):
    expected = {**TRUNCATED[name], "contexts": ["model", "dataset"]}
    frame = pd.read_csv(FOLDER / "data" / f"{name}.csv")
    planned = response("y")
    plan, tables = plan_from_table(frame, [planned], expected["factors"], expected["contexts"], {})
    design = layout(plan)
    values = respond(planned, tables, design, "score").values  # noqa: PD011
    fitted = fit(values, design, expected["order"])
    assert fitted.truncated
    assert fitted.model.error.variance == close(expected["residual"]["variance"])
    families = infer_all(fitted, ("narrow", "broad"), 0.05)
    rows = effect_rows(families, "y", rule_for("higher", 0.05, "holm", None), design)
    found = {key_of(row): row for row in rows}
    for key, reference in expected_rows(expected).items():
        row = found[key]
        for number in NUMBERS:
            assert row[number] == close(reference[number]), (key, number)
        assert row["p_adjusted"] == close(reference["p_adjusted"]), key
        if "contexts" in reference:
            assert row["contexts"] == reference["contexts"]


def ablation(name):
    """The folder of PyKEEN's ablation table, or of a simulated one of its shape."""
    if name == "pykeen_shape":
        return FOLDER / "data"
    folder = os.environ.get("ABLATEKIT_PUBLIC_DATA")
    if folder is None:
        pytest.skip("set ABLATEKIT_PUBLIC_DATA to a folder with PyKEEN's pykeen_ablation.csv")
    return Path(folder)


@pytest.mark.parametrize("name", ["pykeen_shape", "pykeen_ablation"])
def test_an_ablation_with_nested_levels_and_a_conditional_factor_agrees_with_r(name):
    frame = pd.read_csv(ablation(name) / f"{name}.csv", keep_default_na=False)
    factors = ["loss", "optimizer", "training_loop", "negative_sampler"]
    result = analyse_table(frame, "hits@10", factors, ["dataset", "model"])["responses"]["hits@10"]
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    check_table(result["effects"], result["plain_contexts"], expected)
    sampler = [row for row in result["effects"] if row["factor"] == "negative_sampler"]
    assert {row["reason"]["code"] for row in sampler} == {"one_level_inside"}


def test_contexts_that_lack_the_level_do_not_pull_the_broad_row(pick):
    """Five contexts with effects 0 to 2 beside six, about 2 lower, that have the baseline only."""
    shift = {f"c{i}": level for i, level in enumerate((-0.5, 0.5, 0.0, 0.3, -0.3))}
    lower = {f"d{i}": level for i, level in enumerate((-2.4, -1.6, -2.0, -1.76, -2.24, -2.0))}
    rows = [
        {"f": level, "model": model, "y": value + noise}
        for i, (model, start) in enumerate((shift | lower).items())
        for level in ("a", "b")[: 2 if model in shift else 1]
        for value in (start + (0.5 * i if level == "b" else 0.0),)
        for noise in (0.05, -0.05)
    ]
    result = analyse_table(pd.DataFrame(rows), "y", ["f"], ["model"])["responses"]["y"]
    narrow, broad = (
        pick(result["effects"], factor="f", estimand="average", inference=inference)
        for inference in ("narrow", "broad")
    )
    assert narrow["estimate"] == pytest.approx(1.0, abs=1e-9)
    assert broad["estimate"] == pytest.approx(1.0, abs=1e-9)
    assert (broad["contexts"], broad["of_contexts"], broad["df"]) == (5, 11, 4)
    assert broad["se"] == pytest.approx(0.125**0.5, abs=1e-9)
    assert broad["p"] == pytest.approx(0.0474207, abs=1e-7)
