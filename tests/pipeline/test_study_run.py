"""One command from a study file to a report, and what the second command does."""

from __future__ import annotations

import json
import statistics

import pytest

ONE_CONTEXT = {"contexts": {"model": ["m1"]}}
RFT_SETTINGS = {
    "budget": {"unit": "rounds", "amount": 3},
    "queries_per_round": 4,
    "learning_rate": 0.003,
    "train_items": 16,
    "evaluation": {"points": 1, "probe_items": 16, "test_items": 16},
}


def _effect(analysis, response, factor, estimand="average"):
    rows = [
        row
        for row in analysis["responses"][response]["effects"]
        if (row["factor"], row["estimand"], row["inference"]) == (factor, estimand, "narrow")
    ]
    assert len(rows) == 1
    return rows[0]


def test_a_study_becomes_a_report_and_the_same_command_is_a_no_op(whole_copy, capsys):
    study = whole_copy
    page = (study.folder / "report" / "index.html").read_text()
    assert "helps_both" in page
    assert (study.folder / "report" / "report.md").is_file()
    written = (study.folder / "analysis.json").read_bytes()
    assert study.call("run") == 0
    printed = capsys.readouterr().out
    assert "nothing to do" in printed
    assert "helps" in printed
    assert (study.folder / "analysis.json").read_bytes() == written
    assert _effect(study.analysis(), "learning", "helps_both")["verdict"] == "helps"


def test_json_output_is_machine_readable(whole):
    assert json.loads(whole.printed)["counts"]["finished"] == 48


def test_step_zero_is_equal_across_cells_of_a_context(whole):
    responses = whole.study.analysis()["responses"]
    assert len(responses) == 2
    for response in responses.values():
        assert response["diagnostics"]["step_zero"]["equal"]


def test_costs_that_differ_between_executions_are_only_provenance(whole):
    analysis = whole.study.analysis()
    metrics = {row["metric"] for row in analysis["design"]["cost"]}
    assert metrics == {"cost/updates", "cost/samples"}
    assert {row["metric"] for row in analysis["provenance"]["cost"]} == {"cost/seconds"}


def test_more_replicates_run_only_what_is_new_and_are_labelled_a_second_look(finished):
    study = finished
    before = study.runs()
    study.write({**ONE_CONTEXT, "replicates": 3})
    assert study.call("run") == 0
    assert before < study.runs()
    assert len(study.runs()) == 3 * len(before) // 2
    assert any("look 2" in deviation for deviation in study.analysis()["deviations"])


def test_a_changed_shared_setting_is_refused_with_a_diff_unless_new(finished, capsys):
    study = finished
    plan = (study.folder / "plan.json").read_bytes()
    study.write({**ONE_CONTEXT, "backend": {"name": "simulated", "settings": {"rounds": 6}}})
    assert study.call("run") == 2
    message = capsys.readouterr().err
    assert "rounds" in message
    assert "4 -> 6" in message
    assert (study.folder / "plan.json").read_bytes() == plan
    assert study.call("run", "--new") == 0


def test_a_smoke_run_leaves_the_rest_for_later(runner, capsys):
    study = runner(ONE_CONTEXT)
    assert study.call("run", "--limit", "3") == 0
    assert "3 of 8 runs" in capsys.readouterr().out
    assert not (study.folder / "analysis.json").exists()
    assert study.call("status") == 0
    assert "3 finished" in capsys.readouterr().out
    assert study.call("report") in (0, 3)
    assert any("interim" in deviation for deviation in study.analysis()["deviations"])
    assert study.call("run") == 0
    assert not study.analysis()["deviations"]


def test_a_dry_run_writes_nothing(runner):
    study = runner()
    assert study.call("run", "--dry-run") == 0
    assert not study.workspace.exists()


