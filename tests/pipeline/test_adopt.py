"""`ablatekit study adopt`: six of eight runs made by hand, the other two by the study."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ablatekit.cli.main import invoke
from ablatekit.runs.runlog import read_claim, read_history, read_items, read_result
from ablatekit.runs.workspace import Workspace

TRAIN = """
import argparse, json, random
parser = argparse.ArgumentParser()
for name in ("--lr", "--opt", "--seed", "--out"):
    parser.add_argument(name)
given = parser.parse_args()
rng = random.Random(int(given.seed))
best = 0.5 + 0.1 * (given.opt == "sgd") + 0.05 * (float(given.lr) == 3e-4)
with open(given.out, "w") as log:
    for step in (1, 2, 3):
        line = {"step": step, "acc": best - 0.1 / step + 0.001 * rng.random()}
        log.write(json.dumps(line) + "\\n")
"""
COMMAND = "python train.py --lr {lr} --opt {opt} --seed {seed} --out {metrics}"


@pytest.fixture
def by_hand(tmp_path, monkeypatch):
    """A folder with a script and the table of six runs that somebody made with it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAIN)
    rows = []
    for lr, opt, seed in itertools.product(("1e-4", "3e-4"), ("adam", "sgd"), (3, 11)):
        if (lr, opt) == ("3e-4", "sgd"):
            continue
        given = ["--lr", lr, "--opt", opt, "--seed", str(seed), "--out", "log.jsonl"]
        subprocess.run([sys.executable, "train.py", *given], check=True)
        last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
        rows.append({"run": f"{lr} {opt} {seed}", "lr": lr, "opt": opt, "seed": seed, **last})
    pd.DataFrame(rows).drop(columns="step").to_csv("runs.csv", index=False)
    return tmp_path


def adopt(*options):
    return invoke(["study", "adopt", "runs.csv", *options])


def told(capsys, *options):
    assert adopt(*options, "--json") == 0
    return json.loads(capsys.readouterr().out)


def analysis_in(folder):
    return json.loads((folder / "ablatekit-out" / "adopted_runs" / "analysis.json").read_text())


def directories(folder):
    return [Workspace(folder / "ablatekit-out").run(path.name)
            for path in sorted((folder / "ablatekit-out" / "runs").iterdir())]  # fmt: skip


def test_the_study_executes_what_is_missing_and_reports_all(by_hand, capsys):
    assert adopt("--command", COMMAND) == 0
    shown = capsys.readouterr().out
    assert "wrote study.yaml: 8 runs, 6 adopted, 2 missing" in shown
    assert "  lr=3e-4 opt=sgd | 0\n  lr=3e-4 opt=sgd | 1\nnext: ablatekit study run" in shown
    before = {run.run_id: run.result.read_bytes() for run in directories(by_hand)}
    assert len(before) == 6

    options = ["--set", "tracking.uri=null", "--no-second-opinion", "--workers", "1"]
    assert invoke(["study", "run", "study.yaml", *options]) == 0
    assert "[6/8] 8 runs, 6 done already" in capsys.readouterr().out
    after = directories(by_hand)
    assert len(after) == 8
    assert {run.run_id: run.result.read_bytes() for run in after if run.run_id in before} == before
    assert sorted(len(read_history(run)) for run in after) == [0] * 6 + [3, 3]

    analysis = analysis_in(by_hand)
    assert analysis["counts"]["analysed"] == 8
    rows = {row["factor"]: row["estimate"] for row in analysis["responses"]["acc"]["effects"]
            if row["estimand"] == "average" and row["inference"] == "narrow"}  # fmt: skip
    assert rows == pytest.approx({"opt": 0.1, "lr": 0.05}, abs=0.002)
    assert analysis["provenance"]["versions"]["adopted_from"] == ["runs.csv"]


