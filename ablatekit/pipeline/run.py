"""The only module that knows all stages, from the study file to the report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ablatekit.analysis.core.schema.analysis import SCHEMA_VERSION, Analysis
from ablatekit.analysis.study import analyse
from ablatekit.analysis.tables.study_tables import collect
from ablatekit.canonical import read_json, write_atomically
from ablatekit.dispatch.coordinator import (
    DispatchOptions,
    DispatchOutcome,
    coordinating,
    execute,
)
from ablatekit.dispatch.progress import Observer
from ablatekit.errors import DamagedFileError, Problem, WorkspaceError
from ablatekit.pipeline.frozen import (
    PreparedStudy,
    continued,
    freeze,
    frozen_deviations,
    require_interpreter,
    study_status,
)
from ablatekit.pipeline.provenance import provenance, results_hash, version_warnings
from ablatekit.pipeline.second_opinion import with_second_opinion
from ablatekit.report.write import analysis_json, write_report
from ablatekit.study.schema import DispatchPart
from ablatekit.themes import Theme
from ablatekit.tracking.mirror import MirrorOutcome, sync
from ablatekit.tracking.process import MirrorHandle, start_mirror


def _keep_silent(analysis: Analysis) -> None:
    """Nobody waits for the answer."""


def _unwatched(_what: str) -> AbstractContextManager[None]:
    """Nobody watches what takes its time."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """How an analysis is told: `show` is called with the answer before the rest is done.

    `phase` is entered with what is being done, for as long as it takes. A second opinion costs some
    seconds of another process.
    """

    theme: Theme | None = None
    second_opinion: bool = True
    show: Callable[[Analysis], None] = _keep_silent
    phase: Callable[[str], AbstractContextManager[None]] = _unwatched


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line adds to the study: None leaves a choice to the study.

    `only` are the ids of the runs to execute, None for all.
    """

    workers: Literal["auto"] | int | None = None
    limit: int | None = None
    only: frozenset[str] | None = None
    new: bool = False
    report: ReportOptions = ReportOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOutcome:
    """What `run_study` has achieved; `analysis` is None while runs are outstanding."""

    dispatch: DispatchOutcome
    mirror: MirrorOutcome | None
    analysis: Analysis | None
    report: Path | None
    fresh: bool


def run_study(study: PreparedStudy, options: RunOptions, observer: Observer) -> StudyOutcome:
    """Bring every run to a result, mirror them, analyse them and write the report.

    Idempotent: what is done is not done again, and a finished study is left as it is. Raises
    WorkspaceError when this study is running already, StudyError when another one was frozen.
    """
    with coordinating(study.plan.study, study.workspace):
        require_interpreter(study.plan)
        partial = options.limit is not None or options.only is not None
        study = freeze(study, new=options.new, partial=partial, tell=observer.note)
        dispatch, mirror = _execute(study, options, observer)
        if dispatch.counts.remaining or dispatch.interrupted:
            return StudyOutcome(
                dispatch=dispatch, mirror=mirror, analysis=None, report=None, fresh=False
            )
        stored = _current_analysis(study)
        return StudyOutcome(
            dispatch=dispatch,
            mirror=mirror,
            analysis=stored or analyse_study(study, options.report),
            report=study.directory.report / "index.html",
            fresh=stored is None,
        )


def _execute(
    study: PreparedStudy, options: RunOptions, observer: Observer
) -> tuple[DispatchOutcome, MirrorOutcome | None]:
    """Execute the runs, with the mirror following in its own process."""
    mirror = _start_mirror(study) if _has_work(study) else None
    try:
        dispatch = execute(study.plan, study.workspace, _dispatch_options(study, options), observer)
    finally:
        mirrored = _finished(mirror, options.report) if mirror else None
    return dispatch, mirrored


def _finished(mirror: MirrorHandle, options: ReportOptions) -> MirrorOutcome:
    with options.phase("waiting for the mirror to catch up"):
        return mirror.finish()


def _has_work(study: PreparedStudy) -> bool:
    """Whether a run has no result yet, or none of this plan has been analysed."""
    runs = (study.workspace.run(run.run_id) for run in study.plan.runs)
    return any(not run.result.exists() for run in runs) or _current_analysis(study) is None


def _start_mirror(study: PreparedStudy) -> MirrorHandle | None:
    if study.mirror is None:
        return None
    return start_mirror(study.directory.plan, study.workspace, study.mirror)


def _dispatch_options(study: PreparedStudy, options: RunOptions) -> DispatchOptions:
    part = study.loaded.study.dispatch
    return DispatchOptions(
        executor=part.executor,
        settings=part.beside(DispatchPart),
        workers=options.workers if options.workers is not None else part.workers,
        retries=part.retries,
        timeout=part.timeout_seconds,
        limit=options.limit,
        only=options.only,
        python=study.plan.python,
    )


def report_study(study: PreparedStudy, options: ReportOptions = ReportOptions()) -> Analysis:
    """Analyse whatever results there are and write the report; labelled interim while runs lack.

    Raises WorkspaceError when the study has never been run here, StudyError when it has changed.
    """
    return analyse_study(continued(study), options)


def analyse_study(study: PreparedStudy, options: ReportOptions = ReportOptions()) -> Analysis:
    """Write `analysis.json` and the report of the results there are."""
    analysis = analysed(study, options)
    theme = options.theme or study.loaded.study.report.theme
    with options.phase("writing the report"):
        write_atomically(study.directory.analysis, analysis_json(analysis))
        write_report(analysis, study.directory.report, theme)
    return analysis


def analysed(study: PreparedStudy, options: ReportOptions = ReportOptions()) -> Analysis:
    """The analysis of the results there are, with its second opinion; writes nothing."""
    with options.phase("analysing the results"):
        tables = collect(study.plan, study.workspace)
        deviations = (
            *frozen_deviations(study.directory),
            *_interim(study),
            *version_warnings(study),
        )
        analysis = analyse(study.plan, tables, provenance(study), deviations)
    options.show(analysis)
    if not options.second_opinion:
        return analysis
    with options.phase("asking statsmodels for a second opinion"):
        return with_second_opinion(analysis, study.plan, tables)


def _interim(study: PreparedStudy) -> list[str]:
    states = study_status(study)
    outstanding = sum(states.get(state, 0) for state in ("planned", "running", "interrupted"))
    if not outstanding:
        return []
    return [f"interim analysis: {outstanding} of {len(study.plan.runs)} runs are outstanding"]


def any_estimate(analysis: Analysis) -> bool:
    """Whether any effect of any response has been estimated."""
    effects = (row for response in analysis["responses"].values() for row in response["effects"])
    return any(row["se"] is not None for row in effects)


def sync_study(study: PreparedStudy) -> MirrorOutcome:
    """Rebuild what the mirror lacks from the run directories. Needs a mirror that is on."""
    mirror = study.mirror
    if mirror is None:
        raise WorkspaceError(
            Problem(
                "this study has no mirror",
                f"tracker: {study.loaded.study.tracking.tracker}, switched off",
                "Say under `tracking:` of the study where its runs are mirrored",
            )
        )
    outcome = sync(study.plan, study.workspace, mirror.tracker, mirror.settings)
    if outcome.warning:
        remedy = "Repeat the command once the tracker can be reached; nothing is lost"
        raise WorkspaceError(Problem(outcome.warning, remedy=remedy))
    return outcome


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
    return stored if current and known == (study.plan.hash, results_hash(study)) else None
