"""The tracker `mlflow` as the study file sees it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from ablatekit.tracking.settings import MlflowSettings


class MlflowTracker:
    """Mirrors runs in MLflow."""

    name: ClassVar[str] = "mlflow"
    settings: ClassVar[type[BaseModel]] = MlflowSettings
