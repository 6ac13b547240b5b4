"""Two studies held against each other."""

from __future__ import annotations

import copy
import json

import numpy as np
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


def test_shared_contexts_are_paired(analysis):
    other = copy.deepcopy(analysis)
    shifts = [0.01, 0.03, 0.02, 0.05, 0.04, 0.03]
    rows = other["responses"]["learning"]["contexts"]
    rows = [row for row in rows if row["level"] == "q64"]
    for row, shift in zip(rows, shifts, strict=True):
        row["estimate"] += shift
    assert "runs_in_both" not in codes(compare(analysis, other)), "rows of two tables"
    for part in (analysis, other):
        part["study"]["backend"] = "rft"
    found = compare(analysis, other)
    assert found.contexts == "overlapping"
    row = row_of(found, "learning", "q64")
    test = stats.ttest_1samp(shifts, 0.0)
    assert (row.difference, row.df, row.p) == pytest.approx((0.03, 5, test.pvalue))
    assert row.agreement == "differ"
    assert "runs_in_both" in codes(found)
    same = row_of(found, "learning", "batch_norm")
    assert same.agreement == "not_compared"
    assert same.reason == statement("same_difference")


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


def test_shared_contexts_that_combine_models_and_data_sets_are_no_plain_sample(analysis, elsewhere):
    found = compare(analysis, copy.deepcopy(analysis))
    (note,) = (note for note in found.notes if note["code"] == "crossed_contexts")
    assert note["arguments"] == {
        "contexts": 6, "variables": ["model", "dataset"], "levels": [3, 2],
    }  # fmt: skip
    assert "crossed_contexts" not in codes(compare(analysis, elsewhere))
    text = json.dumps(analysis).replace("d1", "other")
    half = compare(analysis, json.loads(text))
    assert half.contexts == "overlapping"
    assert "crossed_contexts" not in codes(half)
