"""The only module that knows all stages, from the study file to the report."""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import ablatekit
from ablatekit.analysis.core.schema.analysis import SCHEMA_VERSION, Analysis
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.study_tables import collect
from ablatekit.canonical import content_hash, file_hash, read_json, write_atomically, write_json
from ablatekit.design.amend import Amendment, amend_plan
from ablatekit.design.build import build_plan, study_backend
from ablatekit.design.plan import Plan
from ablatekit.dispatch.coordinator import (
    DispatchOptions,
    DispatchOutcome,
    coordinating,
    execute,
)
from ablatekit.dispatch.progress import Observer
from ablatekit.errors import DamagedFileError, PluginError, Problem, WorkspaceError
from ablatekit.report.write import analysis_json, write_report
from ablatekit.runs.runlog import ResultRecord, RunState, read_result, run_state
from ablatekit.runs.workspace import StudyDirectory, Workspace
from ablatekit.study.load import LoadedStudy, load_study
from ablatekit.themes import Theme
from ablatekit.tracking.mirror import MirrorOutcome, sync
from ablatekit.tracking.process import MirrorHandle, TrackingOptions, start_mirror


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStudy:
    """A study that is valid and planned; nothing has been written."""

    loaded: LoadedStudy
    plan: Plan
    workspace: Workspace

    @property
    def directory(self) -> StudyDirectory:
        return self.workspace.study(self.plan.study)

    @property
    def tracking_uri(self) -> str | None:
        uri = self.loaded.study.tracking.uri
        return self.workspace.resolve_uri(uri) if uri else None

    @property
    def experiment(self) -> str:
        return self.loaded.study.tracking.experiment or self.plan.study


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line adds to the study: None leaves a choice to the study."""

    workers: Literal["auto"] | int | None = None
    limit: int | None = None
    new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOutcome:
    """What `run_study` has achieved; `analysis` is None while runs are outstanding."""

    dispatch: DispatchOutcome
    mirror: MirrorOutcome | None
    analysis: Analysis | None
    report: Path | None
    fresh: bool


def prepare(path: Path, overrides: Sequence[str], workspace: Workspace) -> PreparedStudy:
    """Load, check and plan a study. Raises StudyError or PluginError; writes nothing."""
    loaded = load_study(path, overrides)
    plan = build_plan(loaded, study_backend(loaded))
    return PreparedStudy(loaded=loaded, plan=plan, workspace=workspace)


def run_study(study: PreparedStudy, options: RunOptions, observer: Observer) -> StudyOutcome:
    """Bring every run to a result, mirror them, analyse them and write the report.

    Idempotent: what is done is not done again, and a finished study is left as it is. Raises
    WorkspaceError when this study is running already, StudyError when another one was frozen.
    """
    with coordinating(study.plan.study, study.workspace):
        _require_interpreter(study.plan)
        study = freeze(study, new=options.new)
        dispatch, mirror = _execute(study, options, observer)
        if dispatch.counts.remaining or dispatch.interrupted:
            return StudyOutcome(
                dispatch=dispatch, mirror=mirror, analysis=None, report=None, fresh=False
            )
        stored = _current_analysis(study)
        return StudyOutcome(
            dispatch=dispatch,
            mirror=mirror,
            analysis=stored or analyse_study(study),
            report=study.directory.report / "index.html",
            fresh=stored is None,
        )


def _require_interpreter(plan: Plan) -> None:
    """Before anything is frozen: a plan that names another interpreter needs it on this machine."""
    if plan.python is not None and shutil.which(plan.python) is None:
        remedy = "Set backend.python to an interpreter that has ablatekit and the backend"
        raise PluginError(Problem("backend.python is no program here", plan.python, remedy))


def freeze(study: PreparedStudy, *, new: bool = False) -> PreparedStudy:
    """Write the study and its plan before the first run, or continue the plan that was frozen.

    Raises StudyError when a shared setting, a response or the analysis has changed, unless `new`.
    """
    directory = study.directory
    if not directory.plan.exists():
        return _write_plan(study, ())
    frozen = _frozen_plan(directory)
    if frozen == study.plan:
        return study
    amendment = amend_plan(frozen, study.plan, fresh=new, file=str(study.loaded.path))
    amended = replace(study, plan=amendment.plan)
    if amended.plan == frozen:
        return amended
    seen = directory.analysis.exists() and bool(amendment.deviations)
    earlier = frozen_deviations(directory)
    return _write_plan(amended, (*earlier, _look(earlier, amendment)) if seen else earlier)


def _frozen_plan(directory: StudyDirectory) -> Plan:
    try:
        return Plan.from_json(read_json(directory.plan))
    except (AttributeError, KeyError, TypeError) as error:
        raise DamagedFileError(directory.plan, f"{type(error).__name__}: {error}") from None


def frozen_deviations(directory: StudyDirectory) -> tuple[str, ...]:
    """What has been changed in a study after its analysis was seen."""
    if not directory.plan.exists():
        return ()
    return tuple(read_json(directory.plan).get("deviations", ()))


def _write_plan(study: PreparedStudy, deviations: Sequence[str]) -> PreparedStudy:
    directory = study.directory
    directory.path.mkdir(parents=True, exist_ok=True)
    write_atomically(directory.study_file, study.loaded.text.encode())
    frozen = {"deviations": list(deviations), "overrides": list(study.loaded.overrides)}
    write_json(directory.plan, {**study.plan.to_json(), **frozen})
    return study


def _look(earlier: Sequence[str], amendment: Amendment) -> str:
    """The label of a study that was amended after its analysis was seen (DESIGN 4)."""
    changes = "; ".join(amendment.deviations)
    return f"look {len(earlier) + 2}: p values not adjusted for looks; amended: {changes}"


def _execute(
    study: PreparedStudy, options: RunOptions, observer: Observer
) -> tuple[DispatchOutcome, MirrorOutcome | None]:
    """Execute the runs, with the mirror following in its own process."""
    mirror = _start_mirror(study) if _has_work(study) else None
    try:
        dispatch = execute(study.plan, study.workspace, _dispatch_options(study, options), observer)
    finally:
        mirrored = mirror.finish() if mirror else None
    return dispatch, mirrored


def _has_work(study: PreparedStudy) -> bool:
    """Whether a run has no result yet, or none of this plan has been analysed."""
    runs = (study.workspace.run(run.run_id) for run in study.plan.runs)
    return any(not run.result.exists() for run in runs) or _current_analysis(study) is None


def _start_mirror(study: PreparedStudy) -> MirrorHandle | None:
    if study.tracking_uri is None:
        return None
    options = TrackingOptions(study.tracking_uri, study.experiment)
    return start_mirror(study.directory.plan, study.workspace, options)


def _dispatch_options(study: PreparedStudy, options: RunOptions) -> DispatchOptions:
    part = study.loaded.study.dispatch
    return DispatchOptions(
        workers=options.workers if options.workers is not None else part.workers,
        retries=part.retries,
        timeout=part.timeout_seconds,
        limit=options.limit,
        python=study.plan.python,
    )


def report_study(study: PreparedStudy, theme: Theme | None = None) -> Analysis:
    """Analyse whatever results there are and write the report; labelled interim while runs lack.

    Raises WorkspaceError when the study has never been run here, StudyError when it has changed.
    """
    return analyse_study(continued(study), theme)


def continued(study: PreparedStudy) -> PreparedStudy:
    """The study with the plan that was frozen here, as far as its file still agrees with it.

    Raises WorkspaceError when the study has never been run here, StudyError when it has changed.
    """
    directory = study.directory
    if not directory.plan.exists():
        remedy = f"Run it first: ablatekit study run {study.loaded.path}"
        raise WorkspaceError(
            Problem("this study has no runs in this workspace", str(directory.path), remedy)
        )
    amendment = amend_plan(_frozen_plan(directory), study.plan, file=str(study.loaded.path))
    return replace(study, plan=amendment.plan)


def analyse_study(study: PreparedStudy, theme: Theme | None = None) -> Analysis:
    """Write `analysis.json` and the report of the results there are."""
    analysis = analysed(study)
    write_atomically(study.directory.analysis, analysis_json(analysis))
    write_report(analysis, study.directory.report, theme or study.loaded.study.report.theme)
    return analysis


def analysed(study: PreparedStudy) -> Analysis:
    """The analysis of the results there are; writes nothing."""
    tables = collect(study.plan, study.workspace)
    deviations = (
        *frozen_deviations(study.directory),
        *_interim(study),
        *_version_warnings(study),
    )
    return analyse(study.plan, tables, _provenance(study), deviations)


def _interim(study: PreparedStudy) -> list[str]:
    states = study_status(study)
    outstanding = sum(states.get(state, 0) for state in ("planned", "running", "interrupted"))
    if not outstanding:
        return []
    return [f"interim analysis: {outstanding} of {len(study.plan.runs)} runs are outstanding"]


def any_estimate(analysis: Analysis) -> bool:
    """Whether any effect of any response has been estimated."""
    effects = (row for one in analysis["responses"].values() for row in one["effects"])
    return any(row["se"] is not None for row in effects)


def sync_study(study: PreparedStudy) -> MirrorOutcome:
    """Rebuild what the mirror lacks from the run directories. Needs a tracking URI."""
    if study.tracking_uri is None:
        raise WorkspaceError(
            Problem(
                "this study has no mirror",
                "tracking: {uri: null}",
                "Name a tracking URI in the study, or with --set tracking.uri=sqlite:///mlflow.db",
            )
        )
    outcome = sync(study.plan, study.workspace, study.tracking_uri, study.experiment)
    if outcome.warning:
        remedy = "Repeat the command once MLflow can be reached; nothing is lost"
        raise WorkspaceError(Problem(outcome.warning, study.tracking_uri, remedy))
    return outcome


def study_status(study: PreparedStudy) -> Mapping[RunState, int]:
    """How many runs of the plan are in which state, judged by their directories."""
    states = (run_state(study.workspace.run(run.run_id)) for run in study.plan.runs)
    return Counter(states)


def _results(study: PreparedStudy) -> list[ResultRecord]:
    found = (read_result(study.workspace.run(run.run_id)) for run in study.plan.runs)
    return [result for result in found if result is not None]


def _results_hash(study: PreparedStudy) -> str:
    """Identity of everything that the analysis reads."""
    results = (study.workspace.run(run.run_id).result for run in study.plan.runs)
    hashes = sorted(file_hash(path) for path in results if path.exists())
    return content_hash([*hashes, ablatekit.__version__])


def _current_analysis(study: PreparedStudy) -> Analysis | None:
    """The stored analysis, if it is of these results and its report was written."""
    directory = study.directory
    if not (directory.report / "index.html").exists():
        return None
    try:
        stored: Analysis = read_json(directory.analysis)
        known = (stored["study"]["plan_hash"], stored["provenance"]["results_hash"])
        current = stored["schema_version"] == SCHEMA_VERSION
    except (FileNotFoundError, DamagedFileError, KeyError, TypeError):
        return None
    return stored if current and known == (study.plan.hash, _results_hash(study)) else None


def _version_sets(study: PreparedStudy) -> dict[str, list[str]]:
    """For every recorded package or platform, the versions that runs of this study had."""
    found: dict[str, set[str]] = {}
    for result in _results(study):
        for name, version in result.versions.items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(versions) for name, versions in sorted(found.items())}


def _version_warnings(study: PreparedStudy) -> list[str]:
    sets = _version_sets(study)
    mixed = {name: many for name, many in sets.items() if len(many) > 1 and name != "machine"}
    return [
        f"runs used mixed versions of {name}: {', '.join(many)}" for name, many in mixed.items()
    ]


def _provenance(study: PreparedStudy) -> dict[str, Any]:
    results = _results(study)
    times = [time for result in results for time in (result.started, result.ended)]
    return {
        "ablatekit": ablatekit.__version__,
        "python": platform.python_version(),
        "analysed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "study_file": study.loaded.path.name,
        "study_hash": content_hash(study.loaded.text),
        "overrides": list(study.loaded.overrides),
        "plan_hash": study.plan.hash,
        "results_hash": _results_hash(study),
        "versions": _version_sets(study),
        "attempts": sum(len(_attempts(study, result.run_id)) for result in results),
        "first_run_started": _timestamp(min(times)) if times else None,
        "last_run_ended": _timestamp(max(times)) if times else None,
    }


def _attempts(study: PreparedStudy, run_id: str) -> Sequence[object]:
    return study.workspace.run(run_id).attempts()


def _timestamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
