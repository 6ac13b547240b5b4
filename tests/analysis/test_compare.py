"""Two studies held against each other."""

from __future__ import annotations

import copy
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablatekit.analysis.compare import compare
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse


@pytest.fixture(scope="module")
def analysed(factorial, study, response):
    """Two factors and two responses in six contexts, by JSON as files hold it."""
    frame = factorial((2, 2), seed=6, sd=0.01, mean=lambda a, *_: 0.5 + 0.06 * a)
    names = {"A": "advantage", "B": "queries", "y": "learning"}
    frame = frame.rename(columns=names).assign(generalization=lambda f: f["learning"] - 0.1)
    frame["advantage"] = frame["advantage"].map({"l0": "none", "l1": "batch_norm"})
    frame["queries"] = frame["queries"].map({"l0": "q32", "l1": "q64"})
    responses = [response(name, smallest_effect=0.02) for name in ("learning", "generalization")]
    factors, contexts = ("advantage", "queries"), ("model", "dataset")
    return json.dumps(analyse(*study(frame, factors, contexts, responses=responses), {}, []))


@pytest.fixture
def analysis(analysed):
    return json.loads(analysed)


@pytest.fixture
def elsewhere(analysed):
    """The same study in other contexts, as its own analysis."""
    for model in ("m0", "m1", "m2"):
        analysed = analysed.replace(model, f"large-{model}")
    return json.loads(analysed)


def row_of(found, response, level):
    return next(r for r in found.effects if (r.response, r.level) == (response, level))


def row_of_study(analysis, response, level):
    return next(
        row for row in analysis["responses"][response]["effects"]
        if (row["level"], row["inference"], row["estimand"]) == (level, "narrow", "average")
    )  # fmt: skip


def codes(found):
    return [note["code"] for note in found.notes]


def test_disjoint_contexts_give_a_welch_test(analysis, elsewhere):
    effect = next(
        e for e in elsewhere["responses"]["learning"]["effects"] if e["level"] == "batch_norm"
    )
    effect["estimate"] += 0.05
    found = compare(analysis, elsewhere)
    assert found.contexts == "disjoint"
    row = row_of(found, "learning", "batch_norm")
    se = np.hypot(effect["se"], effect["se"])
    df = 2 * effect["df"]
    assert (row.difference, row.se, row.df) == pytest.approx((0.05, se, df))
    assert row.p == pytest.approx(2 * stats.t.sf(0.05 / se, df))
    assert row.p_adjusted >= row.p
    assert (row.low, row.high) == pytest.approx(
        tuple(0.05 + sign * stats.t.ppf(0.975, df) * se for sign in (-1, 1))
    )
    assert (row.agreement, row.size) == ("differ", "by_more")
    assert (row.second.low, row.second.high) == (effect["low"], effect["high"])


def test_small_certain_differences_agree_and_uncertain_ones_are_undecided(analysis, elsewhere):
    found = compare(analysis, elsewhere)
    alike = row_of(found, "learning", "q64")
    assert (alike.agreement, alike.size) == ("agree", None)
    for part in (analysis, elsewhere):
        for effect in part["responses"]["learning"]["effects"]:
            effect["se"] = effect["se"] and 10 * effect["se"]
    assert row_of(compare(analysis, elsewhere), "learning", "q64").agreement == "undecided"


def shifted(analysis, shifts):
    """The same study with the effects of q64 on learning moved in every context."""
    other = copy.deepcopy(analysis)
    rows = [row for row in other["responses"]["learning"]["contexts"] if row["level"] == "q64"]
    for row, shift in zip(rows, shifts, strict=True):
        row["estimate"] += shift
    return other


SHIFTS = [0.01, 0.03, 0.02, 0.05, 0.04, 0.03]


