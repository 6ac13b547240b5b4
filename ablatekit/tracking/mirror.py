"""The MLflow mirror: a pure function of run directories and a plan, written by one process.

It is off the path of dispatch: a process of its own follows the directories, and when MLflow is
down, slow or wiped, `sync` makes it whole. A study's runs are found by their tags; a cursor kept
with every MLflow run says what has been sent, and sending a point twice changes nothing, because
points carry the worker's times. When a later attempt makes points of an earlier one void, or the
study gives a run other parameters, the MLflow run is deleted and made again.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablatekit.design.plan import Plan, PlannedRun, cells_by_unit
from ablatekit.errors import Problem, WorkspaceError
from ablatekit.runs.locks import LockHeldError, file_lock
from ablatekit.runs.runlog import read_items, read_result
from ablatekit.runs.workspace import RunDirectory, Workspace
from ablatekit.tracking.conventions import (
    CURSOR_TAG,
    RUN_TAG,
    STUDY_TAG,
    Cursor,
    Face,
    Point,
    batches,
    dataset_of,
    face_of,
    result_tags,
)
from ablatekit.tracking.view import RunView, result_time, view_run

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""MLflow's own defaults block for minutes when a server is down."""

_LOCK_SECONDS = 60.0
_HAS_OWN_ARTIFACTS = ("http://", "https://", "databricks")


@dataclass(frozen=True, slots=True)
class MirrorOutcome:
    """MLflow runs made, points sent, and why the mirror is incomplete if it is."""

    runs: int = 0
    metrics: int = 0
    warning: str = ""


@dataclass
class _Mirrored:
    """An MLflow run that stands for one of ours."""

    mlflow_id: str
    cursor: Cursor
    status: str

    @property
    def complete(self) -> bool:
        return self.cursor.ended is not None and self.status != "RUNNING"


def sync(
    plan: Plan, workspace: Workspace, uri: str, experiment: str | None = None
) -> MirrorOutcome:
    """Bring MLflow to what the run directories say; a second call changes nothing.

    `experiment` defaults to the study's name. Raises WorkspaceError while another process mirrors
    the same study. When MLflow cannot be reached the outcome carries a warning.
    """
    with sole_mirror(plan, workspace):
        mirror = Mirror(plan, workspace, uri, experiment or plan.study)
        try:
            mirror.update()
        finally:
            mirror.close()
        return mirror.outcome


@contextmanager
def sole_mirror(
    plan: Plan, workspace: Workspace, timeout: float | None = _LOCK_SECONDS
) -> Iterator[None]:
    """Be the only process that mirrors this study; waits for `timeout` seconds."""
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(workspace.study(plan.study).mirror_lock, timeout=timeout))
        except LockHeldError as error:
            raise WorkspaceError(
                Problem(
                    f"study {plan.study!r} is being mirrored already",
                    f"process {error.pid}",
                    "Wait until it has ended",
                )
            ) from error
        yield


