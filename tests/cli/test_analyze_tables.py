"""`ablatekit analyze` on tables as people have them: what it recognises, guesses and warns of."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest

from ablatekit.cli.main import invoke

ROLES = ("--response", "score", "--factors", "optimizer,rate", "--contexts", "model,dataset")
FORMULA = ("--formula", "score ~ optimizer * rate + (1 | model)")
WAYS = pytest.mark.parametrize("way", [ROLES, FORMULA], ids=["factors", "formula"])


def make_table(scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    cells = itertools.product(("adam", "sgd"), ("low", "high"), "pqr", "stu", range(2))
    rows = [
        {"optimizer": o, "rate": r, "model": m, "dataset": d, "replicate": n,
         "score": scale * (0.4 + 0.1 * (o == "sgd") + 0.02 * rng.normal())}
        for o, r, m, d, n in cells
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def ask(tmp_path, capsys, monkeypatch):
    """What a terminal of 80 columns shows of a table, and the analysis."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(frame, *arguments, code=0):
        path, out = tmp_path / "runs.csv", tmp_path / "out.json"
        frame.to_csv(path, index=False)
        assert invoke(["analyze", str(path), *arguments, "--json", str(out)]) == code
        told = capsys.readouterr()
        return (told.err, None) if code else (told.out, json.loads(out.read_text()))

    return run


def one_line(text):
    return " ".join(text.split())


@WAYS
def test_names_of_losses_are_better_when_lower_and_the_head_says_so(ask, way):
    frame = make_table().rename(columns={"score": "val_loss"})
    asked = [part.replace("score", "val_loss") for part in way]
    shown, analysis = ask(frame, *asked)
    assert "lower is better (guessed)" in one_line(shown)
    response = analysis["responses"]["val_loss"]
    assert response["direction"] == "lower"
    assert response["unit"] == ""
    worse = next(row for row in response["effects"] if row["factor"] == "optimizer")
    assert worse["verdict"] == "hurts"
    shown, analysis = ask(frame, *asked, "--direction", "higher")
    assert "higher is better" in shown
    assert "guessed" not in shown
    assert analysis["responses"]["val_loss"]["effects"][0]["verdict"] == "helps"


@WAYS
@pytest.mark.parametrize(
    ("scale", "options", "unit"),
    [
        (1.0, (), "fraction"),
        (100.0, (), ""),
        (100.0, ("--unit", "percent"), "percent"),
        (100.0, ("--unit", "points won"), "points won"),
        (1.0, ("--unit", "none"), ""),
    ],
)
def test_units_follow_values_or_the_option(ask, way, scale, options, unit):
    _, analysis = ask(make_table(scale), *way, *options)
    assert analysis["responses"]["score"]["unit"] == unit


@pytest.mark.parametrize("name", ["score", "accuracy", "pass@1"])
def test_percentages_are_not_multiplied_whatever_their_name(ask, name):
    frame = make_table(100.0).rename(columns={"score": name})
    shown, _ = ask(frame, "--response", name, *ROLES[2:])
    assert re.search(r"\+(9|10|11)\.\d+ \[", shown)
    shown, _ = ask(frame, "--response", name, *ROLES[2:], "--unit", "percent")
    assert f"{name.capitalize()}, pp" in shown


@WAYS
def test_a_unit_of_fractions_is_refused_for_percentages(ask, way):
    told, _ = ask(make_table(100.0), *way, "--unit", "fraction", code=2)
    assert "lie between 0 and 1; received score with" in told


def test_tiny_values_are_never_shown_as_zero(ask):
    shown, _ = ask(make_table(1e-9), *ROLES)
    assert re.search(r"\+\d\.\d+e\N{MINUS SIGN}1[01]", shown)
    assert "0.000" not in shown


SPELLED = "three spellings: 'adam', 'adam ', 'Adam'"


def test_every_warning_is_a_line_on_the_terminal(ask):
    frame = make_table()
    frame.loc[[2, 3], "optimizer"] = "adam "
    frame.loc[[5], "optimizer"] = "Adam"
    frame = pd.concat([frame, frame.iloc[[0]]])
    frame["batch"] = np.where(np.arange(len(frame)) % 2, 32, 64)
    frame["score"] = frame["score"].astype(object)
    frame.iloc[8, frame.columns.get_loc("score")] = "n/a"
    shown, analysis = ask(frame, *ROLES)
    shown = one_line(shown)
    for warning in (
        SPELLED,
        "row 73: the same as an earlier row",
        "differ in batch ('32', '64')",
        "score: 'n/a' in row 9 counts as missing",
        "1 row without a result",
    ):
        assert warning in shown
    response = analysis["responses"]["score"]
    codes = [message["code"] for message in response["diagnostics"]["messages"]]
    assert codes[:5] == [
        "direction_guessed", "absent_words", "spelling_variants", "repeated_rows", "hidden_factor",
    ]  # fmt: skip


