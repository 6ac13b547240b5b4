"""Options of `ablatekit analyze --formula` that no R case covers, against closed forms."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.cli.main import invoke

RUNS, ITEMS = 16, 40


@pytest.fixture
def items(tmp_path: Any) -> Any:
    """Runs of two levels on two data sets whose items have the same numbers; no run variance."""
    rng = np.random.default_rng(5)
    run, item = (
        k.reshape(-1) for k in np.meshgrid(np.arange(RUNS), np.arange(ITEMS), indexing="ij")
    )
    frame = pd.DataFrame({"run": run, "dataset": np.where(item < ITEMS // 2, "d1", "d2")})
    frame["item"] = item % (ITEMS // 2)
    frame["a"] = np.where(run % 2 == 0, "off", "on")
    noise = rng.normal(size=len(run))
    frame["y"] = noise - pd.Series(noise).groupby(run).transform("mean") + 0.1 * (run % 2)
    frame["y"] += np.random.default_rng(6).normal(size=ITEMS)[item]
    path = tmp_path / "items.csv"
    frame.to_csv(path, index=False)
    return path


def _ask(path: Any, capsys: Any, *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert invoke(["analyze", str(path), "--formula", *arguments, "--json", "-"]) == 0
    response: dict[str, Any] = next(iter(json.loads(capsys.readouterr().out)["responses"].values()))
    return response


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
def test_df_between_runs_are_runs_minus_coefficients(items: Any, capsys: Any, df: str) -> None:
    found = _ask(items, capsys, "y ~ a * dataset + (1|run) + (1|dataset:item)", "--df", df)
    assert found["model"]["singular"]
    told = [row for row in found["model"]["messages"] if row["code"] == "capped_df"]
    assert [row["arguments"]["limit"] for row in told] == [14]
    effects = {row["factor"]: row for row in found["effects"]}
    assert effects["a"]["df"] == RUNS - 2
    assert effects["a"]["p"] == pytest.approx(2 * stats.t.sf(abs(effects["a"]["statistic"]), 14))
    assert effects["a:dataset"]["df"] > 100
    anova = {row["term"]: row for row in found["anova"]}
    assert anova["a"]["den_df"] == pytest.approx(RUNS - 2, rel=1e-10)
    assert anova["a:dataset"]["den_df"] > 100
    other = _ask(items, capsys, "y ~ a + (1|dataset:item) + (1|a:run)", "--df", df)
    assert other["effects"][0]["df"] != RUNS - 2


def test_the_limit_is_exact_where_runs_vary(items: Any, capsys: Any) -> None:
    frame = pd.read_csv(items)
    frame["y"] += np.random.default_rng(8).normal(size=RUNS)[frame["run"]]
    frame.to_csv(items, index=False)
    found = _ask(items, capsys, "y ~ a + (1|run) + (1|dataset:item)")
    assert found["effects"][0]["df"] == pytest.approx(RUNS - 2, rel=1e-6)
    codes = [message["code"] for message in found["model"]["messages"]]
    assert "capped_df" not in codes


def test_repeated_item_numbers_are_nested_in_data_sets(items: Any, capsys: Any) -> None:
    found = _ask(items, capsys, "y ~ a + dataset + (1|run) + (1|item)")
    written = _ask(items, capsys, "y ~ a + dataset + (1|run) + (1|dataset:item)")
    assert found["random"] == written["random"]
    assert {row["group"]: row["levels"] for row in found["random"]}["dataset:item"] == ITEMS
    assert statement("items_nested") in found["model"]["messages"]
    frame = pd.read_csv(items)
    frame.assign(item="i" + frame["item"].astype(str)).to_csv(items, index=False)
    text = _ask(items, capsys, "y ~ a + dataset + (1|run) + (1|item)")
    assert {row["group"] for row in text["random"]} == {"run", "item"}


def test_logistic_effects_between_runs_take_t(items: Any, capsys: Any) -> None:
    frame = pd.read_csv(items)
    frame["hit"] = (frame["y"] > 0).astype(int)
    frame.to_csv(items, index=False)
    found = _ask(items, capsys, "hit ~ a + (1|run) + (1|dataset:item)", "--family", "binomial")
    effect, coefficient = found["effects"][0], found["fixed"][1]
    assert effect["df"] == coefficient["df"] == RUNS - 2
    for row in (effect, coefficient):
        assert row["p"] == pytest.approx(2 * stats.t.sf(abs(row["estimate"] / row["se"]), RUNS - 2))
    turned = _ask(
        items, capsys, "hit ~ a + (1|run) + (1|dataset:item)", "--family", "binomial",
        "--contrasts", "a:on",
    )  # fmt: skip
    assert turned["effects"][0]["baseline"] == "on"
    assert turned["effects"][0]["estimate"] == pytest.approx(-effect["estimate"], rel=1e-6)


@pytest.fixture
def table(tmp_path: Any) -> Any:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"g": np.repeat(np.arange(12), 9), "a": np.tile(list("pqr"), 36)})
    frame["b"] = np.tile(np.repeat(list("kl"), 3), 18)
    frame["y"] = rng.normal(size=12)[frame["g"]] + 0.3 * (frame["a"] == "r") + rng.normal(size=108)
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_equivalence_and_non_inferiority(table: Any, capsys: Any, direction: str) -> None:
    arguments = ("--smallest-effect", "0.5", "--direction", direction)
    for row in _ask(table, capsys, "y ~ a + (1|g)", *arguments)["effects"]:
        upper = stats.t.sf((row["estimate"] + 0.5) / row["se"], row["df"])
        lower = stats.t.cdf((row["estimate"] - 0.5) / row["se"], row["df"])
        assert row["p_equivalence"] == pytest.approx(max(upper, lower))
        assert row["p_non_inferiority"] == pytest.approx(upper if direction == "higher" else lower)
        assert (row["verdict"] == "equivalent") == (row["p_equivalence"] < 0.05)


def test_bootstrap_intervals_are_seeded_and_profile_intervals_agree(
    table: Any, capsys: Any
) -> None:
    def limits(*arguments: str) -> list[Any]:
        rows = _ask(table, capsys, "y ~ a + (1|g)", "--random-intervals", *arguments)
        return [(r["group"], r["low"], r["high"]) for r in rows["random_intervals"]]

    one = limits("bootstrap", "--seed", "4")
    assert one == limits("bootstrap", "--seed", "4")
    assert one != limits("bootstrap", "--seed", "5")
    for (group, low, high), (other, a, b) in zip(one, limits("profile"), strict=True):
        assert group == other
        assert low < high
        assert abs(low - a) + abs(high - b) < 0.5 * (b - a)


def test_baselines_hold_for_interactions_and_means(table: Any, capsys: Any) -> None:
    found = _ask(
        table, capsys, "y ~ a * b", "--contrasts", "a:q", "--contrasts", "b:l", "--means", "a:b"
    )
    cells = pd.read_csv(table).groupby(["a", "b"])["y"].mean()
    rows = {row["level"]: row for row in found["effects"] if row["estimand"] == "interaction"}
    assert set(rows) == {"p:k", "r:k"}
    for level, row in rows.items():
        a, b = level.split(":")
        assert row["baseline"] == "q:l"
        expected = cells[a, b] - cells["q", b] - cells[a, "l"] + cells["q", "l"]
        assert row["estimate"] == pytest.approx(expected)
    means = {row["level"]: row["estimate"] for row in found["means"]}
    assert means == pytest.approx({f"{a}:{b}": value for (a, b), value in cells.items()})
    baseline = [row["contrast"] for row in found["contrasts"] if row["kind"] == "baseline"]
    assert all(name.endswith("- q l") for name in baseline)


def test_single_step_p_lie_between_plain_and_bonferroni(table: Any, capsys: Any) -> None:
    found = _ask(table, capsys, "y ~ a + b + (1|g)", "--adjust", "mvt")["effects"]
    assert {row["adjustment"] for row in found} == {"mvt"}
    for row in found:
        assert row["p"] < row["p_adjusted"] <= min(3 * row["p"], 1.0) + 1e-6
    tukey = _ask(table, capsys, "y ~ a + (1|g)", "--adjust", "tukey", "--pairwise")
    used = {row["kind"]: row["adjustment"] for row in tukey["contrasts"]}
    assert used == {"baseline": "sidak", "pairwise": "tukey", "mean": "sidak"}


def test_counts_and_proportions_are_the_same_logistic_model(tmp_path: Any, capsys: Any) -> None:
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"g": np.repeat(np.arange(10), 4), "a": np.tile(list("pq"), 20)})
    frame["n"] = rng.integers(5, 20, 40)
    frame["s"] = rng.binomial(frame["n"], 0.4)
    frame = frame.assign(f=frame["n"] - frame["s"], share=frame["s"] / frame["n"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    one = _ask(tmp_path / "t.csv", capsys, "cbind(s, f) ~ a + (1|g)", "--family", "binomial")
    two = _ask(
        tmp_path / "t.csv", capsys, "share ~ a + (1|g)", "--family", "binomial", "--weights", "n"
    )
    assert one["fixed"] == two["fixed"]
    assert one["model"]["criterion"] == pytest.approx(two["model"]["criterion"])


def test_a_random_term_is_tested_against_the_model_without_it(table: Any, capsys: Any) -> None:
    tests = _ask(table, capsys, "y ~ a + (1|g)", "--random-tests")["random_tests"]
    ratio = _ask(table, capsys, "y ~ a + (1|g)", "--against", "y ~ a")["likelihood_ratio"]
    assert tests[0]["statistic"] == pytest.approx(ratio["statistic"])
    assert tests[0]["df"] == ratio["df"] == 1


def test_the_terminal_shows_what_was_asked_for(table: Any, capsys: Any) -> None:
    arguments = ["--pairwise", "--random-tests", "--random-intervals", "profile", "--method", "ml"]
    command = ["analyze", str(table), "--formula", "y ~ a + (1|g)", *arguments]
    assert invoke([*command, "--against", "y ~ 1 + (1|g)"]) == 0
    shown = capsys.readouterr().out
    for words in ("Pairs of means", "q - r", "Tests of random terms", "Standard deviations",
                  "Against y ~ 1 + (1|g): chi2"):  # fmt: skip
        assert words in shown


def test_an_interaction_with_b_is_no_emoji(table: Any, capsys: Any) -> None:
    assert invoke(["analyze", str(table), "--formula", "y ~ a * b"]) == 0
    assert "a:b: q:l" in capsys.readouterr().out


def test_the_terminal_shows_a_meta_analysis(tmp_path: Any, capsys: Any) -> None:
    frame = pd.DataFrame({"effect": [0.1, 0.3, 0.2, 0.5], "v": [0.01, 0.02, 0.01, 0.05]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    command = ["analyze", str(tmp_path / "t.csv"), "--formula", "effect ~ 1", "--variances", "v"]
    assert invoke(command) == 0
    assert "Between rows: tau2" in capsys.readouterr().out
