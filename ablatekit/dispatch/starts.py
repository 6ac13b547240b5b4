"""What the first run of a context tells before the others have ended.

A hopeless start, and responses of which no run will have a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ablatekit.design.plan import BETWEEN_LEVELS, Bound, Plan, PlannedRun
from ablatekit.errors import nearest
from ablatekit.runs.records import PROPORTION_UNITS
from ablatekit.runs.runlog import read_history, read_result
from ablatekit.runs.workspace import Workspace

MEANING: dict[Bound, str] = {"worst": "nothing to reinforce", "best": "nothing left to learn"}


def start_warnings(plan: Plan, run: PlannedRun, workspace: Workspace) -> Iterator[str]:
    """A sentence for each value of metrics that a run scored the worst or the best at step 0.

    Responses name the metrics; a proportion of exactly 0 or 1 is one of every item. Backends say
    what to try at it, or there is no sentence.
    """
    directory = workspace.run(run.run_id)
    first: dict[str, float] = {}
    for event in read_history(directory):
        if event.step == 0:
            first.update(event.metrics)
    where = _where(run)
    for (value, bound, advice), metrics in _at_bounds(plan, first).items():
        yield (
            f"warning: {where}before training every item of {' and '.join(metrics)} scores"
            f" {value:g}: {MEANING[bound]}. What to try: {advice}. Log of this run:"
            f" {directory.attempts()[-1].logs}"
        )


def absence_warnings(plan: Plan, run: PlannedRun, workspace: Workspace) -> Iterator[str]:
    """A sentence for each response whose metric a finished run has not reported.

    Of backends that know their metrics only after a run; others have refused such a response.
    """
    directory = workspace.run(run.run_id)
    result = read_result(directory)
    if "metric_names" not in plan.lacks or result is None or result.status != "finished":
        return
    reported = {name for event in read_history(directory) for name in event.metrics}
    for response in plan.analysis.responses:
        if response.metric not in reported:
            known = nearest(response.metric, reported)
            yield (
                f"warning: {_where(run)}the first run to finish has no metric {response.metric!r}"
                f" for the response {response.name!r}. {known}{'' if known[-1] == '?' else '.'}"
                " Runs keep what they reported: stop, correct the study and run it with --new"
            )


def _where(run: PlannedRun) -> str:
    return f"{BETWEEN_LEVELS.join(run.context.values())}: " if run.context else ""


def _at_bounds(
    plan: Plan, first: Mapping[str, float]
) -> Mapping[tuple[float, Bound, str], list[str]]:
    """Metrics by what they say alike: value at step 0, end of the scale, and what to try."""
    shares = (part for part in plan.analysis.responses if part.unit.lower() in PROPORTION_UNITS)
    alike: dict[tuple[float, Bound, str], list[str]] = {}
    for response in {response.metric: response for response in shares}.values():
        value = first.get(response.metric)
        bound = None if value is None else response.bound_at(value)
        if value is not None and bound is not None:
            named = alike.setdefault((value, bound, response.remedy_at(value)), [])
            named.append(response.metric)
    return alike
