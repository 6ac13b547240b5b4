"""A smoke run binds nobody: what was tried may be changed until the study itself is run."""

from __future__ import annotations

import json

import pytest

ONE_CONTEXT = {"contexts": {"model": ["m1"]}}

OTHER_ROUNDS = {**ONE_CONTEXT, "backend": {"name": "simulated", "settings": {"rounds": 6}}}
OTHER_ALPHA = {**ONE_CONTEXT, "analysis": {"alpha": 0.1}}


def plan_of(study):
    return json.loads((study.folder / "plan.json").read_text())


def test_after_smoke_runs_a_changed_study_replaces_the_plan(runner, capsys):
    study = runner(ONE_CONTEXT)
    assert study.call("run", "--limit", "2") == 0
    before = study.runs()
    study.write(OTHER_ROUNDS)
    assert study.call("run", "--limit", "1") == 0
    told = capsys.readouterr().out
    assert "the changed study replaces its plan; 0 of its 8 runs have a result already" in told
    assert plan_of(study)["held_equal"]["rounds"] == 6
    assert before < study.runs()
    study.write(ONE_CONTEXT)
    assert study.call("run") == 0
    told = capsys.readouterr().out
    assert "2 of its 8 runs have a result already" in told
    assert "8 runs, 2 done already" in told
    assert study.analysis()["deviations"] == []
    assert "provisional" not in plan_of(study)


def test_a_smoke_run_says_nothing_of_a_study_that_is_the_same(runner, capsys):
    study = runner(ONE_CONTEXT)
    for _ in range(2):
        assert study.call("run", "--limit", "1") == 0
    assert "replaces" not in capsys.readouterr().out
    assert plan_of(study)["provisional"] is True


def test_commands_that_read_go_by_the_file_after_smoke_runs(runner, capsys):
    study = runner(ONE_CONTEXT)
    assert study.call("run", "--limit", "3") == 0
    study.write(OTHER_ROUNDS)
    capsys.readouterr()
    assert study.call("status") == 0
    assert "8 runs: 8 planned" in capsys.readouterr().out


@pytest.mark.parametrize("seen", ["whole run begun", "analysed"])
def test_a_study_that_was_run_or_analysed_is_bound(runner, capsys, seen):
    """Smoke runs do not unbind a study that was run, and an analysis binds them."""
    study = runner(ONE_CONTEXT)
    assert study.call("run", "--limit", "3") == 0
    if seen == "analysed":
        assert study.call("report") in (0, 3)
    else:
        # A whole run that is stopped at once: every attempt crashes.
        crash = ("--set", "dispatch.retries=0", "--set", "backend.settings.crash_rate=1")
        assert study.call("run", *crash) in (1, 3)
        (study.folder / "analysis.json").unlink()
        assert study.call("run", "--limit", "1") == 0
    study.write(OTHER_ALPHA)
    capsys.readouterr()
    assert study.call("run") == 2
    told = capsys.readouterr().err
    assert "analysis.alpha: 0.05 -> 0.1" in told
    assert "Nothing is lost" in told
    assert "8 of the 8 planned runs are used again" in told


def test_renamed_levels_are_told_and_analysed_under_their_new_names(finished, capsys):
    study = finished
    before = study.runs()
    factors = {
        "boost": {
            "baseline": "off",
            "levels": {"off": {"helps_both": False}, "on": {"helps_both": True}},
        },
        "null": {"baseline": False, "levels": [False, True]},
    }
    study.write({**ONE_CONTEXT, "factors": factors})
    assert study.call("run") == 0
    told = capsys.readouterr().out
    assert "factor helps_both is called boost" in told
    assert "level true of boost is called on: the same runs" in told
    assert study.runs() == before
    analysis = study.analysis()
    rows = analysis["responses"]["learning"]["effects"]
    assert {(row["factor"], row["level"]) for row in rows if row["estimand"] == "average"} >= {
        ("boost", "on"),
        ("null", "true"),
    }
    assert analysis["deviations"] == []
