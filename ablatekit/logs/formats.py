"""The formats by name; a format is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from ablatekit.errors import Problem, UsageError, nearest
from ablatekit.logs.base import RunLog

LOGS: Mapping[str, str] = MappingProxyType(
    {
        "csv": "CsvLog",
        "jsonl": "JsonlLog",
        "metric_files": "MetricFilesLog",
        "mlflow": "MlflowLog",
        "tensorboard": "TensorboardLog",
        "trackio": "TrackioLog",
        "trainer_state": "TrainerStateLog",
        "wandb": "WandbLog",
    }
)
"""The class of every format, in the module of the format's name."""


def load_log(name: str) -> RunLog:
    """The format called `name`; UsageError, with the nearest one, where there is none."""
    if name not in LOGS:
        raise UsageError(Problem("unknown format of a log", repr(name), nearest(name, LOGS)))
    made: RunLog = getattr(import_module(f"ablatekit.logs.{name}"), LOGS[name])()
    return made