def test_a_formula_warns_of_spellings_and_words_too(ask):
    frame = make_table()
    frame.loc[[2, 20], "optimizer"] = "Adam"
    frame["score"] = frame["score"].astype(object)
    frame.loc[8, "score"] = "null"
    shown = one_line(ask(frame, *FORMULA)[0])
    assert "note: optimizer has two spellings: 'Adam', 'adam'" in shown
    assert "note: score: 'null' in row 9 counts as missing" in shown
    assert "1 row with a missing value was left out" in shown


@pytest.mark.parametrize("word", ["Crashed", "OOM", "timed_out"])
def test_endings_are_understood_and_unknown_ones_refused(ask, word):
    frame = make_table().assign(status="FINISHED")
    frame.loc[[0, 3], "status"] = word, "NaN"
    counts = ask(frame, *ROLES)[1]["counts"]
    assert (counts["failed"], counts["diverged"], counts["analysed"]) == (1, 1, 71)
    frame.loc[4, "status"] = "maybe"
    told, _ = ask(frame, *ROLES, code=2)
    assert "an unknown word in the column status" in told
    assert "received 'maybe' in row 5" in told
    assert "completed" in told


def test_a_formula_leaves_failed_runs_out_and_says_so(ask):
    frame = make_table().assign(status="completed")
    frame.loc[[0, 40], "status"] = "CRASHED", "Running"
    frame.loc[[0, 40], "score"] = 99.0
    shown, analysis = ask(frame, *FORMULA)
    assert "note: 2 rows left out, whose status says" in shown
    assert analysis["responses"]["score"]["model"]["n"] == 70
    told, _ = ask(frame.replace("Running", "maybe"), *FORMULA, code=2)
    assert "received 'maybe' in row 41" in told
    named = ask(frame.replace("Running", "maybe"), "--formula", "score ~ status + optimizer")[1]
    assert named["responses"]["score"]["model"]["n"] == 72
    numbers = ask(frame.assign(status=np.arange(72) % 2), *FORMULA)[1]
    assert numbers["responses"]["score"]["model"]["n"] == 72


def test_a_wide_table_is_melted_or_the_message_says_how(ask):
    frame = make_table()
    columns = ["optimizer", "rate", "model", "dataset"]
    wide = frame.pivot_table("score", columns, "replicate").add_prefix("score_").reset_index()
    told, _ = ask(wide, *ROLES, code=2)
    assert "score_0, score_1 look like its replicates: add --wide 'score_*'" in told
    told, _ = ask(wide, *FORMULA, code=2)
    assert "score_0, score_1 look like its replicates: melt the table to one row per run" in told
    effects = ask(wide, *ROLES, "--wide", "score_*", "--baseline", "rate=low")[1]
    expected = ask(frame, *ROLES)[1]
    for one, other in zip(
        effects["responses"]["score"]["effects"],
        expected["responses"]["score"]["effects"],
        strict=True,
    ):
        assert one["estimate"] == pytest.approx(other["estimate"])


def test_a_conditional_factor_may_have_empty_cells(ask):
    frame = make_table().rename(columns={"rate": "loop"})
    frame["sampler"] = np.where(frame["loop"] == "high", "basic", None)
    roles = [*ROLES[:3], "optimizer,loop,sampler", *ROLES[4:]]
    shown, analysis = ask(frame, *roles)
    factor = analysis["design"]["factors"][2]
    assert (factor["levels"], factor["baseline"]) == (["", "basic"], "")
    assert "basic vs (not set)" in one_line(shown)


def test_a_reader_can_be_named(ask, tmp_path):
    ask(make_table(), *ROLES, "--reader", "csv")
    told, _ = ask(make_table(), *ROLES, "--reader", "cvs", code=2)
    assert "Did you mean 'csv'" in told
    make_table().to_csv(tmp_path / "runs.log", index=False)
    assert invoke(["analyze", str(tmp_path / "runs.log"), *FORMULA, "--reader", "csv"]) == 0


INTERVAL = re.compile(r"\[[^\[\]]*\]")


@pytest.mark.parametrize("scale", [1.0, 1e7, 1e-9])
@pytest.mark.parametrize("responses", [1, 2, 5])
def test_no_interval_is_broken_at_80_columns(ask, scale, responses):
    frame = make_table(scale).replace({"sgd": "stochastic gradient descent with warm restarts"})
    names = [f"a_long_name_of_response_{n}" for n in range(responses)]
    frame = frame.assign(**{name: frame["score"] * (n + 1) for n, name in enumerate(names)})
    shown, _ = ask(frame, "--response", ",".join(names), *ROLES[2:])
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert len(INTERVAL.findall(shown)) >= 2 * responses
    assert all(line.count("[") == line.count("]") for line in shown.splitlines())


