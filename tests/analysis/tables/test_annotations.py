"""What a user tells of a table beside the roles of its columns."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from ablatekit.analysis.table import analyse_table, plan_from_table
from ablatekit.analysis.tables.annotations import (
    Annotations,
    annotated,
    read_annotations,
    refuse_annotations,
)
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan
from ablatekit.errors import UsageError

SIZES = {"m0": 1e6, "m1": 3e6, "m2": 7e7}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Four runs per model, of which m0 is on another data set than the others."""
    rows = [
        {"rollouts": k, "model": model, "data": "d0" if model == "m0" else "d1", "params": size}
        for model, size in SIZES.items()
        for k in ("1", "8")
        for _ in range(2)
    ]
    table = pd.DataFrame(rows)
    y = [0.1 * (i % 5) + 0.01 * i for i in range(len(table))]
    return table.assign(
        y=y, tokens=[float(i) for i in range(len(table))], name="a", half=0.5
    ).assign(debt=-1.0, gratis=0.0)


def _annotated(
    frame: pd.DataFrame,
    notes: Annotations,
    contexts: Sequence[str] = ("model", "data"),
) -> tuple[Plan, StudyTables]:
    refuse_annotations(frame, notes, ["y"], ["rollouts"], contexts)
    plan, tables = plan_from_table(frame, "y", ["rollouts"], contexts, {})
    return annotated(plan, tables, frame, notes)


def test_a_table_has_what_a_study_would_state(frame: pd.DataFrame) -> None:
    notes = read_annotations("tokens", ["params"], ["params=7e9"], ["rollouts=linear"])
    plan, tables = _annotated(frame, notes)
    assert plan.factors[0].scale == "linear"
    assert plan.covariates == {"model": {m: {"params": size} for m, size in SIZES.items()}}
    assert plan.analysis.predict_at == {"params": 7e9}
    assert (plan.analysis.price, plan.cost_metrics) == ("tokens", ("tokens",))
    cost = tables.results[tables.results["metric"] == "tokens"]
    assert cost["value"].to_list() == frame["tokens"].to_list()
    assert cost["run"].to_list() == [run.run_id for run in plan.runs]


def test_a_table_of_which_nothing_is_said_has_nothing_of_it(frame: pd.DataFrame) -> None:
    plan, tables = _annotated(frame, Annotations())
    assert (plan, tables.results.shape) == (
        plan_from_table(frame, "y", ["rollouts"], ["model", "data"], {})[0],
        (len(frame), 3),
    )


def test_a_context_of_numbers_describes_itself(frame: pd.DataFrame) -> None:
    text = frame.assign(params=frame["params"].map("{:.0f}".format))
    plan, _ = _annotated(text, read_annotations(None, ["params"], [], []), ["params"])
    sizes = {"1000000": 1e6, "3000000": 3e6, "70000000": 7e7}
    assert plan.covariates == {"params": {level: {"params": n} for level, n in sizes.items()}}


@pytest.mark.parametrize(
    ("covariate", "contexts", "message"),
    [
        ("parms", ["model"], "a column is missing from the table; received 'parms'. Did you mean"),
        ("modl=params", ["model"], "--covariate describes one of --contexts; received 'modl'"),
        (
            "params",
            ["data"],
            "one value at every level of one of --contexts; received params is 3000000.0 and",
        ),
        (
            "data=params",
            ["model", "data"],
            "one value at every level of data; received params is 3000000.0 and 70000000.0 at",
        ),
        ("half", ["model", "data"], "several of --contexts decide the covariate; received half by"),
        ("params", [], "one value at every level of one of --contexts; received params"),
        (
            "name",
            ["model"],
            "effects are regressed on its logarithm; received name = a at model = m0",
        ),
    ],
)
def test_a_covariate_describes_one_context(
    frame: pd.DataFrame, covariate: str, contexts: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        _annotated(frame, read_annotations(None, [covariate], [], []), contexts)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("price", "predict_at", "scales", "message"),
    [
        ("token", [], [], "a column is missing from the table; received 'token'. Did you mean"),
        ("y", [], [], "--price is one of --response, too; received 'y'"),
        ("name", [], [], "what a run costs must be a number; received column 'name'"),
        ("debt", [], [], "what a run costs is not below 0; received column 'debt' with -1"),
        ("gratis", [], [], "no run has a cost above 0; received column 'gratis'"),
        (None, ["parms=1"], [], "--predict-at takes a column of --covariate; received parms"),
        (None, ["params"], [], "--predict-at takes COVARIATE=NUMBER above 0; received params"),
        (None, ["params=0"], [], "--predict-at takes COVARIATE=NUMBER above 0"),
        (None, ["params=7b"], [], "--predict-at takes COVARIATE=NUMBER above 0"),
        (None, [], ["rollouts"], "--scale takes FACTOR=SCALE; received rollouts. Scales: log"),
        (None, [], ["rollouts=ln"], "--scale takes FACTOR=SCALE; received rollouts=ln"),
        (None, [], ["rollout=log"], "--scale takes one of --factors; received 'rollout'"),
    ],
)
def test_every_mistake_is_named(
    frame: pd.DataFrame,
    price: str | None,
    predict_at: list[str],
    scales: list[str],
    message: str,
) -> None:
    with pytest.raises(UsageError) as raised:
        _annotated(frame, read_annotations(price, ["params"], predict_at, scales))
    assert message in str(raised.value)


def test_levels_off_the_scale_are_named(frame: pd.DataFrame) -> None:
    words = frame.assign(rollouts=frame["rollouts"].map({"1": "one", "8": "eight"}))
    notes = read_annotations(None, [], [], ["rollouts=log"])
    with pytest.raises(UsageError, match="a level has no place on it; received 'one'"):
        _annotated(words, notes)
    plan, _ = _annotated(words, read_annotations(None, [], [], ["rollouts=order"]))
    assert plan.factors[0].scale == "order"


def test_rows_per_item_keep_what_is_told_of_their_run(frame: pd.DataFrame) -> None:
    runs = frame.assign(run=[f"r{i}" for i in range(len(frame))]).drop(columns=["y", "name"])
    items = runs.merge(pd.DataFrame({"item": ["i0", "i1", "i2"]}), how="cross")
    outcomes = items.assign(y=[float((7 * i) % 3 > 0) for i in range(len(items))])
    notes = read_annotations("tokens", ["params"], ["params=7e9"], [])
    analysis = analyse_table(outcomes, "y", ["rollouts"], ["model"], annotations=notes)
    costs = {row["level"]: row["mean"] for row in analysis["design"]["cost"]}
    assert costs == {"1": 4.5, "8": 6.5}
