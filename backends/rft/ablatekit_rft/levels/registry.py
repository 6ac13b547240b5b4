"""The table of all levels, collected from the modules of this package; look-up by stage and name.

A module of `ablatekit_rft.levels`, at any depth, that has a tuple `LEVELS` offers the levels in it:
a new level takes one file. Modules come in the order of their names, after those that the
package's `FIRST` names; documentation lists levels in this order.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, get_args

from ablatekit.errors import PluginError, Problem, UsageError, nearest
from ablatekit.references import is_reference
from ablatekit_rft import levels
from ablatekit_rft.levels.external import installed_levels, owners_of, referenced_level
from ablatekit_rft.levels.stages import Stage
from ablatekit_rft.levels.types import Level


def _collected(package: ModuleType) -> Iterator[Level]:
    """The levels of a package's modules, those of its own packages included, in their order."""
    first: tuple[str, ...] = getattr(package, "FIRST", ())
    listed = {name: is_package for _, name, is_package in pkgutil.iter_modules(package.__path__)}
    for name in (*first, *sorted(listed.keys() - {*first})):
        path = f"{package.__name__}.{name}"
        if path == __name__:
            continue
        module = importlib.import_module(path)
        yield from getattr(module, "LEVELS", ())
        if listed[name]:
            yield from _collected(module)


def _by_stage() -> Mapping[Stage, tuple[Level, ...]]:
    stages: tuple[Stage, ...] = get_args(Stage)
    collected = tuple(_collected(levels))
    return MappingProxyType(
        {stage: tuple(level for level in collected if level.stage == stage) for stage in stages}
    )


LEVELS: Mapping[Stage, tuple[Level, ...]] = _by_stage()
"""Our levels by stage, in the order in which documentation lists them."""


@functools.cache
def levels_of(stage: Stage) -> Mapping[str, Level]:
    """The levels of a stage by name, those of installed packages last.

    Raises PluginError when a package takes a name that is taken.
    """
    known = {level.name: level for level in LEVELS[stage]}
    for level in installed_levels():
        if level.stage == stage:
            if level.name in known:
                raise _offered_twice(stage, level.name)
            known[level.name] = level
    return MappingProxyType(known)


def _offered_twice(stage: Stage, name: str) -> PluginError:
    ours = ["ablatekit-rft"] if any(level.name == name for level in LEVELS[stage]) else []
    owners = ", ".join(sorted([*ours, *owners_of(stage, name)]))
    rule = f"a level of {stage} is offered twice"
    return PluginError(Problem(rule, f"{name!r} of {owners}", "Uninstall one of the packages"))


def get_level(stage: Stage, name: str) -> Level:
    """The level of this name, or that `module:function` names. Raises UsageError without one."""
    if is_reference(name):
        return referenced_level(stage, name)
    known = levels_of(stage)
    if name not in known:
        raise UsageError(Problem(f"unknown level of {stage}", repr(name), nearest(name, known)))
    return known[name]


def stage_metadata(stage: Stage) -> dict[str, Any]:
    """Metadata of every level of a stage as JSON, for documentation and the command line."""
    return {name: level.metadata() for name, level in levels_of(stage).items()}
