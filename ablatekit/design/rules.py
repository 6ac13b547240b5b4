"""Canonical settings of every cell in every context: resolved, checked, without inert differences.

Two cells that would train the same way get the same canonical settings, whatever the study file
calls them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from ablatekit.backend import Backend, Rule
from ablatekit.canonical import content_hash
from ablatekit.design.cells import CellLevels, as_yaml, matches
from ablatekit.design.inputs import with_inputs_at
from ablatekit.errors import PluginError, Problem, StudyError, nearest
from ablatekit.plugins import answer_of
from ablatekit.study.factors import ContextVariable, Factor
from ablatekit.study.load import LoadedStudy
from ablatekit.study.messages import dotted, literal_hint, rule_text, show, without_union_tags
from ablatekit.study.settings import (
    Given,
    SettingField,
    documented,
    flatten,
    flatten_model,
    is_inside,
    is_known,
    is_open,
    nest,
    other_names,
    setting_fields,
)

MAX_RULE_ROUNDS = 20
REPLICATES = "Every run has a seed of its own; `replicates: N` says how many there are of each cell"


@dataclass(frozen=True, slots=True)
class CellInContext:
    """One cell in one context as it would be run.

    `settings` decide results, those left out that are declared `unstated` and have their default;
    `execution` only decides where and how fast; both by dotted name. `inputs` holds what the study
    says where a setting is the place of an input.
    """

    cell: int
    context: int
    settings: Mapping[str, Any]
    execution: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def everything(self) -> dict[str, Any]:
        """All settings, as a backend is asked about them."""
        return {**self.settings, **self.execution}

    @property
    def as_said(self) -> dict[str, Any]:
        """The settings that decide results, wherever the study and its inputs lie."""
        return {name: self.inputs.get(name, value) for name, value in self.settings.items()}

    @property
    def key(self) -> str:
        """Equal for conditions that are the same run."""
        return content_hash(self.as_said)


@dataclass(frozen=True, slots=True)
class CanonicalCells:
    """All conditions, cell by cell, each cell's contexts in order; and what rules warn about."""

    conditions: tuple[CellInContext, ...]
    warnings: tuple[str, ...]


