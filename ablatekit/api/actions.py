"""What one does with studies and tables in Python: the pipeline of the command line, no other."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ablatekit.api.messages import told_in_python
from ablatekit.api.progress import chosen_observer, in_notebook
from ablatekit.api.results import (
    ComparedStudies,
    StudyAnalysis,
    StudyPlan,
    StudyRuns,
    StudyStatus,
)
from ablatekit.api.study import Study, as_study
from ablatekit.errors import Problem, UsageError
from ablatekit.runs.workspace import Workspace, find_workspace
from ablatekit.themes import Theme

if TYPE_CHECKING:
    from ablatekit.analysis.core.schema.analysis import Analysis
    from ablatekit.pipeline.frozen import PreparedStudy
    from ablatekit.pipeline.run import StudyOutcome

WORKER = "ablatekit.worker"
OPINION = "ABLATEKIT_SECOND_OPINION"


@told_in_python
def plan(study: Study | str | Path, *, workspace: str | Path | None = None) -> StudyPlan:
    """What a study would run: cells, runs, their order and warnings. Nothing is run.

    `study` is a Study or the path of its file; `workspace` is where results lie, by default
    $ABLATEKIT_WORKSPACE or ./ablatekit-out. Raises StudyError for whatever cannot be run.
    """
    return StudyPlan(_prepared(study, workspace))


@told_in_python
def run(
    study: Study | str | Path,
    *,
    workspace: str | Path | None = None,
    workers: Literal["auto"] | int | None = None,
    limit: int | None = None,
    new: bool = False,
    second_opinion: bool | None = None,
    progress: bool = True,
) -> StudyRuns:
    """Run a study to its report; the same call resumes it, and a finished one is a no-op.

    `limit` executes at most so many runs; `new` starts a changed study anew; `second_opinion`
    recomputes the numbers with statsmodels, in some seconds of another process, by default unless
    $ABLATEKIT_SECOND_OPINION is 0. Runs that fail are in `failed` of what is returned, which raises
    nothing for them. Raises StudyError, and WorkspaceError where this study is running already.
    """
    from ablatekit.pipeline.run import ReportOptions, RunOptions, run_study

    _refuse_worker()
    _check_counts(workers=workers, limit=limit)
    prepared = _prepared(study, workspace)
    wanted = _wants_opinion() if second_opinion is None else second_opinion
    telling = ReportOptions(second_opinion=wanted)
    options = RunOptions(workers=workers, limit=limit, new=new, report=telling)
    outcome = run_study(prepared, options, chosen_observer(shown=progress))
    return _runs(prepared, outcome)


def _check_counts(**counts: str | int | None) -> None:
    wrong = [
        Problem(f"{name} is a whole number from 1", f"{name}={value!r}")
        for name, value in counts.items()
        if value is not None
        and value != "auto"
        and (not isinstance(value, int) or isinstance(value, bool) or value < 1)
    ]
    if wrong:
        raise UsageError(*wrong)


def _wants_opinion() -> bool:
    """What the environment says of second opinions, as the command line reads it."""
    return os.environ.get(OPINION, "1").lower() not in ("0", "false", "no", "off")


def _runs(prepared: PreparedStudy, outcome: StudyOutcome) -> StudyRuns:
    mirror = outcome.mirror.warning if outcome.mirror is not None else None
    return StudyRuns(
        outcome.dispatch,
        None if outcome.analysis is None else _of_study(prepared, outcome.analysis),
        outcome.report,
        (mirror,) if mirror else (),
    )


def _of_study(prepared: PreparedStudy, analysis: Analysis) -> StudyAnalysis:
    from ablatekit.analysis.tables.study_tables import collect

    return StudyAnalysis(
        analysis, prepared.plan, lambda: collect(prepared.plan, prepared.workspace)
    )


def _refuse_worker() -> None:
    """A file that runs a study when it is imported would start one inside of every run."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if getattr(spec, "name", "") == WORKER:
        remedy = 'Put the call below `if __name__ == "__main__":`, or in another file'
        rule = "a study cannot be run by the file that its runs import"
        raise UsageError(Problem(rule, "", remedy))


@told_in_python
def status(study: Study | str | Path, *, workspace: str | Path | None = None) -> StudyStatus:
    """Where the runs of a study stand in a workspace."""
    return StudyStatus(_prepared(study, workspace))


