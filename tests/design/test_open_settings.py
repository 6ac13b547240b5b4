"""Backends that know less than others: open settings, inputs with places, unnamed metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from ablatekit.backend import Lack, Rule, RunContext, Settings
from ablatekit.design.build import build_plan
from ablatekit.design.plan import Plan
from ablatekit.errors import StudyError
from ablatekit.runs.records import MetricSpec, Resources, RunResult, RunSpec
from ablatekit.study.load import LoadedStudy, parse_study

STUDY = """
version: 1
name: open
backend: {name: program, settings: {script: SCRIPT, optimizer: {name: adam}}}
factors:
  lr: {baseline: 0.1, levels: [0.1, 0.2]}
  depth: {baseline: shallow, levels: {shallow: {net.depth: 2}, deep: {net: {depth: 8}}}}
responses: {score: {metric: accuracy, direction: higher}}
"""


class ProgramSettings(BaseModel):
    model_config = ConfigDict(extra="allow")

    script: str = Field(default="train.py", json_schema_extra={"input": True})
    folder: str = Field(default=".", json_schema_extra={"input": True, "execution": True})


class Program:
    """A backend of which only the study knows parameters and metrics."""

    name: ClassVar[str] = "program"
    results_version: ClassVar[int] = 1
    settings: ClassVar[type[BaseModel]] = ProgramSettings
    lacks: ClassVar[frozenset[Lack]] = frozenset({"metric_names", "content"})

    def rules(self) -> Sequence[Rule]:
        return ()

    def metrics(self, settings: Settings) -> Sequence[MetricSpec]:  # noqa: ARG002
        return ()

    def resources(self, settings: Settings) -> Resources:  # noqa: ARG002
        return Resources()

    def content(self, settings: Settings) -> Mapping[str, str]:
        script = Path(settings["script"])
        return {"script": script.read_text(encoding="utf-8") if script.is_absolute() else ""}

    def run(self, run: RunSpec, context: RunContext) -> RunResult:  # noqa: ARG002
        return RunResult(status="finished", metrics={})


class Fixed(Program):
    """The same settings always give the same result, and names are all that is known of data."""

    lacks: ClassVar[frozenset[Lack]] = frozenset({"metric_names", "content", "randomness"})

    def content(self, settings: Settings) -> Mapping[str, str]:  # noqa: ARG002
        return {}


def _plan(folder: Path, script: str = "train.py", **replaced: str) -> Plan:
    return build_plan(_study(folder, script, **replaced), Program())


def _study(folder: Path, script: str = "train.py", **replaced: str) -> LoadedStudy:
    (folder / "train.py").write_text("print(1)", encoding="utf-8")
    text = STUDY.replace("SCRIPT", script)
    for old, new in replaced.items():
        text = text.replace(old, new)
    return parse_study(text, folder / "study.yaml")


def _settings(plan: Plan) -> list[dict[str, Any]]:
    return [dict(run.spec.settings) for run in plan.runs]


def test_an_open_backend_takes_what_it_does_not_declare(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    rows = _settings(plan)
    assert len(rows) == 4
    assert {(row["lr"], row["net.depth"]) for row in rows} == {
        (0.1, 2),
        (0.1, 8),
        (0.2, 2),
        (0.2, 8),
    }
    assert all(row["optimizer.name"] == "adam" for row in rows)


def test_inputs_lie_beside_the_study_file_wherever_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / name for name in ("here", "there")]
    for place in places:
        place.mkdir()
    here, there = map(_plan, places)
    monkeypatch.chdir(tmp_path)
    assert _settings(here)[0]["script"] == str((places[0] / "train.py").resolve())
    assert here.runs[0].spec.execution["folder"] == str(places[0].resolve())
    assert here.hash == there.hash
    assert here.held_equal["script"] == "train.py"


def test_what_lies_elsewhere_stays_as_written(tmp_path: Path) -> None:
    (tmp_path / "adam").mkdir()
    for script in ("nowhere/train.py", f"{'long' * 100}.py"):
        assert _settings(_plan(tmp_path, script))[0]["script"] == script
    rows = _settings(_plan(tmp_path))
    assert rows[0]["optimizer.name"] == "adam"


def test_a_metric_that_only_the_study_knows_has_a_direction(tmp_path: Path) -> None:
    response = _plan(tmp_path).analysis.responses[0]
    assert (response.metric, response.direction) == ("accuracy", "higher")
    with pytest.raises(StudyError, match=r"study\.yaml:8:.* does not say which way is better"):
        _plan(tmp_path, **{", direction: higher": ""})


def test_replicates_without_randomness_are_warned_of(tmp_path: Path) -> None:
    assert not build_plan(_study(tmp_path), Fixed()).warnings
    twice = _study(tmp_path, **{"factors:": "replicates: 2\nfactors:"})
    assert not build_plan(twice, Program()).warnings
    (warning,) = build_plan(twice, Fixed()).warnings
    assert "program has no randomness: the 2 replicates" in warning


def test_contexts_without_content_are_known_by_their_names(tmp_path: Path) -> None:
    contexts = "contexts: {dataset: [wine, digits]}\nfactors:"
    plan = build_plan(_study(tmp_path, **{"factors:": contexts}), Fixed())
    assert {run.context["dataset"] for run in plan.runs} == {"wine", "digits"}
    assert len({run.run_id for run in plan.runs}) == len(plan.runs) == 8


def test_a_plan_remembers_what_its_backend_lacks(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    assert plan.lacks == ("content", "metric_names")
    assert Plan.from_json(plan.to_json()) == plan
    without = {name: value for name, value in plan.to_json().items() if name != "lacks"}
    assert Plan.from_json(without).lacks == ()
