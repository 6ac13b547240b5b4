from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ablatekit.analysis.tables.read import logged_runs, read_table
from ablatekit.analysis.tables.readers.base import MESSAGES
from ablatekit.errors import TableError
from ablatekit.logs import wandb as reading
from ablatekit.logs.base import LoggedRun
from ablatekit.logs.wandb import WandbLog

OLD = 1_700_000_000


def runs_of(path: Path) -> list[LoggedRun]:
    return list(WandbLog().runs(path))


@pytest.fixture
def offline(unpacked: Callable[[str], Path]) -> Path:
    """The folder of the run whose name comes first."""
    folder = unpacked("wandb/planted") / "wandb"
    return min(folder.iterdir(), key=lambda path: runs_of(path)[0].name)


def log_of(folder: Path) -> Path:
    return next(folder.glob("*.wandb"))


def test_a_log_that_is_cut_keeps_the_steps_before_and_has_crashed(offline: Path) -> None:
    log = log_of(offline)
    log.write_bytes(log.read_bytes()[:900])
    os.utime(log, (OLD, OLD))
    (run,) = runs_of(log)
    assert (run.name, run.end, run.cut) == ("adam-0.01-digits-0", "crashed", True)
    assert [event.step for event in run.history] == [1]
    assert run.config["optimizer.lr"] == 0.01
    assert run.final["eval/accuracy"] == 0.25


def test_a_log_that_was_written_lately_without_an_end_is_running(offline: Path) -> None:
    log = log_of(offline)
    log.write_bytes(log.read_bytes()[:900])
    assert runs_of(offline)[0].end == "running"


@pytest.mark.parametrize("content", [b"", b"x", b"nothing of the kind" * 50])
def test_logs_of_which_nothing_is_left_are_left_out_and_named(
    unpacked: Callable[[str], Path], content: bytes
) -> None:
    folder = unpacked("wandb/planted")
    log = log_of(next((folder / "wandb").iterdir()))
    log.write_bytes(content)
    frame = read_table(folder)
    assert len(frame) == 15
    (message,) = frame.attrs[MESSAGES]
    assert message["code"] == "unreadable_logs"
    assert log.name in str(message["arguments"])


def test_a_folder_of_damaged_logs_alone_is_refused(offline: Path) -> None:
    log_of(offline).write_bytes(b"x" * 100)
    with pytest.raises(TableError, match="no run that can be read"):
        read_table(offline)


def records(monkeypatch: pytest.MonkeyPatch, *parts: Sequence[Mapping[str, Any]]) -> None:
    """What W&B's program would print, file by file in the order of their names."""
    printed = iter(parts)

    def run(*_: Any, **__: Any) -> Any:
        text = "\n".join(map(json.dumps, next(printed)))
        return type("Done", (), {"stdout": text.encode(), "stderr": b"", "returncode": 0})

    monkeypatch.setattr(reading, "AT_ONCE", 1)
    monkeypatch.setattr(reading.subprocess, "run", run)


def record(kind: str, **content: Any) -> dict[str, Any]:
    return {"type": kind, kind: content}


def test_a_resumed_run_goes_on_and_later_settings_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.wandb").touch()
    records(
        monkeypatch,
        [
            record("run", run_id="x", display_name="n", start_time="2026-01-01T00:00:00Z",
                   config={"update": {"_wandb": {}, "lr": 0.1, "old": 1}}),
            record("config", update={"lr": 0.2, "opt": {"name": "adam"}}, remove=["old"]),
            record("history", item={"_step": 0, "m": 1}, step={"num": 0}),
            record("history", item={"_step": 1, "m": "NaN", "t._type": "table", "t.rows": 3}),
            record("exit", exit_code=1),
        ],
        [
            record("run", run_id="x", display_name="n", start_time="2026-01-02T00:00:00Z",
                   resume=True, config={"update": {}}),
            record("history", item={"_step": 0, "m": 3, "img": {"_type": "image", "w": 4}}),
            record("summary", update={"m": 3, "best": {"max": 3}, "_runtime": 5}),
            record("exit", exit_code=0),
        ],
    )  # fmt: skip
    (run,) = runs_of(tmp_path)
    assert run.config == {"lr": 0.2, "opt.name": "adam"}
    assert [event.step for event in run.history] == [0, 1, 2]
    assert math.isnan(run.history[1].metrics["m"])
    assert run.final == {"m": 3.0, "best.max": 3.0}
    assert run.end == "finished"


