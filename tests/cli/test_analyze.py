"""`ablatekit analyze` from a file to numbers, and every mistake as one message."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from ablatekit.cli.main import invoke


def make_table(replicates=2, seed=0):
    rng = np.random.default_rng(seed)
    cells = itertools.product(("none", "None"), ("1e-4", "3e-4"), "pqr", "st", range(replicates))
    return pd.DataFrame(
        [
            {
                "advantage": a,
                "rate": rate,
                "model": model,
                "dataset": dataset,
                "score": 0.4 + 0.1 * (a == "None") + 0.02 * rng.normal(),
            }
            for a, rate, model, dataset, _ in cells
        ]
    )


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "runs.csv"
    make_table().to_csv(path, index=False)
    return path


SHORT = ("--response", "score", "--factors", "advantage,rate", "--contexts", "model,dataset")


def test_a_csv_becomes_an_answer_table(table, capsys):
    assert invoke(["analyze", str(table), *SHORT, "--smallest-effect", "0.05"]) == 0
    shown = capsys.readouterr().out
    assert "None vs none" in shown
    assert "helps" in shown
    assert "equivalent" in shown
    assert list(table.parent.iterdir()) == [table]


@pytest.fixture
def pick_row():
    def pick(rows, **entries):
        found = [row for row in rows if all(row[k] == v for k, v in entries.items())]
        assert len(found) == 1
        return found[0]

    return pick


def test_json_on_stdout_is_the_whole_analysis(table, capsys, pick_row):
    assert invoke(["analyze", str(table), *SHORT, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    row = pick_row(
        found["responses"]["score"]["effects"],
        factor="advantage",
        estimand="average",
        inference="narrow",
    )
    means = make_table().groupby("advantage")["score"].mean()
    assert row["level"] == "None"
    assert row["estimate"] == pytest.approx(means["None"] - means["none"])
    assert found["counts"]["analysed"] == 48


def test_levels_stay_as_written_and_the_baseline_can_be_named(table, tmp_path, pick_row):
    out = tmp_path / "out.json"
    arguments = [*SHORT, "--baseline", "rate=3e-4", "--direction", "lower", "--json", str(out)]
    assert invoke(["analyze", str(table), *arguments]) == 0
    rows = json.loads(out.read_text())["responses"]["score"]["effects"]
    row = pick_row(rows, factor="rate", estimand="average", inference="narrow")
    assert (row["level"], row["baseline"]) == ("1e-4", "3e-4")
    average = {"factor": "advantage", "estimand": "average"}
    worse = pick_row(rows, **average, inference="broad", scope=["model"])
    assert worse["verdict"] == "hurts"


def test_the_report_is_written(table, tmp_path, capsys):
    assert invoke(["analyze", str(table), *SHORT, "--report", str(tmp_path / "report")]) == 0
    assert "index.html" in capsys.readouterr().out
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000
    assert json.loads((tmp_path / "report" / "analysis.json").read_text())["responses"]["score"]


@pytest.mark.parametrize("name", ["runs.parquet", "runs.tsv", "runs.csv.gz"])
def test_other_files_say_the_same(table, tmp_path, capsys, name):
    path = tmp_path / name
    frame = make_table()
    if name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    found = []
    for source in (table, path):
        assert invoke(["analyze", str(source), *SHORT, "--json", "-"]) == 0
        found.append(json.loads(capsys.readouterr().out)["responses"])
    assert found[0] == found[1]


def test_a_status_column_tells_which_runs_diverged(tmp_path, capsys):
    frame = make_table()
    frame["status"] = np.where(frame.index == 3, "diverged", "finished")
    frame.to_csv(tmp_path / "runs.csv", index=False)
    arguments = [str(tmp_path / "runs.csv"), *SHORT, "--diverged", "exclude", "--json", "-"]
    assert invoke(["analyze", *arguments]) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["diverged"], counts["analysed"]) == (1, 47)


def test_a_diverged_run_may_end_in_an_infinite_value(tmp_path, capsys):
    frame = make_table().assign(status="finished")
    frame.loc[0, ["score", "status"]] = np.inf, "diverged"
    frame.to_csv(tmp_path / "runs.csv", index=False)
    assert invoke(["analyze", str(tmp_path / "runs.csv"), *SHORT]) == 0
    assert "47 of 48 runs analysed" in capsys.readouterr().out


def test_a_folder_is_no_table(tmp_path, capsys):
    assert invoke(["analyze", str(tmp_path), "--response", "y", "--factors", "a"]) == 2
    assert "no reader knows what lies in this folder" in capsys.readouterr().err


def test_columns_may_have_the_names_of_the_product(tmp_path, capsys, pick_row):
    names = {"advantage": "run", "rate": "status", "model": "context", "dataset": "unit"}
    make_table().rename(columns=names).to_csv(tmp_path / "runs.csv", index=False)
    roles = ("--response", "score", "--factors", "run,status", "--contexts", "context,unit")
    assert invoke(["analyze", str(tmp_path / "runs.csv"), *roles, "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["responses"]["score"]["effects"]
    row = pick_row(rows, factor="run", estimand="average", inference="narrow")
    assert row["verdict"] == "helps"


def test_without_any_estimate_the_exit_code_is_3(tmp_path, capsys):
    make_table(replicates=1).query("model == 'p'").to_csv(tmp_path / "runs.csv", index=False)
    out = tmp_path / "out.json"
    arguments = ["--response", "score", "--factors", "advantage,rate,dataset"]
    arguments += ["--interactions", "3", "--json", str(out)]
    assert invoke(["analyze", str(tmp_path / "runs.csv"), *arguments]) == 3
    assert "no effect can be estimated: no cell has two rows" in capsys.readouterr().err
    assert json.loads(out.read_text())["counts"]["analysed"] == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--response", "scroe"), "Did you mean 'score'?"),
        (("--factors", "advantge"), "Did you mean 'advantage'?"),
        (("--wide", "s*"), "--response is missing"),
        (("--response", "score", "--wide", "s*"), "--factors is missing"),
        (("--response", "scroe", "--factors", "rate"), "Did you mean 'score'?"),
        (("--response", "score", "--factors", "advantge"), "Did you mean 'advantage'?"),
        (
            ("--response", "model", "--factors", "rate"),
            "must be numeric; received model with 'p' in row 1",
        ),
        (("--response", "score", "--factors", "rate,rate"), "more than one role; received 'rate'"),
        ((*SHORT, "--baseline", "rate"), "--baseline takes FACTOR=LEVEL"),
        ((*SHORT, "--baseline", "rte=1"), "not one of --factors; received rte. Did you mean"),
        ((*SHORT, "--baseline", "rate=1e-3"), "is not one of its levels"),
        ((*SHORT, "--alpha", "2"), "--alpha lies between 0 and 0.5"),
        ((*SHORT, "--smallest-effect", "-1"), "--smallest-effect is above 0"),
        ((*SHORT, "--json", "nowhere/out.json"), "its folder does not exist"),
        ((*SHORT, "--report", "runs.csv"), "it is a file"),
        ((*SHORT, "--weights", "score"), "--weights has no meaning without --formula"),
        ((*SHORT, "--adjust", "bh"), "--adjust has no meaning without --formula"),
        ((*SHORT, "--family", "gaussian"), "--family has no meaning without --formula"),
        (
            ("--formula", "score ~ rate", "--diverged", "worst"),
            "--diverged has no meaning with --formula",
        ),
    ],
)
def test_mistakes_are_one_message_and_write_nothing(table, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(table.parent)
    assert invoke(["analyze", "runs.csv", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert told.err.startswith("error: ")
    assert list(table.parent.iterdir()) == [table]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "there is no such file"),
        ("runs.xlsx", b"x", "an unknown kind of file; received .xlsx"),
        ("runs", b"x", "an unknown kind of file"),
        ("empty.csv", b"", "not a table"),
        ("header.csv", b"score,rate\n", "the table has no rows"),
        ("twice.csv", b"score,score\n1,2\n", "two columns have the same name; received score"),
        ("ragged.csv", b"score,rate\n1,2\n1,2,3\n", "not a table"),
        (
            "wide.csv",
            b"score,rate\n1,a,7\n2,b,8\n",
            "more fields than the header; received 2 names",
        ),
        ("inf.csv", b"score,rate\n1,a\ninf,b\n", "received score with inf in row 2"),
        ("binary.csv", b"\xff\xfe\x00\x01\x80\n", "not UTF-8"),
        ("broken.parquet", b"PAR1 nothing", "cannot be read"),
        ("one.csv", b"score,rate\n1,a\n2,a\n", "the factor rate has one level only"),
        ("gaps.csv", b"score,rate\n1,a\n2,\n", "a factor or context has empty cells"),
        ("text.csv", b"score,rate\n1,a\nhigh,b\n", "received score with 'high' in row 2"),
    ],
)
def test_files_that_are_no_table(tmp_path, capsys, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert invoke(["analyze", str(path), "--response", "score", "--factors", "rate"]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.startswith("error: ")
    assert told.out == ""


def test_json_tells_no_password(capsys, tmp_path):
    path = tmp_path / "runs.csv"
    make_table().replace({"model": {"p": "https://me:hunter2@host/p"}}).to_csv(path, index=False)
    assert invoke(["analyze", str(path), *SHORT, "--json", "-"]) == 0
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert "https://***@host/p" in shown


def test_a_report_beside_files_of_others_is_refused_before_anything_is_computed(table, capsys):
    (table.parent / "brief.md").write_text("mine")
    assert invoke(["analyze", str(table), *SHORT, "--report", str(table.parent)]) == 2
    assert "no report wrote: brief.md" in capsys.readouterr().err
    assert (table.parent / "brief.md").read_text() == "mine"
