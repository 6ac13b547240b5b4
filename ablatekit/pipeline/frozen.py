"""A study on its way to the frozen plan: prepared, frozen, continued, and where its runs stand."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ablatekit.backend import Progress
from ablatekit.canonical import read_json, write_atomically, write_json
from ablatekit.design.amend import Amendment, amend_plan
from ablatekit.design.build import build_plan, study_backend, untold
from ablatekit.design.plan import Plan
from ablatekit.errors import (
    DamagedFileError,
    PluginError,
    Problem,
    StudyError,
    WorkspaceError,
)
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


def require_interpreter(plan: Plan) -> None:
    """Before anything is frozen: a plan that names another interpreter needs it on this machine."""
    if plan.python is not None and shutil.which(plan.python) is None:
        remedy = "Set backend.python to an interpreter that has ablatekit and the backend"
        raise PluginError(Problem("backend.python is no program here", plan.python, remedy))


def _untold(_line: str) -> None:
    """Nobody waits to hear it."""


def freeze(
    study: PreparedStudy,
    *,
    new: bool = False,
    partial: bool = False,
    tell: Callable[[str], None] = _untold,
) -> PreparedStudy:
    """Write the study and its plan before the first run, or continue the plan that was frozen.

    `partial`: only some runs are asked for (a smoke run). A plan of which nothing else was ever
    asked, and that nobody has analysed, is provisional: whatever the study says replaces it.
    Raises StudyError when a shared setting, a response or the analysis has changed, unless `new`.
    """
    directory = study.directory
    if not directory.plan.exists():
        return _write_plan(study, (), provisional=partial)
    for line in outlook(study, new=new):
        tell(line)
    frozen = _frozen_plan(directory)
    if is_provisional(directory):
        kept = frozen == study.plan and partial
        return study if kept else _write_plan(study, (), provisional=partial)
    if frozen == study.plan:
        return study
    amendment = amend_plan(frozen, study.plan, fresh=new, file=str(study.loaded.path))
    amended = replace(study, plan=amendment.plan)
    if amended.plan == frozen:
        return amended
    seen = directory.analysis.exists() and bool(amendment.deviations)
    earlier = frozen_deviations(directory)
    return _write_plan(amended, (*earlier, _look(earlier, amendment)) if seen else earlier)


def outlook(study: PreparedStudy, *, new: bool = False) -> tuple[str, ...]:
    """What a study changes of the plan that was frozen here, a line each; nothing where it agrees.

    Raises StudyError where `freeze` does.
    """
    directory = study.directory
    frozen = _frozen_plan(directory) if directory.plan.exists() else study.plan
    if frozen == study.plan:
        return ()
    if is_provisional(directory):
        return () if frozen.hash == study.plan.hash else (_replaced(study),)
    amendment = amend_plan(frozen, study.plan, fresh=new, file=str(study.loaded.path))
    return tuple(_amended(frozen, amendment))


def _replaced(study: PreparedStudy) -> str:
    runs = study.plan.runs
    done = sum(study.workspace.run(run.run_id).result.exists() for run in runs)
    return (
        "only smoke runs (--limit) were asked for so far: the changed study replaces its plan;"
        f" {done} of its {len(runs)} runs have a result already"
    )


def _amended(frozen: Plan, amendment: Amendment) -> Iterator[str]:
    if amendment.renames:
        told = "; ".join(str(rename) for rename in amendment.renames)
        yield f"{told}: the same runs"
    if amendment.added:
        added, before = len(amendment.added), len(frozen.runs)
        yield f"{added} runs are added to the {before} that were planned here before"
    if amendment.changes:
        changes = "; ".join(str(change) for change in amendment.changes)
        left_out = f"{len(amendment.dropped)} planned runs are left out"
        yield f"started anew, {left_out}; changed: {changes}"


def is_provisional(directory: StudyDirectory) -> bool:
    """Whether only a part of the plan's runs was ever asked for, and none has been analysed."""
    if not directory.plan.exists() or directory.analysis.exists():
        return False
    return bool(read_json(directory.plan).get("provisional"))


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


def _write_plan(
    study: PreparedStudy, deviations: Sequence[str], *, provisional: bool = False
) -> PreparedStudy:
    directory = study.directory
    directory.path.mkdir(parents=True, exist_ok=True)
    write_atomically(directory.study_file, masked(study.loaded.text).encode())
    overrides = [masked(option) for option in study.loaded.overrides]
    frozen: dict[str, object] = {"deviations": list(deviations), "overrides": overrides}
    if provisional:
        frozen["provisional"] = True
    write_json(directory.plan, {**study.plan.to_json(), **frozen})
    return study


def _look(earlier: Sequence[str], amendment: Amendment) -> str:
    """The label of a study that was amended after its analysis was seen (DESIGN 4)."""
    changes = "; ".join(amendment.deviations)
    return f"look {len(earlier) + 2}: p values not adjusted for looks; amended: {changes}"


def continued(study: PreparedStudy) -> PreparedStudy:
    """The study with the plan that was frozen here, as far as its file still agrees with it.

    Raises WorkspaceError when the study has never been run here, StudyError when it has changed;
    one of which only smoke runs were made is as its file says.
    """
    directory = study.directory
    if not directory.plan.exists():
        remedy = f"Run it first: ablatekit study run {study.loaded.path}"
        raise WorkspaceError(
            Problem("this study has no runs in this workspace", str(directory.path), remedy)
        )
    if is_provisional(directory):
        return study
    amendment = amend_plan(_frozen_plan(directory), study.plan, file=str(study.loaded.path))
    return replace(study, plan=amendment.plan)


def as_planned_here(study: PreparedStudy) -> PreparedStudy:
    """The study whose runs lie here, whatever its file says by now."""
    try:
        return continued(study) if study.directory.plan.exists() else study
    except StudyError:
        return replace(study, plan=_frozen_plan(study.directory))


def study_status(study: PreparedStudy) -> Mapping[RunState, int]:
    """How many runs of the plan are in which state, judged by their directories."""
    states = (run_state(study.workspace.run(run.run_id)) for run in study.plan.runs)
    return Counter(states)


def run_messages(study: PreparedStudy) -> Mapping[str, int]:
    """What finished runs say of their results, with the number of runs that say it."""
    results = (read_result(study.workspace.run(run.run_id)) for run in study.plan.runs)
    finished = (result for result in results if result is not None and result.status == "finished")
    return Counter(result.message for result in finished if result.message)
