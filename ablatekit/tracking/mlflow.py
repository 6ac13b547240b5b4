"""Records as MLflow runs.

One flat MLflow run for each run, the factor levels as parameters under their plain names, the
workers' own times. MLflow's FAILED is a run without a result whose attempts are used up, KILLED one
that was interrupted and can be resumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel

from ablatekit.design.plan import Plan
from ablatekit.logs.mlflow import mlflow_client, quiet_mlflow
from ablatekit.runs.workspace import DEFAULT_TRACKING, Workspace, tracking_files
from ablatekit.study.schema import StudyPart, refusal
from ablatekit.tracking.base import (
    Content,
    Dataset,
    KeptRecord,
    Point,
    Record,
    Status,
    TrackerError,
)

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_STUDY_TAG = "ablatekit.study"
_RUN_TAG = "ablatekit.run"
_CURSOR_TAG = "ablatekit.mirror"
MAX_ENTITIES = 1000
MAX_PARAMS = 90
_MAX_TAGS = 3
_MAX_PARAM_LENGTH = 6000
_MAX_TAG_LENGTH = 8000
_MAX_KEY_LENGTH = 250
_MAX_DIGEST_LENGTH = 36
_FORBIDDEN = re.compile(r"[^/\w.\- :]")
_HAS_OWN_ARTIFACTS = ("http://", "https://", "databricks")
_TRACKING_URI = re.compile(
    r"sqlite:///[^?#]+|(postgresql|mysql|mssql)(\+\w+)?://.+|https?://.+|file:.+"
    r"|databricks(-uc)?(://.+)?"
)

_MlflowStatus: TypeAlias = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
_STATUSES: Mapping[Status, _MlflowStatus] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
_OURS: Mapping[str, Status] = {theirs: ours for ours, theirs in _STATUSES.items()}


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

    @property
    def is_off(self) -> bool:
        """Without a URI nothing is mirrored."""
        return self.uri is None


class MlflowTracker:
    """The runs of one study in one MLflow experiment."""

    name: ClassVar[str] = "mlflow"
    settings: ClassVar[type[BaseModel]] = MlflowSettings
    points_at_once: ClassVar[int] = MAX_ENTITIES - _MAX_TAGS

    def __init__(self, plan: Plan, workspace: Workspace, settings: BaseModel) -> None:
        assert isinstance(settings, MlflowSettings)
        self._plan = plan
        self._workspace = workspace
        self._uri = workspace.resolve_uri(settings.uri or DEFAULT_TRACKING)
        self._experiment = settings.experiment or plan.study
        self._experiment_id = ""
        self._connection: MlflowClient | None = None
        self.place = f"MLflow at {self._uri}"

    def open(self) -> Sequence[KeptRecord]:
        """Find the experiment, or make it, and the study's runs by their tags."""
        with self._client() as client:
            self._experiment_id = self._find_experiment(client)
            return [_kept(run) for run in self._search(client) if _CURSOR_TAG in run.data.tags]

    def create(self, record: Record) -> str:
        """One MLflow run with its tags, in one transaction."""
        tags = {
            **_cut(record.tags, _MAX_TAG_LENGTH),
            _STUDY_TAG: self._plan.study,
            _RUN_TAG: record.run_id,
            _CURSOR_TAG: record.cursor,
            "mlflow.user": record.user,
            "mlflow.source.name": "ablatekit study run",
            "mlflow.source.type": "LOCAL",
        }
        with self._client() as client:
            made = client.create_run(self._experiment_id, record.started, tags, record.name)
        return str(made.info.run_id)

    def add(self, key: str, content: Content) -> None:
        """As few calls as MLflow's limits allow.

        MLflow stores parameters, points and tags in this order, so the cursor never runs ahead.
        """
        tags = {**_cut(content.tags, _MAX_TAG_LENGTH), _CURSOR_TAG: content.cursor}
        params = {metric_key(name): value for name, value in content.params.items()}
        room = MAX_ENTITIES - len(content.points) - len(tags)
        with self._client() as client:
            if content.dataset is not None:
                _log_dataset(client, key, content.dataset)
            *before, last = param_pieces(_cut(params, _MAX_PARAM_LENGTH), room)
            for piece in before:
                _log(client, key, (), piece, {})
            _log(client, key, content.points, last, tags)

    def attach(self, key: str, folder: Path) -> None:
        """Files as artifacts of the run."""
        with self._client() as client:
            client.log_artifacts(key, str(folder))

    def set_status(self, key: str, status: Status, ended: int | None) -> None:
        """The run's status and end."""
        with self._client() as client:
            if ended is None:
                client.update_run(key, status=_STATUSES[status])
            else:
                client.set_terminated(key, _STATUSES[status], ended)

    def delete(self, key: str) -> None:
        """MLflow keeps deleted runs until its own `gc`, but shows them no more."""
        with self._client() as client:
            client.delete_run(key)

    def close(self) -> None:
        """Close the database, if MLflow writes to one."""
        if self._connection is not None:
            engine = getattr(self._connection._tracking_client.store, "engine", None)
            if engine is not None:
                engine.dispose()
        self._connection = None

    @contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        """The connection; what MLflow or its database raises becomes one line."""
        with quiet_mlflow():
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            try:
                self._connection = self._connection or mlflow_client(self._uri)
                yield self._connection
            except (MlflowException, SQLAlchemyError) as error:
                raise TrackerError(_first_line(error)) from error

    def _find_experiment(self, client: MlflowClient) -> str:
        experiment = client.get_experiment_by_name(self._experiment)
        tags = {
            _STUDY_TAG: self._plan.study,
            "ablatekit.plan": self._plan.hash,
            "mlflow.note.content": self._plan.question,
        }
        if experiment is None:
            location = None
            if not self._uri.startswith(_HAS_OWN_ARTIFACTS):
                location = (self._workspace.artifacts / self._experiment).as_uri()
            return str(client.create_experiment(self._experiment, location, tags))
        for name, value in tags.items():
            if experiment.tags.get(name) != value:
                client.set_experiment_tag(experiment.experiment_id, name, value)
        return str(experiment.experiment_id)

    def _search(self, client: MlflowClient) -> Iterator[Any]:
        """Every MLflow run of the study, page by page; pages may overlap while others write."""
        token: str | None = None
        while True:
            page = client.search_runs(
                [self._experiment_id],
                f"tags.`{_STUDY_TAG}` = '{self._plan.study}'",
                max_results=1000,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return


def metric_key(name: str) -> str:
    """A metric's name as MLflow accepts it: `pass@1` becomes `pass_at_1`."""
    return _FORBIDDEN.sub("_", name.replace("@", "_at_"))[:_MAX_KEY_LENGTH]


def param_pieces(params: Mapping[str, str], room: int) -> list[Sequence[tuple[str, str]]]:
    """Parameters in pieces that MLflow takes in one call each; the last has at most `room`."""
    pairs = list(params.items())
    starts = range(0, len(pairs), MAX_PARAMS)
    pieces: list[Sequence[tuple[str, str]]] = [pairs[at : at + MAX_PARAMS] for at in starts]
    return pieces if pieces and len(pieces[-1]) <= room else [*pieces, ()]


def _cut(values: Mapping[str, str], length: int) -> dict[str, str]:
    return {name: value[:length] for name, value in values.items()}


def _kept(run: Any) -> KeptRecord:
    tags = run.data.tags
    return KeptRecord(
        key=run.info.run_id,
        run_id=tags[_RUN_TAG],
        cursor=tags[_CURSOR_TAG],
        status=_OURS.get(run.info.status, "running"),
    )


def _log(
    client: MlflowClient,
    key: str,
    points: Sequence[Point],
    params: Sequence[tuple[str, str]],
    tags: Mapping[str, str],
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    client.log_batch(
        key,
        metrics=[
            Metric(metric_key(point.metric), point.value, point.time, point.step)
            for point in points
        ],
        params=[Param(name, value) for name, value in params],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def _log_dataset(client: MlflowClient, key: str, dataset: Dataset) -> None:
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput

    source = json.dumps({"name": dataset.name})
    named = MlflowDataset(
        name=dataset.name,
        digest=dataset.digest[:_MAX_DIGEST_LENGTH],
        source_type="ablatekit",
        source=source,
    )
    client.log_inputs(key, [DatasetInput(named)])


def _first_line(error: Exception) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)
