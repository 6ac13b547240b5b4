"""The responses of a study, checked against what its runs will report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ablatekit.design.plan import PlannedResponse, cost_unit
from ablatekit.errors import Problem, StudyError, nearest
from ablatekit.runs.records import Direction, MetricSpec
from ablatekit.study.load import LoadedStudy
from ablatekit.study.schema import ResponsePart
from ablatekit.study.summaries import is_last_value, parse_summary

DEFAULT_ROLES = ("learning", "generalization")


def planned_responses(
    loaded: LoadedStudy, reported: Sequence[Sequence[MetricSpec]], *, names_known: bool = True
) -> tuple[tuple[PlannedResponse, ...], tuple[str, ...]]:
    """Responses and warnings; `reported` holds the metrics of each distinct run.

    Without responses in the study, the first metric of the roles learning and generalization.
    Raises StudyError for metrics that no run, or not every run, reports. Unless `names_known`, runs
    report others, too, and a response of such a metric says its direction.
    """
    every, somewhere = _by_name(reported)
    if not names_known:
        every |= _undeclared(loaded, somewhere)
        somewhere |= every
    parts = dict(loaded.study.responses) or _default_parts(every)
    if not parts:
        reported_names = f". It reports: {', '.join(sorted(every))}" if every else ""
        remedy = (
            f"Name one: responses: {{NAME: {{metric: NAME, direction: higher}}}}{reported_names}"
        )
        where = loaded.where_key("backend")
        raise StudyError(Problem("the backend has no default responses", "", remedy, where))
    problems = list(_metric_problems(loaded, parts, every, somewhere))
    problems += _item_problems(loaded, parts, somewhere)
    if problems:
        raise StudyError(*problems)
    planned = tuple(_planned(name, part, every[part.metric]) for name, part in parts.items())
    warnings = (_direction_warnings, _partial_warnings)
    return planned, tuple(text for warn in warnings for text in warn(planned, every))


def _undeclared(loaded: LoadedStudy, declared: Mapping[str, MetricSpec]) -> dict[str, MetricSpec]:
    """Metrics that only the study's responses name, as these describe them."""
    parts = loaded.study.responses.items()
    undeclared = {name: part for name, part in parts if part.metric not in declared}
    for name, part in undeclared.items():
        if part.direction is None and not _is_time(part.summary):
            where = loaded.where("responses", name)
            rule = f"response {name!r} does not say which way is better"
            remedy = "Add direction: higher, or direction: lower"
            raise StudyError(Problem(rule, part.metric, remedy, where))
    return {
        part.metric: MetricSpec(
            name=part.metric, direction=part.direction or "lower", items=part.items or ""
        )
        for part in undeclared.values()
    }


def planned_price(loaded: LoadedStudy, reported: Sequence[Sequence[MetricSpec]]) -> str | None:
    """The cost metric that the study names by its name, its unit or the last word of its name.

    Raises StudyError for what names no cost metric of every run, or several of them.
    """
    wanted = loaded.study.analysis.price
    if wanted is None:
        return None
    costs = {name: spec for name, spec in _by_name(reported)[0].items() if spec.role == "cost"}
    named = [name for name, spec in costs.items() if wanted in (spec.unit, cost_unit(name))]
    chosen = [wanted] if wanted in costs else named
    if len(chosen) == 1:
        return chosen[0]
    words = list(dict.fromkeys((*map(cost_unit, costs), *costs)))
    remedy = f"Name one: {', '.join(named)}" if named else nearest(wanted, words)
    rule = (
        "the price counts several metrics" if named else "no cost metric of every run is so named"
    )
    where = loaded.where("analysis", "price")
    raise StudyError(Problem(rule, repr(wanted), remedy, where))


def _by_name(
    reported: Sequence[Sequence[MetricSpec]],
) -> tuple[dict[str, MetricSpec], dict[str, MetricSpec]]:
    """Metrics that every run reports, and those that at least one run reports."""
    somewhere = {spec.name: spec for specs in reported for spec in specs}
    common = set(somewhere).intersection(*({spec.name for spec in specs} for specs in reported))
    return {name: spec for name, spec in somewhere.items() if name in common}, somewhere


def _default_parts(metrics: Mapping[str, MetricSpec]) -> dict[str, ResponsePart]:
    parts: dict[str, ResponsePart] = {}
    for role in DEFAULT_ROLES:
        spec = next((metric for metric in metrics.values() if metric.role == role), None)
        if spec is not None:
            parts[role] = ResponsePart(metric=spec.name)
    return parts


def _planned(name: str, part: ResponsePart, spec: MetricSpec) -> PlannedResponse:
    return PlannedResponse(
        name=name,
        metric=part.metric,
        summary=part.summary,
        direction=part.direction or _direction(part.summary, spec),
        smallest_effect=part.smallest_effect,
        items=part.items,
        label=part.label or name,
        unit="steps" if _is_time(part.summary) else spec.unit,
        doc=spec.doc,
        partial=spec.partial,
        at_zero=spec.at_zero,
        at_one=spec.at_one,
    )


def _is_time(summary: str) -> bool:
    return parse_summary(summary)[0] == "time_to"


def _direction(summary: str, spec: MetricSpec) -> Direction:
    """Which way the summary is better: sooner for a time, else what the backend says."""
    return "lower" if _is_time(summary) else spec.direction


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


def _item_problems(
    loaded: LoadedStudy, parts: Mapping[str, ResponsePart], metrics: Mapping[str, MetricSpec]
) -> Iterator[Problem]:
    """Splits that no run keeps; a backend that names none of its splits is believed."""
    splits = {spec.items for spec in metrics.values() if spec.items}
    for name, part in parts.items():
        if part.items is not None and splits and part.items not in splits:
            where = loaded.where("responses", name, "items")
            rule = "no run keeps item outcomes of this split"
            yield Problem(rule, repr(part.items), nearest(part.items, splits), where)


def _direction_warnings(
    responses: Sequence[PlannedResponse], metrics: Mapping[str, MetricSpec]
) -> Iterator[str]:
    for response in responses:
        expected = _direction(response.summary, metrics[response.metric])
        if response.direction == expected:
            continue
        said = f"the backend says {expected} for {response.metric}"
        if _is_time(response.summary):
            said = f"{response.summary} counts steps, and sooner is better"
        yield f"response {response.name!r} says {response.direction} is better; {said}"


def _partial_warnings(
    responses: Sequence[PlannedResponse], metrics: Mapping[str, MetricSpec]
) -> Iterator[str]:
    """Summaries over training of a metric whose points in between use fewer items: of these."""
    for response in responses:
        if metrics[response.metric].partial and not is_last_value(response.summary):
            yield (
                f"response {response.name!r}: {response.summary} of {response.metric} is that of "
                "the part of the items that every evaluation uses, not of all of them"
            )
