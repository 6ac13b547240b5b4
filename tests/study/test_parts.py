"""The parts of a study that plugins validate: settings beside the name, and the schema of all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from ablatekit.errors import StudyError
from ablatekit.plugins import load_plugin
from ablatekit.study.load import load_study
from ablatekit.study.parts import complete_model

Write = Callable[[str], Path]
Install: TypeAlias = Callable[..., None]

CLUSTER = """
from pydantic import BaseModel, Field

class Settings(BaseModel):
    \"\"\"Jobs of a cluster.\"\"\"
    partition: str = Field(description="Where jobs are submitted.")
    nodes: int = Field(default=1, ge=1, description="Nodes of a job.")
    ATTRIBUTE

class Plugin:
    name = "cluster"
    settings = Settings
"""
BOARD = """
from pydantic import BaseModel

class Settings(BaseModel):
    folder: str = "board"

    @property
    def workspace_names(self):
        return frozenset({self.folder})

class Plugin:
    name = "board"
    settings = Settings
"""


@pytest.fixture
def cluster(install: Install) -> None:
    install("ablatekit.executors", "cluster", CLUSTER.replace("ATTRIBUTE", ""))


def test_a_part_that_is_not_given_is_that_of_the_default_plugin(
    write_study: Write, study_text: str
) -> None:
    study = load_study(write_study(study_text)).study
    assert (study.design.kind, study.dispatch.executor) == ("full", "local")
    assert isinstance(study.design, load_plugin("design", "full").settings)
    assert isinstance(study.dispatch, load_plugin("executor", "local").settings)
    assert isinstance(study.tracking, load_plugin("tracker", "mlflow").settings)


@pytest.mark.usefixtures("cluster")
def test_a_part_holds_what_every_study_has_there_and_what_the_plugin_adds(
    write_study: Write, study_text: str
) -> None:
    option = "dispatch={executor: cluster, partition: long, retries: 5}"
    dispatch: Any = load_study(write_study(study_text), [option]).study.dispatch
    assert isinstance(dispatch, load_plugin("executor", "cluster").settings)
    assert (dispatch.executor, dispatch.retries, dispatch.timeout) == ("cluster", 5, None)
    assert (dispatch.partition, dispatch.nodes) == ("long", 1)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("part", "line", "column", "message"),
    [
        ("{executor: cluster}", 20, 11, "missing key 'dispatch.partition'. Where jobs are"),
        ("{executor: cluster, partition: a, node: 2}", 20, 45, "Did you mean 'nodes'?"),
        ("{executor: cluster, partition: a, retry: 2}", 20, 45, "Did you mean 'retries'?"),
        ("{executor: cluster, partition: a, nodes: 0}", 20, 52, "greater than or equal to 1"),
        ("{executor: cluster, partition: a, nodes: '2'}", 20, 52, "nodes must be an integer"),
        ("{executor: clustr, partition: a}", 20, 22, "Did you mean 'cluster'?"),
        ("{partition: a}", 20, 12, "unknown key; received 'dispatch.partition'"),
    ],
)
def test_the_settings_of_a_plugin_are_checked_at_their_place(
    write_study: Write, study_text: str, part: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(StudyError) as raised:
        load_study(write_study(f"{study_text}dispatch: {part}\n"))
    (problem,) = raised.value.problems
    assert message in str(problem)
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == (line, column)


def test_an_unknown_plugin_does_not_hide_other_mistakes(
    write_study: Write, study_text: str
) -> None:
    text = study_text.replace("replicates: 2", "replicates: two")
    text += "design: {kind: foo, size: 3}\ndispatch: {executor: local, retries: -1}\n"
    with pytest.raises(StudyError) as raised:
        load_study(write_study(text))
    lines = [problem.where.line for problem in raised.value.problems if problem.where]
    assert lines == [19, 20, 21]


def test_a_setting_may_not_be_called_like_a_key_of_the_part(
    install: Install, write_study: Write, study_text: str
) -> None:
    install("ablatekit.executors", "cluster", CLUSTER.replace("ATTRIBUTE", "timeout: int = 3"))
    with pytest.raises(StudyError, match="has a setting that its part has already") as raised:
        load_study(write_study(study_text), ["dispatch={executor: cluster, partition: a}"])
    assert raised.value.problems[0].received == "timeout"


def test_a_tracker_says_which_names_a_study_may_not_have(
    install: Install, write_study: Write, study_text: str
) -> None:
    install("ablatekit.trackers", "board", BOARD)
    path = write_study(study_text)
    options = ["name=scores", "tracking.tracker=board"]
    assert load_study(path, options).study.name == "scores"
    with pytest.raises(StudyError, match="folder that all studies share"):
        load_study(path, [*options, "tracking.folder=scores"])


@pytest.mark.usefixtures("cluster")
def test_the_schema_has_a_branch_for_every_installed_plugin() -> None:
    schema = complete_model().model_json_schema()
    branches = {
        part: {
            schema["$defs"][branch["$ref"].removeprefix("#/$defs/")]["properties"][key]["const"]
            for branch in schema["properties"][part]["oneOf"]
        }
        for part, key in (("design", "kind"), ("dispatch", "executor"))
    }
    assert branches == {"design": {"full", "custom"}, "dispatch": {"local", "cluster"}}


@pytest.mark.usefixtures("cluster")
def test_a_branch_of_the_schema_knows_the_keys_of_its_plugin() -> None:
    parts = complete_model().model_json_schema()["$defs"]
    custom, local, other = parts["CustomDesign"], parts["LocalExecutor"], parts["Plugin"]
    assert custom["required"] == ["kind", "cells"]
    assert "executor" not in local.get("required", [])
    assert {"executor", "partition"} <= set(other["required"])
    assert {"workers", "retries", "timeout", "partition", "nodes"} <= set(other["properties"])
    assert other["properties"]["partition"]["description"] == "Where jobs are submitted."
    assert other["additionalProperties"] is False
