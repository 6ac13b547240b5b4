"""Runs that were made elsewhere become runs of a study: its plan has them as done.

What the study lacks of a full crossing is then planned as every other run is. Adopting twice
changes nothing; a result that is there already stays as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ablatekit.analysis.proposal.base import Proposal
from ablatekit.analysis.tables.item_table import DATASET, ITEM, RUN
from ablatekit.analysis.tables.words import STATUS, ending_of
from ablatekit.canonical import write_atomically, write_json
from ablatekit.design.plan import PlannedRun, cells_by_unit, run_label
from ablatekit.dispatch.coordinator import coordinating
from ablatekit.errors import Location, Problem, UsageError, WorkspaceError
from ablatekit.logs.base import LoggedRun
from ablatekit.pipeline.adopted_study import AdoptedStudy
from ablatekit.pipeline.frozen import PreparedStudy, freeze, prepare_loaded
from ablatekit.runs.eventlog import EventWriter
from ablatekit.runs.records import RunResult, RunStatus
from ablatekit.runs.runlog import (
    ADOPTED,
    Claim,
    ItemsWriter,
    claim_attempt,
    read_result,
    write_claim,
    write_result,
)
from ablatekit.runs.workspace import Workspace
from ablatekit.study.load import parse_study
from ablatekit.version import __version__

SAMPLE = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRun:
    """A run that was made elsewhere: `place` are its levels in the words of the study.

    `replicate` is None for a repeat that has no place in the study, with the `reason`.
    """

    name: str
    place: tuple[str, ...]
    replicate: int | None
    status: RunStatus
    metrics: Mapping[str, float]
    items: pd.DataFrame | None
    reason: str = ""


@dataclass(slots=True)
class Adoption:
    """What has become of the runs: names of adopted ones, of those that were there, and reasons.

    `missing` are the runs of the plan that have no result.
    """

    study: PreparedStudy
    adopted: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def adopt(
    frame: pd.DataFrame,
    proposal: Proposal,
    described: AdoptedStudy,
    file: Path,
    workspace: Workspace,
    logged: Mapping[str, LoggedRun],
    *,
    replace: bool,
) -> Adoption:
    """Writes the study file, freezes its plan and brings every run that has a place into it.

    `frame` holds the rows that the proposal is about, factors and contexts as text; `logged` the
    histories by the name of the run, as far as they are known. Raises WorkspaceError for a study
    file with another content, unless `replace`, and what a study that cannot be planned raises.
    """
    study = prepare_loaded(parse_study(described.text, file), workspace)
    _refuse_other(file, described.text, replace=replace)
    with coordinating(study.plan.study, workspace):
        study = freeze(study, new=replace)
        write_atomically(file, described.text.encode())
        outcome = Adoption(study)
        planned = _by_place(study)
        for run in foreign_runs(frame, proposal, described):
            _take(run, planned, outcome, described, logged.get(run.name))
    outcome.missing = tuple(_missing(study))
    return outcome


def _refuse_other(file: Path, text: str, *, replace: bool) -> None:
    where = Location(str(file))
    if not file.parent.is_dir():
        raise UsageError(Problem("its folder does not exist", str(file.parent), "", where))
    if file.exists() and file.read_text(encoding="utf-8") != text and not replace:
        remedy = "Name another file by -o, or say --replace: runs stay in the workspace"
        raise WorkspaceError(
            Problem("there is such a file with another content", "", remedy, where)
        )


def _by_place(study: PreparedStudy) -> dict[tuple[tuple[str, ...], int], PlannedRun]:
    """The planned runs by the levels of factors and contexts, and the replicate."""
    cells = cells_by_unit(study.plan)
    return {
        ((*cells[run.unit].levels.values(), *run.context.values()), run.replicate): run
        for run in study.plan.runs
    }


def _missing(study: PreparedStudy) -> Iterator[str]:
    cells = cells_by_unit(study.plan)
    for run in sorted(study.plan.runs, key=lambda planned: planned.order):
        if not study.workspace.run(run.run_id).result.exists():
            yield run_label(cells[run.unit], run)


def foreign_runs(
    frame: pd.DataFrame, proposal: Proposal, described: AdoptedStudy
) -> Iterator[ForeignRun]:
    """Every run of a table, in its order, with its place in the study."""
    taken: Counter[tuple[str, ...]] = Counter()
    given: set[tuple[tuple[str, ...], int]] = set()
    for name, rows in _runs(frame, proposal):
        first = rows.iloc[0]
        place = described.place_of(first)
        metrics = _metrics(rows, described.metrics)
        reason = _no_result(first, metrics, proposal.responses)
        number = described.replicate_of(first, taken[place])
        if not reason and (place, number) in given:
            reason = "another run of its cell has the same seed"
        if not reason:
            taken[place] += 1
            given.add((place, number))
        ended = ending_of(str(first.get(STATUS)))
        yield ForeignRun(
            name=name,
            place=place,
            replicate=None if reason else number,
            status="diverged" if ended == "diverged" else "finished",
            metrics=metrics,
            items=rows if proposal.by_item else None,
            reason=reason,
        )


def _runs(frame: pd.DataFrame, proposal: Proposal) -> Iterator[tuple[str, pd.DataFrame]]:
    if proposal.by_item:
        for name, rows in frame.groupby(RUN, sort=False):
            yield str(name), rows
        return
    names = _names(frame)
    for number, name in enumerate(names):
        yield name, frame.iloc[[number]]


def _names(frame: pd.DataFrame) -> list[str]:
    """What runs are called: the column `run` where it tells all of them apart, else their rows."""
    if RUN in frame.columns and frame[RUN].notna().all() and frame[RUN].is_unique:
        return [str(name) for name in frame[RUN]]
    return [f"row {number}" for number in range(1, len(frame) + 1)]


def _metrics(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, float]:
    """The measures of a run that have a value; of items the means."""
    numbers = {name: pd.to_numeric(rows[name], errors="coerce").mean() for name in names}
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def _no_result(row: pd.Series[Any], metrics: Mapping[str, float], needed: Sequence[str]) -> str:
    """Why a run has no result; empty where it has one."""
    ended = ending_of(str(row.get(STATUS)))
    if ended in ("failed", "missing"):
        return f"its status is {row[STATUS]}"
    lacking = [name for name in needed if name not in metrics]
    return f"it has no {', '.join(lacking)}" if lacking else ""


def _take(
    run: ForeignRun,
    planned: Mapping[tuple[tuple[str, ...], int], PlannedRun],
    outcome: Adoption,
    described: AdoptedStudy,
    logged: LoggedRun | None,
) -> None:
    """Bring one run into the workspace, unless it is there or has no place."""
    if run.replicate is None:
        outcome.refused[run.name] = run.reason
        return
    target = planned[(run.place, run.replicate)]
    result = read_result(outcome.study.workspace.run(target.run_id))
    if result is None:
        done = _import(run, target, outcome.study, described, logged)
        if done:
            outcome.adopted.append(run.name)
        else:
            outcome.refused[run.name] = f"run {target.run_id} is being executed"
    elif dict(result.metrics) == dict(run.metrics) and result.status == run.status:
        outcome.known.append(run.name)
    else:
        outcome.refused[run.name] = f"run {target.run_id} has another result, which stays"


def _import(
    run: ForeignRun,
    target: PlannedRun,
    study: PreparedStudy,
    described: AdoptedStudy,
    logged: LoggedRun | None,
) -> bool:
    """Write the directory of a run as its worker would have; False while another process does."""
    directory = study.workspace.run(target.run_id)
    directory.path.mkdir(parents=True, exist_ok=True)
    write_json(directory.spec, target.spec.to_json())
    versions = {ADOPTED: described.source}
    with claim_attempt(directory) as attempt:
        if attempt is None:
            return False
        origin = {"run": run.name, "ablatekit": __version__}
        plan = study.plan
        claim = Claim.by_this_process(plan.study, plan.hash, {**versions, **origin})
        write_claim(attempt, claim)
        events = EventWriter(attempt)
        try:
            for event in logged.history if logged is not None else ():
                events.write(event)
            events.sync()
        finally:
            events.close()
        if run.items is not None:
            ItemsWriter(attempt).write(0, _outcomes(run.items, described.response))
        said = f"adopted from {described.source}"
        result = RunResult(status=run.status, metrics=run.metrics, message=said)
        write_result(directory, attempt, result, versions)
    return True


def _outcomes(rows: pd.DataFrame, response: str) -> dict[str, list[Any]]:
    """Item outcomes as a backend logs them; their split is the response."""
    known = rows[rows[response].notna()]
    of_item = [name for name in (DATASET, ITEM) if name in rows]
    samples = known[SAMPLE] if SAMPLE in rows else known.groupby(of_item, sort=False).cumcount()
    return {
        "split": [response] * len(known),
        "dataset": [str(v) for v in known[DATASET]] if DATASET in rows else [""] * len(known),
        "item": [str(value) for value in known[ITEM]],
        "sample": [int(value) for value in samples],
        "outcome": [float(value) for value in known[response]],
    }
