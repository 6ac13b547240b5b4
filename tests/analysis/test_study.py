"""The whole of analysis.json: pure, valid JSON, independent of execution, collected from files."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.study import analyse
from ablatekit.analysis.table import analyse_table
from ablatekit.analysis.tables.study_tables import StudyTables, collect
from ablatekit.errors import TableError
from ablatekit.runs.eventlog import EventWriter
from ablatekit.runs.records import MetricEvent, RunResult
from ablatekit.runs.runlog import (
    AttemptEnd,
    Claim,
    claim_attempt,
    write_claim,
    write_end,
    write_result,
)
from ablatekit.runs.workspace import Workspace

CONTEXTS = ("model", "dataset")


@pytest.fixture(scope="module")
def planted(factorial, study, response):
    frame = factorial((2, 2), seed=1, sd=0.02, mean=lambda a, _, __, d: 0.3 + 0.1 * a + 0.02 * d)
    frame = frame.assign(learning=frame["y"], generalization=frame["y"] - 0.1)
    responses = [response(n, smallest_effect=0.02) for n in ("learning", "generalization")]
    plan, tables = study(frame, "AB", CONTEXTS, responses=responses)
    rows = [
        (run, step, name, float(value) * step / 4)
        for name in ("learning", "generalization")
        for run, value in zip(tables.runs["run"], frame[name], strict=True)
        for step in range(5)
    ]
    history = pd.DataFrame(rows, columns=["run", "step", "metric", "value"])
    return plan, replace(tables, history=history)


def _text(analysis):
    return json.dumps(analysis, sort_keys=True, allow_nan=False)


def test_planted_effects_are_found(planted, pick):
    result = analyse(*planted, {"version": "x"}, ["look 2"])
    rows = result["responses"]["learning"]["effects"]
    for scope in ([], ["model"]):
        row = pick(rows, factor="A", estimand="average", scope=scope)
        assert row["verdict"] == "helps"
        assert row["low"] < 0.1 < row["high"]
        null = pick(rows, factor="B", estimand="average", scope=scope)
        assert null["verdict"] == ("inconclusive" if scope else "equivalent")
    assert result["deviations"] == ["look 2"]
    assert result["study"]["plan_hash"] == planted[0].hash
    assert result["responses"]["learning"]["model"]["n"] == 48
    assert len(result["responses"]["learning"]["contexts"]) == 12
    assert len(result["responses"]["learning"]["dynamics"]) == 4


def test_the_same_tables_in_any_order_give_the_same_bytes(planted):
    plan, tables = planted
    shuffled = StudyTables(
        tables.runs.sample(frac=1, random_state=1),
        tables.history.sample(frac=1, random_state=2),
        tables.results.sample(frac=1, random_state=3),
    )
    assert _text(analyse(plan, shuffled, {}, [])) == _text(analyse(plan, tables, {}, []))


def test_only_the_requested_inference_is_reported(planted):
    plan, tables = planted
    for wanted in ("narrow", "broad"):
        chosen = replace(plan, analysis=replace(plan.analysis, inference=wanted))
        rows = analyse(chosen, tables, {}, [])["responses"]["learning"]["effects"]
        assert {row["inference"] for row in rows} == {wanted}


def test_lower_is_better_turns_the_verdict(factorial, study, response, pick):
    frame = factorial((2,), mean=lambda a, *_: a, sd=0.1)
    plan_and_tables = study(
        frame, "A", CONTEXTS, responses=[response("y", direction="lower", smallest_effect=0.1)]
    )
    rows = analyse(*plan_and_tables, {}, [])["responses"]["y"]["effects"]
    assert pick(rows, estimand="average", inference="narrow")["verdict"] == "hurts"


def test_every_row_without_numbers_has_a_reason(factorial, study):
    frame = factorial((2, 2), models=1, replicates=1)
    frame.loc[:3, "y"] = np.nan
    result = analyse(*study(frame, "AB", CONTEXTS), {}, [])
    _text(result)
    response = result["responses"]["y"]
    for row in (*response["effects"], *response["contexts"], *response["anova"]):
        assert row.get("se", row.get("p")) is not None or row["reason"]


def _write_run(workspace, run, values, status):
    directory = workspace.run(run.run_id)
    with claim_attempt(directory) as attempt:
        write_claim(
            attempt,
            Claim(study="s", study_hash="h", pid=1, host="h", user="u", started=0.0, versions={}),
        )
        writer = EventWriter(attempt)
        for step, value in enumerate(values):
            metrics = {"learning": value, "unused": 1.0}
            writer.write(MetricEvent(step=step, time=time.time(), metrics=metrics))
        writer.close()
        result = RunResult(status=status, metrics={"learning": values[-1]}, message="why")
        write_result(directory, attempt, result, {})


def test_collect_reads_what_runs_left_on_disk(tmp_path, planted):
    plan, _ = planted
    workspace = Workspace(tmp_path)
    _write_run(workspace, plan.runs[0], [0.1, 0.2, 0.4], "finished")
    _write_run(workspace, plan.runs[5], [0.1, 0.3], "diverged")
    with claim_attempt(workspace.run(plan.runs[7].run_id)) as attempt:
        write_end(attempt, AttemptEnd(kind="exception", message="out of luck", ended=1.0))
    tables = collect(plan, workspace)
    assert len(tables.runs) == len(plan.runs)
    status = tables.runs.set_index("run")["status"]
    assert status[plan.runs[0].run_id] == "finished"
    assert status[plan.runs[5].run_id] == "diverged"
    assert (status == "missing").sum() == len(plan.runs) - 3
    assert set(tables.history["metric"]) == {"learning"}
    own = tables.history[tables.history["run"] == plan.runs[0].run_id]
    assert own["value"].tolist() == [0.1, 0.2, 0.4]
    row = tables.runs.set_index("run").loc[plan.runs[5].run_id]
    assert (row["context"], row["A"]) == ("m0 / d0", "l1")
    result = analyse(plan, tables, {}, [])
    assert (result["counts"]["started"], result["counts"]["failed"]) == (3, 1)
    missing = result["responses"]["learning"]["missing"]
    assert next(m for m in missing["runs"] if m["status"] == "diverged")["message"] == "why"
    assert next(m for m in missing["runs"] if m["status"] == "failed")["message"] == "out of luck"


def test_a_table_is_analysed_in_one_call(factorial, pick):
    frame = factorial((2, 2), mean=lambda a, *_: a, sd=0.2)
    result = analyse_table(frame, "y", ["A", "B"], ["model", "dataset"], {"A": "l1"})
    row = pick(
        result["responses"]["y"]["effects"], factor="A", estimand="average", inference="narrow"
    )
    assert (row["level"], row["baseline"], row["verdict"]) == ("l0", "l1", "hurts")
    compared = statement("baselines", factors=["A", "B"], levels=["l1", "l0"])
    assert compared in result["responses"]["y"]["footers"]["effects"]


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({}, ("score", ["A"]), "a column is missing from the table; received 'score'"),
        ({}, ("y", ["A", "model"], ["datasets"]), "Did you mean 'dataset'?"),
        ({"y": "high"}, ("y", ["A"]), "a response must be numeric"),
        ({"A": None}, ("y", ["A"]), "a factor or context has empty cells"),
        ({"A": "same"}, ("y", ["A"]), "the factor A has one level only"),
        ({}, ("y", ["A"], [], {"A": "l7"}), "the baseline of A is not one of its levels"),
    ],
)
def test_tables_that_cannot_be_analysed(factorial, changes, arguments, message):
    with pytest.raises(TableError) as error:
        analyse_table(factorial((2,)).assign(**changes), *arguments)
    assert message in str(error.value)
