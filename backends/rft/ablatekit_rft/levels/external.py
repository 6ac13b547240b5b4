"""Levels of others: of installed packages, and functions that a study names.

A package offers levels under the entry-point group `ablatekit.factors`, each entry point naming a
`Level` or a tuple of them. A study may name `module:function` or `path/file.py:function`. The
source of such a level is part of the run id.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ablatekit.errors import PluginError, Problem, UsageError
from ablatekit_rft.levels.types import Level, Stage, level
from ablatekit_rft.sources.references import referenced, source_hash

ENTRY_POINT_GROUP = "ablatekit.factors"


@functools.cache
def installed_levels() -> tuple[Level, ...]:
    """The levels of all installed packages, by the names of their entry points.

    Raises PluginError for a package whose levels cannot be imported or are not levels.
    """
    points = sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name)
    return tuple(one for point in points for one in _offered(point))


def _offered(point: EntryPoint) -> Iterable[Level]:
    owner = point.dist.name if point.dist is not None else point.value
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        rule = f"the levels of {owner} cannot be imported"
        raise PluginError(Problem(rule, str(error), f"Repair or uninstall {owner}")) from error
    levels = found if isinstance(found, tuple) else (found,)
    if not all(isinstance(one, Level) for one in levels):
        rule = f"an entry point of {ENTRY_POINT_GROUP} names a Level or a tuple of them"
        raise PluginError(Problem(rule, f"{point.value} of {owner}", "Decorate with @level(...)"))
    return levels


def referenced_level(stage: Stage, name: str) -> Level:
    """The level that `module:function` or `path/file.py:function` names.

    A plain function becomes a level of `stage`. Raises UsageError when there is none.
    """
    found = referenced(name)
    if isinstance(found, Level):
        if found.stage != stage:
            raise UsageError(Problem(f"a level of {found.stage}, not of {stage}", repr(name)))
        return found
    if not inspect.isfunction(found):
        raise UsageError(Problem("a level is a function", repr(name)))
    return level(stage, name, formula="user-supplied", source=name.rpartition(":")[0])(found)


def level_hash(found: Level) -> str:
    """Hash of a level's name, and of the source of the package (or file) that it comes from."""
    # A reference names the place, too: a file that moved holds the same level.
    return source_hash(found.name.rpartition(":")[2], found.function)


def is_external(found: Level) -> bool:
    """Whether a level is not one of ours."""
    module: Any = getattr(found.function, "__module__", "")
    return str(module).partition(".")[0] != "ablatekit_rft"