def canonical_conditions(
    loaded: LoadedStudy,
    backend: Backend,
    cells: Sequence[CellLevels],
    contexts: Sequence[CellLevels],
) -> CanonicalCells:
    """Resolve every cell in every context through the backend's settings model and rules.

    Raises StudyError for unknown or invalid settings (each once, at its place in the file) and for
    combinations that the backend refuses (with an exclusion to paste).
    """
    fields = setting_fields(backend.settings)
    _check_setting_names(loaded, backend, fields)
    resolver = _Resolver(loaded, backend, fields)
    resolved = [resolver.resolve(cell, context) for cell in cells for context in contexts]
    resolver.raise_problems()
    count = len(contexts)
    conditions = tuple(
        CellInContext(place // count, place % count, *_split(settings, fields), inputs)
        for place, (settings, inputs) in enumerate(resolved)
    )
    rules = resolver.rules
    _refuse_invalid(loaded, cells, conditions, rules)
    warnings = tuple(_rule_warnings(conditions, rules))
    return CanonicalCells(tuple(_stated(conditions, backend, fields)), warnings)


def _split(
    settings: Mapping[str, Any], fields: Mapping[str, SettingField]
) -> tuple[dict[str, Any], dict[str, Any]]:
    only_execution = {name for name in settings if name in fields and fields[name].execution}
    decisive = {name: value for name, value in settings.items() if name not in only_execution}
    return decisive, {name: settings[name] for name in sorted(only_execution)}


def _stated(
    conditions: Iterable[CellInContext], backend: Backend, fields: Mapping[str, SettingField]
) -> Iterator[CellInContext]:
    """Conditions without the settings that a run at their default does not state.

    A backend that gets a setting keeps the runs that it had: their identity, and so their seeds.
    """
    defaults = flatten_model(backend.settings())
    unstated = {name for name, field in fields.items() if field.unstated}
    for condition in conditions:
        stated = {
            name: value
            for name, value in condition.settings.items()
            if name not in unstated or condition.inputs.get(name, value) != defaults.get(name)
        }
        yield replace(condition, settings=stated)


def canonical_settings(
    model: type[BaseModel], rules: Iterable[Rule], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Backend defaults with `given` (dotted names), after inert and alias rules to a fixpoint.

    Values are the JSON form of the validated ones, so that 1 and 1.0 of a float setting agree.
    Raises pydantic's ValidationError, and PluginError when the rules never settle.
    """
    settings = _validated(model, given)
    merging = [rule for rule in rules if rule.kind in ("inert", "alias")]
    for _ in range(MAX_RULE_ROUNDS):
        changed = dict(settings)
        for rule in merging:
            if rule.applies(changed):
                changed |= rule.then
        if changed == settings:
            return settings
        settings = _validated(model, changed)
    names = ", ".join(rule.name for rule in merging)
    raise PluginError(Problem("the backend's inert and alias rules never settle", names))


def _validated(model: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Validated in JSON's strict mode: no string becomes a number, no number a boolean."""
    return flatten_model(model.model_validate_json(to_json(nest(settings)), strict=True))


class _Resolver:
    """Resolves cell after cell; collects each mistake once, at its place in the file."""

    def __init__(
        self, loaded: LoadedStudy, backend: Backend, fields: Mapping[str, SettingField]
    ) -> None:
        self.loaded = loaded
        self.backend = backend
        self.fields = fields
        self.rules = tuple(answer_of("backend", backend, "rules"))
        self.problems: dict[tuple[str, str], Problem] = {}

    def resolve(
        self, cell: CellLevels, context: CellLevels
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Canonical settings with the places of inputs, and what the study says of these."""
        folder = self.loaded.path.resolve().parent  # of the study itself, not of a link to it
        given = given_settings(self.loaded, cell, context)
        written = {name: setting.value for name, setting in given.items()}
        # A backend may look at a file as it validates the setting that names it.
        placed = with_inputs_at(folder, written, self.fields)
        try:
            canonical = canonical_settings(self.backend.settings, self.rules, placed)
        except ValidationError as error:
            for details in without_union_tags(error.errors(include_url=False)):
                problem = self._problem(details, given, cell)
                self.problems.setdefault((str(problem.where), problem.rule), problem)
            return {}, {}
        moved = (name for name, value in written.items() if placed[name] != value)
        said = {name: written[name] for name in moved if canonical.get(name) == placed[name]}
        settings = with_inputs_at(folder, canonical, self.fields)
        defaults = (name for name, value in canonical.items() if settings[name] != value)
        return settings, said | {name: canonical[name] for name in defaults}

    def raise_problems(self) -> None:
        if self.problems:
            raise StudyError(*self.problems.values())

    def _problem(
        self, details: ErrorDetails, given: Mapping[str, Given], cell: CellLevels
    ) -> Problem:
        name = _setting_of(details, self.fields)
        rule = f"setting {name!r} {rule_text(details)}" if name else rule_text(details)
        remedy = self._remedy(details, name)
        above = [other for other in given if other == name or name.startswith(f"{other}.")]
        below = [other for other in given if name and other.startswith(f"{name}.")]
        if above or below:
            setting = given[(above or below)[0]]
            is_placed = name in self.fields and self.fields[name].input and name in given
            received = setting.value if is_placed else details["input"]
            return Problem(rule, show(received), remedy, setting.where(self.loaded.source))
        where = self.loaded.where_key("backend")
        return Problem(f"{rule} (cell {as_yaml(cell)})", "", remedy, where)

    def _remedy(self, details: ErrorDetails, name: str) -> str:
        """What to give instead, where the value tells; else what the setting is."""
        told = details.get("ctx", {}).get("remedy") or literal_hint(details)
        if told:
            return str(told)
        field = setting_fields(documented(self.backend.settings)).get(name)
        meaning = (field.info.description or "") if field is not None else ""
        where = f"see `ablatekit backend show {self.backend.name}`"
        sentence = " ".join(meaning.split()).rstrip(".")
        return f"{sentence}: {where}" if sentence else where.capitalize()


def given_settings(loaded: LoadedStudy, cell: CellLevels, context: CellLevels) -> dict[str, Given]:
    """What the study itself says of a cell in a context; levels of factors have the last word."""
    shared = flatten(loaded.study.backend.settings, ("backend", "settings"))
    return shared | _given(loaded.contexts, context) | _given(loaded.factors, cell)


def _given(variables: Sequence[Factor | ContextVariable], levels: CellLevels) -> dict[str, Given]:
    settings: dict[str, Given] = {}
    for variable in variables:
        chosen = next(level for level in variable.levels if level.name == levels[variable.name])
        settings |= chosen.settings
    return settings


def _setting_of(details: ErrorDetails, fields: Mapping[str, SettingField]) -> str:
    """The dotted name of the setting that an error is about; union tags are left out."""
    name = ""
    for step in details["loc"]:
        longer = f"{name}.{step}" if name else str(step)
        if is_known(longer, fields):
            name = longer
    return name or dotted(details["loc"])


def _check_setting_names(
    loaded: LoadedStudy, backend: Backend, fields: Mapping[str, SettingField]
) -> None:
    shared = flatten(loaded.study.backend.settings, ("backend", "settings"))
    problems = list(_unknown_settings(loaded, shared, backend, fields))
    variables: list[Factor | ContextVariable] = [*loaded.contexts, *loaded.factors]
    for variable in variables:
        given: dict[str, Given] = {}
        for level in variable.levels:
            given = {**level.settings, **given}
        problems += _unknown_settings(loaded, given, backend, fields)
        problems += _execution_only(loaded, given, variable.name, fields)
    if problems:
        raise StudyError(*problems)


def _unknown_settings(
    loaded: LoadedStudy,
    given: Mapping[str, Given],
    backend: Backend,
    fields: Mapping[str, SettingField],
) -> Iterator[Problem]:
    for name, setting in given.items():
        if is_known(name, fields) or (is_open(backend.settings) and not is_inside(name, fields)):
            continue
        rule = f"unknown setting of backend {backend.name!r}"
        where = loaded.source.where_key(setting.named_at)
        remedy = REPLICATES if _is_seed(name) else ""
        remedy = remedy or nearest(name, fields, other_names(backend.settings))
        yield Problem(rule, repr(name), remedy, where)


def _is_seed(name: str) -> bool:
    return name.rpartition(".")[2].lower() in ("seed", "seeds", "random_seed", "random_state")


def _execution_only(
    loaded: LoadedStudy,
    given: Mapping[str, Given],
    variable: str,
    fields: Mapping[str, SettingField],
) -> Iterator[Problem]:
    for name, setting in given.items():
        if name in fields and fields[name].execution:
            rule = f"{variable!r} varies a setting that only decides where a run executes"
            remedy = "Give it under backend.settings: it cannot change a result"
            yield Problem(rule, name, remedy, loaded.source.where_key(setting.named_at))


def _refuse_invalid(
    loaded: LoadedStudy,
    cells: Sequence[CellLevels],
    conditions: Sequence[CellInContext],
    rules: Sequence[Rule],
) -> None:
    problems = []
    for rule in (rule for rule in rules if rule.kind == "invalid"):
        met = [condition for condition in conditions if rule.applies(condition.settings)]
        refused = {condition.cell for condition in met}
        parts = {as_yaml(part): part for part in _exclusions(loaded, cells, refused, rule)}
        problems += [_invalid_problem(loaded, rule, part, met[0]) for part in parts.values()]
    if problems:
        raise StudyError(*problems)


def _exclusions(
    loaded: LoadedStudy, cells: Sequence[CellLevels], refused: set[int], rule: Rule
) -> Iterator[CellLevels]:
    """For each refused cell the shortest exclusion that hits refused cells only."""
    involved = {factor.name for factor in loaded.factors if _involves(rule, factor)}
    for index in sorted(refused):
        cell = cells[index]
        part = {name: level for name, level in cell.items() if name in involved}
        hit = (other for other in range(len(cells)) if matches(cells[other], part))
        yield part if all(other in refused for other in hit) else cell


def _involves(rule: Rule, factor: Factor) -> bool:
    return any(not level.settings.keys().isdisjoint(rule.names) for level in factor.levels)


def _invalid_problem(
    loaded: LoadedStudy, rule: Rule, part: CellLevels, example: CellInContext
) -> Problem:
    if not part:
        return _invalid_settings(loaded, rule, example)
    factors = {factor.name: factor for factor in loaded.factors}
    last = list(part)[-1]
    where = loaded.source.where_value(factors[last].level(part[last]).loc)
    paste = f"exclude: [{as_yaml(part)}]"
    remedy = f"{rule.remedy}; or leave the combination out: {paste}" if rule.remedy else paste
    rule_line = f"a combination of levels cannot be run: {rule.why}"
    return Problem(rule_line, as_yaml(part), remedy, where)


def _invalid_settings(loaded: LoadedStudy, rule: Rule, example: CellInContext) -> Problem:
    """A combination of settings that all cells share, at the first of them that the study gives."""
    shared = flatten(loaded.study.backend.settings, ("backend", "settings"))
    values = ", ".join(f"{name}: {show(example.settings[name])}" for name in rule.names)
    given = next((shared[name].loc for name in rule.names if name in shared), None)
    where = loaded.source.where_value(given) if given else loaded.where("backend", "settings")
    return Problem(f"these settings cannot be run: {rule.why}", values, rule.remedy, where)


def _rule_warnings(conditions: Sequence[CellInContext], rules: Sequence[Rule]) -> Iterator[str]:
    total = len({condition.cell for condition in conditions})
    for rule in (rule for rule in rules if rule.kind == "warn"):
        warned = {condition.cell for condition in conditions if rule.applies(condition.settings)}
        if warned:
            yield f"{rule.name}: {rule.why} ({len(warned)} of {total} cells)"
