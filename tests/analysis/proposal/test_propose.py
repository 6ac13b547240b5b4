"""Planted structures and what is proposed for them."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.proposal.base import Stated
from ablatekit.analysis.proposal.propose import propose
from ablatekit.analysis.tables.readers.base import DIRECTIONS, ROLES


def why(proposal):
    return {left.column: left.reason["code"] for left in proposal.left_out}


def warned(proposal):
    return {told["code"]: told["arguments"] for told in proposal.warnings}


def test_a_tracker_s_table_is_taken_apart(make_runs):
    proposal = propose(make_runs())
    assert proposal.factors == ("lr", "batch_size", "optimizer")
    assert proposal.contexts == ("model",)
    assert proposal.replicates == ("seed",)
    assert proposal.responses == ("test_acc",)
    assert proposal.directions == {"test_acc": "higher"}
    assert proposal.baselines == {"lr": "0.0001", "batch_size": "16", "optimizer": "adam"}
    assert (proposal.runs, proposal.interactions, proposal.by_item) == (48, 2, False)
    assert proposal.warnings == proposal.lacking == ()
    assert why(proposal) == {
        "run_name": "column_about",
        "epochs": "column_constant",
        "host": "column_about",
        "created": "column_about",
        "train_loss": "column_measures",
        "val_acc": "column_measures",
        "runtime": "column_measures",
    }


def test_equal_tables_give_equal_proposals(make_runs):
    assert propose(make_runs()) == propose(make_runs())


@pytest.mark.parametrize(
    ("make", "code", "arguments"),
    [
        (lambda f: f.batch_size * 2, "column_always_with", {"column": "batch_size"}),
        (lambda f: f.model.map({"a": 1, "b": 1, "c": 2}), "column_decided_by", {"column": "model"}),
        (lambda f: f.optimizer + f.lr.astype(str), "column_combines",
         {"columns": ["lr", "optimizer"]}),
        (lambda f: f.batch_size * (1 + (f.optimizer == "sgd")), "column_follows",
         {"columns": ["batch_size", "optimizer"]}),
        (lambda f: range(len(f)), "column_measures", {}),
        (lambda f: [f"u{n}" for n in range(len(f))], "column_unique", {}),
        (lambda f: np.where(f.index % 5, 1.5, np.nan), "column_gaps", {"rows": 10}),
        (lambda _: np.nan, "column_empty", {}),
        (lambda f: [f"t{n // 2}" for n in range(len(f))], "column_combines",
         {"columns": ["lr", "batch_size", "optimizer", "model"]}),
        (lambda _: pd.Timestamp("2026-01-01"), "column_about", {}),
        (lambda f: [f"{n}.5 %" for n in f.index], "column_not_numbers", {"example": "0.5 %"}),
        (lambda f: [f"{n},{n:03}" for n in f.index % 40 + 1], "column_not_numbers",
         {"example": "1,001"}),
    ],
)  # fmt: skip
def test_why_a_column_has_no_part(make_runs, make, code, arguments):
    frame = make_runs()
    frame["extra"] = make(frame)
    proposal = propose(frame)
    reason = next(left.reason for left in proposal.left_out if left.column == "extra")
    assert (reason["code"], reason["arguments"]) == (code, arguments)
    assert proposal.factors == ("lr", "batch_size", "optimizer")


def test_what_never_changes_alone_is_said(make_runs):
    frame = make_runs()
    told = warned(propose(frame.assign(accumulation=frame.batch_size * 2)))
    assert told["always_together"] == {"first": "batch_size", "others": ["accumulation"]}


def test_confounded_choices_are_counted():
    lr = [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]
    batch = [8, 8, 8, 8, 8, 8, 16, 16, 8, 8, 16, 16, 16, 16, 16, 16]
    frame = pd.DataFrame({"lr": lr, "batch_size": batch, "acc": np.arange(16) / 17})
    told = warned(propose(frame))["changed_together"]
    assert told == {"first": "lr", "second": "batch_size", "runs": 12, "of_runs": 16}


def test_a_conditional_factor_stays(make_runs):
    frame = make_runs()
    momentum = np.where(frame.optimizer == "sgd", np.where(frame.index % 4 < 2, 0.0, 0.9), np.nan)
    assert "momentum" in propose(frame.assign(momentum=momentum)).factors


def test_the_most_frequent_level_is_the_baseline(make_runs):
    frame = make_runs().query("optimizer == 'sgd' or seed == 0").reset_index(drop=True)
    proposal = propose(frame)
    assert proposal.baselines["optimizer"] == "sgd"
    assert warned(proposal)["unequal_replicates"] == {"fewest": 1, "most": 2}


def test_holes_are_counted(make_runs):
    frame = make_runs().query("not (optimizer == 'sgd' and lr == 1e-4)").reset_index(drop=True)
    assert warned(propose(frame))["cells_without_runs"] == {"empty": 6, "cells": 24}


@pytest.mark.parametrize(
    ("changed", "code", "arguments"),
    [
        ({"seed": 42}, "one_seed_repeated", {"column": "seed", "seed": "42"}),
        ({"model": "a"}, "single_context", {"column": "model", "level": "a"}),
        ({"State": ["crashed"] * 2 + ["finished"] * 46}, "status_not_read",
         {"column": "State", "runs": 2}),
        ({"status": ["crashed", "running"] + ["finished"] * 46}, "runs_not_ended",
         {"failed": 1, "waiting": 1}),
    ],
)  # fmt: skip
def test_what_is_said_of_runs(make_runs, changed, code, arguments):
    assert warned(propose(make_runs(**changed)))[code] == arguments


def test_seeds_that_repeat_are_counted(make_runs):
    frame = pd.concat([make_runs(), make_runs(test_acc=np.linspace(0, 1, 48)).iloc[:3]])
    assert warned(propose(frame))["seed_twice"] == {"columns": ["seed"], "runs": 3}


def test_results_that_agree_are_noticed(make_runs):
    frame = make_runs()
    measures = ["test_acc", "val_acc", "train_loss", "runtime"]
    copied = frame.copy()
    copied.loc[1, measures] = copied.loc[0, measures]
    assert warned(propose(copied))["results_repeated"] == {"runs": 1}
    for odd in range(1, 48, 2):
        frame.loc[odd, measures] = frame.loc[odd - 1, measures]
    assert warned(propose(frame))["repeats_agree"] == {"runs": 24}


def test_rows_that_a_filter_doubles_are_halved(make_runs):
    frame = make_runs()
    both = pd.concat([frame.assign(filter="strict"), frame.assign(filter="flexible")])
    proposal = propose(both)
    assert proposal.where == {"filter": "strict"}
    assert (proposal.runs, proposal.factors) == (48, propose(frame).factors)
    assert warned(proposal)["rows_doubled"]["levels"] == ["strict", "flexible"]


def test_items_of_runs_are_recognised():
    rng = np.random.default_rng(0)
    grid = enumerate(itertools.product("ab", (1, 2), (0, 1)))
    rows = [
        {"run": run, "model": m, "lr": lr, "item": i, "answer": "x", "outcome": rng.integers(2)}
        for run, (m, lr, _) in grid
        for i in range(20)
    ]
    proposal = propose(pd.DataFrame(rows))
    assert (proposal.by_item, proposal.runs, proposal.responses) == (True, 8, ("outcome",))
    assert (proposal.factors, proposal.contexts) == (("lr",), ("model",))


def test_what_the_reader_says_decides():
    frame = pd.DataFrame(
        {"x": [1.0, 2.0] * 6, "value": np.arange(12) / 13, "note": list("ab") * 6, "n": range(12)}
    )
    frame.attrs[ROLES] = {"x": "metric", "value": "metric", "note": "about", "n": "setting"}
    frame.attrs[DIRECTIONS] = {"value": "lower"}
    proposal = propose(frame.assign(kind=["p", "p", "q", "q"] * 3))
    assert (proposal.factors, proposal.responses) == (("kind",), ("value",))
    assert proposal.directions == {"value": "lower"}
    assert why(proposal) == {
        "x": "column_measures", "note": "column_about", "n": "column_many_values",
    }  # fmt: skip


def test_what_is_stated_stays(make_runs):
    frame = make_runs()
    stated = Stated(responses=("train_loss",), factors=("optimizer",), exclude=("model",))
    proposal = propose(frame, stated)
    assert (proposal.responses, proposal.factors, proposal.contexts) == (
        ("train_loss",), ("optimizer",), (),
    )  # fmt: skip
    assert why(proposal)["lr"] == "column_not_asked"
    assert why(proposal)["model"] == "column_excluded"
    assert proposal.directions == {"train_loss": "lower"}


def test_models_are_compared_where_nothing_else_varies(make_runs):
    proposal = propose(make_runs()[["model", "seed", "test_acc"]])
    assert (proposal.factors, proposal.contexts) == (("model",), ())


def test_booleans_and_numbers_as_text_are_levels(make_runs):
    index = np.arange(48)
    frame = make_runs(kl=index // 2 % 2 == 0, coef=np.where(index // 4 % 2, "0.10", "0.1"))
    proposal = propose(frame[["kl", "coef", "seed", "test_acc"]])
    assert proposal.levels["kl"] == ("True", "False")
    assert proposal.levels["coef"] == ("0.1", "0.10")


@pytest.mark.parametrize(
    ("frame", "codes"),
    [
        (pd.DataFrame(), ["lacks_rows"]),
        (pd.DataFrame({"a": [], "b": []}), ["lacks_rows"]),
        (pd.DataFrame({"a": ["x", "y"] * 3}), ["lacks_response"]),
        (pd.DataFrame({"acc": np.arange(9) / 10}), ["lacks_factor"]),
        (pd.DataFrame({"lr": np.linspace(1, 2, 30), "acc": np.arange(30) / 31}), ["lacks_factor"]),
        (
            pd.DataFrame(
                {"run": list("aaaabbbb"), "step": [1, 2, 3, 4] * 2, "lr": [1] * 4 + [2] * 4,
                 "loss": np.arange(8) / 9}
            ),
            ["rows_per_step"],
        ),
    ],
)  # fmt: skip
def test_what_is_lacking_is_said(frame, codes):
    assert [told["code"] for told in propose(frame).lacking] == codes


def test_many_columns_end_in_few_factors():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 3, size=(200, 60))).add_prefix("x")
    proposal = propose(frame.assign(score=rng.random(200)))
    assert proposal.factors == tuple(f"x{n}" for n in range(8))
    assert why(proposal)["x20"] == "column_beyond"


@pytest.mark.parametrize("value", ["61.2%", "3.5s", "10 GiB", "$4.10", "0.81 \u00b1 0.02", "1h"])
def test_a_result_with_a_unit_is_no_choice(make_runs, value):
    frame = make_runs(test_acc=[value, value.replace("1", "7").replace("3", "8")] * 24)
    left = why(propose(frame.drop(columns=["val_acc", "train_loss", "runtime"])))
    assert left["test_acc"] == "column_not_numbers"


def test_runs_without_a_result_are_counted(make_runs):
    frame = make_runs()
    frame.loc[:2, "test_acc"] = np.nan
    frame["status"] = ["crashed", *["finished"] * 47]
    told = warned(propose(frame))
    assert told["runs_not_ended"] == {"failed": 1, "waiting": 0}
    assert told["no_result"] == {"columns": ["test_acc"], "runs": 2}
    assert told["cells_without_runs"] == {"empty": 1, "cells": 24}


@pytest.mark.parametrize(
    ("ids", "runs"),
    [
        ([f"r{n // 2}" for n in range(48)], 24),
        ([f"r{n % 46}" for n in range(48)], 2),
        ([f"r{n}" for n in range(48)], None),
        (["first", "second"] * 24, None),
        (["all"] * 48, None),
    ],
)
def test_ids_of_runs_that_repeat_are_counted(make_runs, ids, runs):
    told = warned(propose(make_runs(run_id=ids)))
    assert told.get("run_id_repeated") == (runs and {"column": "run_id", "runs": runs})


def test_rounded_results_agree_by_chance():
    rng = np.random.default_rng(1)
    grid = list(itertools.product((1, 2), "ab", range(200)))
    frame = pd.DataFrame(grid, columns=["lr", "opt", "seed"])
    frame["acc"] = np.round(0.5 + 0.1 * (frame.lr == 2) + rng.normal(0, 0.02, len(frame)), 3)
    assert "results_repeated" not in warned(propose(frame))
    frame["acc"] += rng.normal(0, 1e-6, len(frame))
    frame.loc[1:20, "acc"] = frame.acc[0]
    assert warned(propose(frame))["results_repeated"] == {"runs": 20}


def test_factors_are_those_that_a_context_has_runs_for():
    grid = list(itertools.product("ab", "xy", (1, 2), (1, 2), (0, 1)))
    frame = pd.DataFrame(grid, columns=["model", "dataset", "lr", "batch", "seed"])
    rng = np.random.default_rng(2)
    frame = frame.assign(**{f"p{n}": rng.integers(0, 3, len(frame)) for n in range(12)})
    frame["acc"] = rng.random(len(frame))
    proposal = propose(frame)
    assert proposal.factors == ("lr", "batch", "p0", "p1")
    assert proposal.interactions == 1


def test_one_run_has_nothing_to_be_compared_with(make_runs):
    assert [lack["code"] for lack in propose(make_runs().head(1)).lacking] == ["lacks_runs"]


def test_a_run_without_result_and_choices_costs_the_others_no_choice(make_runs):
    stray = {"run_name": "parent", "lr": 0.5, "model": "a", "seed": 0}
    frame = pd.concat([make_runs(), pd.DataFrame([stray])], ignore_index=True)
    proposal = propose(frame)
    assert proposal.factors == ("lr", "batch_size", "optimizer")
    assert proposal.levels["lr"] == ("0.0001", "0.0003")
    assert proposal.runs == 49
    assert warned(proposal)["rows_unplaced"] == {"rows": 1}


def test_one_task_is_no_warning_where_data_sets_vary(make_runs):
    frame = make_runs(task="qa", dataset=["x", "y"] * 24)
    assert "single_context" not in warned(propose(frame))
    assert warned(propose(frame.drop(columns="dataset")))["single_context"]["column"] == "task"
