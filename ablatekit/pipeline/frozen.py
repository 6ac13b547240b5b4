"""A study on its way to the frozen plan: prepared, frozen, continued, and where its runs stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ablatekit.backend import Progress
from ablatekit.canonical import read_json, write_atomically, write_json
from ablatekit.design.amend import Amendment, amend_plan
from ablatekit.design.build import build_plan, study_backend, untold
from ablatekit.design.plan import Plan
from ablatekit.errors import DamagedFileError, Problem, WorkspaceError
from ablatekit.legible import masked
from ablatekit.runs.runlog import RunState, read_result, run_state
from ablatekit.runs.workspace import StudyDirectory, Workspace
from ablatekit.study.load import LoadedStudy, load_study
from ablatekit.study.schema import TrackingPart
from ablatekit.tracking.process import TrackingOptions


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
    def mirror(self) -> TrackingOptions | None:
        """Where runs are mirrored; None for a study without a mirror."""
        part = self.loaded.study.tracking
        if part.is_off:
            return None
        return TrackingOptions(part.tracker, part.beside(TrackingPart))


def prepare(
    path: Path, overrides: Sequence[str], workspace: Workspace, progress: Progress = untold
) -> PreparedStudy:
    """Load, check and plan a study. Raises StudyError or PluginError; writes nothing."""
    return prepare_loaded(load_study(path, overrides), workspace, progress)


def prepare_loaded(
    loaded: LoadedStudy, workspace: Workspace, progress: Progress = untold
) -> PreparedStudy:
    """`prepare` for a study that has been loaded."""
    plan = build_plan(loaded, study_backend(loaded), progress)
    return PreparedStudy(loaded=loaded, plan=plan, workspace=workspace)


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
    write_atomically(directory.study_file, masked(study.loaded.text).encode())
    overrides = [masked(option) for option in study.loaded.overrides]
    frozen = {"deviations": list(deviations), "overrides": overrides}
    write_json(directory.plan, {**study.plan.to_json(), **frozen})
    return study


def _look(earlier: Sequence[str], amendment: Amendment) -> str:
    """The label of a study that was amended after its analysis was seen (DESIGN 4)."""
    changes = "; ".join(amendment.deviations)
    return f"look {len(earlier) + 2}: p values not adjusted for looks; amended: {changes}"


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


def study_status(study: PreparedStudy) -> Mapping[RunState, int]:
    """How many runs of the plan are in which state, judged by their directories."""
    states = (run_state(study.workspace.run(run.run_id)) for run in study.plan.runs)
    return Counter(states)


def run_messages(study: PreparedStudy) -> Mapping[str, int]:
    """What finished runs say of their results, with the number of runs that say it."""
    results = (read_result(study.workspace.run(run.run_id)) for run in study.plan.runs)
    finished = (result for result in results if result is not None and result.status == "finished")
    return Counter(result.message for result in finished if result.message)
