"""Item level: lme4 and lmerTest, mean squares by hand, coverage on new items, and refusals.

Reference values: tests/reference/items, made by its make.R.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablatekit.analysis.cells.effects import evaluate, fit, infer
from ablatekit.analysis.companions.items import complete_crossings, item_effect
from ablatekit.analysis.core.layout import layout
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.core.values import RunValues
from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.outcomes import Outcomes
from ablatekit.errors import TableError

FOLDER = Path(__file__).parents[2] / "reference" / "items"
REFERENCE = json.loads((FOLDER / "reference.json").read_text())
CONTEXTS = ("model", "dataset")


@pytest.fixture(scope="module")
def outcomes() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "outcomes.csv")


def _analysis(frame, response="outcome"):
    return analyse_table(frame, response, ["A"], CONTEXTS)["responses"][response]


def _items(frame, response="outcome"):
    return _analysis(frame, response)["items"]


@pytest.mark.parametrize("part", ["complete", "lost"])
def test_variances_are_those_of_lme4(outcomes, part):
    frame = outcomes if part == "complete" else outcomes[outcomes["lost"] == 0]
    expected = REFERENCE[part]
    if part == "lost":
        # Run means are the responses; here they are of unequal items, as a study would report.
        assert frame.groupby("run")["item"].count().std() > 0
    found = _items(frame)
    assert found["model"]["criterion"] == pytest.approx(expected["criterion"], abs=1e-6)
    variances = {row["group"]: row["variance"] for row in found["random"]}
    for group, name in (("run", "run"), ("dataset:item", "it"), ("Residual", "Residual")):
        key = f"{name}  " if name == "Residual" else f"{name} (Intercept) "
        assert variances[group] == pytest.approx(expected["variances"][key], rel=1e-4)


def test_shares_add_up_and_name_every_source(outcomes):
    shares = {row["source"]: row["share"] for row in _items(outcomes)["shares"]}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares) == ["design", "contexts", "runs", "items", "draws"]
    assert shares["items"] > shares["runs"]


def test_effects_of_complete_tables_are_mean_squares(outcomes):
    """Cornfield and Tukey's expectations, written out per data set."""
    section = _analysis(outcomes)
    (row,) = section["items"]["effects"]
    (narrow,) = [
        e for e in section["effects"] if (e["estimand"], e["inference"]) == ("average", "narrow")
    ]
    assert row["estimate"] == pytest.approx(narrow["estimate"])
    wide = outcomes.pivot_table(index=["dataset", "model", "A", "run"], columns="item",
                                values="outcome")  # fmt: skip
    squares, df, added, terms = 0.0, 0, 0.0, []
    for _, table in wide.groupby("dataset"):
        centred = table.sub(table.mean(axis=1), axis=0)
        rest = centred - centred.groupby(["model", "A"]).transform("mean")
        squares += float((rest**2).to_numpy().sum())
        df += (len(table) - 4) * (table.shape[1] - 1)
    noise = squares / df
    for _, table in wide.groupby("dataset"):
        sign = np.where(table.index.get_level_values("A") == "a1", 1, -1)
        weights = sign / 3 / 4
        contribution = weights @ table.to_numpy()
        drawn = float(weights @ weights) * noise
        added += (contribution.var(ddof=1) - drawn) / 24
        terms += [(contribution.var(ddof=1) / 24, 23), (drawn / 24, df)]
    total = narrow["se"] ** 2 + added
    terms.append((narrow["se"] ** 2, narrow["df"]))
    expected_df = min(total**2 / sum(part**2 / d for part, d in terms), narrow["df"])
    assert row["se"] == pytest.approx(np.sqrt(total))
    assert row["df"] == pytest.approx(expected_df)
    half = stats.t.ppf(0.975, expected_df) * np.sqrt(total)
    assert row["high"] - row["low"] == pytest.approx(2 * half)


def test_effects_of_incomplete_tables_are_those_of_lmertest(outcomes):
    frame = outcomes[outcomes["lost"] == 0]
    (row,) = _items(frame)["effects"]
    expected = REFERENCE["lost"]["slope"]
    assert row["estimate"] == pytest.approx(expected["Estimate"], rel=1e-5)
    assert row["se"] == pytest.approx(expected["Std. Error"], rel=1e-5)
    assert row["df"] == pytest.approx(min(expected["df"], 16), rel=1e-4)
    assert row["item_sd"] == pytest.approx(np.sqrt(expected["variances"]["it c "]), rel=1e-4)


