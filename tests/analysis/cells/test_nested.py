"""Nested, conditional and aliased factors, and factors that vary in no context."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse


def _frame(cells, names, seed=0, contexts=("c0", "c1", "c2"), replicates=2):
    """Cells with their means, in every context, with normal noise."""
    rng = np.random.default_rng(seed)
    rows = [
        (*cell, context, mean + rng.normal(0, 0.1))
        for (cell, mean), context, _ in itertools.product(cells, contexts, range(replicates))
    ]
    return pd.DataFrame(rows, columns=[*names, "model", "y"])


def _effects(frame, names, study, **options):
    plan, tables = study(frame, names, ("model",), **options)
    return analyse(plan, tables, {}, [])["responses"]["y"]["effects"]


def _means(frame, names):
    by_context = frame.groupby(["model", *names], dropna=False)["y"].mean()
    return by_context.groupby(level=names).mean()


LOSS = [("lcwa", "", 0.0), ("owa", "basic", 1.0), ("owa", "bernoulli", 2.0), ("owa", "own", 4.0)]


@pytest.fixture(scope="module")
def conditional():
    """A sampler exists only under one training loop; every cell under two optimizers."""
    cells = [
        ((loop, sampler, optimizer), mean + (optimizer == "adam"))
        for (loop, sampler, mean), optimizer in itertools.product(LOSS, ("sgd", "adam"))
    ]
    return _frame(cells, ("loop", "sampler", "optimizer"))


NAMES = ("loop", "sampler", "optimizer")


def test_a_conditional_factor_is_compared_where_it_exists(conditional, study, pick):
    effects = _effects(conditional, NAMES, study, baselines={"sampler": "basic"})
    mean = _means(conditional, list(NAMES))
    for level in ("bernoulli", "own"):
        row = pick(effects, factor="sampler", level=level, estimand="average", inference="narrow")
        expected = mean["owa", level].mean() - mean["owa", "basic"].mean()
        assert row["estimate"] == pytest.approx(expected)
        assert statement("compared_inside", outer="loop", level="owa") in row["notes"]
        assert (row["pairs"], row["of_pairs"]) == (6, 6)
    assert not [row for row in effects if row["factor"] == "sampler" and row["level"] == ""]


def test_what_carries_a_conditional_factor_averages_over_its_levels(conditional, study, pick):
    effects = _effects(conditional, NAMES, study, baselines={"sampler": "basic"})
    mean = _means(conditional, list(NAMES))
    row = pick(effects, factor="loop", estimand="average", inference="narrow")
    assert row["estimate"] == pytest.approx(mean["owa"].mean() - mean["lcwa"].mean())
    assert statement("goes_along", factor="sampler", level="owa") in row["notes"]
    at = pick(effects, factor="loop", estimand="baseline", inference="narrow")
    assert at["estimate"] == pytest.approx(mean["owa", "basic", "sgd"] - mean["lcwa", "", "sgd"])
    off = pick(effects, factor="loop", estimand="removal", inference="narrow")
    expected = (mean["owa", "bernoulli", "adam"] + mean["owa", "own", "adam"]) / 2
    expected -= mean["lcwa", "", "adam"]
    assert off["estimate"] == pytest.approx(expected)


def test_a_baseline_where_the_factor_is_not_set_gives_way(conditional, study):
    effects = _effects(conditional, NAMES, study)
    rows = [row for row in effects if row["factor"] == "sampler" and row["estimand"] == "average"]
    assert {(row["level"], row["baseline"]) for row in rows} == {
        ("bernoulli", "basic"), ("own", "basic")
    }  # fmt: skip


def test_one_level_where_it_exists_is_refused_and_takes_nothing_down(conditional, study, pick):
    frame = conditional[conditional["sampler"].isin(["", "basic"])]
    effects = _effects(frame, NAMES, study, baselines={"sampler": ""})
    row = pick(effects, factor="sampler", estimand="average", inference="narrow")
    assert row["reason"] == statement(
        "one_level_inside", level="basic", outer="loop", inside=["owa"]
    )
    mean = _means(frame, list(NAMES))
    for factor, expected in (
        ("loop", mean["owa"].mean() - mean["lcwa"].mean()),
        ("optimizer", mean[:, :, "adam"].mean() - mean[:, :, "sgd"].mean()),
    ):
        row = pick(effects, factor=factor, estimand="average", inference="narrow")
        assert row["estimate"] == pytest.approx(expected)
        assert row["se"] > 0


def test_a_level_of_another_name_where_the_factor_is_not_set(conditional, study, pick):
    """`none` under the other loop goes with that loop; the samplers compare among themselves."""
    named = conditional.assign(sampler=conditional["sampler"].replace("", "none"))
    effects = _effects(named, NAMES, study, baselines={"sampler": "basic"})
    row = pick(effects, factor="sampler", level="none", estimand="average", inference="narrow")
    assert row["reason"] == statement("aliased_with", partners=["loop"])
    assert pick(effects, factor="sampler", level="own", estimand="average", inference="narrow")[
        "se"
    ]


def test_aliased_factors_are_named(study, pick):
    cells = [((a, a.upper(), b), a == "y" + 0 * b) for a in "xy" for b in ("p", "q")]
    effects = _effects(_frame(cells, ("A", "B", "C")), ("A", "B", "C"), study)
    for factor, partner in (("A", "B"), ("B", "A")):
        row = pick(effects, factor=factor, estimand="average", inference="narrow")
        assert row["reason"] == statement("aliased_with", partners=[partner])
    assert pick(effects, factor="C", estimand="average", inference="narrow")["se"] > 0


def test_a_factor_that_varies_in_no_context_names_the_contexts(study, pick):
    """Each context has its own version; the other factor stands, narrow and broad."""
    cells = [(("v", b), float(b == "q")) for b in ("p", "q")]
    frame = _frame(cells, ("A", "B"))
    frame["A"] = frame["model"].map({"c0": "v0", "c1": "v1", "c2": "v1"})
    effects = _effects(frame, ("A", "B"), study)
    row = pick(effects, factor="A", estimand="average", inference="narrow")
    assert row["reason"] == statement(
        "never_in_one_context", level_contexts=["c1", "c2"], baseline_contexts=["c0"]
    )
    for inference in ("narrow", "broad"):
        other = pick(effects, factor="B", estimand="average", inference=inference)
        assert other["estimate"] == pytest.approx(1.0, abs=0.2)
        assert other["se"] > 0


def test_a_level_under_one_level_of_another_says_so(study, pick):
    cells = [((a, b), float(len(a))) for a, b in (("x", "p"), ("x", "q"), ("y", "p"), ("z", "q"),
                                                  ("y", "q"))]  # fmt: skip
    effects = _effects(_frame(cells, ("A", "B")), ("A", "B"), study)
    row = pick(effects, factor="A", level="z", estimand="average", inference="narrow")
    assert row["notes"] == [statement("compared_inside", outer="B", level="q")]
    assert (
        pick(effects, factor="A", level="y", estimand="average", inference="narrow")["notes"] == []
    )


def test_a_fraction_is_model_based(factorial, study, pick):
    """2^(3-1): no two cells differ in one factor; the coefficient decides, 0 of 0 pairs."""
    frame = factorial((2, 2, 2), models=3, datasets=1, replicates=2, seed=5)
    parity = sum(frame[name].str[1].astype(int) for name in "ABC") % 2
    effects = _effects(frame[parity == 1], "ABC", study, interactions=1)
    row = pick(effects, factor="C", estimand="average", inference="narrow")
    assert (row["pairs"], row["of_pairs"], row["contexts"]) == (0, 0, 3)
    assert row["notes"] == [statement("model_based", order=1)]
    assert row["averaged_over"]["arguments"]["grid"] is True


def _unlike_inner_levels(cells, contexts):
    """Cells (loop, sampler, optimizer) by context, whose means are sums of what each level adds."""
    adds = {"owa": 1.0, "b": 50.0, "adam": 0.2, "x": 7.0}
    rng = np.random.default_rng(3)
    rows = [
        (*cell, context, sum(adds.get(level, 0.0) for level in cell) + rng.normal(0, 1e-3))
        for context in contexts
        for cell in cells(context)
        for _ in range(2)
    ]
    return pd.DataFrame(rows, columns=["loop", "sampler", "optimizer", "model", "y"])


SAMPLERS = {"c0": "a", "c1": "b", "c2": "a", "c3": "ab"}


@pytest.mark.parametrize("contexts", [("c0", "c1", "c2"), tuple(SAMPLERS)])
def test_contexts_may_have_other_levels_of_what_goes_along(contexts, study, pick):
    """Every context compares the loops over the samplers that it has; a nested one is refused."""

    def cells(context):
        inside = [("owa", sampler) for sampler in SAMPLERS[context]]
        return [(*cell, o) for cell in [("lcwa", ""), *inside] for o in ("sgd", "adam")]

    frame = _unlike_inner_levels(cells, contexts)
    effects = _effects(frame, NAMES, study, baselines={"sampler": "a"})
    row = pick(effects, factor="loop", estimand="average", inference="narrow")
    expected = np.mean([1.0 + 50.0 * SAMPLERS[c].count("b") / len(SAMPLERS[c]) for c in contexts])
    assert row["estimate"] == pytest.approx(expected, abs=0.01)
    assert (row["contexts"], row["pairs"], row["of_pairs"]) == (
        len(contexts),
        *[2 * len(contexts)] * 2,
    )
    row = pick(effects, factor="sampler", estimand="average", inference="narrow")
    assert (row["contexts"], row["reason"] is None) == (
        (1, True) if "c3" in contexts else (0, False)
    )


def test_an_interaction_is_over_the_levels_of_what_goes_along_that_both_sides_have(study, pick):
    def cells(_):
        inside = [("owa", "a", "sgd"), ("owa", "b", "sgd"), ("owa", "a", "adam")]
        return [("lcwa", "", "sgd"), ("lcwa", "", "adam"), *inside]

    effects = _effects(_unlike_inner_levels(cells, "pqr"), NAMES, study, baselines={"sampler": "a"})
    row = pick(effects, factor="loop:optimizer", estimand="interaction", inference="narrow")
    assert row["estimate"] == pytest.approx(0.0, abs=0.01)


def test_a_factor_under_a_conditional_one_goes_along_too(study, pick):
    def cells(_):
        return [("lcwa", "", ""), ("owa", "a", "w"), ("owa", "a", "x"), ("owa", "b", "")]

    effects = _effects(_unlike_inner_levels(cells, "pqr"), NAMES, study)
    row = pick(effects, factor="loop", estimand="average", inference="narrow")
    assert row["estimate"] == pytest.approx(1.0 + (0.0 + 7.0 + 50.0) / 3, abs=0.01)
    goes = [note["arguments"]["factor"] for note in row["notes"] if note["code"] == "goes_along"]
    assert goes == ["sampler", "optimizer"]
    at = pick(effects, factor="loop", estimand="baseline", inference="narrow")
    assert at["estimate"] == pytest.approx(1.0, abs=0.01)