def test_an_adopted_run_says_where_it_comes_from(by_hand, capsys):
    told(capsys, "--command", COMMAND)
    table = pd.read_csv("runs.csv").set_index("run")
    for run in directories(by_hand):
        result, claim = read_result(run), read_claim(run.attempt(1))
        assert (result.message, result.status) == ("adopted from runs.csv", "finished")
        assert result.metrics == {"acc": table.loc[claim.versions["run"], "acc"]}
        spec = json.loads(run.spec.read_text())
        assert spec["replicate"] == [3, 11].index(table.loc[claim.versions["run"], "seed"])
        assert spec["run_id"] == run.run_id


def test_adopting_again_changes_nothing(by_hand, capsys):
    first = told(capsys, "--command", COMMAND)
    files = {path: path.read_bytes() for path in by_hand.rglob("*") if path.is_file()}
    again = told(capsys, "--command", COMMAND)
    assert (again["known"], again["adopted"]) == (first["adopted"], [])
    assert files == {path: path.read_bytes() for path in by_hand.rglob("*") if path.is_file()}


def test_without_a_command_there_is_a_report_but_no_run(by_hand, capsys):
    assert adopt() == 0
    assert (by_hand / "study.yaml").exists()
    assert "repeat this with --command COMMAND --replace" in capsys.readouterr().out
    assert invoke(["study", "report", "study.yaml", "--no-second-opinion"]) == 0
    assert "6 of 8 runs analysed" in capsys.readouterr().out
    options = ["--set", "tracking.uri=null", "--no-second-opinion", "--workers", "1"]
    assert invoke(["study", "run", "study.yaml", *options]) != 0
    shown = capsys.readouterr()
    assert "there is no command" in shown.out + shown.err
    assert "study adopt SOURCE --command" in shown.out + shown.err

    assert adopt("--command", COMMAND) == 2
    assert "there is such a file with another content" in capsys.readouterr().err
    assert len(told(capsys, "--command", COMMAND, "--replace")["adopted"]) == 6


def test_another_result_stays(by_hand, capsys):
    told(capsys, "--command", COMMAND)
    before = {run.run_id: run.result.read_bytes() for run in directories(by_hand)}
    frame = pd.read_csv("runs.csv", dtype=str)
    frame.loc[0, "acc"] = "0.9"
    frame.to_csv("runs.csv", index=False)
    outcome = told(capsys, "--command", COMMAND)
    assert len(outcome["known"]) == 5
    assert "has another result, which stays" in outcome["not_adopted"]["1e-4 adam 3"]
    assert before == {run.run_id: run.result.read_bytes() for run in directories(by_hand)}


def test_runs_without_a_result_are_listed(by_hand, capsys):
    frame = pd.read_csv("runs.csv", dtype=str)
    status = ["finished", "crashed", "running", "diverged", "finished", "finished"]
    frame = frame.assign(status=status)
    frame.loc[4, "acc"] = ""
    twice = frame.iloc[[5]].assign(run="copy", acc="0.6")
    pd.concat([frame, twice]).to_csv("runs.csv", index=False)
    outcome = told(capsys, "--command", COMMAND)
    assert outcome["not_adopted"] == {
        "1e-4 adam 11": "its status is crashed",
        "1e-4 sgd 3": "its status is running",
        "3e-4 adam 3": "it has no acc",
        "copy": "another run of its cell has the same seed",
    }
    assert len(outcome["missing"]) == 5
    ended = [read_result(run).status for run in directories(by_hand)]
    assert sorted(ended) == ["diverged", "finished", "finished"]


def test_names_that_a_study_cannot_have_are_told(by_hand, capsys):
    frame = pd.read_csv(by_hand / "runs.csv", dtype=str).rename(
        columns={"lr": "config/lr", "opt": "resume"}
    )
    frame.to_csv("runs.csv", index=False)
    assert adopt() == 0
    shown = capsys.readouterr().out
    assert "config/lr is called config_lr in the study" in shown
    assert "resume is called resume_ in the study" in shown


