"""What lies beside logs under the names of logs, and folders that hold nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ablatekit.errors import UsageError
from ablatekit.logs.formats import LOGS, load_log

NAMES = {
    "mlflow": "mlflow.db",
    "tensorboard": "events.out.tfevents.1",
    "trackio": "other.db",
    "trainer_state": "trainer_state.json",
    "wandb": "run-x.wandb",
}
ARCHIVES = {
    "mlflow": "mlflow/files",
    "tensorboard": "tensorboard/planted",
    "trackio": "trackio/planted",
    "trainer_state": "trainer_state/planted",
    "wandb": "wandb/planted",
}


@pytest.mark.parametrize("name", NAMES)
def test_folders_and_dead_links_with_the_names_of_logs_are_none(
    name: str, unpacked: Callable[[str], Path], tmp_path: Path
) -> None:
    log = load_log(name)
    bare = tmp_path / "bare"
    (bare / NAMES[name]).mkdir(parents=True)
    (bare / "below").mkdir()
    (bare / "below" / NAMES[name]).symlink_to(tmp_path / "nowhere")
    assert not log.claims(bare)
    folder = unpacked(ARCHIVES[name])
    bare.rename(folder / "aside")
    assert log.claims(folder)
    assert len(list(log.runs(folder))) == 16


@pytest.mark.parametrize("name", LOGS)
def test_an_empty_folder_is_nobodys(name: str, tmp_path: Path) -> None:
    log = load_log(name)
    assert log.name == name
    assert not log.claims(tmp_path)


def test_an_unknown_format_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'wandb'"):
        load_log("wandbs")
