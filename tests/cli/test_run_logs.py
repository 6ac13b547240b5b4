"""`study logs`: what a run has printed, and where that lies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ablatekit.cli import run_logs
from ablatekit.cli.main import invoke
from ablatekit.runs.locks import file_lock
from ablatekit.runs.workspace import Workspace

STUDY = """\
version: 1
name: shown
backend: {name: simulated, settings: {rounds: 2}}
factors: {helps_both: {baseline: false, levels: [false, true]}}
contexts: {model: [model-a]}
replicates: 1
tracking: {uri: null}
"""
RUN = "helps_both=true"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A study of two runs; the one of helps_both=true has two attempts with logs."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    workspace = Workspace((tmp_path / "ablatekit-out").resolve())
    attempts = workspace.run(_run_id(str(path))).attempts_directory
    for number, text in (
        (1, b"out of memory\n"),
        (2, b"one\ntwo\r 50%\r100%\n\x1b[31mred\x1b[0m\xff"),
    ):
        (attempts / str(number) / "logs").mkdir(parents=True)
        (attempts / str(number) / "logs" / "output.log").write_bytes(text)
    end = {"kind": "killed", "message": "signal 9", "ended": 1.0, "signal": "SIGKILL"}
    (attempts / "1" / "end.json").write_text(json.dumps(end))
    return str(path)


def _run_id(path: str) -> str:
    from ablatekit.pipeline.frozen import prepare
    from ablatekit.pipeline.standing import selection

    prepared = prepare(Path(path), (), Workspace(Path("ablatekit-out")))
    return selection(prepared).only(RUN).run_id


def _printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert invoke(["study", "logs", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_last_attempt_is_shown_as_a_terminal_would_have_left_it(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head, place, *lines = _printed(capsys, study, RUN)
    assert head.startswith(f"{_run_id(study)} ({RUN} | model-a | 0), attempt 2 of 2, interrupted")
    assert Path(place).is_dir()
    assert lines == ["one", "100%", "red\N{REPLACEMENT CHARACTER}"]
    assert _printed(capsys, study, _run_id(study)[:7], "--tail", "1")[2:] == lines[-1:]


def test_an_earlier_attempt_says_how_it_ended(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head, _, *lines = _printed(capsys, study, RUN, "--attempt", "1")
    assert head.endswith("attempt 1 of 2, killed: signal 9")
    assert lines == ["out of memory"]


def test_json_holds_place_and_text(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads("\n".join(_printed(capsys, study, RUN, "--json", "--tail", "2")))
    assert (told["attempt"], told["attempts"], told["state"]) == (2, 2, "interrupted")
    (file,) = told["files"]
    assert Path(file["path"]).name == "output.log"
    assert file["text"] == "100%\nred\N{REPLACEMENT CHARACTER}"


def test_following_goes_on_until_the_attempt_ends(
    study: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(Path("ablatekit-out").resolve())
    attempt = workspace.run(_run_id(study)).attempt(2)
    held = file_lock(attempt.lock)
    naps: list[float] = []

    def nap(seconds: float) -> None:
        """The run prints a line in two pieces and another file, and ends."""
        naps.append(seconds)
        with (attempt.logs / "output.log").open("ab") as stream:
            stream.write(b"half" if len(naps) == 1 else b" a line\n")
        if len(naps) == 2:
            (attempt.logs / "second.log").write_bytes(b"last words")
            held.__exit__(None, None, None)

    monkeypatch.setattr(run_logs.time, "sleep", nap)
    held.__enter__()
    lines = _printed(capsys, study, RUN, "--follow")[2:]
    assert lines == ["one", "100%", "red\N{REPLACEMENT CHARACTER}half a line", "last words"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["helps_both=false"], "this run has not been attempted here"),
        (
            [RUN, "--attempt", "7"],
            "this run has no such attempt; received --attempt 7. It has: 1, 2",
        ),
        (["model-a"], "2 runs are meant by it"),
        (["modl-a"], "no run of this study is called so"),
        ([RUN, "--follow", "--json"], "has no end"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    study: str, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert invoke(["study", "logs", study, *words]) == 2
    assert told in capsys.readouterr().err


def test_logs_of_a_study_whose_file_has_changed_are_still_there(
    study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["study", "run", study]) in (0, 3)
    path = Path(study)
    path.write_text(STUDY.replace("rounds: 2", "rounds: 3"), encoding="utf-8")
    capsys.readouterr()
    assert "finished" in _printed(capsys, study, RUN)[0]
    assert _printed(capsys, study, "helps_both=false")[2:] == ["(it has printed nothing)"]