def test_items_come_along(by_hand, capsys):
    rng = np.random.default_rng(0)
    rows = [
        {"run": f"r{number}", "lr": lr, "model": model, "item": item, "outcome": rng.integers(2)}
        for number, (lr, model, _) in enumerate(itertools.product((1, 2), "ab", (0, 1)))
        for item in range(6)
    ]
    pd.DataFrame(rows).to_csv("runs.csv", index=False)
    outcome = told(capsys)
    assert (len(outcome["adopted"]), outcome["missing"]) == (8, [])
    for run in directories(by_hand):
        items = read_items(run).to_pandas()
        assert items["outcome"].mean() == pytest.approx(read_result(run).metrics["outcome"])
    assert invoke(["study", "report", "study.yaml", "--no-second-opinion"]) == 0
    response = analysis_in(by_hand)["responses"]["outcome_"]
    assert [response["items"][part] for part in ("runs", "items", "outcomes")] == [8, 6, 48]


def test_items_of_one_name_in_two_data_sets_are_two_items(by_hand, capsys):
    rows = [
        {
            "run": f"r{run}",
            "lr": run % 2,
            "dataset": data,
            "item": item,
            "outcome": (run + item) % 2,
        }
        for run, data, item in itertools.product(range(4), "xy", range(3))
    ]
    pd.DataFrame(rows).to_csv("runs.csv", index=False)
    told(capsys, "--exclude", "dataset")
    for run in directories(by_hand):
        items = read_items(run).to_pandas()
        assert set(items["sample"]) == {0}
        assert set(items["dataset"]) == {"x", "y"}
        assert len(items) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--command", "python trian.py {lr} {opt}"], "there is no script 'trian.py'"),
        (["--command", "python train.py {lr}"], "the command does not use the parameter 'opt'"),
        (["-o", "nowhere/study.yaml"], "its folder does not exist"),
        (["--setting", "metrics"], "--setting takes KEY=VALUE"),
        (["--factors", "lrr"], "Did you mean 'lr'?"),
    ],
)
def test_mistakes_write_nothing(by_hand, capsys, options, message):
    before = sorted(by_hand.rglob("*"))
    assert adopt(*options) == 2
    assert message in capsys.readouterr().err
    assert sorted(by_hand.rglob("*")) == before


def test_a_setting_of_the_backend_is_written(by_hand, capsys):
    options = ("--setting", "metrics.jsonl=log.jsonl", "-o", "own.yaml", "--name", "own")
    assert told(capsys, "--command", COMMAND, *options)["study"] == "own"
    assert "metrics: {jsonl: log.jsonl}" in (by_hand / "own.yaml").read_text()


def test_a_factor_of_some_runs_is_refused(by_hand, capsys):
    frame = pd.read_csv(by_hand / "runs.csv", dtype=str)
    momentum = np.where(frame["opt"] == "sgd", np.where(frame["seed"] == "3", "0", "0.9"), None)
    many = pd.concat([frame.assign(momentum=momentum, seed=seed) for seed in (3, 11)])
    many.assign(acc=np.arange(len(many)) / 20).to_csv("runs.csv", index=False)
    assert adopt("--command", COMMAND) == 2
    told = capsys.readouterr().err
    assert "set in some of its runs only; received momentum" in told
    assert "--exclude momentum" in told
    assert not (by_hand / "study.yaml").exists()


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (("0.01", "1e-2"), "spelt in two ways, which a study takes for one; received 0.01, 1e-2"),
        (("a\nb", "c"), r"or lines; received 'a\nb'"),
        ((" a", "c"), "received ' a'"),
    ],
)
def test_levels_that_a_study_cannot_have_are_named_in_the_source(by_hand, capsys, levels, message):
    frame = pd.read_csv(by_hand / "runs.csv", dtype=str)
    frame["lr"] = np.where(frame["lr"] == frame["lr"][0], *levels)
    frame.to_csv("runs.csv", index=False)
    assert adopt("--command", COMMAND, "--factors", "lr,opt") == 2
    told = capsys.readouterr().err
    assert "runs.csv, column lr: " in told
    assert message in told
    assert not (by_hand / "study.yaml").exists()
