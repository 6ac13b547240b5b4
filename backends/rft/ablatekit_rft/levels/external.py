"""Levels of others: of installed packages, and functions that a study names.

A package offers levels under the entry-point group `ablatekit.factors`, each entry point naming a
`Level` or a tuple of them. A study may name `module:function` or `path/file.py:function`. The
source of such a level is part of the run id. They take part in rules as ours do, by what their
signatures and traits say.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

from ablatekit.errors import Location, PluginError, Problem, UsageError, nearest
from ablatekit.plugins import distribution_of, imported, installed_points
from ablatekit.references import referenced, source_hash
from ablatekit_rft.levels.stages import TRAITS, VIEWS, Stage
from ablatekit_rft.levels.types import Level, level

ENTRY_POINT_GROUP = "ablatekit.factors"


@functools.cache
def installed_levels() -> tuple[Level, ...]:
    """The levels of all installed packages, by the names of their entry points.

    Raises PluginError for a package whose levels cannot be imported or are not levels.
    """
    points = sorted(installed_points(ENTRY_POINT_GROUP), key=lambda point: point.name)
    return tuple(offered for point in points for offered in _offered(point))


def _offered(point: EntryPoint) -> Iterable[Level]:
    owner = distribution_of(point)
    named = imported(point, f"a level of {owner}")
    levels = named if isinstance(named, tuple) else (named,)
    if not all(isinstance(offered, Level) for offered in levels):
        rule = f"an entry point of {ENTRY_POINT_GROUP} names a Level or a tuple of them"
        raise PluginError(Problem(rule, f"{point.value} of {owner}", "Decorate with @level(...)"))
    for offered in levels:
        problem = level_problem(offered)
        if problem is not None:
            raise PluginError(replace(problem, rule=f"{problem.rule}, unlike one of {owner}"))
    return levels


def owners_of(stage: Stage, name: str) -> tuple[str, ...]:
    """The distributions that offer a level, one of ours apart."""
    points = installed_points(ENTRY_POINT_GROUP)
    return tuple(
        distribution_of(point)
        for point in points
        for offered in _offered(point)
        if (offered.stage, offered.name) == (stage, name)
    )


def referenced_level(stage: Stage, name: str) -> Level:
    """The level that `module:function` or `path/file.py:function` names.

    A plain function becomes a level of `stage`, without traits. Raises UsageError when there is
    none, or when its signature is not that of the stage.
    """
    named = referenced(name)
    if isinstance(named, Level):
        if named.stage != stage:
            raise UsageError(Problem(f"a level of {named.stage}, not of {stage}", repr(name)))
        chosen = named
    elif inspect.isfunction(named):
        chosen = level(stage, name, formula="user-supplied", source=name.rpartition(":")[0])(named)
    else:
        raise UsageError(Problem("a level is a function", repr(name)))
    problem = level_problem(chosen)
    if problem is not None:
        raise UsageError(problem)
    return chosen


def level_problem(chosen: Level) -> Problem | None:
    """What is wrong with how a level's function takes its arguments, or with its traits, if any."""
    wanted = VIEWS[chosen.stage] if chosen.state is None else (*VIEWS[chosen.stage], "state")
    kinds = [part.kind for part in inspect.signature(chosen.function).parameters.values()]
    by_position = sum(kind in _BY_POSITION for kind in kinds)
    if by_position != len(wanted) or any(kind in _VARIADIC for kind in kinds):
        rule = f"a level of {chosen.stage} takes its settings by keyword, under their names"
        given = f"{chosen.function.__name__}{inspect.signature(chosen.function)}"
        return Problem(rule, given, _signature_remedy(chosen, wanted), place_of(chosen))
    for trait in sorted(chosen.traits):
        if trait not in TRAITS or chosen.stage not in TRAITS[trait].stages:
            known = [name for name, told in TRAITS.items() if chosen.stage in told.stages]
            rule = f"no trait of levels of {chosen.stage}"
            return Problem(rule, repr(trait), nearest(trait, known), place_of(chosen))
    return None


_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _signature_remedy(chosen: Level, views: tuple[str, ...]) -> str:
    start = f"def {chosen.function.__name__}({', '.join(views)}"
    example = ", *, advantage_eps" if views else "*, learning_rate"
    return (
        f"Write `{start})`, and every setting that the function reads behind a star, as in"
        f" `{start}{example})`"
    )


def place_of(chosen: Level) -> Location | None:
    """The file and line of a level's function, if it was written in Python."""
    code = getattr(inspect.unwrap(chosen.function), "__code__", None)
    return None if code is None else Location(code.co_filename, code.co_firstlineno)


def level_hash(chosen: Level) -> str:
    """Hash of a level's name, and of the source of the package (or file) that it comes from."""
    # A reference names the place, too: a file that moved holds the same level.
    return source_hash(chosen.name.rpartition(":")[2], chosen.function)


def is_external(chosen: Level) -> bool:
    """Whether a level is not one of ours."""
    module: Any = getattr(chosen.function, "__module__", "")
    return str(module).partition(".")[0] != "ablatekit_rft"
