"""Plugins by name through entry points: one group per axis, nothing imported before it is named.

An axis is a place where somebody else's code can stand in for ours. A plugin of any axis is a class
whose `name` is the name of its entry point; executors, trackers and kinds of design also have
`settings`, a pydantic model of their part of the study file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from ablatekit.errors import PluginError, Problem, nearest

if TYPE_CHECKING:
    from ablatekit.backend import Backend

Axis: TypeAlias = Literal["backend", "executor", "tracker", "reader", "design"]


class _Contract(NamedTuple):
    """The entry-point group of an axis, and how messages call its plugins and their protocol."""

    group: str
    noun: str
    protocol: str
    has_settings: bool


CONTRACTS: Mapping[Axis, _Contract] = MappingProxyType(
    {
        "backend": _Contract("ablatekit.backends", "backend", "ablatekit.backend", False),
        "executor": _Contract(
            "ablatekit.executors", "executor", "ablatekit.dispatch.executors.base", True
        ),
        "tracker": _Contract("ablatekit.trackers", "tracker", "ablatekit.tracking.base", True),
        "reader": _Contract(
            "ablatekit.readers", "reader", "ablatekit.analysis.tables.readers.base", False
        ),
        "design": _Contract(
            "ablatekit.designs", "kind of design", "ablatekit.design.kinds.base", True
        ),
    }
)


def plugin_names(axis: Axis) -> tuple[str, ...]:
    """The names of all installed plugins of an axis, sorted; nothing is imported."""
    return tuple(sorted({point.name for point in _points(axis)}))


def load_plugin(axis: Axis, name: str) -> Any:
    """Import the class that is registered as `name` on an axis.

    Raises PluginError when the name is unknown, registered twice, cannot be imported, or does not
    have what every plugin of the axis has. What calls the class checks the rest of its contract.
    """
    point = _entry_point(axis, name)
    try:
        plugin = point.load()
    except (ImportError, AttributeError) as error:
        remedy = f"Install what {_distribution(point)} needs in this environment"
        raise _not_imported(axis, name, str(error), remedy) from error
    except (Exception, SystemExit) as error:  # a plugin's module may raise anything
        remedy = f"Ask the author of {_distribution(point)}, or uninstall it"
        raise _not_imported(axis, name, f"{type(error).__name__}: {error}", remedy) from error
    if axis != "backend" and not _is_plugin(axis, plugin, name):
        raise broken_contract(axis, name)
    return plugin


def _not_imported(axis: Axis, name: str, received: str, remedy: str) -> PluginError:
    rule = f"{CONTRACTS[axis].noun} {name!r} cannot be imported"
    return PluginError(Problem(rule, received, remedy))


def load_backend(name: str) -> Backend:
    """Import and instantiate the backend called `name`.

    Raises PluginError when the name is unknown, registered twice, or does not fulfil the contract.
    """
    from ablatekit.backend import Backend

    backend = load_plugin("backend", name)()
    if not isinstance(backend, Backend) or backend.name != name:
        raise broken_contract("backend", name)
    return backend


def broken_contract(axis: Axis, name: str) -> PluginError:
    """The refusal of a plugin that lacks what its protocol demands."""
    from ablatekit.backend import API_VERSION

    contract = CONTRACTS[axis]
    return PluginError(
        Problem(
            f"{contract.noun} {name!r} does not fulfil the contract of {contract.protocol}"
            f" (API version {API_VERSION})",
            _entry_point(axis, name).value,
            f"Run the tests of ablatekit.testing.{axis}_suite on it",
        )
    )


def _is_plugin(axis: Axis, plugin: Any, name: str) -> bool:
    if not isinstance(plugin, type) or getattr(plugin, "name", None) != name:
        return False
    if not CONTRACTS[axis].has_settings:
        return True
    from pydantic import BaseModel

    settings = getattr(plugin, "settings", None)
    return isinstance(settings, type) and issubclass(settings, BaseModel)


def _entry_point(axis: Axis, name: str) -> EntryPoint:
    contract = CONTRACTS[axis]
    points = [point for point in _points(axis) if point.name == name]
    if not points:
        remedy = nearest(name, plugin_names(axis))
        raise PluginError(Problem(f"unknown {contract.noun}", repr(name), remedy))
    first, *others = points
    if any(_identity(other) != _identity(first) for other in others):
        owners = ", ".join(sorted(map(_distribution, points)))
        rule = f"{contract.noun} {name!r} is registered more than once"
        raise PluginError(Problem(rule, owners, "Uninstall all but one"))
    return first


def _identity(point: EntryPoint) -> tuple[str, str]:
    """Equal for what one distribution registers, however often it lies on the import path."""
    return point.value, _distribution(point)


def _points(axis: Axis) -> tuple[EntryPoint, ...]:
    return installed_points(CONTRACTS[axis].group)


def installed_points(group: str) -> tuple[EntryPoint, ...]:
    """What the installed distributions register under an entry-point group; nothing is imported."""
    places = tuple((entry, _changed(entry)) for entry in sys.path)
    return _installed(places).get(group, ())


@cache
def _installed(_places: tuple[tuple[str, int], ...]) -> Mapping[str, tuple[EntryPoint, ...]]:
    """What is registered, by group: reading takes milliseconds, and a study asks for several."""
    points = entry_points()
    return {group: tuple(points.select(group=group)) for group in points.groups}


def _changed(entry: str) -> int:
    """When something was last installed in a place that Python imports from."""
    try:
        return Path(entry or ".").stat().st_mtime_ns
    except OSError:
        return 0


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
