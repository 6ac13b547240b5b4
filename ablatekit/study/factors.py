"""Factors and context variables: their levels, the levels' names, and the settings they set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ablatekit.errors import Problem, StudyError, nearest
from ablatekit.study.messages import show
from ablatekit.study.scalars import ScalarValue, resolve_scalar, scalar_number
from ablatekit.study.scales import Scale, misfit
from ablatekit.study.schema import ContextPart, FactorPart, StudySchema
from ablatekit.study.settings import Given, flatten
from ablatekit.study.yaml_source import Loc, Node

MAX_LEVEL_NAME = 80
_PLAIN_BELOW, _PLAIN_FROM = 1e6, 1e-3


@dataclass(frozen=True, slots=True)
class Level:
    """One value of a factor or context variable, with the settings (dotted names) that it sets."""

    name: str
    settings: Mapping[str, Given]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Factor:
    """A design choice; `levels` in the order of the file."""

    name: str
    levels: tuple[Level, ...]
    baseline: str
    label: str
    scale: Scale | None = None

    @property
    def level_names(self) -> tuple[str, ...]:
        return tuple(level.name for level in self.levels)

    def level(self, name: str) -> Level:
        """The level called `name`; KeyError if there is none."""
        return {level.name: level for level in self.levels}[name]


@dataclass(frozen=True, slots=True)
class ContextVariable:
    """A blocking variable with its values; `covariates`: level -> name -> value."""

    name: str
    levels: tuple[Level, ...]
    covariates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """The covariates that its values carry, in the order of the file."""
        return tuple(dict.fromkeys(name for each in self.covariates.values() for name in each))


def level_name(value: ScalarValue) -> str:
    """How a value is called everywhere: one name per value, however it was spelled.

    `null` is none, booleans are true and false, floats have the fewest digits that give the same
    number back, in powers of ten below 0.001 and from a million on: 0.0001, 1e-4 and 1.0e-04 are
    all `1e-4`.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_name(value)
    return str(value)


def _float_name(value: float) -> str:
    if value == 0 or _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        return repr(value)
    shortest = Decimal(repr(value)).normalize()
    first, *rest = shortest.as_tuple().digits
    mantissa = f"{first}.{''.join(map(str, rest))}" if rest else str(first)
    return f"{'-' if value < 0 else ''}{mantissa}e{shortest.adjusted()}"


def find_level(value: ScalarValue, names: Iterable[str]) -> str | None:
    """The level that `value` means: by name, or by number (1 means 1.0); None if there is none."""
    known, wanted = tuple(names), level_name(value)
    if wanted in known:
        return wanted
    by_number = LevelNames()
    for name in known:
        by_number.add(name)
    return by_number.find(wanted)


