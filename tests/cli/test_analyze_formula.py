"""`ablatekit analyze --formula`: a mixed model from a file to numbers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from ablatekit.cli.main import invoke


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=48),
            "a": np.tile(["none", "None", "x"], 16),
            "g": np.repeat(list("pqrstuvw"), 6),
            "w": 1.0,
            "outcome": np.tile([0, 1, 1, 0], 12),
        }
    )
    frame["y"] += (frame["a"] == "x") * 2.0
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def _run(capsys, *arguments):
    assert invoke(["analyze", *map(str, arguments), "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_one_response_with_the_keys_of_an_analysis(table, capsys):
    found = _run(capsys, table, "--formula", "y ~ a + (1|g)", "--contrasts", "a:none")
    assert set(found["responses"]) == {"y"}
    response = found["responses"]["y"]
    keys = {"model", "random", "residual_sd", "fixed", "anova", "effects", "diagnostics", "missing"}
    assert keys <= set(response)
    frame = pd.read_csv(table, keep_default_na=False)
    means = frame.groupby("a")["y"].mean()
    effects = {row["level"]: row for row in response["effects"]}
    assert set(effects) == {"None", "x"}
    for level, row in effects.items():
        assert row["baseline"] == "none"
        assert row["estimate"] == pytest.approx(means[level] - means["none"])
    assert effects["x"]["verdict"] == "helps"
    for section, number in (("contexts", "estimate"), ("heterogeneity", "tau")):
        assert [row["level"] for row in response[section]] == list(effects)
        assert all(row[number] is None and row["reason"] for row in response[section])


def test_lower_is_better_turns_the_verdict(table, capsys):
    arguments = ("--formula", "y ~ a + (1|g)", "--contrasts", "a:none", "--direction", "lower")
    rows = _run(capsys, table, *arguments)["responses"]["y"]["effects"]
    assert {row["level"]: row["verdict"] for row in rows}["x"] == "hurts"


def test_the_terminal_shows_the_model(table, capsys):
    arguments = ["--formula", "y ~ a + (1|g)", "--method", "ml", "--weights", "w"]
    assert invoke(["analyze", str(table), *arguments]) == 0
    shown = capsys.readouterr().out
    for words in (
        "y ~ a + (1 | g)",
        "maximum likelihood, 48 rows",
        "Effects (level minus baseline)",
        "Analysis of variance",
    ):
        assert words in shown


def test_least_squares_have_no_random_effects_to_explain(table, capsys):
    assert invoke(["analyze", str(table), "--formula", "y ~ a"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "of the fixed effects" in shown
    assert "random effects" not in shown


def test_the_methods_paragraph_names_the_adjustment_that_was_used(table, tmp_path):
    arguments = ["--formula", "y ~ a + (1|g)", "--adjust", "mvt", "--report", str(tmp_path)]
    assert invoke(["analyze", str(table), *arguments]) == 0
    text = (tmp_path / "report.md").read_text()
    assert "when the adjusted p value (mvt; one family per response) is below 0.05" in text
    assert "one family" in text
    assert "Holm" not in text


def test_the_methods_of_a_mean_of_effects_describe_no_levels(table, tmp_path):
    arguments = ["--formula", "y ~ 1", "--variances", "w", "--report", str(tmp_path)]
    assert invoke(["analyze", str(table), *arguments]) == 0
    text = (tmp_path / "report.md").read_text()
    assert "We fitted y" in text
    for absent in ("effect of a level", "analysis of variance uses", "Holm", "inconclusive"):
        assert absent not in text


def test_kenward_roger_and_a_logistic_model(table, capsys):
    found = _run(capsys, table, "--formula", "y ~ a + (1|g)", "--df", "kenward-roger")
    assert found["responses"]["y"]["effects"][0]["method"]["code"] == "kenward_roger"
    logistic = ("--formula", "outcome ~ a + (1|g)", "--family", "binomial")
    assert (
        _run(capsys, table, *logistic)["responses"]["outcome"]["model"]["method"]["code"]
        == "laplace"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--formula", "y ~ a + (1|g"), ""),
        (("--formula", "y"), ""),
        (("--formula", "y ~ b + (1|g)"), "no such column; received b"),
        (("--formula", "y ~ a + (1|gg)"), "Did you mean 'g'?"),
        (("--formula", "a ~ y + (1|g)"), "a response must be numeric"),
        (("--formula", "y ~ a", "--contrasts", "z"), "Known: a"),
        (("--formula", "y ~ a", "--contrasts", "a:zero"), "no such level"),
        (("--formula", "y ~ a", "--weights", "wt"), "no such column; received wt"),
        (("--formula", "y ~ a", "--response", "y"), "--response has no meaning with --formula"),
        (("--formula", "y ~ a", "--df", "wald"), "wald"),
    ],
)
def test_mistakes_are_one_message_and_write_nothing(table, tmp_path, capsys, arguments, message):
    out = tmp_path / "out.json"
    assert invoke(["analyze", str(table), *arguments, "--json", str(out)]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert "Traceback" not in told.err
    assert not out.exists()


def test_a_constant_response_is_refused_with_exit_code_3(table, capsys):
    frame = pd.read_csv(table, keep_default_na=False).assign(y=1.0)
    frame.to_csv(table, index=False)
    assert invoke(["analyze", str(table), "--formula", "y ~ a + (1|g)"]) == 3
    assert "constant" in capsys.readouterr().err
