from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ablatekit.analysis.tables.read import read_table, recognised
from ablatekit.errors import TableError
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.metric_files import MetricFilesLog


def lines(path: Path, *rows: dict[str, Any], end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)) + end)
    return path


def runs_of(path: Path) -> list[LoggedRun]:
    return list(MetricFilesLog().runs(path))


def test_files_of_verl_are_runs_by_their_names(tmp_path: Path) -> None:
    for rate in ("0.1", "0.2"):
        rows = ({"step": n, "data": {"critic/score": n / 4}} for n in (1, 2))
        lines(tmp_path / "project" / f"lr={rate},seed=0.jsonl", *rows)
    assert recognised(tmp_path) == "metric_files"
    frame = read_table(tmp_path)
    assert frame[["lr", "seed", "critic/score"]].to_numpy().tolist() == [
        [0.1, 0, 0.5],
        [0.2, 0, 0.5],
    ]


def test_configurations_lie_beside_the_file_or_in_the_folder(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", {"step": 1, "loss": 0.5})
    (tmp_path / "a.yaml").write_text("optimizer: {lr: 0.1}\n")
    lines(tmp_path / "b" / "metrics.jsonl", {"step": 1, "loss": 0.25})
    (tmp_path / "b" / "config.json").write_text('{"optimizer": {"lr": 0.2}}')
    runs = runs_of(tmp_path)
    assert [(run.name, run.config) for run in runs] == [
        ("a", {"optimizer.lr": 0.1}),
        ("b", {"optimizer.lr": 0.2}),
    ]


def test_a_file_whose_last_line_is_cut_keeps_the_lines_before(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25})
    path.write_text(path.read_text()[:-10])
    (run,) = runs_of(tmp_path)
    assert (run.final, run.cut) == ({"loss": 0.5}, True)


def test_a_line_that_is_no_object_is_refused_at_its_line(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", {"step": 1, "loss": 0.5}, end="\nnothing\n")
    with pytest.raises(TableError, match=r"a\.jsonl:2: a line of metrics is no JSON object"):
        runs_of(tmp_path)


def test_rows_without_steps_are_no_metrics(tmp_path: Path) -> None:
    lines(tmp_path / "items.jsonl", {"item": "a", "outcome": 1})
    assert not MetricFilesLog().claims(tmp_path)