class LevelNames:
    """Names of levels, found by spelling or by the number that they spell."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._by_number: dict[float | int, str] = {}

    def add(self, name: str) -> None:
        """Know one more level."""
        self._names.add(name)
        number = scalar_number(name)
        if number is not None:
            self._by_number.setdefault(number, name)

    def find(self, name: str) -> str | None:
        """The known level that `name` means, None if there is none."""
        if name in self._names:
            return name
        number = scalar_number(name)
        return None if number is None else self._by_number.get(number)


def read_factors(study: StudySchema, source: Node) -> tuple[Factor, ...]:
    """The factors of a study.

    Raises StudyError for an empty factor, a single level, a duplicate level, a level without
    settings, a baseline that is no level, and a level that has no place on the scale.
    """
    problems: list[Problem] = []
    factors = tuple(_factor(name, study.factors[name], source, problems) for name in study.factors)
    if problems:
        raise StudyError(*problems)
    return factors


def _factor(name: str, part: FactorPart, source: Node, problems: list[Problem]) -> Factor:
    loc: Loc = ("factors", name)
    if isinstance(part.levels, dict):
        levels = _long_form(part.levels, (*loc, "levels"), source, problems)
    else:
        levels = _short_form(name, part.levels, (*loc, "levels"))
    mistakes = _level_problems(f"factor {name!r}", levels, source, (*loc, "levels"))
    if not mistakes and len(levels) == 1:
        rule, remedy = f"factor {name!r} has a single level", "A factor needs two or more levels"
        where = source.where_value((*loc, "levels"))
        mistakes.append(Problem(rule, levels[0].name, remedy, where))
    names = tuple(level.name for level in levels)
    baseline = find_level(part.baseline, names)
    if not mistakes and baseline is None:
        rule = f"the baseline of factor {name!r} is not one of its levels"
        where = source.where_value((*loc, "baseline"))
        mistakes.append(
            Problem(rule, show(part.baseline), nearest(level_name(part.baseline), names), where)
        )
    mistakes += _scale_problems(name, levels, part.scale, source)
    problems += mistakes
    return Factor(name, levels, baseline or "", part.label or name, part.scale)


def _scale_problems(
    name: str, levels: Sequence[Level], scale: Scale | None, source: Node
) -> Iterator[Problem]:
    if scale is None or (level := misfit([level.name for level in levels], scale)) is None:
        return
    loc = next(each.loc for each in levels if each.name == level)
    number = "a number above 0" if scale == "log" else "a number"
    rule = f"factor {name!r} has the scale {scale}, where every level is {number}"
    remedy = "Use `scale: order` for levels in the order of the file, or leave the scale out"
    yield Problem(rule, show(level), remedy, source.where_key(loc))


def _short_form(setting: str, values: Sequence[ScalarValue], loc: Loc) -> tuple[Level, ...]:
    return tuple(
        Level(level_name(value), {setting: Given(value, (*loc, index))}, (*loc, index))
        for index, value in enumerate(values)
    )


def _long_form(
    levels: Mapping[str, Mapping[str, Any]], loc: Loc, source: Node, problems: list[Problem]
) -> tuple[Level, ...]:
    read = []
    for key, settings in levels.items():
        where = source.where_key((*loc, key))
        given: dict[str, Given] = {}
        try:
            given = flatten(settings, (*loc, key))
        except ValueError as error:
            rule = f"level {key!r} sets {error} twice"
            problems.append(Problem(rule, remedy="Keep one of the two spellings", where=where))
        if not settings:
            remedy = "Write the setting with its default value, for instance the backend's default"
            problems.append(Problem(f"level {key!r} sets no settings", "{}", remedy, where))
        read.append(Level(_key_name(key), given, (*loc, key)))
    return tuple(read)


def _key_name(key: str) -> str:
    """A long-form level is called as the same text would be in the short form."""
    return level_name(_key_value(key))


def _key_value(key: str) -> ScalarValue:
    try:
        return resolve_scalar(key)
    except ValueError:
        return key


def _level_problems(owner: str, levels: Sequence[Level], source: Node, loc: Loc) -> list[Problem]:
    if not levels:
        remedy = "List its values"
        return [Problem(f"{owner} is empty", "no levels", remedy, source.where_value(loc))]
    problems: list[Problem] = []
    seen = LevelNames()
    for level in levels:
        where = source.where_key(level.loc)
        if not is_usable_level(level.name):
            remedy = (
                f"Use 1 to {MAX_LEVEL_NAME} printable characters without spaces at the ends; any"
                " value has a name of its own in levels: {NAME: {SETTING: VALUE}}"
            )
            problems.append(Problem(f"{owner}: unusable level", show(level.name), remedy, where))
        earlier = seen.find(level.name)
        if earlier is not None:
            remedy = f"It equals {earlier!r}, given before; remove one"
            problems.append(Problem(f"{owner}: duplicate level", show(level.name), remedy, where))
        seen.add(level.name)
    return problems


def is_usable_level(name: str) -> bool:
    """Whether a level may be called so."""
    return 0 < len(name) <= MAX_LEVEL_NAME and name.isprintable() and name == name.strip()


def read_contexts(study: StudySchema, source: Node) -> tuple[ContextVariable, ...]:
    """The context variables of a study.

    Raises StudyError for a variable without values, for a duplicate value, and for a value that
    lacks a covariate which another one has.
    """
    problems: list[Problem] = []
    variables = []
    for name, part in study.contexts.items():
        loc: Loc = ("contexts", name)
        if isinstance(part, ContextPart):
            variable = _with_covariates(name, part, source)
            problems += _covariate_problems(variable, source)
            loc = (*loc, "levels")
        else:
            variable = ContextVariable(name, _short_form(name, part, loc))
        problems += _level_problems(f"context {name!r}", variable.levels, source, loc)
        variables.append(variable)
    if problems:
        raise StudyError(*problems)
    return tuple(variables)


def _with_covariates(name: str, part: ContextPart, source: Node) -> ContextVariable:
    levels, covariates = [], {}
    for key, values in part.levels.items():
        loc = ("contexts", name, "levels", key)
        value = key if source.is_quoted_key(loc) else _key_value(key)
        levels.append(Level(level_name(value), {name: Given(value, loc, is_key=True)}, loc))
        covariates[level_name(value)] = values
    return ContextVariable(name, tuple(levels), covariates)


def _covariate_problems(variable: ContextVariable, source: Node) -> Iterator[Problem]:
    for level in variable.levels:
        for name in variable.covariate_names:
            if name not in variable.covariates[level.name]:
                rule = f"context {variable.name!r}: a level lacks the covariate {name!r}"
                remedy = "Give it for every level, or for none"
                where = source.where_key(level.loc)
                yield Problem(rule, show(level.name), remedy, where)
