"""Places for mirrors: an empty MLflow database and a tracker in one file, found by its name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ablatekit.design.plan import Plan
from ablatekit.runs.workspace import Workspace
from ablatekit.testing.runs import small_plan
from ablatekit.tracking.mlflow import mlflow_client, quiet_mlflow


@pytest.fixture
def plan() -> Plan:
    """Two cells, two replicates."""
    return small_plan()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's schema takes seconds to make, so it is made once."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    with quiet_mlflow():
        client = mlflow_client(f"sqlite:///{path}")
        client.get_experiment_by_name("none")
        client._tracking_client.store.engine.dispose()
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    """The workspace has an empty MLflow database."""
    return Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))


@pytest.fixture
def json_tracker(install_package: Callable[[str], None]) -> str:
    """The name of the tracker in one file, installed for this test and its processes."""
    install_package("jsontracker")
    return "json"
