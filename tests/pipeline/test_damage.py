"""Damaged files, impossible places and machines that lack something: one message, exit 2."""

from __future__ import annotations

import json

import pytest


def _message(capsys) -> str:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert "error: " in text
    return text


def _first_result(study):
    return sorted(study.workspace.glob("runs/*/result.json"))[0]


@pytest.mark.parametrize("content", ['{"bro', "{}", "[]", "\xff"])
@pytest.mark.parametrize("command", ["run", "report", "status"])
def test_a_damaged_result_is_named(finished, capsys, content, command):
    study = finished
    _first_result(study).write_text(content, encoding="latin-1")
    assert study.call(command) == 2
    assert "result.json is damaged" in _message(capsys)


def test_a_damaged_result_that_is_moved_away_is_made_again(finished):
    study = finished
    before = study.analysis()
    damaged = _first_result(study)
    damaged.write_text("{")
    damaged.unlink()
    assert study.call("run") == 0
    assert study.analysis()["responses"] == before["responses"]


@pytest.mark.parametrize("content", ['{"bro', '{"plan_version": 1}', "[]"])
def test_a_damaged_plan_is_named(finished, capsys, content):
    study = finished
    (study.folder / "plan.json").write_text(content)
    for command in ("run", "report"):
        assert study.call(command) == 2
        assert "plan.json is damaged" in _message(capsys)


@pytest.mark.parametrize("content", ["x", "{}", "[]"])
def test_a_damaged_analysis_is_made_again(finished, content):
    study = finished
    before = study.analysis()
    (study.folder / "analysis.json").write_text(content)
    assert study.call("run") == 0
    assert study.analysis()["responses"] == before["responses"]


def test_a_damaged_claim_costs_nothing_but_its_attempt(finished):
    study = finished
    before = study.analysis()
    result = _first_result(study)
    result.unlink()
    (result.parent / "attempts" / "1" / "claim.json").write_text("{")
    assert study.call("run") == 0
    assert study.analysis()["responses"] == before["responses"]


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nope"])
def test_a_workspace_that_cannot_be_one_is_refused(runner, tmp_path, capsys, place):
    study = runner()
    (tmp_path / "file").write_text("")
    study.workspace = tmp_path / place
    assert study.call("run") == 2
    assert "cannot be used" in _message(capsys)


def test_an_interpreter_that_does_not_exist_is_refused_before_anything_is_frozen(runner, capsys):
    backend = {"name": "simulated", "python": "/no/such/python"}
    study = runner({"backend": backend})
    assert study.call("run") == 2
    assert "/no/such/python" in _message(capsys)
    assert not (study.folder / "plan.json").exists()


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:///broken.db"])
def test_a_mirror_that_cannot_be_reached_costs_a_warning_and_fails_sync(runner, capsys, uri):
    study = runner({"contexts": {"model": ["m1"]}, "tracking": {"uri": uri}})
    study.workspace.mkdir()
    (study.workspace / "broken.db").write_text("no database")
    assert study.call("run") == 0
    assert "warning: MLflow" in capsys.readouterr().out
    assert study.call("sync") == 2
    assert "incomplete" in _message(capsys)


def test_what_cannot_be_estimated_is_exit_code_3_every_time(runner):
    study = runner({"replicates": 1, "contexts": {"model": ["m1"]}})
    assert [study.call(command) for command in ("run", "run", "report")] == [3, 3, 3]


def test_a_backend_that_refuses_its_settings_is_not_asked_again(runner, capsys):
    settings = {"device": "cuda"}
    study = runner(
        {
            "backend": {"name": "rft", "settings": settings},
            "factors": {"advantage": {"baseline": "none", "levels": ["none", "batch_mean"]}},
            "contexts": {"model": ["tiny-llama"]},
            "replicates": 1,
        }
    )
    assert study.call("run") == 1
    text = _message(capsys)
    assert "2 runs failed" in text
    assert "no CUDA device" in text
    assert len(list(study.workspace.glob("runs/*/attempts/*"))) == 2


def test_overrides_are_kept_with_the_plan_and_in_provenance(runner):
    study = runner({"contexts": {"model": ["m1"]}})
    assert study.call("run", "--set", "backend.settings.seed_sd=0.01") == 0
    frozen = json.loads((study.folder / "plan.json").read_text())
    assert frozen["overrides"] == ["backend.settings.seed_sd=0.01"]
    assert study.analysis()["provenance"]["overrides"] == ["backend.settings.seed_sd=0.01"]


def test_a_password_of_a_uri_is_written_nowhere(runner, capsys):
    uri = "http://me:hunter2@127.0.0.1:9"
    study = runner({"contexts": {"model": ["m1"]}, "tracking": {"uri": uri}})
    assert study.call("run", "--set", f"tracking.uri={uri}") == 0
    assert study.call("sync", "--set", f"tracking.uri={uri}") == 2
    printed = "".join(capsys.readouterr())
    assert "http://***@127.0.0.1:9" in printed
    written = [path for path in study.workspace.rglob("*") if path.is_file()]
    assert (study.folder / "plan.json") in written
    leaks = [path.name for path in written if b"hunter2" in path.read_bytes()]
    assert "hunter2" not in printed
    assert not leaks