@pytest.mark.parametrize("scale", [1.0, 1e7, 1e-9])
def test_no_interval_of_a_formula_is_broken_at_80_columns(ask, scale):
    frame = make_table(scale).replace({"sgd": "stochastic gradient descent with warm restarts"})
    shown, _ = ask(frame, *FORMULA)
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert INTERVAL.search(shown)
    assert all(line.count("[") == line.count("]") for line in shown.splitlines())


def test_outcomes_without_noise_have_an_answer(ask):
    frame = make_table()
    frame["score"] = (frame["optimizer"] == "sgd").astype(int)
    shown, analysis = ask(frame, *ROLES)
    assert "same seed" not in shown
    assert "p values of average effects are those of the permutation test" in one_line(shown)
    row = analysis["responses"]["score"]["effects"][0]
    assert row["verdict"] == "helps"
    assert row["p"] < 0.001


@WAYS
def test_a_text_among_numbers_says_what_to_write_instead(ask, way):
    frame = make_table()
    frame["score"] = frame["score"].astype(object)
    for word, remedy in (("50.5%", "Leave % out"), ("1,234", "Write a point"), ("x", "Recode")):
        frame.loc[3, "score"] = word
        told, _ = ask(frame, *way, code=2)
        assert f"received score with '{word}' in row 4. {remedy}" in told


@WAYS
def test_a_table_with_row_numbers_is_read(ask, way):
    frame = make_table()
    frame.insert(0, "", range(len(frame)))
    assert ask(frame, *way)[1]["responses"]["score"]["model"]["n"] == 72


def test_a_column_that_is_one_number_written_in_two_ways_is_pointed_out(ask):
    frame = make_table()
    frame["rate"] = frame["rate"].map({"low": "1.1", "high": "1.10"})
    shown = one_line(ask(frame, *FORMULA)[0])
    assert "note: rate: one number throughout" in shown
    shown, analysis = ask(frame, *FORMULA, "--categorical", "rate")
    assert "one number throughout" not in one_line(shown)
    effects = analysis["responses"]["score"]["effects"]
    assert ("1.10", "1.1") in [(row["level"], row["baseline"]) for row in effects]


@WAYS
@pytest.mark.parametrize("kind", ["index", "filtered index", "lists"])
def test_parquet_may_hold_an_index_and_lists(tmp_path, way, kind):
    frame = make_table()
    if kind == "lists":
        frame["optimizer"] = [[name] for name in frame["optimizer"]]
    else:
        frame = frame.set_index(["model", "dataset"]) if kind == "index" else frame.iloc[4:]
    path, out = tmp_path / "runs.parquet", tmp_path / "out.json"
    frame.to_parquet(path)
    assert invoke(["analyze", str(path), *way, "--json", str(out)]) == 0
    effects = json.loads(out.read_text())["responses"]["score"]["effects"]
    assert "sgd" in effects[0]["level"]


@WAYS
def test_a_smallest_effect_in_points_is_refused_where_values_are_fractions(ask, way):
    told, _ = ask(make_table(), *way, "--smallest-effect", "2", code=2)
    assert "--smallest-effect is a fraction, as the values are; received 2. Write 0.02" in told
    ask(make_table(), *way, "--smallest-effect", "2", "--unit", "none")


@WAYS
def test_a_response_without_a_value_is_one_message(ask, way):
    told, _ = ask(make_table().assign(score=np.nan), *way, code=2)
    assert told.startswith("error: ")
    assert "score" in told


def test_diverged_runs_without_a_score_are_not_said_to_have_entered(ask):
    frame = make_table().assign(status="finished")
    frame.loc[[0, 40, 41], "status"] = "diverged"
    frame.loc[0, "score"] = np.nan
    shown = one_line(ask(frame, *ROLES)[0])
    assert "note: 2 diverged runs entered with the last valid score." in shown
    assert "note: 1 diverged run without a valid score left out." in shown
    assert "2 diverged runs entered" in one_line(ask(frame, *FORMULA)[0])


@WAYS
@pytest.mark.parametrize("ending", ["failed", "diverged"])
def test_tables_in_which_every_run_ended_alike_are_answered(tmp_path, capsys, way, ending):
    path = tmp_path / "runs.csv"
    make_table().assign(status=ending).to_csv(path, index=False)
    code = invoke(["analyze", str(path), *way])
    told = capsys.readouterr()
    if ending == "diverged":
        assert code == 0
        assert "72 diverged runs entered" in one_line(told.out)
    else:
        assert code == (3 if way is ROLES else 2)
        assert "no row has a value" in told.err or "says that no run has a result" in told.err