def test_intervals_cover_the_effect_on_the_population_of_items(study):
    """True effect 0 on average, sd .15 over items; four Monte-Carlo errors of slack below."""
    rng, draws = np.random.default_rng(3), 1000
    frame = pd.DataFrame({"A": np.repeat(["a0", "a1"], 6), "y": 0.0})
    plan, _ = study(frame, "A")
    design, names = layout(plan), tuple(map(str, range(12)))
    unit, no_context = np.repeat([0, 1], 6), np.zeros(12, dtype=np.int64)
    run, item = (part.ravel() for part in np.indices((12, 30)))
    inside = narrow_inside = 0
    for _ in range(draws):
        chance = 0.5 + rng.normal(0, 0.2, 30) + unit[:, None] * rng.normal(0, 0.15, 30)
        y = chance + rng.normal(0, 0.02, 12)[:, None] + rng.normal(0, 0.1, (12, 30))
        fitted = fit(RunValues(y.mean(axis=1), unit, no_context, names), design, 2)
        (one,) = evaluate(fitted, "average")
        rows = Outcomes(run, item, y.ravel(), np.ones(360), 30, 0, "test")
        found = item_effect(complete_crossings(rows, fitted), one.values)
        half = stats.t.ppf(0.975, found.df) * found.se
        inside += abs(found.estimate) <= half
        plain = infer(fitted, one, "narrow", 0.05)
        narrow_inside += plain.low <= 0 <= plain.high
    assert inside / draws > 0.95 - 4 * np.sqrt(0.05 * 0.95 / draws)
    assert narrow_inside / draws < 0.9


def test_samples_of_an_item_are_weights_and_no_rows(outcomes):
    twice = pd.concat([outcomes.assign(sample=0), outcomes.assign(sample=1)])
    found, once = _items(twice), _items(outcomes)
    assert found["outcomes"] == 2 * once["outcomes"]
    assert found["model"]["n"] == once["model"]["n"]
    assert found["effects"] == once["effects"]


def test_integer_items_are_nested_in_their_data_set(outcomes):
    section = _items(outcomes)
    assert section["items"] == 48
    assert section["footer"] == statement("item_model")


def test_row_order_changes_nothing(outcomes):
    shuffled = outcomes.sample(frac=1.0, random_state=1)
    levels = {"A": "a0"}
    one = analyse_table(outcomes, "outcome", ["A"], CONTEXTS, levels)["responses"]["outcome"]
    two = analyse_table(shuffled, "outcome", ["A"], CONTEXTS, levels)["responses"]["outcome"]
    for key in ("estimate", "se", "df"):
        left, right = one["items"]["effects"][0][key], two["items"]["effects"][0][key]
        assert left == pytest.approx(right, rel=1e-8)


def test_single_replicates_have_no_item_model(outcomes):
    first = outcomes[outcomes["run"].str[1:].astype(int) % 3 == 1]
    section = _items(first)
    assert "model" not in section
    assert section["shares"] == []
    assert section["reason"] == statement("no_replicates")
    assert section["effects"][0]["estimate"] is None
    assert section["effects"][0]["reason"] == section["reason"]


def test_a_constant_outcome_is_refused_with_its_reason(outcomes):
    section = _items(outcomes.assign(outcome=1))
    assert section["reason"] == statement("constant_response")
    assert section["effects"][0]["p"] is None


def test_a_factor_that_changes_within_a_run_names_the_run(outcomes):
    broken = outcomes.copy()
    broken.loc[3, "A"] = "a1"
    with pytest.raises(TableError, match=r"A changes within a run.*run r01: a0, a1"):
        _items(broken)


def test_rows_without_an_item_are_an_error(outcomes):
    broken = outcomes.astype({"item": object})
    broken.loc[0, "item"] = None
    with pytest.raises(TableError, match="rows without a run or an item"):
        _items(broken)


def test_one_row_per_run_is_no_item_table(outcomes):
    runs = outcomes[outcomes["item"] == 1]
    assert "items" not in _analysis(runs)