def test_failed_runs_give_exit_code_1_and_a_report_that_counts_them(runner, capsys):
    backend = {"name": "simulated", "settings": {"rounds": 4, "crash_rate": 1.0}}
    study = runner(
        {
            "backend": backend,
            "dispatch": {"retries": 0},
            "replicates": 1,
            "contexts": {"model": ["m1"]},
        }
    )
    code = study.call("run")
    assert code in (1, 3)
    assert "failed" in capsys.readouterr().err
    assert study.analysis()["counts"]["failed"] == 4


def test_a_diverged_run_is_a_result(runner):
    backend = {"name": "simulated", "settings": {"rounds": 4, "diverge_rate": 0.5}}
    study = runner({**ONE_CONTEXT, "backend": backend})
    assert study.call("run") == 0
    counts = study.analysis()["counts"]
    assert counts["diverged"] > 0
    assert counts["analysed"] == counts["planned"] == 8


def test_nothing_to_estimate_gives_exit_code_3_and_a_report_with_the_reasons(runner, capsys):
    study = runner(
        {"replicates": 1, "contexts": {"model": ["m1"]}, "analysis": {"interactions": 2}}
    )
    assert study.call("run") == 3
    assert "no requested effect can be estimated" in capsys.readouterr().err
    rows = study.analysis()["responses"]["learning"]["effects"]
    assert all(row["reason"] for row in rows)
    assert (study.folder / "report" / "index.html").is_file()


@pytest.mark.parametrize("command", ["report", "sync"])
def test_a_study_that_was_never_run_says_so(runner, capsys, command):
    assert runner().call(command) == 2
    assert "error:" in capsys.readouterr().err


def test_matched_cells_of_an_excluded_combination_are_the_hand_computed_differences(runner):
    """{none, group_norm} x {1, 4} without (group_norm, 1): both effects, from matched cells."""
    study = runner(
        {
            "backend": {"name": "rft", "settings": RFT_SETTINGS},
            "factors": {
                "advantage": {"baseline": "none", "levels": ["none", "group_norm"]},
                "rollouts": {"baseline": 1, "levels": [1, 4]},
            },
            "exclude": [{"advantage": "group_norm", "rollouts": 1}],
            "contexts": {"model": ["tiny-llama"]},
        }
    )
    assert study.call("run") == 0
    score: dict[tuple[str, int], list[float]] = {}
    for folder in (study.workspace / "runs").iterdir():
        settings = json.loads((folder / "spec.json").read_text())["settings"]
        result = json.loads((folder / "result.json").read_text())
        key = (settings["advantage"], settings["rollouts"])
        score.setdefault(key, []).append(result["metrics"]["train/pass@1"])
    mean = {key: statistics.fmean(values) for key, values in score.items()}
    analysis = study.analysis()
    advantage = mean["group_norm", 4] - mean["none", 4]
    rollouts = mean["none", 4] - mean["none", 1]
    for factor, by_hand in (("advantage", advantage), ("rollouts", rollouts)):
        row = _effect(analysis, "learning", factor)
        assert row["estimate"] == pytest.approx(by_hand, abs=1e-12)
        assert row["se"] > 0


def test_what_runs_say_of_their_results_is_counted_in_status_and_report(runner, capsys):
    study = runner(ONE_CONTEXT)
    assert study.call("run") == 0
    for number, path in enumerate(sorted(study.workspace.glob("runs/*/result.json"))):
        result = json.loads(path.read_text())
        if number < 3:
            path.write_text(json.dumps({**result, "message": "trained on nothing\x1b[31m"}))
    capsys.readouterr()
    assert study.call("status") == 0
    assert "3 of 8 runs: trained on nothing\\x1b[31m" in capsys.readouterr().out
    assert study.call("status", "--json") == 0
    assert list(json.loads(capsys.readouterr().out)["messages"].values()) == [3]
    assert study.call("report") == 0
    assert "3 of 8 runs: trained on nothing" in capsys.readouterr().out
    page = (study.folder / "report" / "index.html").read_text()
    assert "<li>3 of 8 runs: trained on nothing" in page
    missing = study.analysis()["responses"]["learning"]["missing"]
    assert [message["code"] for message in missing["messages"]] == ["run_message"]
