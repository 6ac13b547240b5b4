"""From a loaded study and its backend to the frozen plan."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from ablatekit.backend import Backend, Examining, Progress, lacks
from ablatekit.canonical import canonical_json, content_hash
from ablatekit.design.cells import CellLevels, as_yaml
from ablatekit.design.crossing import Crossing, cross
from ablatekit.design.order import order_seed, run_order
from ablatekit.design.plan import (
    BETWEEN_LEVELS,
    Cell,
    Plan,
    PlannedAnalysis,
    PlannedFactor,
    PlannedResponse,
    PlannedRun,
)
from ablatekit.design.responses import planned_price, planned_responses
from ablatekit.design.rules import CellInContext, canonical_conditions, given_settings
from ablatekit.errors import Location, PluginError, Problem, StudyError, UsageError
from ablatekit.plugins import answer_of, load_backend
from ablatekit.runs.records import MetricSpec, RunSpec
from ablatekit.study.load import LoadedStudy

UNIT_DIGITS = 10


def untold(_what: str, _done: int, _total: int) -> None:
    """Progress of planning that nobody watches."""


def study_backend(loaded: LoadedStudy) -> Backend:
    """The backend that a study names; PluginError located at the name if there is none."""
    try:
        return load_backend(loaded.study.backend.name)
    except PluginError as error:
        where = loaded.where("backend", "name")
        raise PluginError(*(problem.at(where) for problem in error.problems)) from None


def build_plan(loaded: LoadedStudy, backend: Backend, progress: Progress = untold) -> Plan:
    """Cells, runs in their order and the analysis, decided before anything runs.

    Cells with the same canonical settings share a unit, which is run once. `progress` is told of
    what the backend looks at for long. Raises StudyError for whatever the study asks that the
    design or the backend cannot give.
    """
    study = loaded.study
    crossing = cross(loaded)
    contexts = _contexts(loaded)
    canonical = canonical_conditions(loaded, backend, crossing.cells, contexts)
    units = _units(canonical.conditions, contexts)
    _refuse_partial_merges(loaded, canonical.conditions, units, crossing, contexts)
    distinct = _one_per_run(canonical.conditions, units)
    asked = _NamedContent(loaded, backend, crossing.cells, contexts)
    reported = [
        answer_of("backend", backend, "metrics", condition.everything)
        for condition in distinct.values()
    ]
    known = "metric_names" not in lacks(backend)
    responses, warnings = planned_responses(loaded, reported, names_known=known)
    examined = asked.examined(list(distinct.values()), progress)
    return Plan(
        study=study.name,
        title=study.title or study.name,
        question=study.question,
        backend=backend.name,
        results_version=backend.results_version,
        python=study.backend.python,
        design=study.design.kind,
        factors=_planned_factors(loaded),
        contexts=contexts,
        replicates=study.replicates,
        cells=tuple(
            Cell(levels=levels, unit=unit)
            for levels, unit in zip(crossing.cells, units, strict=True)
        ),
        excluded=crossing.excluded,
        runs=_runs(asked, distinct),
        analysis=_analysis(loaded, reported, responses),
        held_equal=_held_equal([condition.as_said for condition in distinct.values()]),
        cost_metrics=_names(reported, cost=True),
        unrepeatable_metrics=_names(reported, cost=False),
        warnings=(
            *crossing.warnings,
            *canonical.warnings,
            *warnings,
            *_replicate_warnings(loaded, backend),
            *examined,
        ),
        covariates={
            variable.name: variable.covariates
            for variable in loaded.contexts
            if variable.covariate_names
        },
        lacks=tuple(sorted(lacks(backend))),
    )


def _replicate_warnings(loaded: LoadedStudy, backend: Backend) -> Iterator[str]:
    """Replicates that are one and the same run measure no chance."""
    replicates = loaded.study.replicates
    if replicates > 1 and "randomness" in lacks(backend):
        same = f"the {replicates} replicates of a cell are the same run, and their spread is 0"
        yield f"backend {backend.name} has no randomness: {same}. Set replicates: 1"


def _analysis(
    loaded: LoadedStudy,
    reported: Sequence[Sequence[MetricSpec]],
    responses: tuple[PlannedResponse, ...],
) -> PlannedAnalysis:
    stated = loaded.study.analysis.model_dump()
    return PlannedAnalysis(
        responses=responses, **{**stated, "price": planned_price(loaded, reported)}
    )


def _planned_factors(loaded: LoadedStudy) -> tuple[PlannedFactor, ...]:
    return tuple(
        PlannedFactor(
            name=factor.name,
            levels=factor.level_names,
            baseline=factor.baseline,
            label=factor.label,
            scale=factor.scale,
        )
        for factor in loaded.factors
    )


def _contexts(loaded: LoadedStudy) -> tuple[CellLevels, ...]:
    names = [variable.name for variable in loaded.contexts]
    values = ([level.name for level in variable.levels] for variable in loaded.contexts)
    contexts = [dict(zip(names, combination, strict=True)) for combination in product(*values)]
    called = Counter(BETWEEN_LEVELS.join(context.values()) for context in contexts)
    name, times = max(called.items(), key=lambda item: item[1])
    if times > 1:
        rule = "two contexts would have the same name"
        remedy = f"Rename a level: {BETWEEN_LEVELS!r} stands between the levels of a context"
        raise StudyError(Problem(rule, name, remedy, loaded.where_key("contexts")))
    return tuple(contexts)


def _units(conditions: Sequence[CellInContext], contexts: Sequence[CellLevels]) -> list[str]:
    """The unit of each cell: a hash of its canonical settings, the context's own left out.

    Where rules look at the context, a cell's settings differ between contexts and all of them
    count.
    """
    of_context = set(contexts[0])
    per_cell: dict[int, list[dict[str, Any]]] = {}
    for condition in conditions:
        settings = {
            name: value for name, value in condition.as_said.items() if name not in of_context
        }
        per_cell.setdefault(condition.cell, []).append(settings)
    return [
        content_hash(every[0] if all(each == every[0] for each in every) else every, UNIT_DIGITS)
        for every in per_cell.values()
    ]


def _refuse_partial_merges(
    loaded: LoadedStudy,
    conditions: Sequence[CellInContext],
    units: Sequence[str],
    crossing: Crossing,
    contexts: Sequence[CellLevels],
) -> None:
    """A run may not stand for two cells in one context and for one cell in another."""
    first: dict[str, CellInContext] = {}
    for condition in conditions:
        other = first.setdefault(condition.key, condition)
        if units[other.cell] == units[condition.cell]:
            continue
        cells, context = crossing.cells, contexts[condition.context]
        pair = f"{as_yaml(cells[other.cell])} and {as_yaml(cells[condition.cell])}"
        rule = f"two cells are one and the same run in context {as_yaml(context)}"
        remedy = f"They differ in other contexts: {pair}. Split the study by context"
        raise StudyError(Problem(f"{rule} only", "", remedy, loaded.where_key("contexts")))


def _one_per_run(
    conditions: Sequence[CellInContext], units: Sequence[str]
) -> dict[tuple[str, int], CellInContext]:
    """What is run, by (unit, context): what merged cells share appears once."""
    distinct: dict[tuple[str, int], CellInContext] = {}
    for condition in conditions:
        distinct.setdefault((units[condition.cell], condition.context), condition)
    return distinct


def _runs(
    asked: _NamedContent, distinct: Mapping[tuple[str, int], CellInContext]
) -> tuple[PlannedRun, ...]:
    loaded, backend, contexts = asked.loaded, asked.backend, asked.contexts
    units = sorted({unit for unit, _ in distinct})
    content = {key: asked.content(condition) for key, condition in distinct.items()}
    rng = order_seed(
        [loaded.study.name, *units, *(canonical_json(context) for context in contexts)]
    )
    triples = run_order(loaded.study.replicates, len(contexts), len(units), rng)
    runs = []
    for order, (replicate, context, index) in enumerate(triples):
        key = (units[index], context)
        spec = RunSpec(
            backend=backend.name,
            results_version=backend.results_version,
            settings=distinct[key].settings,
            context=contexts[context],
            content=content[key],
            replicate=replicate,
            execution=distinct[key].execution,
        )
        runs.append(
            PlannedRun(
                run_id=spec.run_id,
                order=order,
                unit=units[index],
                context=contexts[context],
                replicate=replicate,
                spec=spec,
            )
        )
    _refuse_equal_contexts(loaded, runs)
    return tuple(runs)


def _refuse_equal_contexts(loaded: LoadedStudy, runs: Sequence[PlannedRun]) -> None:
    """Two names or paths of one model and data set would enter a model as two contexts."""
    first: dict[str, PlannedRun] = {}
    for run in runs:
        other = first.setdefault(run.run_id, run)
        if other is not run:
            raise StudyError(
                Problem(
                    "two contexts contain the same models and data",
                    f"{as_yaml(other.context)} and {as_yaml(run.context)}",
                    "Name each of them once",
                    loaded.where_key("contexts"),
                )
            )


@dataclass(frozen=True, slots=True)
class _NamedContent:
    """A backend that is asked about conditions of a study; its refusals get their line there."""

    loaded: LoadedStudy
    backend: Backend
    cells: Sequence[CellLevels]
    contexts: Sequence[CellLevels]

    def examined(self, conditions: Sequence[CellInContext], progress: Progress) -> tuple[str, ...]:
        """What a backend that looks before the first run says, each warning once."""
        if not isinstance(self.backend, Examining):
            return ()
        said: Counter[str] = Counter()
        for condition in conditions:
            with self._located(condition):
                warnings = answer_of(
                    "backend", self.backend, "examine", condition.everything, progress
                )
                said.update({_with_inputs_as_said(condition, warning) for warning in warnings})
        total = len(conditions)
        return tuple(
            warning if count == total else f"{warning} (in {count} of {total} cells x contexts)"
            for warning, count in sorted(said.items())
        )

    def content(self, condition: CellInContext) -> Mapping[str, str]:
        """Content hashes of one condition."""
        with self._located(condition):
            content: Mapping[str, str] = answer_of(
                "backend", self.backend, "content", condition.everything
            )
            return content

    @contextmanager
    def _located(self, condition: CellInContext) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            together = " ".join(problem.received for problem in error.problems)
            place = self._setting_in(condition, together)[0] or _named_in(self.loaded, together)
            said = (_as_said(condition, problem) for problem in error.problems)
            told = (self._at_setting(condition, problem) for problem in said)
            raise StudyError(*(problem.at(place) for problem in told)) from None

    def _at_setting(self, condition: CellInContext, problem: Problem) -> Problem:
        """A problem at the setting that it shows, if it shows one; a default is called so."""
        where, default = self._setting_in(condition, problem.received)
        told = _by_default(problem, default)
        return told if where is None else told.at(where)

    def _setting_in(
        self, condition: CellInContext, received: str
    ) -> tuple[Location | None, str | None]:
        """Where the first setting stands whose `NAME: VALUE` a message shows.

        Where the study gives none of them, the name of the first that has its default.
        """
        cell, context = self.cells[condition.cell], self.contexts[condition.context]
        given = given_settings(self.loaded, cell, context)
        shown = _shown_names(received, given)
        if shown:
            return given[shown[0]].where(self.loaded.source), None
        return None, next(iter(_shown_names(received, condition.settings)), None)


def _as_said(condition: CellInContext, problem: Problem) -> Problem:
    """A problem that shows the places of inputs as the study writes them."""
    received = problem.received
    for name, said in condition.inputs.items():
        received = received.replace(f"{name}: {condition.everything.get(name)}", f"{name}: {said}")
    return replace(problem, received=received)


def _with_inputs_as_said(condition: CellInContext, warning: str) -> str:
    """A warning is part of the plan, which is the same wherever the study and its inputs lie."""
    for name, said in condition.inputs.items():
        warning = warning.replace(str(condition.everything.get(name)), str(said))
    return warning


def _shown_names(received: str, names: Iterable[str]) -> list[str]:
    """The names whose `NAME: VALUE` a message shows, the first one first."""
    places = {name: _place_of(received, name) for name in names}
    return sorted((name for name, at in places.items() if at >= 0), key=lambda name: places[name])


def _place_of(received: str, name: str) -> int:
    match = re.search(rf"(?<![\w.]){re.escape(name)}: ", received)
    return match.start() if match else -1


def _by_default(problem: Problem, name: str | None) -> Problem:
    """Say that a setting which a message shows is not in the study."""
    if name is None or f"{name}: " not in problem.received:
        return problem
    return replace(problem, received=f"{problem.received} (the default of {name})")


def _named_in(loaded: LoadedStudy, received: str) -> Location:
    """Where the context value stands that a backend's message shows, if it shows one."""
    for variable in loaded.contexts:
        for level in variable.levels:
            if re.search(rf"(?<!\w){re.escape(level.name)}(?!\w)", received):
                return loaded.source.where_key(level.loc)
    return loaded.where_key("contexts" if loaded.contexts else "backend")


def _held_equal(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Settings that have the same value in every run."""
    first = settings[0]
    return {
        name: value
        for name, value in sorted(first.items())
        if all(name in other and other[name] == value for other in settings)
    }


def _names(reported: Sequence[Sequence[MetricSpec]], *, cost: bool) -> tuple[str, ...]:
    """Names of cost metrics, or of those that differ between two executions of one run."""
    specs = (spec for of_run in reported for spec in of_run)
    chosen = (spec.name for spec in specs if (spec.role == "cost" if cost else not spec.repeatable))
    return tuple(dict.fromkeys(chosen))
