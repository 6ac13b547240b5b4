from __future__ import annotations

import json
from pathlib import Path

import pytest

from ablatekit.cli.main import invoke
from ablatekit.design.plan import Plan

STUDY = """\
version: 1
name: shown
backend: {name: simulated}
factors:
  helps_both: {baseline: false, levels: [false, true]}
  dose: {baseline: none, levels: [none, zero, high]}
contexts: {model: [model-a, model-b]}
replicates: 2
exclude: [{helps_both: true, dose: high}]
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def test_plan_shows_cells_merged_cells_and_runs(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["study", "plan", str(study), "--set", "backend.settings.diverge_rate=0.5"]) == 0
    shown = capsys.readouterr().out
    assert "5 cells (3 distinct) x 2 contexts x 2 replicates = 12 runs on simulated" in shown
    assert "Identical by construction (one run): false / none = false / zero" in shown
    assert "Excluded: true / high" in shown
    assert "The first 6 of 12 runs" in shown
    assert "often_diverges" in shown
    assert "rounds=10" not in shown
    assert "have their defaults" in shown
    assert invoke(["study", "plan", str(study), "--all"]) == 0
    assert "rounds=10" in capsys.readouterr().out
    assert list(study.parent.iterdir()) == [study]


def test_plan_shows_scales_covariates_and_prices(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (
        "factors.dose.scale=order",
        "contexts.model={levels: {model-a: {params: 1.2e5}, model-b: {params: 3e5}}}",
        "analysis={price: updates, predict_at: {params: 7e9}}",
    )
    sets = [part for option in options for part in ("--set", option)]
    assert invoke(["study", "plan", str(study), *sets]) == 0
    shown = capsys.readouterr().out
    assert "Scales: dose order\n" in shown
    assert "Covariates of model: model-a params = 120000; model-b params = 300000\n" in shown
    assert "Effects predicted at: params = 7e+09\n" in shown
    assert "Prices count: cost/updates\n" in shown


def test_names_that_are_codes_of_emoji_are_shown_as_written(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(STUDY.replace("model-a", "':fire:'"), encoding="utf-8")
    assert invoke(["study", "plan", str(study)]) == 0
    assert ":fire:" in capsys.readouterr().out


def test_plan_as_json_is_the_plan(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["study", "plan", str(study), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    plan = Plan.from_json(value)
    assert plan.hash == value["hash"]
    assert len(plan.runs) == 12


def test_validate_as_json(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["study", "validate", str(study), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["valid"], value["cells"], value["runs"]) == (True, 5, 12)
    assert invoke(["study", "validate", str(study), "--json", "--set", "replicates=x"]) == 2
    value = json.loads(capsys.readouterr().out)
    assert value["valid"] is False
    assert value["problems"][0]["received"] == "x"


@pytest.mark.parametrize("options", [[], ["--backend", "simulated"]])
def test_init_writes_a_study_that_validates_and_never_overwrites(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.yaml"
    assert invoke(["study", "init", str(path), *options]) == 0
    assert "#" in path.read_text(encoding="utf-8")
    assert invoke(["study", "validate", str(path)]) == 0
    before = path.read_bytes()
    capsys.readouterr()
    assert invoke(["study", "init", str(path), *options]) == 2
    assert "there is such a file already" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_init_refuses_unknown_backends_and_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["study", "init", str(tmp_path / "s.yaml"), "--backend", "simulatd"]) == 2
    assert "Did you mean 'simulated'" in capsys.readouterr().err
    path = tmp_path / "no" / "s.yaml"
    assert invoke(["study", "init", str(path), "--backend", "simulated"]) == 2
    assert "folder does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_schema_is_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["schema"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert set(value["required"]) == {"version", "name", "backend", "factors"}
    assert value["additionalProperties"] is False
    assert value["properties"]["replicates"]["description"]


def test_what_a_design_cannot_compare_is_a_note(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = "[{}, {helps_both: true, dose: zero}, {dose: high}]"
    study.write_text(
        STUDY.replace("exclude: [{helps_both: true, dose: high}]", "")
        + f"design: {{kind: custom, cells: {cells}}}\n",
        encoding="utf-8",
    )
    start = "helps_both: no two cells differ in true against false alone"
    for command in ("validate", "plan"):
        assert invoke(["study", command, str(study)]) == 0
        assert f"note: {start}" in capsys.readouterr().out
    assert invoke(["study", "validate", str(study), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["notes"]
    assert first.startswith(start)
    assert second.startswith("dose: no two cells differ in zero against none alone")


@pytest.mark.parametrize(
    "words",
    [
        ["study", "plan", "none.yaml"],
        ["study", "status", "broken.yaml"],
        ["study", "logs", "study.yaml", "nobody"],
        ["backend", "show", "rtf"],
        ["factor", "list", "--backend", "simulated", "--grep", "nothing like it"],
    ],
)
def test_a_refusal_is_json_too(
    study: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    broken = STUDY.replace("replicates", "replicate")
    (study.parent / "broken.yaml").write_text(broken, encoding="utf-8")
    assert invoke([*words, "--json"]) == 2
    shown = capsys.readouterr()
    (problem,) = json.loads(shown.out)["problems"]
    assert problem["rule"] in shown.err
    if "broken.yaml" in words:
        assert (problem["file"], problem["line"]) == ("broken.yaml", 8)


def test_a_plan_foretells_an_interpreter_that_is_not_there(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["study", "plan", str(study), "--set", "backend.python=/no/python"]) == 0
    said = capsys.readouterr().out
    assert "study run would refuse this: backend.python is no program here" in said
