from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ablatekit.errors import TableError
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.tensorboard import TensorboardLog

RUN = "sgd-0.1-digits-1"


def written(folder: Path, name: str, steps: Mapping[int, float], time: float = 0.0) -> Path:
    """An event file with one scalar by step."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{name}"
    with path.open("wb") as stream:
        writer = RecordWriter(stream)
        for place, (step, value) in enumerate(steps.items()):
            summary = Summary(value=[Summary.Value(tag="a", simple_value=value)])
            event = Event(step=step, wall_time=time + place, summary=summary)
            writer.write(event.SerializeToString())
    return path


def runs_of(path: Path) -> list[LoggedRun]:
    return list(TensorboardLog().runs(path))


def history(run: LoggedRun) -> list[tuple[int, float]]:
    return [(event.step, event.metrics["a"]) for event in run.history]


def test_a_file_that_is_cut_keeps_what_stands_before(tmp_path: Path) -> None:
    path = written(tmp_path / "run", "1", {1: 0.5, 2: 0.75, 3: 1.0})
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) - 20):
        path.write_bytes(whole[:size])
        (run,) = runs_of(tmp_path)
        assert (history(run), run.cut) == ([(1, 0.5), (2, 0.75)], True)
    path.write_bytes(whole[: len(whole) // 3 + 2])
    (run,) = runs_of(tmp_path)
    assert (history(run), run.cut) == ([(1, 0.5)], True)


def test_a_damaged_value_ends_the_run(tmp_path: Path) -> None:
    path = written(tmp_path / "run", "1", {1: 0.5, 2: 0.75, 3: 1.0})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    (run,) = runs_of(tmp_path)
    assert run.cut
    assert history(run) == [(1, 0.5)]


@pytest.mark.parametrize("content", [b"", b"x" * 200])
def test_what_is_no_event_file_holds_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run" / "events.out.tfevents.1"
    path.parent.mkdir()
    path.write_bytes(content)
    (run,) = runs_of(tmp_path)
    assert (run.final, run.cut) == ({}, bool(content))


def test_a_resumed_run_has_several_files_and_the_later_values_stand(tmp_path: Path) -> None:
    written(tmp_path / "run", "9", {1: 0.5, 3: 0.625, 2: 0.5625}, time=100.0)
    written(tmp_path / "run", "1", {3: 0.75, 4: 0.875}, time=200.0)
    (run,) = runs_of(tmp_path)
    assert history(run) == [(1, 0.5), (2, 0.5625), (3, 0.75), (4, 0.875)]
    assert run.started == 100.0


def test_phases_of_keras_are_one_run(tmp_path: Path) -> None:
    for run in ("lr=0.1", "lr=0.2"):
        written(tmp_path / run / "train", "1", {1: 0.5, 2: 0.25}, time=100.0)
        written(tmp_path / run / "validation", "1", {1: 0.75, 2: 0.5}, time=101.0)
    runs = runs_of(tmp_path)
    assert [(run.name, run.config, run.final) for run in runs] == [
        ("lr=0.1", {"lr": 0.1}, {"train/a": 0.25, "validation/a": 0.5}),
        ("lr=0.2", {"lr": 0.2}, {"train/a": 0.25, "validation/a": 0.5}),
    ]
    assert runs[0].started == 100.0
    (phase,) = runs_of(tmp_path / "lr=0.1" / "train")
    assert (phase.name, phase.final) == ("train", {"a": 0.25})


def test_values_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    written(tmp_path / "run", "1", {1: math.inf, 2: math.nan})
    (run,) = runs_of(tmp_path)
    assert history(run)[0] == (1, math.inf)
    assert math.isnan(history(run)[1][1])


def test_a_single_file_is_one_run_and_folders_tell_what_hparams_do_not(tmp_path: Path) -> None:
    for rate in ("0.1", "0.2"):
        path = written(tmp_path / f"lr={rate}", "1", {1: 0.5})
    assert [run.config for run in runs_of(tmp_path)] == [{"lr": 0.1}, {"lr": 0.2}]
    assert [run.name for run in runs_of(path)] == ["lr=0.2"]


def test_the_arguments_of_transformers_are_the_configuration(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.summary.writer.record_writer import RecordWriter

    told = b'{"learning_rate": 0.1, "optim": {"name": "adam"}}'
    tensor = TensorProto(dtype=DT_STRING, string_val=[told])
    summary = Summary(value=[Summary.Value(tag="args/text_summary", tensor=tensor)])
    with written(tmp_path / "run", "1", {1: 0.5}).open("ab") as stream:
        RecordWriter(stream).write(Event(wall_time=1.0, summary=summary).SerializeToString())
    (run,) = runs_of(tmp_path)
    assert run.config == {"learning_rate": 0.1, "optim.name": "adam"}


def test_without_the_package_a_message_names_the_extra(
    unpacked: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def refuse(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("tensorboard"):
            raise ImportError(name)
        return imported(name, *arguments, **named)

    folder = unpacked("tensorboard/planted")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(TableError, match=r'pip install "ablatekit\[tensorboard\]"'):
        runs_of(folder)