def test_over_shared_contexts_only_the_runs_differ_by_chance(analysis):
    other = shifted(analysis, SHIFTS)
    assert "runs_in_both" not in codes(compare(analysis, other)), "rows of two tables"
    for part in (analysis, other):
        part["study"]["backend"] = "rft"
    found = compare(analysis, other)
    assert found.contexts == "overlapping"
    row = row_of(found, "learning", "q64")
    rows = [row for row in analysis["responses"]["learning"]["contexts"] if row["level"] == "q64"]
    error = np.sqrt(2 * sum(row["se"] ** 2 for row in rows)) / len(rows)
    df = 2 * row_of_study(analysis, "learning", "q64")["df"]
    assert (row.difference, row.se, row.df) == pytest.approx((0.03, error, df))
    assert row.p == pytest.approx(2 * stats.t.sf(0.03 / error, df))
    assert row.agreement == "differ"
    assert "runs_in_both" in codes(found)
    assert row_of(found, "learning", "batch_norm").agreement == "agree"


def test_beyond_them_is_the_t_over_the_levels_of_a_variable(analysis):
    row = row_of(compare(analysis, shifted(analysis, SHIFTS)), "learning", "q64")
    models = [context["model"] for context in analysis["design"]["contexts"]]
    means = pd.Series(SHIFTS).groupby(models).mean()
    test = stats.ttest_1samp(means, 0.0)
    assert row.beyond.variable == "model"
    assert (row.beyond.difference, row.beyond.df) == pytest.approx((0.03, 2))
    assert row.beyond.p == pytest.approx(test.pvalue)
    interval = test.confidence_interval(0.95)
    assert (row.beyond.low, row.beyond.high) == pytest.approx((interval.low, interval.high))


def test_what_only_one_study_has_is_named_and_other_scales_are_not_compared(analysis, elsewhere):
    elsewhere["responses"]["learning"]["unit"] = "nats"
    del elsewhere["responses"]["generalization"]
    found = compare(analysis, elsewhere)
    assert statement("response_part", response="generalization") in found.only_first
    row = row_of(found, "learning", "batch_norm")
    assert row.agreement == "not_compared"
    assert row.reason["code"] == "unlike_studies"
    assert row.reason["arguments"]["second"] == "nats"
    assert found.to_json()["effects"][0]["response"] == "learning"


def test_both_studies_say_what_their_answer_tables_say(analysis, elsewhere):
    """Three models and two data sets: the widest scope is over models."""
    row = row_of(compare(analysis, elsewhere), "learning", "batch_norm")
    for side in (row.first, row.second):
        assert (side.verdict, side.size) == ("helps", "by_more")
        assert (side.broad, side.scope) == ("helps", ("model",))
    effects = elsewhere["responses"]["learning"]["effects"]
    elsewhere["responses"]["learning"]["effects"] = [
        effect for effect in effects if effect["inference"] == "narrow"
    ]
    alone = row_of(compare(analysis, elsewhere), "learning", "batch_norm").second
    assert (alone.verdict, alone.broad, alone.scope) == ("helps", None, ())


def test_a_study_and_itself_are_one_whatever_made_the_analysis(analysis, elsewhere):
    again = copy.deepcopy(analysis)
    assert "same_study" in codes(compare(analysis, again))
    again["responses"]["learning"]["residual_sd"] = 0.5
    assert "same_study" not in codes(compare(analysis, again))
    for part in (analysis, again):
        part["provenance"] |= {"plan_hash": "0123", "results_hash": "4567"}
    assert "same_study" in codes(compare(analysis, again))
    assert "same_study" not in codes(compare(analysis, elsewhere))


def test_beyond_needs_three_shared_levels(analysis, elsewhere):
    two = copy.deepcopy(analysis)
    names = {context["model"] for context in two["design"]["contexts"]}
    text = json.dumps(two).replace(sorted(names)[0], "another")
    found = compare(analysis, json.loads(text))
    assert found.contexts == "overlapping"
    assert row_of(found, "learning", "q64").beyond is None
    assert row_of(compare(analysis, elsewhere), "learning", "q64").beyond is None
