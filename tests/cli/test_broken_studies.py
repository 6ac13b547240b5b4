"""A broken study file gives one clear message with its position, exit code 2, and no files."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from ablatekit.cli.main import invoke

STUDY = """\
version: 1
name: broken
backend:
  name: simulated
  settings: {rounds: 4}
factors:
  helps_both: {baseline: false, levels: [false, true]}
  dose:
    baseline: none
    levels: [none, low, high]
contexts:
  model: [model-a, model-b]
replicates: 2
responses:
  learning: {metric: train/pass@1, smallest_effect: 0.02}
"""

BROKEN = {
    "unknown key": ("replicates: 2", "replicate: 2", "13:1", "Did you mean 'replicates'"),
    "duplicate level": ("[none, low, high]", "[none, low, low]", "10:25", "duplicate level"),
    "baseline not a level": ("baseline: none", "baseline: nono", "9:15", "Did you mean 'none'"),
    "wrong type": ("replicates: 2", "replicates: two", "13:13", "must be an integer"),
    "empty factor": ("[none, low, high]", "[]", "10:13", "factor 'dose' is empty"),
    "excluded everything": (
        "replicates: 2",
        "exclude: [{helps_both: true}, {helps_both: false}]",
        "13:1",
        "every cell of the design is excluded",
    ),
    "unknown backend": ("simulated", "simulatd", "4:9", "Did you mean 'simulated'"),
    "unknown metric": ("train/pass@1", "train/pas@1", "15:22", "Did you mean 'train/pass@1'"),
    "unknown setting": ("rounds: 4", "round: 4", "5:14", "Did you mean 'rounds'"),
    "YAML syntax": (
        "levels: [none, low, high]",
        "levels: [none, low",
        "11:9",
        "that starts in line 10",
    ),
    # And more of them, which `plan` refuses as these ten: both commands plan the study.
    "duplicate key": ("replicates: 2", "name: again", "13:1", "first given in line 2"),
    "duplicate factor": ("  dose:", "  helps_both:", "8:3", "duplicate key"),
    "tag": ("rounds: 4", "rounds: !!python/name:os.system x", "5:22", "tags are not allowed"),
    "merge key": ("{rounds: 4}", "{<<: {rounds: 4}}", "5:14", "merge keys are not allowed"),
    "recursive alias": ("{rounds: 4}", "&a {rounds: *a}", "5:25", "may not contain itself"),
    "unknown alias": ("{rounds: 4}", "*defaults", "5:13", "unknown alias"),
    "two documents": ("replicates: 2", "---\nversion: 1", "13:1", "more than one YAML document"),
    "infinity": ("rounds: 4", "rounds: .inf", "5:22", "not a finite number"),
    "tab": ("  dose:", "\tdose:", "8:1", "not valid YAML"),
    "no version": ("version: 1\n", "", "1:1", "missing key 'version'"),
    "other version": ("version: 1", "version: 2", "1:10", "version must be 1"),
    "name with a space": ("name: broken", "name: my study", "2:7", "name has another form"),
    "name as a path": ("name: broken", "name: ../up", "2:7", "name has another form"),
    "reserved name": ("name: broken", "name: runs", "2:7", "folder that all studies share"),
    "YAML 1.1 boolean": ("baseline: false", "baseline: no", "7:26", "not one of its levels"),
    "single level": ("[none, low, high]", "[none]", "10:13", "has a single level"),
    "levels as text": ("[none, low, high]", "none", "10:13", "must be a list of values"),
    "list as a level": ("[none, low, high]", "[none, [low]]", "10:20", "must be one value"),
    "null factor": ("{baseline: false, levels: [false, true]}", "", "7:14", "must be a mapping"),
    "unknown level value": ("low, high]", "lowest]", "10:20", "must be 'none', 'zero', 'low'"),
    "setting out of bounds": ("rounds: 4", "rounds: 0", "5:22", "greater than or equal to 1"),
    "setting of a wrong type": ("rounds: 4", "rounds: '4'", "5:22", "must be an integer"),
    "setting given twice": ("rounds: 4", "dose: low", "8:3", "set the same setting"),
    "factor without setting": ("  dose:", "  dosis:", "8:3", "Did you mean 'dose'"),
    "execution setting varied": (
        "  dose:\n    baseline: none\n    levels: [none, low, high]",
        "  sleep: {baseline: 0, levels: [0, 1]}",
        "8:3",
        "only decides where a run executes",
    ),
    "context without setting": ("  model:", "  modell:", "12:3", "Did you mean 'model'"),
    "context of a wrong type": ("model-b]", "3]", "12:20", "'model' must be a string"),
    "context twice": ("model-b]", "model-a]", "12:20", "duplicate level"),
    "empty context": ("[model-a, model-b]", "[]", "12:10", "context 'model' is empty"),
    "contexts of one name": (
        "model: [model-a, model-b]",
        "{model: [a, a / b], dataset: [b / c, c]}",
        "11:1",
        "two contexts would have the same name",
    ),
    "contexts as a list": ("model: [model-a, model-b]", "- model", "12:3", "must be a mapping"),
    "no replicates": ("replicates: 2", "replicates: 0", "13:13", "greater than or equal to 1"),
    "too many runs": ("replicates: 2", "replicates: 10000", "6:1", "the design is too large"),
    "unknown excluded factor": (
        "replicates: 2",
        "exclude: [{dosis: low}]",
        "13:12",
        "Did you mean 'dose'",
    ),
    "unknown excluded level": (
        "replicates: 2",
        "exclude: [{dose: lo}]",
        "13:18",
        "Did you mean 'low'",
    ),
    "empty exclusion": ("replicates: 2", "exclude: [{}]", "13:11", "names no level"),
    "level never run": ("replicates: 2", "exclude: [{dose: low}]", "10:20", "no cell of the"),
    "unknown design": (
        "replicates: 2",
        "design: {kind: ful}",
        "13:16",
        "Did you mean 'full'",
    ),
    "cell listed twice": (
        "replicates: 2",
        "design: {kind: custom, cells: [{}, {dose: none}]}",
        "13:36",
        "a cell is listed twice",
    ),
    "unknown summary": ("smallest_effect: 0.02", "summary: last", "15:45", "final | mean_last(k)"),
    "negative effect": ("smallest_effect: 0.02", "smallest_effect: -1", "15:53", "greater than 0"),
    "response without metric": ("metric: train/pass@1, ", "", "15:13", "missing key"),
    "impossible combination": (
        "{rounds: 4}",
        "{clip: true, clip_at: 0.25}",
        "10:25",
        "exclude: [{dose: high}]",
    ),
    "level off its scale": (
        "low, high]",
        "low, high]\n    scale: log",
        "10:14",
        "where every level is a number above 0; received none",
    ),
    "unknown scale": ("low, high]", "low, high]\n    scale: logg", "11:12", "Did you mean 'log'?"),
    "covariate as text": (
        "[model-a, model-b]",
        "{levels: {model-a: {params: big}, model-b: {params: 2}}}",
        "12:38",
        "model.levels.model-a.params must be a number above 0; received big",
    ),
    "covariate of zero": (
        "[model-a, model-b]",
        "{levels: {model-a: {params: 1}, model-b: {params: 0}}}",
        "12:60",
        "must be a number above 0; received 0. Effects are regressed on its logarithm",
    ),
    "covariate missing": (
        "[model-a, model-b]",
        "{levels: {model-a: {params: 1}, model-b: {}}}",
        "12:42",
        "context 'model': a level lacks the covariate 'params'",
    ),
    "level with covariates twice": (
        "[model-a, model-b]",
        "{levels: {model-a: {}, model-a: {}}}",
        "12:33",
        "duplicate key",
    ),
    "context setting of a wrong type, with covariates": (
        "[model-a, model-b]",
        "{levels: {model-a: {}, 3: {}}}",
        "12:33",
        "'model' must be a string",
    ),
    "context of another form": ("[model-a, model-b]", "model-a", "12:10", "or {levels: {VALUE:"),
    "covariate to predict at": (
        "replicates: 2",
        "analysis: {predict_at: {parms: 1}}",
        "13:25",
        "unknown covariate; received 'parms'. Give the context variable covariates",
    ),
    "unknown price": (
        "replicates: 2",
        "analysis: {price: sampels}",
        "13:19",
        "Did you mean 'samples'?",
    ),
    "list and mapping mixed": ("version: 1\n", "- version: 1\n", "2:1", "not valid YAML"),
}


def _refused(path: Path, capsys: pytest.CaptureFixture[str], command: str) -> str:
    before = sorted(path.parent.rglob("*"))
    assert invoke(["study", command, str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sorted(path.parent.rglob("*")) == before
    return captured.err


BY_BOTH_COMMANDS = 10


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        *((kind, "validate") for kind in BROKEN),
        *((kind, "plan") for kind in islice(BROKEN, BY_BOTH_COMMANDS)),
    ],
)
def test_one_message_with_its_position(
    kind: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    old, new, position, message = BROKEN[kind]
    assert STUDY.count(old) == 1
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace(old, new), encoding="utf-8")
    error = _refused(path, capsys, command)
    assert error.startswith(f"error: {path}:{position}: ")
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_the_unbroken_study_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    assert invoke(["study", "validate", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: valid; 6 cells, 24 runs\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1:1: is empty"),
        (b"# nothing but a comment\n", ":1:1: is empty"),
        (b"just text\n", ":1:1: a study is a mapping"),
        (b"- a\n- list\n", ":1:1: a study is a mapping"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ":1:1: is not UTF-8 text"),
        (b"name: caf\xe9\n", ":1:10: is not UTF-8 text"),
        (b"name: a\x00b\n", ":1:8: is not valid YAML"),
        (b"<html><body>{}</html>", ":1:1: a study is a mapping"),
    ],
)
def test_what_is_no_study_at_all(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    error = _refused(path, capsys, "validate")
    assert error.startswith(f"error: {path}{message}")
    assert error.count("\n") == 1


def test_a_missing_file_and_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "no.yaml"
    assert "there is no such file" in _refused(missing, capsys, "validate")
    assert "a directory is not a study file" in _refused(tmp_path, capsys, "validate")


def test_two_mistakes_are_two_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "study.yaml"
    text = STUDY.replace("replicates: 2", "replicates: two").replace("version: 1", "version: 3")
    path.write_text(text, encoding="utf-8")
    assert _refused(path, capsys, "validate").count("\n") == 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("replicates=two", "--set replicates=two: replicates must be an integer"),
        ("replicates", "--set replicates: is not key=value"),
        ("backend.settings.rond=1", "Did you mean 'rounds'"),
        ("factors.dose.levels=[none, lo]", "--set factors.dose.levels=[none, lo]: setting 'dose'"),
    ],
)
def test_a_bad_override_names_itself(
    option: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    assert invoke(["study", "validate", str(path), "--set", option]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