class Mirror:
    """The mirror of one study in one MLflow experiment; `update` as often as wanted."""

    def __init__(self, plan: Plan, workspace: Workspace, uri: str, experiment: str) -> None:
        self.outcome = MirrorOutcome()
        self._plan = plan
        self._cells = cells_by_unit(plan)
        self._workspace = workspace
        self._uri = workspace.resolve_uri(uri)
        self._experiment = experiment
        self._experiment_id = ""
        self._client: MlflowClient | None = None
        self._mirrored: dict[str, _Mirrored] = {}
        self._settled: set[str] = set()

    def update(self) -> None:
        """One pass over all runs; a failure of MLflow leaves a warning and the rest for later."""
        with quiet_mlflow():
            self._update()

    def _update(self) -> None:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with file_lock(self._workspace.tracking_lock, timeout=_LOCK_SECONDS):
                damaged = self._update_runs(self._client or self._connect())
            self.outcome = replace(self.outcome, warning="; ".join(damaged))
        except (MlflowException, SQLAlchemyError, OSError, LockHeldError) as error:
            warning = f"MLflow at {self._uri} is incomplete: {_first_line(error)}"
            self.outcome = replace(self.outcome, warning=warning)
            self.close()

    def _update_runs(self, client: MlflowClient) -> list[str]:
        """Every run that is not settled; returns what is wrong with damaged run directories."""
        damaged = []
        for planned in self._plan.runs:
            try:
                if planned.run_id not in self._settled:
                    self._update_run(client, planned)
            except WorkspaceError as error:
                damaged.append(str(error))
        return damaged

    def close(self) -> None:
        """Forget what is known of MLflow, and close its database."""
        if self._client is not None:
            engine = getattr(self._client._tracking_client.store, "engine", None)
            if engine is not None:
                engine.dispose()
        self._client = None
        self._mirrored.clear()
        self._settled.clear()

    def _connect(self) -> MlflowClient:
        client = _mlflow_client(self._uri)
        self._experiment_id = self._find_experiment(client)
        for run in self._search(client):
            self._remember(client, run)
        self._client = client
        return client

    def _find_experiment(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self._experiment)
        tags = {
            STUDY_TAG: self._plan.study,
            "ablatekit.plan": self._plan.hash,
            "mlflow.note.content": self._plan.question,
        }
        if found is None:
            location = None
            if not self._uri.startswith(_HAS_OWN_ARTIFACTS):
                location = (self._workspace.artifacts / self._experiment).as_uri()
            return str(client.create_experiment(self._experiment, location, tags))
        for name, value in tags.items():
            if found.tags.get(name) != value:
                client.set_experiment_tag(found.experiment_id, name, value)
        return str(found.experiment_id)

    def _search(self, client: MlflowClient) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = client.search_runs(
                [self._experiment_id],
                f"tags.`{STUDY_TAG}` = '{self._plan.study}'",
                max_results=1000,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def _remember(self, client: MlflowClient, run: Any) -> None:
        """Keep a run that an earlier process made; a second one for the same run goes."""
        tags, mlflow_id = run.data.tags, run.info.run_id
        run_id = tags.get(RUN_TAG)
        if run_id in self._mirrored:
            # Pages may overlap while others write to the experiment: the same run is no double.
            if self._mirrored[run_id].mlflow_id != mlflow_id:
                client.delete_run(mlflow_id)
        elif run_id is not None and CURSOR_TAG in tags:
            cursor = Cursor.parse(tags[CURSOR_TAG])
            self._mirrored[run_id] = _Mirrored(mlflow_id, cursor, run.info.status)

    def _update_run(self, client: MlflowClient, planned: PlannedRun) -> None:
        run = self._workspace.run(planned.run_id)
        face = face_of(self._plan, self._cells[planned.unit], planned)
        mirrored = self._mirrored.get(planned.run_id)
        if mirrored is not None and mirrored.complete and _is_current(mirrored.cursor, face, run):
            self._settled.add(planned.run_id)
            return
        view = view_run(run)
        if view is None:
            return
        if mirrored is not None and _is_void(mirrored.cursor, face, view):
            client.delete_run(mirrored.mlflow_id)
            mirrored = None
        if mirrored is None:
            mirrored = self._create(client, planned, face, view)
        if mirrored.cursor.points < 0:
            _send_dataset(client, mirrored, planned)
        if view.result is not None:
            _send_artifacts(client, mirrored, run)
        self._send_points(client, mirrored, face, view)
        _send_status(client, mirrored, view)

    def _create(
        self, client: MlflowClient, planned: PlannedRun, face: Face, view: RunView
    ) -> _Mirrored:
        cursor = Cursor(identity=face.identity, attempt=view.attempt, points=-1)
        tags = {**face.tags, **view.tags, CURSOR_TAG: cursor.text()}
        made = client.create_run(self._experiment_id, view.started, tags, face.name)
        self._mirrored[planned.run_id] = mirrored = _Mirrored(made.info.run_id, cursor, "RUNNING")
        self.outcome = replace(self.outcome, runs=self.outcome.runs + 1)
        return mirrored

    def _send_points(
        self, client: MlflowClient, mirrored: _Mirrored, face: Face, view: RunView
    ) -> None:
        """The points that MLflow lacks; parameters with the first, the end's tags with the last.

        MLflow stores parameters, points and tags in this order, so the cursor never runs ahead.
        """
        cursor, ended = mirrored.cursor, result_time(view.result)
        if cursor.points == len(view.points) and cursor.ended == ended:
            return
        sent = max(cursor.points, 0)
        params = face.params if cursor.points < 0 else {}
        for points, own in batches(view.points[sent:], params):
            sent += len(points)
            tags = {}
            if sent == len(view.points) and view.result is not None:
                cursor, tags = replace(cursor, ended=ended), result_tags(view.result)
            cursor = replace(cursor, points=sent)
            _log(client, mirrored.mlflow_id, points, own, {**tags, CURSOR_TAG: cursor.text()})
            mirrored.cursor = cursor
            self.outcome = replace(self.outcome, metrics=self.outcome.metrics + len(points))


def _first_line(error: Exception) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)


def _is_current(cursor: Cursor, face: Face, run: RunDirectory) -> bool:
    return cursor.identity == face.identity and cursor.ended == result_time(read_result(run))


def _is_void(cursor: Cursor, face: Face, view: RunView) -> bool:
    """Whether what MLflow holds is no prefix of the truth any more."""
    return (
        cursor.identity != face.identity
        or cursor.attempt != view.attempt
        or cursor.points > len(view.points)
        or (cursor.ended is not None and cursor.ended != result_time(view.result))
    )


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """MLflow whose failures come soon, and whose own deprecations and notes are not the user's."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _mlflow_client(uri: str) -> MlflowClient:
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _log(
    client: MlflowClient,
    mlflow_id: str,
    points: Sequence[Point],
    params: Sequence[tuple[str, str]],
    tags: Mapping[str, str],
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    client.log_batch(
        mlflow_id,
        metrics=[Metric(one.key, one.value, one.time, one.step) for one in points],
        params=[Param(name, value) for name, value in params],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def _send_dataset(client: MlflowClient, mirrored: _Mirrored, planned: PlannedRun) -> None:
    from mlflow.entities import Dataset, DatasetInput

    named = dataset_of(planned)
    if named is not None:
        name, digest = named
        source = json.dumps({"name": name})
        dataset = Dataset(name=name, digest=digest, source_type="ablatekit", source=source)
        client.log_inputs(mirrored.mlflow_id, [DatasetInput(dataset)])


def _send_artifacts(client: MlflowClient, mirrored: _Mirrored, run: RunDirectory) -> None:
    """The run's spec and, in one table, its item outcomes."""
    import pyarrow.parquet as pq

    items = read_items(run)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(run.spec, folder)
        if items is not None:
            pq.write_table(items, Path(folder) / "items.parquet", compression="zstd")
        client.log_artifacts(mirrored.mlflow_id, folder)


def _send_status(client: MlflowClient, mirrored: _Mirrored, view: RunView) -> None:
    if view.status == mirrored.status:
        return
    if view.ended is None:
        client.update_run(mirrored.mlflow_id, status=view.status)
    else:
        client.set_terminated(mirrored.mlflow_id, view.status, view.ended)
    mirrored.status = view.status
