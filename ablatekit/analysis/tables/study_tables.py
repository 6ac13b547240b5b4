"""The tidy tables that analysis reads: one row per planned run, long metric histories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ablatekit.analysis.core.layout import context_label
from ablatekit.design.plan import Plan, PlannedRun
from ablatekit.runs.records import MetricEvent, part_metric
from ablatekit.runs.runlog import read_end, read_history, read_items, read_result, run_state
from ablatekit.runs.workspace import RunDirectory, Workspace

RUN_COLUMNS = ("run", "unit", "context", "replicate", "order", "status", "message")
HISTORY_COLUMNS = ("run", "step", "metric", "value")
RESULT_COLUMNS = ("run", "metric", "value")
OUTCOME_COLUMNS = ("run", "split", "dataset", "item", "samples", "total")

HistoryRow = tuple[str, int, str, float]


def _empty(columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({column: [] for column in columns})


@dataclass(frozen=True)
class StudyTables:
    """What the runs of a study reported.

    `runs`: run, unit, one column per factor (the level) and per context variable, `context` (their
    label), replicate, order, status (finished | diverged | failed | missing) and message; a merged
    unit shows the levels of its first cell. `history`: run, step, metric, value. `results`: run,
    metric, value, the last valid metrics of runs that have a result. `outcomes`: run, split,
    dataset, item, samples, total: the item outcomes of each run's last evaluation, summed over
    samples, of the splits that responses name.
    """

    runs: pd.DataFrame
    history: pd.DataFrame
    results: pd.DataFrame = field(default_factory=lambda: _empty(RESULT_COLUMNS))
    outcomes: pd.DataFrame = field(default_factory=lambda: _empty(OUTCOME_COLUMNS))


def collect(plan: Plan, workspace: Workspace) -> StudyTables:
    """Read every planned run's directory: statuses, and the metrics that the analysis uses."""
    responses = plan.analysis.responses
    wanted = {response.metric for response in responses}
    wanted.update(part_metric(response.metric) for response in responses if response.partial)
    wanted.update(plan.cost_metrics)
    splits = item_splits(plan)
    rows, history, results = [], list[HistoryRow](), list[tuple[str, str, float]]()
    outcomes: list[pa.Table] = []
    levels = _first_cells(plan)
    for run in sorted(plan.runs, key=lambda run: run.order):
        directory = workspace.run(run.run_id)
        result = read_result(directory)
        status = result.status if result else run_state(directory)
        message = result.message if result else _last_words(directory)
        rows.append(_run_row(run, levels[run.unit], status, message))
        if result is not None:
            history.extend(_history_rows(run.run_id, read_history(directory), wanted))
            final = ((name, value) for name, value in result.metrics.items() if name in wanted)
            results.extend((run.run_id, name, value) for name, value in final)
            outcomes.extend(_last_outcomes(run.run_id, read_items(directory), splits))
    return StudyTables(
        runs=pd.DataFrame(rows),
        history=pd.DataFrame(history, columns=list(HISTORY_COLUMNS)),
        results=pd.DataFrame(results, columns=list(RESULT_COLUMNS)),
        outcomes=_outcome_frame(outcomes),
    )


def item_splits(plan: Plan) -> tuple[str, ...]:
    """The splits whose item outcomes are analysed: of responses that are final values."""
    final = (r for r in plan.analysis.responses if r.items and r.summary == "final")
    return tuple(dict.fromkeys(str(response.items) for response in final))


def _last_outcomes(
    run_id: str, items: pa.Table | None, splits: Sequence[str]
) -> Iterator[pa.Table]:
    """Outcomes of each split at its last step, one row per item."""
    if items is None:
        return
    for split in splits:
        of_split = items.filter(pc.field("split") == split)
        if not of_split.num_rows:
            continue
        last = of_split.filter(pc.field("step") == pc.max(of_split["step"]))
        summed = last.group_by(["dataset", "item"], use_threads=False).aggregate(
            [("outcome", "count"), ("outcome", "sum")]
        )
        labels = {"run": run_id, "split": split}
        columns = [pa.array([text] * summed.num_rows) for text in labels.values()]
        columns += [pc.cast(summed[name], pa.string()) for name in ("dataset", "item")]
        columns += [pc.cast(summed["outcome_count"], pa.int64())]
        columns += [pc.cast(summed["outcome_sum"], pa.float64())]
        yield pa.table(columns, names=list(OUTCOME_COLUMNS))


def _outcome_frame(parts: Sequence[pa.Table]) -> pd.DataFrame:
    if not parts:
        return _empty(OUTCOME_COLUMNS)
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas(strings_to_categorical=True)
    return frame


def _first_cells(plan: Plan) -> dict[str, dict[str, str]]:
    cells: dict[str, dict[str, str]] = {}
    for cell in plan.cells:
        cells.setdefault(cell.unit, dict(cell.levels))
    return cells


def _last_words(directory: RunDirectory) -> str:
    """Why the last attempt of a run without a result ended."""
    attempts = directory.attempts()
    end = read_end(attempts[-1]) if attempts else None
    return end.message if end else ""


def _run_row(
    run: PlannedRun, levels: dict[str, str], status: str, message: str
) -> dict[str, object]:
    known = status in ("finished", "diverged", "failed")
    return {
        "run": run.run_id,
        "unit": run.unit,
        **levels,
        **run.context,
        "context": context_label(run.context),
        "replicate": run.replicate,
        "order": run.order,
        "status": status if known else "missing",
        "message": message,
    }


def _history_rows(
    run_id: str, events: tuple[MetricEvent, ...], wanted: set[str]
) -> Iterator[HistoryRow]:
    for event in events:
        for name, value in event.metrics.items():
            if name in wanted:
                yield run_id, event.step, name, value
