from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ablatekit.analysis.tables.readers.base import MESSAGES, ROLES
from ablatekit.analysis.tables.readers.logged_runs import frame_of
from ablatekit.errors import TableError
from ablatekit.logs.base import LoggedRun, RunEnd
from ablatekit.report.language.sentences import say
from ablatekit.runs.records import MetricEvent
from ablatekit.testing.reader_suite import ReaderSuite, values


def logged(
    name: str, config: Mapping[str, Any], end: RunEnd = "unknown", cut: bool = False, **metrics: Any
) -> LoggedRun:
    history = [MetricEvent(step=1, time=math.nan, metrics=metrics)] if metrics else []
    return LoggedRun(name=name, config=config, history=history, end=end, cut=cut)


def test_runs_without_metrics_and_settings_stay_as_rows() -> None:
    runs = [
        logged("a", {"lr": 0.1, "n": 1}, "finished", acc=0.5),
        logged("b", {"lr": 0.1}, "crashed"),
        logged("c", {}, "running", acc=0.25, other=math.inf),
    ]
    frame = frame_of(runs, "here")
    assert values(frame) == {
        "run": ["a", "b", "c"],
        "lr": [0.1, 0.1, None],
        "n": [1, None, None],
        "acc": [0.5, None, 0.25],
        "other": [None, None, math.inf],
        "status": ["finished", "crashed", "running"],
    }
    assert str(frame["n"].dtype) == "Int64"


def test_status_and_start_are_columns_only_where_a_log_tells_them() -> None:
    assert list(frame_of([logged("a", {"lr": 0.1}, acc=1.0)], "here")) == [
        "run",
        "lr",
        "acc",
    ]


@pytest.mark.parametrize(
    ("given", "column"),
    [
        ([0.1, "auto"], [0.1, "auto"]),
        ([0.1, "1e-4"], [0.1, 1e-4]),
        ([1, 2.5], [1.0, 2.5]),
        ([True, 1], [True, 1]),
        ([None, 5], ["none", 5]),
        (["nan", "0.1"], ["nan", "0.1"]),
        ([1, 10**30], ["1", "1" + "0" * 30]),
        (["1_0", "2"], ["1_0", "2"]),
    ],
)
def test_settings_of_mixed_kinds(given: list[Any], column: list[Any]) -> None:
    runs = [logged(str(place), {"x": value}, acc=1.0) for place, value in enumerate(given)]
    assert values(frame_of(runs, "here"))["x"] == column


def test_labels_stay_text() -> None:
    runs = [logged("a", {"lr": "1e-4"}, acc=1.0), logged("b", {"lr": 0.1}, acc=1.0)]
    assert values(frame_of(runs, "here", labels=["lr"]))["lr"] == ["1e-4", "0.1"]


def test_names_that_mean_something_else_get_names_of_their_own() -> None:
    config = {"status": "x", "acc": 3, "item": 1, "seed": 4, "optim.random_state": 5, "host": "vm"}
    frame = frame_of([logged("a", config, "finished", acc=0.5, run=7.0)], "here")
    row = {name: column[0] for name, column in values(frame).items()}
    assert row == {
        "run": "a",
        "config.status": "x",
        "config.acc": 3,
        "config.item": 1,
        "seed": 4,
        "optim.random_state": 5,
        "host": "vm",
        "acc": 0.5,
        "metric.run": 7.0,
        "status": "finished",
    }
    assert frame.attrs[ROLES] == {
        "config.status": "setting",
        "config.acc": "setting",
        "config.item": "setting",
        "seed": "seed",
        "optim.random_state": "seed",
        "host": "about",
        "acc": "metric",
        "metric.run": "metric",
    }


def test_two_hundred_settings_and_chosen_columns() -> None:
    config = {f"group.{number}": number for number in range(200)}
    runs = [logged(name, config, acc=0.5) for name in "ab"]
    assert frame_of(runs, "here").shape == (2, 202)
    frame = frame_of(runs, "here", columns=["acc", "group.7"])
    assert list(frame) == ["acc", "group.7"]
    assert frame.attrs[ROLES] == {"group.7": "setting", "acc": "metric"}


def test_cut_logs_are_told_and_empty_ones_left_out() -> None:
    runs = [logged("a", {"lr": 1}, cut=True, acc=0.5), logged("b", {}, "crashed", cut=True)]
    frame = frame_of(runs, "here")
    assert list(frame["run"]) == ["a"]
    told = [say(message, "row") for message in frame.attrs[MESSAGES]]
    assert told == [
        "left out, as nothing of one log can be read: b",
        "the end of one log is missing or damaged, so that last values may be of earlier steps: a",
    ]


@pytest.mark.parametrize(
    ("runs", "rule"),
    [([], "here: it holds no runs"), ([logged("b", {}, cut=True)], "no run that can be read")],
)
def test_without_runs_there_is_no_table(runs: list[LoggedRun], rule: str) -> None:
    with pytest.raises(TableError, match=rule):
        frame_of(runs, "here")


class TestTrainerStates(ReaderSuite):
    reader_name = "trainer_state"
    expected: ClassVar[Mapping[str, Sequence[Any]]] = {
        "run": ["lr=0.1", "lr=0.2"],
        "lr": [0.1, 0.2],
        "eval_acc": [0.5, None],
    }
    garbage = None

    def source(self, folder: Path) -> Path:
        for run, history in (("lr=0.1", [{"step": 1, "eval_acc": 0.5}]), ("lr=0.2", [])):
            path = folder / "runs" / run / "checkpoint-1" / "trainer_state.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"log_history": history}), encoding="utf-8")
        return folder / "runs"


class TestMetricFiles(ReaderSuite):
    reader_name = "metric_files"
    expected: ClassVar[Mapping[str, Sequence[Any]]] = {
        "run": ["a-seed0", "b-seed1"],
        "folder_1": ["a", "b"],
        "seed": [0, 1],
        "acc": [0.5, 0.25],
        "loss": [2.0, None],
    }
    garbage = None

    def source(self, folder: Path) -> Path:
        place = folder / "logs"
        place.mkdir(exist_ok=True)
        (place / "a-seed0.jsonl").write_text('{"step": 1, "acc": 0.5, "loss": 2}\n')
        (place / "b-seed1.jsonl").write_text('{"step": 1, "acc": 0.25, "text": "x"}\n')
        return place


class TestWandbFiles(ReaderSuite):
    reader_name = "wandb"
    expected: ClassVar[Mapping[str, Sequence[Any]]] = {
        "run": ["run-1-x", "run-2-y"],
        "optimizer": ["adam", "none"],
        "acc": [0.5, 0.25],
    }
    garbage = None

    def source(self, folder: Path) -> Path:
        for run, optimizer, accuracy in (("run-1-x", "adam", 0.5), ("run-2-y", None, 0.25)):
            files = folder / "wandb" / run / "files"
            files.mkdir(parents=True, exist_ok=True)
            (files / "wandb-summary.json").write_text(json.dumps({"acc": accuracy}))
            (files / "config.yaml").write_text(json.dumps({"optimizer": {"value": optimizer}}))
        return folder / "wandb"
