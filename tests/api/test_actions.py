"""Planning, running, analysing and comparing from Python: what the command line does."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ablatekit
from ablatekit.errors import StudyError, UsageError, WorkspaceError

XSS = "<script>alert(1)</script>"


def train(learner: str, seed: int) -> dict[str, Any]:
    """Better with a deep learner; one item of its ten is right more."""
    right = 7 if learner == "deep" else 5
    items = {"item": list(range(10)), "outcome": [i < right + seed % 2 for i in range(10)]}
    return {"accuracy": sum(items["outcome"]) / 10, "items": items}


def stated(**changed: Any) -> ablatekit.Study:
    parts: dict[str, Any] = {
        "name": "own",
        "backend": train,
        "factors": {
            "learner": {"baseline": "flat", "levels": ["flat", "deep"], "label": XSS},
        },
        "replicates": 4,
        "responses": {"accuracy": {"direction": "higher", "items": "test"}},
        "tracking": {"uri": None},
    }
    return ablatekit.Study(**{**parts, **changed})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def runs(place: Path) -> ablatekit.StudyRuns:
    return ablatekit.run(stated(), workspace=place, second_opinion=False, progress=False)


@pytest.fixture(scope="module")
def analysis(runs: ablatekit.StudyRuns) -> ablatekit.StudyAnalysis:
    assert runs.analysis is not None
    return runs.analysis


def test_a_plan_shows_what_would_run(tmp_path: Path) -> None:
    plan = ablatekit.plan(stated(), workspace=tmp_path)
    assert repr(plan).startswith("own: 2 cells x 1 contexts x 4 replicates = 8 runs on function")
    assert list(plan.cells["learner"]) == ["flat", "deep"]
    assert set(plan.runs["state"]) == {"planned"}
    page = plan._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert repr(ablatekit.status(stated(), workspace=tmp_path)) == "own: 8 runs: 8 planned"


def test_a_study_is_run_to_its_report(runs: ablatekit.StudyRuns, place: Path) -> None:
    assert runs.counts["finished"] == 8
    assert runs.failed == ()
    assert runs.path == place / "own" / "report" / "index.html"
    assert "8 of 8 runs have a result, 8 of them new" in repr(runs)
    assert ablatekit.status(stated(), workspace=place).done
    again = ablatekit.run(stated(), workspace=place, progress=False)
    assert again.counts["executed"] == 0
    assert again.analysis is not None
    assert again.effects.equals(again.analysis.effects)


def test_runs_without_an_analysis_have_no_effects(runs: ablatekit.StudyRuns) -> None:
    with pytest.raises(WorkspaceError, match="have no analysis yet"):
        _ = replace(runs, analysis=None).effects


@pytest.mark.parametrize("count", [{"workers": 0}, {"limit": -1}, {"workers": True}])
def test_counts_are_whole_numbers_from_1(count: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a whole number from 1"):
        ablatekit.run(stated(), workspace=tmp_path, **count)


def test_an_analysis_is_tables(analysis: ablatekit.StudyAnalysis) -> None:
    effects = analysis.effects
    (narrow,) = effects[
        (effects["estimand"] == "average") & (effects["inference"] == "narrow")
    ].to_dict("records")
    assert (narrow["factor"], narrow["level"]) == ("learner", "deep")
    assert narrow["estimate"] == pytest.approx(0.2, abs=0.1)
    assert set(analysis.configurations["inference"]) == {"narrow", "broad"}
    assert analysis.runs["accuracy"].min() == 0.5
    assert not [name for name in analysis.runs if ":" in str(name)]
    assert len(analysis.items) == 80
    assert set(analysis.items["learner"]) == {"flat", "deep"}
    assert analysis.data["counts"]["analysed"] == 8


def test_an_analysis_is_figures(analysis: ablatekit.StudyAnalysis) -> None:
    assert "forest-accuracy" in analysis.figures
    image = io.BytesIO()
    analysis.figure("forest").savefig(image)
    assert len(image.getvalue()) > 2000
    with pytest.raises(UsageError, match=r"no such figure; received 'forrest'.*forest-accuracy"):
        analysis.figure("forrest")


def test_what_a_notebook_shows_is_escaped_and_needs_no_script(
    runs: ablatekit.StudyRuns, analysis: ablatekit.StudyAnalysis
) -> None:
    for page in (runs._repr_html_(), analysis._repr_html_()):
        assert "<script" not in page
        assert "alert(1)" in page
        assert "http" not in page.replace("http://www.w3.org", "")
        assert len(page) < 40_000
    frame = analysis.report()._repr_html_()
    assert frame.startswith('<iframe sandbox="allow-scripts')
    assert "<script>" not in frame


def test_a_report_is_written(analysis: ablatekit.StudyAnalysis, tmp_path: Path) -> None:
    page = ablatekit.write_report(analysis, tmp_path / "report", theme="dark")
    assert page == tmp_path / "report" / "index.html"
    stored = json.loads((tmp_path / "report" / "analysis.json").read_text(encoding="utf-8"))
    assert stored["counts"] == analysis.data["counts"]


def test_results_are_analysed_again_without_a_run(
    analysis: ablatekit.StudyAnalysis, place: Path
) -> None:
    again = ablatekit.analyze(stated(), workspace=place)
    assert again.effects.equals(analysis.effects)
    with pytest.raises(UsageError, match="analysed as it was planned; received accuracy"):
        ablatekit.analyze(stated(), workspace=place, response="accuracy")


def test_studies_are_compared(
    runs: ablatekit.StudyRuns, analysis: ablatekit.StudyAnalysis, place: Path, tmp_path: Path
) -> None:
    found = ablatekit.compare(runs, analysis)
    assert list(found.effects["agreement"]) == ["undecided"]
    assert found.effects["first_estimate"][0] == found.effects["second_estimate"][0]
    assert "agreement" in repr(found)
    assert "<script" not in found._repr_html_()
    assert ablatekit.write_report(found, tmp_path / "both").exists()
    stored = place / "own" / "analysis.json"
    assert len(ablatekit.compare(stated(), stored, workspace=place).effects) == 1


def test_a_study_without_results_has_no_analysis(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no runs in this workspace"):
        ablatekit.analyze(stated(), workspace=tmp_path)


def test_a_changed_study_says_how_to_start_anew_in_python(
    runs: ablatekit.StudyRuns, place: Path
) -> None:
    assert runs.counts["planned"] == 8
    changed = stated(responses={"accuracy": {"direction": "lower", "items": "test"}})
    with pytest.raises(StudyError, match="has been planned otherwise") as refused:
        ablatekit.run(changed, workspace=place, progress=False)
    assert "new=True" in str(refused.value)
    assert "--new" not in str(refused.value)


def fails(learner: str, seed: int) -> dict[str, float]:
    raise ValueError(f"no {learner} with {seed:d}")


def test_failed_runs_are_told_not_raised(tmp_path: Path) -> None:
    study = stated(
        backend=fails, dispatch={"retries": 0}, responses={"accuracy": "higher"}, replicates=1
    )
    runs = ablatekit.run(study, workspace=tmp_path, second_opinion=False, progress=False)
    assert [run.message.partition(" with ")[0] for run in runs.failed] == [
        "ValueError: no deep",
        "ValueError: no flat",
    ] or len(runs.failed) == 2
    assert "failed: " in repr(runs)
    assert "ValueError: no" in runs._repr_html_()


def test_a_file_that_runs_a_study_when_imported_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    class Main:
        __spec__ = type("Spec", (), {"name": "ablatekit.worker"})

    monkeypatch.setitem(sys.modules, "__main__", Main)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match='__name__ == "__main__"'):
        ablatekit.run(stated(), workspace=tmp_path)
