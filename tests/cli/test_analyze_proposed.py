"""`ablatekit analyze SOURCE` with nothing or little stated: the proposal, and its analysis."""

from __future__ import annotations

import itertools
import json
import shlex

import numpy as np
import pandas as pd
import pytest

from ablatekit.cli.main import invoke


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A CSV of runs whose lr is written as 1e-4, with a column that goes along with another."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    grid = itertools.product(("1e-4", "3e-4"), ("adam", "sgd"), "abc", (0, 1))
    rows = [
        {
            "name": f"run {number}",
            "lr": lr,
            "opt": opt,
            "beta two": 0.9 if opt == "adam" else 0.8,
            "model": model,
            "seed": seed,
            "val loss": 1 - 0.2 * (lr == "3e-4") + 0.01 * rng.normal(),
            "train_acc": rng.random(),
        }
        for number, (lr, opt, model, seed) in enumerate(grid)
    ]
    pd.DataFrame(rows).to_csv("my runs.csv", index=False)
    return "my runs.csv"


def analysed(arguments, capsys):
    assert invoke([*arguments, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def without_warnings(analysis):
    for response in analysis["responses"].values():
        messages = response["diagnostics"]["messages"]
        kept = [told for told in messages if told["code"] != "always_together"]
        response["diagnostics"]["messages"] = kept
    return analysis


def test_the_proposal_is_a_command_and_its_analysis_that_of_the_command(source, capsys):
    assert invoke(["analyze", source, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    command = next(line for line in shown.splitlines() if line.startswith("  ablatekit "))
    assert command.strip() == (
        "ablatekit analyze 'my runs.csv' --response 'val loss' --factors lr,opt --contexts model"
        " --baseline lr=1e-4 --baseline opt=adam"
    )
    proposed = analysed(["analyze", source], capsys)
    stated = analysed(shlex.split(command)[1:], capsys)
    assert json.dumps(without_warnings(proposed)) == json.dumps(without_warnings(stated))
    effects = proposed["responses"]["val loss"]["effects"]
    assert next(row["verdict"] for row in effects if row["factor"] == "lr") == "helps"


def test_the_proposal_stands_before_the_answer(source, capsys):
    assert invoke(["analyze", source]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("my runs.csv: 24 runs (read as csv)\nProposed, as this command")
    assert "Factor: opt (baseline adam; sgd)" in told.out
    assert "name: names or dates runs" in told.out
    assert "beta two never changed without opt" in told.out
    assert told.out.index("Left out:") < told.out.index("3e-4 vs 1e-4")
    assert told.err == ""


def test_what_is_odd_stands_in_the_diagnostics_of_the_analysis(source, capsys):
    response = analysed(["analyze", source], capsys)["responses"]["val loss"]
    codes = [told["code"] for told in response["diagnostics"]["messages"]]
    assert {"always_together", "direction_guessed"} <= set(codes)


def test_json_and_the_proposal_do_not_mix(source, capsys):
    assert invoke(["analyze", source, "--json", "-"]) == 0
    told = capsys.readouterr()
    assert "responses" in json.loads(told.out)
    assert "Proposed" in told.err


@pytest.mark.parametrize("place", ["-", "proposal.json"])
def test_a_proposal_as_json(source, tmp_path, capsys, place):
    assert invoke(["analyze", source, "--dry-run", "--json", place]) == 0
    out = capsys.readouterr().out
    value = json.loads(out if place == "-" else (tmp_path / place).read_text())
    assert value["factors"] == {"lr": ["1e-4", "3e-4"], "opt": ["adam", "sgd"]}
    assert value["command"][:3] == ["ablatekit", "analyze", source]
    assert value["left_out"][1]["reason"]["code"] == "column_always_with"
    assert value["warnings"][0]["text"].startswith("beta two never changed without opt")


def test_what_is_stated_is_kept_and_the_rest_proposed(source, capsys):
    options = ["--response", "train_acc", "--alpha", "0.1", "--second-opinion"]
    assert invoke(["analyze", source, "--dry-run", "--exclude", "beta two", *options]) == 0
    shown = capsys.readouterr().out
    assert "--response train_acc --factors lr,opt" in shown
    assert "--second-opinion --alpha 0.1\n" in shown
    assert "beta two: excluded" in shown


def test_baselines_and_interactions_are_kept(source, capsys):
    options = ["--baseline", "lr=3e-4", "--interactions", "1", "--factors", "lr"]
    assert invoke(["analyze", source, "--dry-run", *options]) == 0
    shown = capsys.readouterr().out
    assert "--factors lr --contexts model --baseline lr=3e-4 --interactions 1\n" in shown
    assert "opt, beta two: varies, but is not one of --factors" in shown


def test_rows_of_one_filter_are_used_and_others_on_request(source, capsys):
    frame = pd.read_csv(source, dtype={"lr": str})
    doubled = pd.concat([frame.assign(filter="strict"), frame.assign(filter="flex")])
    doubled.to_csv("doubled.csv", index=False)
    single = analysed(["analyze", source], capsys)
    strict = analysed(["analyze", "doubled.csv"], capsys)
    assert strict["counts"]["planned"] == 24
    rows = [part["responses"]["val loss"]["effects"] for part in (single, strict)]
    assert rows[0] == rows[1]
    assert invoke(["analyze", "doubled.csv", "--dry-run", "--where", "filter=flex"]) == 0
    assert "--where filter=flex" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "opt"], "--where takes COLUMN=LEVEL; received opt"),
        (["--where", "opt=adm"], "Did you mean 'adam'?"),
        (["--where", "optt=adam"], "a column is missing from the table; received 'optt'"),
        (["--exclude", "seeed"], "Did you mean 'seed'?"),
        (["--exclude", "lr", "--factors", "lr"], "--exclude names a column in use; received lr"),
        (["--baseline", "opt=adam", "--factors", "lr"], "not one of --factors; received opt"),
        (["--baseline", "optt=adam"], "not one of --factors; received optt"),
        (["--exclude", "lr,opt,beta two,model"], "no column of the 24 runs varies as a choice"),
        (["--formula", "y ~ lr", "--dry-run"], "--dry-run has no meaning with --formula"),
    ],
)
def test_mistakes_are_one_message(source, capsys, arguments, message):
    assert invoke(["analyze", source, *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert told.err.count("\n") == 1


def test_a_search_without_levels_gets_a_remedy(tmp_path, capsys):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"params_lr": rng.random(30), "value": rng.random(30)})
    frame.to_csv(tmp_path / "study.csv", index=False)
    assert invoke(["analyze", str(tmp_path / "study.csv")]) == 2
    told = capsys.readouterr().err
    assert "params_lr: 30 values, too many for a choice" in told
    assert '--formula "result ~ log(rate)"' in told


def test_spellings_of_one_level_are_shown_before_an_analysis(source, capsys):
    frame = pd.read_csv(source, dtype={"lr": str})
    frame.loc[0, "opt"] = "Adam"
    frame.to_csv("spelt.csv", index=False)
    assert invoke(["analyze", "spelt.csv", "--dry-run"]) == 0
    assert "! opt has two spellings: 'Adam', 'adam'" in capsys.readouterr().out
