"""From a table to a plan: conditional factors, and outcomes without noise."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.table import analyse_table, plan_from_table
from ablatekit.errors import TableError


def conditional(samplers):
    """Loops in two models, two runs each; `samplers` are those of the loop that has any."""
    kinds = [("lcwa", None), *(("owa", sampler) for sampler in samplers)]
    rows = [
        {"loop": loop, "sampler": sampler, "model": model, "y": 0.1 * n + 0.01 * run}
        for n, (loop, sampler) in enumerate(kinds)
        for model in "pq"
        for run in (0, 1)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("samplers", "levels", "baseline"),
    [
        (("basic",), ("", "basic"), ""),
        (("basic", "bern"), ("", "basic", "bern"), "basic"),
    ],
)
def test_the_baseline_of_a_conditional_factor_is_its_first_level(samplers, levels, baseline):
    frame = conditional(samplers)
    plan, _ = plan_from_table(frame, "y", ["sampler", "loop"], ["model"], {})
    assert (plan.factors[0].levels, plan.factors[0].baseline) == (levels, baseline)
    chosen, _ = plan_from_table(frame, "y", ["sampler", "loop"], ["model"], {"sampler": ""})
    assert chosen.factors[0].baseline == ""


def test_a_conditional_factor_is_compared_where_it_is_set():
    effects = analyse_table(conditional(("basic", "bern")), "y", ["loop", "sampler"], ["model"])
    rows = [
        row for row in effects["responses"]["y"]["effects"]
        if (row["factor"], row["estimand"], row["inference"]) == ("sampler", "average", "narrow")
    ]  # fmt: skip
    assert [(row["level"], row["baseline"]) for row in rows] == [("bern", "basic")]
    assert rows[0]["estimate"] == pytest.approx(0.1)


def test_other_gaps_are_refused_with_their_rows():
    frame = conditional(("basic", "bern"))
    frame.loc[[5, 7], "sampler"] = None
    with pytest.raises(TableError, match="empty cells; received 'sampler' in rows 1, 2, 3, 4, 6"):
        analyse_table(frame, "y", ["loop", "sampler"], ["model"])


@pytest.fixture
def outcomes():
    """Two factors, three models, two runs each: solved at level b of A, whatever else."""
    cells = itertools.product("ab", "xy", "pqr", range(2))
    return pd.DataFrame([{"A": a, "B": b, "model": m, "y": int(a == "b")} for a, b, m, _ in cells])


def narrow(response):
    return [
        row for row in response["effects"]
        if (row["estimand"], row["inference"]) == ("average", "narrow")
    ]  # fmt: skip


def test_outcomes_that_agree_within_cells_are_tested_by_permutation(outcomes):
    analysis = analyse_table(outcomes, "y", ["A", "B"], ["model"])
    response = analysis["responses"]["y"]
    helps, nothing = narrow(response)
    tests = [row["p"] for row in response["robust"]["permutation"]]
    assert [helps["p"], nothing["p"]] == tests
    assert [helps["p_adjusted"], nothing["p_adjusted"]] == [2 * tests[0], 1.0]
    assert [helps["verdict"], nothing["verdict"]] == ["helps", "inconclusive"]
    assert helps["method"] == statement("permutation_test")
    assert helps["reason"] is helps["low"] is helps["se"] is None
    assert statement("tested_by_permutation") in response["diagnostics"]["messages"]
    others = [row for row in response["effects"] if row["estimand"] == "baseline"]
    assert {row["reason"]["code"] for row in others if row["inference"] == "narrow"} == {
        "outcomes_agree"
    }


def test_the_permutation_test_says_why_it_cannot_answer(outcomes):
    response = analyse_table(outcomes.iloc[1:], "y", ["A", "B"], ["model"])["responses"]["y"]
    assert narrow(response)[0]["reason"] == statement("unequal_runs")
    assert narrow(response)[0]["verdict"] == "not_estimated"


@pytest.mark.parametrize("values", [(0.25, 0.75), (0, 2)])
def test_other_values_that_agree_are_still_asked_about(values, outcomes):
    frame = outcomes.assign(y=outcomes["y"].map(dict(enumerate(values))))
    response = analyse_table(frame, "y", ["A", "B"], ["model"])["responses"]["y"]
    assert {row["reason"]["code"] for row in narrow(response)} == {"identical_replicates"}


def test_noisy_outcomes_keep_their_t_test(outcomes):
    outcomes.loc[0, "y"] = 1
    response = analyse_table(outcomes, "y", ["A", "B"], ["model"])["responses"]["y"]
    assert all(row["se"] > 0 for row in narrow(response))


def test_contexts_of_one_name_are_refused():
    """Two contexts would share a name, and so their runs."""
    places = [("a / b", "c"), ("a", "b / c")]
    frame = pd.DataFrame(
        [
            {"f": level, "model": model, "data": data, "y": 0.1}
            for level in "xy"
            for model, data in places
        ]
    )
    with pytest.raises(TableError, match="two contexts would have the same name"):
        analyse_table(frame, "y", ["f"], ["model", "data"])
