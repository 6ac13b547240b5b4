"""The responses of a study, checked against what its runs will report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ablatekit.design.plan import PlannedResponse
from ablatekit.errors import Problem, StudyError, nearest
from ablatekit.records import MetricSpec
from ablatekit.study.load import LoadedStudy
from ablatekit.study.schema import ResponsePart

DEFAULT_ROLES = ("learning", "generalization")


def planned_responses(
    loaded: LoadedStudy, reported: Sequence[Sequence[MetricSpec]]
) -> tuple[tuple[PlannedResponse, ...], tuple[str, ...]]:
    """Responses and warnings; `reported` holds the metrics of each distinct run.

    Without responses in the study, the first metric of the roles learning and generalization.
    Raises StudyError for metrics that no run, or not every run, reports.
    """
    every, somewhere = _by_name(reported)
    parts = dict(loaded.study.responses) or _default_parts(every)
    if not parts:
        remedy = f"Name responses. Reported: {', '.join(sorted(every)) or 'nothing'}"
        where = loaded.where_key("backend")
        raise StudyError(Problem("the backend has no default responses", "", remedy, where))
    problems = list(_metric_problems(loaded, parts, every, somewhere))
    if problems:
        raise StudyError(*problems)
    planned = tuple(_planned(name, part, every[part.metric]) for name, part in parts.items())
    return planned, tuple(_direction_warnings(parts, every))


def _by_name(
    reported: Sequence[Sequence[MetricSpec]],
) -> tuple[dict[str, MetricSpec], dict[str, MetricSpec]]:
    """Metrics that every run reports, and those that at least one run reports."""
    somewhere = {spec.name: spec for one in reported for spec in one}
    common = set(somewhere).intersection(*({spec.name for spec in one} for one in reported))
    return {name: spec for name, spec in somewhere.items() if name in common}, somewhere


def _default_parts(metrics: Mapping[str, MetricSpec]) -> dict[str, ResponsePart]:
    parts: dict[str, ResponsePart] = {}
    for role in DEFAULT_ROLES:
        spec = next((one for one in metrics.values() if one.role == role), None)
        if spec is not None:
            parts[role] = ResponsePart(metric=spec.name)
    return parts


def _planned(name: str, part: ResponsePart, spec: MetricSpec) -> PlannedResponse:
    return PlannedResponse(
        name=name,
        metric=part.metric,
        summary=part.summary,
        direction=part.direction or spec.direction,
        smallest_effect=part.smallest_effect,
        items=part.items,
        label=part.label or name,
        unit=spec.unit,
        doc=spec.doc,
    )


def _metric_problems(
    loaded: LoadedStudy,
    parts: Mapping[str, ResponsePart],
    every: Mapping[str, MetricSpec],
    somewhere: Mapping[str, MetricSpec],
) -> Iterator[Problem]:
    for name, part in parts.items():
        if part.metric in every:
            continue
        where = loaded.where("responses", name, "metric")
        if part.metric in somewhere:
            rule = "a response needs a metric that every run reports; some cells do not report it"
            yield Problem(rule, part.metric, nearest(part.metric, every), where)
        else:
            yield Problem("unknown metric", part.metric, nearest(part.metric, every), where)


def _direction_warnings(
    parts: Mapping[str, ResponsePart], metrics: Mapping[str, MetricSpec]
) -> Iterator[str]:
    for name, part in parts.items():
        direction = metrics[part.metric].direction
        if part.direction is not None and part.direction != direction:
            yield (
                f"response {name!r} says {part.direction} is better; "
                f"the backend says {direction} for {part.metric}"
            )