def test_runs_that_fail_have_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.wandb").touch()
    records(monkeypatch, [record("run", run_id="x"), record("exit", exit_code=2)])
    (run,) = runs_of(tmp_path)
    assert (run.name, run.end, run.final) == ("x", "crashed", {})


def test_summary_and_configuration_are_read_as_files(tmp_path: Path) -> None:
    files = tmp_path / "wandb" / "run-20240101_000000-abc" / "files"
    files.mkdir(parents=True)
    (files / "wandb-summary.json").write_text('{"acc": 0.5, "_timestamp": 60, "_runtime": 3}')
    (files / "config.yaml").write_text(
        "wandb_version: 1\n_wandb: {value: {}}\n"
        "lr: {desc: null, value: 0.1}\nopt: {value: {name: adam}}\n"
    )
    (run,) = logged_runs(tmp_path)
    assert run == LoggedRun(
        name="run-20240101_000000-abc",
        config={"lr": 0.1, "opt.name": "adam"},
        history=[],
        summary={"acc": 0.5},
        started=57.0,
    )
    (files / "config.yaml").write_text("lr: {value: [")
    with pytest.raises(TableError, match=r"config\.yaml: cannot be read"):
        runs_of(tmp_path)


def test_without_the_package_a_message_names_the_extra(
    offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "find_spec", lambda _name: None)
    with pytest.raises(TableError, match=r'pip install "ablatekit\[wandb\]"'):
        runs_of(offline)
    (offline / "files").mkdir()
    (offline / "files" / "wandb-summary.json").write_text('{"acc": 0.5}')
    assert runs_of(offline)[0].final == {"acc": 0.5}


@dataclass
class AccountRun:
    """What W&B's API gives of a run."""

    name: str
    state: str = "finished"
    id: str = "abc"
    created_at: str = "1970-01-01T00:01:00Z"
    config: dict[str, Any] = field(default_factory=lambda: {"lr": 0.1, "_wandb": {}})
    summary: dict[str, Any] = field(default_factory=lambda: {"acc": 0.75, "_step": 2})

    def scan_history(self) -> Iterator[dict[str, Any]]:
        """Two steps."""
        yield {"_step": 1, "acc": 0.5, "_timestamp": 60.0}
        yield {"_step": 2, "acc": 0.75, "_timestamp": 61.0}


def test_projects_of_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    class Account:
        def runs(self, project: str) -> list[AccountRun]:
            assert project == "me/mine"
            return [AccountRun("a"), AccountRun("a", "preempted"), AccountRun("", "running")]

    monkeypatch.setattr(wandb, "Api", Account)
    frame = read_table("wandb:me/mine")
    assert list(frame["run"]) == ["a", "a (2)", "abc"]
    assert list(frame["status"]) == ["finished", "crashed", "running"]
    assert frame[["lr", "acc", "started"]].to_numpy().tolist() == [[0.1, 0.75, 60.0]] * 3
    assert [event.step for event in logged_runs("wandb:me/mine")[0].history] == [1, 2]


def test_an_account_that_is_refused_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def refuse() -> Any:
        raise wandb.errors.UsageError("api_key not configured (no-tty).\nmore")

    monkeypatch.setattr(wandb, "Api", refuse)
    with pytest.raises(TableError, match=r"api_key not configured.*wandb:me/mine.*wandb login"):
        read_table("wandb:me/mine")
