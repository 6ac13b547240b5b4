"""What is done already and by which study, and which run is meant."""

from __future__ import annotations

import json

import pytest

from ablatekit.errors import UsageError
from ablatekit.pipeline.frozen import prepare
from ablatekit.pipeline.standing import selection, standing, standing_runs, to_retry
from ablatekit.runs.locks import file_lock
from ablatekit.runs.workspace import Workspace

ONE_CONTEXT = {"contexts": {"model": ["m1"]}}


def prepared(study, *overrides):
    return prepare(study.file, overrides, Workspace(study.workspace))


def fail(study, *run_ids):
    """Take the results of runs away and leave attempts that were killed."""
    for run_id in run_ids:
        run = Workspace(study.workspace).run(run_id)
        run.result.unlink()
        end = {"kind": "killed", "message": "out of memory", "ended": 1.0, "signal": "SIGKILL"}
        run.attempts()[-1].end.write_text(json.dumps(end))


def test_nothing_is_done_in_an_empty_workspace(runner):
    study = prepared(runner(ONE_CONTEXT))
    stands = standing(study)
    assert (stands.total, stands.done, stands.remaining, stands.reused) == (8, 0, 8, {})
    assert stands.expected is None
    assert stands.told().startswith("None of the 8 runs has been executed in ")


def test_runs_of_other_studies_are_named(finished):
    study = finished
    own = standing(prepared(study))
    assert (own.done, own.remaining, own.reused) == (8, 0, {})
    assert own.expected is None
    other = standing(prepared(study, "name=another", "replicates=3"))
    assert (other.done, other.remaining, other.reused) == (8, 4, {"planted": 8})
    assert other.expected is not None
    assert other.expected.runs == {"replicate": 4}
    assert "8 of 12 runs have a result" in other.told()
    assert "identical runs of other studies are reused: 8 of study 'planted'" in other.told()


def test_a_plan_shows_it_and_writes_nothing(finished, capsys):
    study = finished
    files = sorted(study.workspace.rglob("*"))
    changed = ("--set", "replicates=3", "--set", "dispatch.workers=2")
    for command in (("plan",), ("run", "--dry-run")):
        assert study.call(*command, *changed) == 0
        shown = capsys.readouterr().out
        assert "8 of 12 runs have a result, 4 remain: 8 finished, 4 planned" in shown
        assert "Expected: about " in shown
        assert "with 2 workers for 4 runs: as replicates of the same cell and context" in shown
        assert "note: 4 runs are added to the 8 that were planned here before" in shown
    assert study.call("plan", "--json", *changed) == 0
    stands = json.loads(capsys.readouterr().out)["standing"]
    assert stands["runs"] == {"finished": 8, "planned": 4}
    assert (stands["done"], stands["remaining"], stands["reused"]) == (8, 4, {})
    assert stands["expected"]["runs"] == {"replicate": 4}
    assert study.call("plan", "--set", "backend.settings.rounds=9") == 0
    assert "note: study run would refuse this: " in capsys.readouterr().out
    assert sorted(study.workspace.rglob("*")) == files


@pytest.mark.parametrize(
    "wanted",
    [
        "helps_both=true null=false | m1 | 1",
        "null=false replicate=1 helps_both=true",
        "helps_both=true,null=false,model=m1,1",
    ],
)
def test_a_run_is_meant_by_what_it_is(finished, wanted):
    run = selection(prepared(finished)).only(wanted)
    assert run.label == "helps_both=true null=false | m1 | 1"
    assert selection(prepared(finished)).only(run.run_id[:6]) == run


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("helps_both=true", "4 runs are meant by it:\n"),
        ("helps_bth=true", "Did you mean 'helps_both=true'"),
        ("helps_both=true helps_both=false", "no run of this study is all of this"),
        (" ", "no run is called so"),
    ],
)
def test_what_means_no_single_run_is_refused(finished, wanted, told):
    with pytest.raises(UsageError) as refused:
        selection(prepared(finished)).only(wanted)
    assert told in str(refused.value)


def test_only_failed_runs_get_new_attempts(finished, capsys):
    study = finished
    runs = standing_runs(prepared(study))
    first, second = runs[0], runs[1]
    fail(study, first.run_id, second.run_id)
    chosen, told = to_retry(prepared(study))
    assert [run.run_id for run in chosen] == [first.run_id, second.run_id]
    assert told == "planted: retrying 2 runs (of 8: 6 finished, 2 failed)"
    chosen, _ = to_retry(prepared(study), [first.label, "m1"])
    assert {run.run_id for run in chosen} == {first.run_id, second.run_id}
    assert study.call("retry", first.run_id[:8]) == 0
    assert "7 of 8 runs have a result" in capsys.readouterr().out
    assert {run.run_id for run in to_retry(prepared(study))[0]} == {second.run_id}
    assert study.call("retry", second.label) == 0
    assert "report:" in capsys.readouterr().out
    assert study.call("retry") == 0
    assert "no run has failed (of 8: 8 finished)" in capsys.readouterr().out


def test_results_are_not_retried(finished, capsys):
    study = finished
    run = standing_runs(prepared(study))[0]
    assert study.call("retry", run.run_id) == 2
    assert "a finished run has its result" in capsys.readouterr().err
    result = run.directory.result
    result.write_text(json.dumps({**json.loads(result.read_text()), "status": "diverged"}))
    assert study.call("retry", run.run_id) == 2
    assert "a diverged run has its result" in capsys.readouterr().err
    assert study.call("retry") == 0
    assert "a diverged run is a result and is not retried" in capsys.readouterr().out


def test_a_running_study_is_locked(finished, capsys):
    study = finished
    fail(study, standing_runs(prepared(study))[0].run_id)
    with file_lock(study.folder / "coordinator.lock"):
        assert study.call("retry") == 2
    assert "is being run already" in capsys.readouterr().err
