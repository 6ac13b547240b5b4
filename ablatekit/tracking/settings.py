"""What a study says about its mirror in MLflow; nothing of MLflow is imported."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from ablatekit.runs.workspace import DEFAULT_TRACKING, tracking_files
from ablatekit.study.schema import StudyPart, refusal

_TRACKING_URI = re.compile(
    r"sqlite:///[^?#]+|(postgresql|mysql|mssql)(\+\w+)?://.+|https?://.+|file:.+"
    r"|databricks(-uc)?(://.+)?"
)


def _tracking_uri(value: str) -> str:
    if not _TRACKING_URI.fullmatch(value):
        remedy = (
            "Write sqlite:///mlflow.db, a postgresql://, mysql:// or mssql:// URI, http(s)://, "
            "file: or databricks; null switches the mirror off"
        )
        raise refusal("must be a tracking URI that MLflow knows", remedy)
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise refusal("must not be empty", "Write a name, or null for the study's own")
    return value


class MlflowSettings(StudyPart):
    """The MLflow mirror."""

    uri: Annotated[str, AfterValidator(_tracking_uri)] | None = DEFAULT_TRACKING
    """MLflow tracking URI, sqlite paths relative to the workspace; null switches the mirror off."""
    experiment: Annotated[str, AfterValidator(_not_blank)] | None = None
    """MLflow experiment; the study's name by default."""

    @property
    def workspace_names(self) -> frozenset[str]:
        """Names below the workspace that the tracking database takes."""
        return tracking_files(self.uri)
