from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ablatekit.errors import StudyError
from ablatekit.legible import has_invisible
from ablatekit.runs.workspace import Workspace
from ablatekit.study.load import load_study
from ablatekit.study.schema import StudySchema

Write = Callable[[str], Path]


def test_a_study_is_loaded_with_its_text_and_positions(write_study: Write, study_text: str) -> None:
    path = write_study(study_text)
    loaded = load_study(path)
    assert loaded.text == study_text
    assert loaded.path == path
    assert loaded.study.name == "toy"
    assert loaded.study.analysis.alpha == 0.05
    assert [factor.name for factor in loaded.factors] == [
        "advantage",
        "rollouts",
        "queries",
        "learning_rate",
    ]
    assert str(loaded.where("factors", "rollouts", "baseline")) == f"{path}:9:24"
    assert str(loaded.where_key("factors", "rollouts")) == f"{path}:9:3"


def test_overrides_are_applied_in_order_and_kept(write_study: Write, study_text: str) -> None:
    options = ("replicates=3", "factors.rollouts.levels=[1, 2, 8]", "analysis.alpha=0.1")
    loaded = load_study(write_study(study_text), options)
    assert loaded.study.replicates == 3
    assert loaded.factors[1].level_names == ("1", "2", "8")
    assert loaded.study.analysis.alpha == 0.1
    assert loaded.overrides == options
    assert loaded.text == study_text


def test_all_problems_of_a_file_are_reported_together_in_order(
    write_study: Write, study_text: str
) -> None:
    text = study_text.replace("replicates: 2", "replicates: two\nanalysis: {alfa: 1, alpha: 2}")
    with pytest.raises(StudyError) as raised:
        load_study(write_study(text))
    wheres = [one.where for one in raised.value.problems]
    assert [(one.line, one.column) for one in wheres if one] == [(19, 13), (20, 12), (20, 28)]
    assert "Did you mean 'alpha'" in raised.value.problems[1].remedy


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("replicates=2.0", "replicates must be an integer"),
        ('replicates="2"', "replicates must be an integer"),
        ("replicates=true", "replicates must be an integer"),
        ("replicates=0", "replicates must be greater than or equal to 1"),
        ("version=2", "version must be 1"),
        ("name=has space", "name has another form"),
        ("name=runs", "folder that all studies share"),
        ("name=MLflow.lock", "folder that all studies share"),
        ("name=mlflow-artifacts", "folder that all studies share"),
        ("name=mlflow.db-wal", "folder that all studies share"),
        ("name=7", "name must be a string"),
        ("question=7", "question must be a string"),
        ("design={}", "missing key 'design.kind'"),
        ("design={kind: fractional}", "unknown kind of design"),
        ("design={kind: 7}", "design.kind must be a string"),
        ("design={kind: full, cells: [{}]}", "unknown key"),
        ("design={kind: custom}", "missing key 'design.cells'"),
        ("design={kind: custom, cell: [{}], cells: [{}]}", "unknown key"),
        ("design=full", "design must be a mapping"),
        ("design={kind: custom, cells: []}", "design.cells must have at least 1 item"),
        ("dispatch.executor=slum", "unknown executor"),
        ("dispatch.executor=[local]", "dispatch.executor must be a string"),
        ("dispatch.worker=2", "unknown key"),
        ("dispatch.workers=some", "dispatch.workers must be auto or a whole number from 1"),
        ("dispatch.workers=true", "dispatch.workers must be auto or a whole number from 1"),
        ("dispatch.timeout=30", "dispatch.timeout must be a string"),
        ("dispatch.timeout=30x", "dispatch.timeout has another form"),
        ("analysis.inference=wide", "analysis.inference must be 'narrow', 'broad' or 'both'"),
        ("analysis.interactions=0", "analysis.interactions must be greater than or equal to 1"),
        ("contexts=[a]", "contexts must be a mapping"),
        ("contexts.model=a", "contexts.model must be a list"),
        ("contexts.model=[{a: 1}]", "contexts.model.0 must be one value"),
        ("factors={}", "factors must have at least 1 item"),
        ("factors.0x={baseline: 1, levels: [1, 2]}", "is not a usable name"),
        ("factors.rollouts=[1, 4]", "factors.rollouts must be a mapping"),
        ("factors.rollouts.levels=1", "must be a list of values or a mapping"),
        ("factors.rollouts.levels={a: 1}", "factors.rollouts.levels.a must be a mapping"),
        ("factors.rollouts={levels: [1, 4]}", "missing key 'factors.rollouts.baseline'"),
        ("exclude={}", "exclude must be a list"),
        ("exclude=[{rollouts: [1]}]", "exclude.0.rollouts must be one value"),
        ("responses={a: {summary: final}}", "missing key 'responses.a.metric'"),
        ("responses={a: {metric: m, summary: mean}}", "responses.a.summary has another form"),
        ("responses={a: {metric: m, smallest_effect: 0}}", "must be greater than 0"),
        ("backend=rft", "backend must be a mapping"),
        ("responses={a: {metric: m, summary: final(2)}}", "responses.a.summary has another form"),
        ("responses={a: {metric: m, summary: mean_last(0)}}", "needs a whole number k from 1"),
        ("responses={a: {metric: m, summary: mean_last(2.5)}}", "needs a whole number k from 1"),
        ("responses={a: {metric: m, summary: mean_last()}}", "needs a whole number k from 1"),
        ("responses={a: {metric: m, summary: time_to(e)}}", "needs a finite number x"),
        ("responses={a: {metric: m, summary: time_to(--)}}", "needs a finite number x"),
        ("responses={a: {metric: m, summary: time_to(1.2.3)}}", "needs a finite number x"),
        ("responses={a: {metric: m, summary: time_to(1e999)}}", "needs a finite number x"),
        (f"responses={{a: {{metric: m, summary: time_to({'9' * 400})}}}}", "a finite number x"),
        ("dispatch.timeout=0s", "dispatch.timeout must be longer than 0"),
        ("dispatch.timeout=0.0h", "dispatch.timeout must be longer than 0"),
        ("tracking.tracker=mlfow", "unknown tracker"),
        ("tracking.url=x", "unknown key"),
        ("tracking.uri=3", "tracking.uri must be a string"),
        ("tracking.uri=''", "tracking.uri must be a tracking URI"),
        ("tracking.uri=mlflow.db", "tracking.uri must be a tracking URI"),
        ("tracking.uri=sqlite:///", "tracking.uri must be a tracking URI"),
        ("tracking.uri=redis://host/1", "tracking.uri must be a tracking URI"),
        ("tracking.experiment=''", "tracking.experiment must not be empty"),
        ("dispach={}", "unknown key"),
    ],
)
def test_every_mistake_gives_one_problem_at_its_place(
    write_study: Write, study_text: str, option: str, rule: str
) -> None:
    with pytest.raises(StudyError) as raised:
        load_study(write_study(study_text), [option])
    (problem,) = raised.value.problems
    assert rule in problem.rule
    assert problem.where is not None
    assert problem.where.file == f"--set {option}"


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("name=has space", "A name starts with a letter"),
        ("dispatch.timeout=30x", "Write a number and a unit (s, m, h or d), such as 30m"),
        ("responses={a: {metric: m, summary: time_to(e)}}", "Write final | mean_last(k) | auc"),
        ("factors.rollouts=[1, 4]", "Write rollouts: {baseline: 1, levels: [1, 4]}"),
        ("design={kind: custm}", "Did you mean 'custom'?"),
        ("design={kind: custom, cell: [{}], cells: [{}]}", "Did you mean 'cells'?"),
        ("design={kind: custom}", "One mapping factor -> level for each cell"),
        ("dispatch.worker=2", "Did you mean 'workers'?"),
        ("tracking.tracker=mlfow", "Did you mean 'mlflow'?"),
        ("tracking.url=x", "Did you mean 'uri'?"),
        ("tracking.uri=redis://host/1", "null switches the mirror off"),
    ],
)
def test_a_remedy_shows_what_to_write(
    write_study: Write, study_text: str, option: str, remedy: str
) -> None:
    with pytest.raises(StudyError) as raised:
        load_study(write_study(study_text), [option])
    (problem,) = raised.value.problems
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    "option",
    [
        *(f"tracking.uri={uri}" for uri in ("null", "sqlite:////tmp/a.db", "databricks")),
        *(f"tracking.uri={uri}" for uri in ("postgresql+psycopg2://u@h/d", "https://host:5000")),
        *(f"tracking.uri={uri}" for uri in ("mysql://u@h/d", "mssql+pyodbc://u@h/d", "file:./m")),
        *(f"responses.a={{metric: m, summary: {s}}}" for s in ("time_to(-1e-2)", "mean_last(1)")),
        "dispatch.timeout=0.5s",
    ],
)
def test_what_is_allowed_stays_allowed(write_study: Write, study_text: str, option: str) -> None:
    load_study(write_study(study_text), [option])