@told_in_python
def analyze(
    source: Any,
    *,
    response: str | Sequence[str] | None = None,
    factors: str | Sequence[str] | None = None,
    contexts: str | Sequence[str] | None = None,
    workspace: str | Path | None = None,
    second_opinion: bool = False,
    **options: Any,
) -> StudyAnalysis:
    """Effects from a study's results so far, or from a table with one row per run (or item).

    `source` is a Study, the path of its file, a data frame, or whatever `ablatekit analyze` reads:
    a file, a folder, `mlflow:NAME`. Of a table, `response`, `factors` and `contexts` name columns;
    what is not named is proposed, and told. `options` are those of the command line by their names:
    baselines (factor -> level), where (column -> level), exclude, direction, unit, smallest_effect,
    alpha, interactions, diverged, price, scales, covariates, predict_at, wide, reader; with
    `formula` those of a mixed model, too. Raises TableError for a table, and
    WorkspaceError for a study without results.
    """
    if isinstance(source, Study) or _is_study_file(source):
        _refuse_table_options(response, factors, contexts, *options)
        return _analyzed_study(source, workspace, second_opinion=second_opinion)
    from ablatekit.api.tables import analyzed_table

    roles = {"response": response, "factors": factors, "contexts": contexts}
    return analyzed_table(source, roles, options, second_opinion=second_opinion)


def _is_study_file(source: Any) -> bool:
    return isinstance(source, str | Path) and Path(source).suffix.lower() in (".yaml", ".yml")


def _refuse_table_options(*given: Any) -> None:
    named = [str(value) for value in given if value]
    if named:
        remedy = "Leave them out: a study states its own responses, factors and contexts"
        raise UsageError(Problem("a study is analysed as it was planned", ", ".join(named), remedy))


def _analyzed_study(
    study: Study | str | Path, workspace: str | Path | None, *, second_opinion: bool
) -> StudyAnalysis:
    from ablatekit.pipeline.frozen import continued
    from ablatekit.pipeline.run import ReportOptions, analysed

    prepared = continued(_prepared(study, workspace))
    return _of_study(prepared, analysed(prepared, ReportOptions(second_opinion=second_opinion)))


@told_in_python
def compare(
    first: StudyAnalysis | StudyRuns | Study | str | Path,
    second: StudyAnalysis | StudyRuns | Study | str | Path,
    *,
    workspace: str | Path | None = None,
) -> ComparedStudies:
    """Hold the effects of two studies against each other: agree, differ or undecided.

    Each is an analysis, what `run` returned, a study that has been run, or the path of a study, a
    bundle or an analysis.json.
    """
    from ablatekit.report.comparison.studies import studies_of

    return ComparedStudies(studies_of(_data(first, workspace), _data(second, workspace)))


def _data(
    source: StudyAnalysis | StudyRuns | Study | str | Path, workspace: str | Path | None
) -> Analysis:
    from ablatekit.pipeline.stored import stored_analysis

    if isinstance(source, StudyRuns):
        source = source.analyzed
    if isinstance(source, StudyAnalysis):
        return source.data
    if isinstance(source, Study):
        return _analyzed_study(source, workspace, second_opinion=False).data
    if not isinstance(source, str | Path):
        remedy = "Give an analysis, what run(study) returned, a study, or the path of one"
        raise UsageError(Problem("nothing to compare", type(source).__name__, remedy))
    return stored_analysis(Path(source), Path(workspace) if workspace else None)


@told_in_python
def write_report(
    result: StudyAnalysis | StudyRuns | ComparedStudies,
    folder: str | Path,
    *,
    theme: Theme = "auto",
) -> Path:
    """Write the report of an analysis, or the page of a comparison, to a folder; the page."""
    if isinstance(result, StudyRuns):
        result = result.analyzed
    if not isinstance(result, StudyAnalysis | ComparedStudies):
        remedy = "Give what analyze(...), run(study) or compare(...) returned"
        raise UsageError(Problem("nothing to report", type(result).__name__, remedy))
    return result.write_report(folder, theme)


def _prepared(study: Study | str | Path, workspace: str | Path | None) -> PreparedStudy:
    from ablatekit.cli.console import planning_progress
    from ablatekit.pipeline.frozen import prepare_loaded

    place = _workspace(workspace)
    loaded = as_study(study).placed(place)
    with planning_progress(silent=in_notebook()) as told:
        return prepare_loaded(loaded, place, told)


def _workspace(option: str | Path | None) -> Workspace:
    return find_workspace(None if option is None else Path(option))
