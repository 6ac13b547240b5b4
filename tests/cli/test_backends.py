from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ablatekit.cli.main import invoke


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> object:
    assert invoke([*arguments, "--json"]) == 0
    value: object = json.loads(capsys.readouterr().out)
    return value


def test_backends_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _json(capsys, "backend", "list")
    assert isinstance(rows, list)
    assert {"name": "simulated", "results_version": 1, "state": "ready"} in rows
    assert invoke(["backend", "list"]) == 0
    assert "simulated" in capsys.readouterr().out


def test_a_backend_is_shown_with_settings_rules_and_metrics(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = _json(capsys, "backend", "show", "simulated")
    assert isinstance(value, dict)
    settings = {row["name"]: row for row in value["settings"]}
    assert settings["rounds"]["default"] == 10
    assert settings["rounds"]["allowed"] == "integer, >= 1, <= 100000"
    assert settings["dose"]["allowed"] == "none | zero | low | high"
    assert settings["sleep"]["kind"] == "execution"
    assert {rule["kind"] for rule in value["rules"]} == {"invalid", "inert", "alias", "warn"}
    assert "train/pass@1" in [metric["name"] for metric in value["metrics"]]
    assert invoke(["backend", "show", "simulated"]) == 0
    shown = capsys.readouterr().out
    assert "Settings" in shown
    assert "Rules" in shown


def test_factors_are_listed_without_what_only_decides_execution(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = _json(capsys, "factor", "list", "--backend", "simulated")
    assert isinstance(rows, list)
    names = [row["name"] for row in rows]
    assert "dose" in names
    assert "sleep" not in names
    assert invoke(["factor", "list", "--backend", "simulated"]) == 0
    assert "dose" in capsys.readouterr().out


def test_a_factor_is_shown_with_its_levels(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["factor", "show", "advantage", "--backend", "rft"]) == 0
    shown = capsys.readouterr().out
    assert "default none" in shown
    assert "\nrloo\n" in shown
    assert "formula:" in shown
    value = _json(capsys, "factor", "show", "advantage", "--backend", "rft")
    assert isinstance(value, dict)
    assert value["levels"]["rloo"]["source"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["backend", "show", "simulatd"], "Did you mean 'simulated'"),
        (["factor", "list", "--backend", "rtf"], "Did you mean 'rft'"),
        (["factor", "show", "dosis", "--backend", "simulated"], "Did you mean 'dose'"),
    ],
)
def test_unknown_names_get_the_nearest(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(arguments) == 2
    assert message in capsys.readouterr().err


def test_the_command_line_of_a_named_interpreter() -> None:
    command = [sys.executable, "-m", "ablatekit", "backend", "list"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "simulated" in done.stdout


def test_factors_are_listed_by_group_by_text_and_as_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert invoke(["factor", "list", "--backend", "rft"]) == 0
    whole = capsys.readouterr().out
    assert whole.count("\nQueries and rollouts of a round\n") == 1
    assert whole.index("\nrollouts:") < whole.index("\nThe reward of a completion")
    assert invoke(["factor", "list", "--backend", "rft", "--grep", "num_generations"]) == 0
    assert "\nrollouts: default 1" in capsys.readouterr().out
    assert invoke(["factor", "list", "--backend", "rft", "--group", "advantage", "--names"]) == 0
    assert "advantage_eps" in capsys.readouterr().out.splitlines()
    assert invoke(["factor", "list", "--backend", "rft", "--grep", "no such thing"]) == 2
    assert "--names lists all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("elsewhere", "here"),
    [
        ("batch_size", "queries_per_round"),
        ("num_generations", "rollouts"),
        ("kl_coef", "kl_coefficient"),
        ("beta", "kl_coefficient"),
        ("lr", "learning_rate"),
    ],
)
def test_what_other_trainers_call_a_setting_leads_to_it(
    elsewhere: str, here: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["factor", "show", elsewhere, "--backend", "rft"]) == 2
    told = capsys.readouterr().err
    assert told.endswith(f"Did you mean {here!r}?\n")


def test_a_backend_that_runs_any_program_is_not_the_one_that_is_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ablatekit.cli.backends import default_backend

    installed = ["command", "rft", "simulated"]
    monkeypatch.setattr("ablatekit.plugins.plugin_names", lambda _axis: tuple(installed))
    assert default_backend() == "rft"
    installed.remove("rft")
    assert default_backend() == "command"


def test_a_group_that_there_is_not_is_answered_with_the_groups(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert invoke(["factor", "list", "--backend", "rft", "--group", "zzz"]) == 2
    told = capsys.readouterr().err
    assert "no group has that in its heading; received zzz. There are:\n  " in told
    assert "KL and entropy" in told