def test_the_tracking_database_of_a_study_reserves_its_name(
    write_study: Write, study_text: str
) -> None:
    options = ["name=scores.db-wal", "tracking.uri=sqlite:///scores.db"]
    with pytest.raises(StudyError, match="folder that all studies share"):
        load_study(write_study(study_text), options)
    load_study(write_study(study_text), [*options[:1], "tracking.uri=sqlite:////else/scores.db"])


def test_every_path_of_a_workspace_is_reserved(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    database = Path(space.resolve_uri("sqlite:///mlflow.db").removeprefix("sqlite:///"))
    own = [value for name in dir(Workspace) if isinstance(value := getattr(space, name), Path)]
    below = {path.relative_to(tmp_path).parts[0] for path in (*own, database) if path != tmp_path}
    assert below <= space.reserved_names
    assert {"runs", "cache", "mlflow.lock", "mlflow-artifacts", "mlflow.db"} <= below


def test_a_missing_key_is_located_at_its_mapping(write_study: Write, study_text: str) -> None:
    with pytest.raises(StudyError) as raised:
        load_study(write_study(study_text.replace("baseline: none, ", "")))
    assert "study.yaml:8:14: missing key 'factors.advantage.baseline'" in str(raised.value)


def test_json_schema_accepts_both_forms_of_levels() -> None:
    levels = StudySchema.model_json_schema()["$defs"]["FactorPart"]["properties"]["levels"]
    assert {part["type"] for part in levels["anyOf" if "anyOf" in levels else "oneOf"]} == {
        "array",
        "object",
    }


@pytest.mark.parametrize("character", ["\\u202e", "\\e", "\\x07", "\\u2066"])
@pytest.mark.parametrize("key", ["question", "title", "responses.learning.label"])
def test_words_of_a_report_have_no_characters_that_act_unseen(
    write_study: Write, study_text: str, key: str, character: str
) -> None:
    path = write_study(study_text)
    with pytest.raises(StudyError) as refused:
        load_study(path, [f'{key}="which{character} choices"'])
    assert "must not contain control or bidirectional characters" in str(refused.value)
    assert not has_invisible(str(refused.value))
