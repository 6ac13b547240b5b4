"""Plugins by name through entry points: one group per axis, nothing imported before it is named.

An axis is a place where somebody else's code can stand in for ours. A plugin of any axis is a class
whose `name` is the name of its entry point; executors, trackers and kinds of design also have
`settings`, a pydantic model of their part of the study file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from ablatekit.errors import AblatekitError, PluginError, Problem, nearest

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
    have what every plugin of the axis has. What makes an instance (`made`) checks the rest of its
    contract. Messages name the distribution that registers the plugin.
    """
    contract = CONTRACTS[axis]
    plugin = imported(_entry_point(axis, name), f"{contract.noun} {name!r}")
    if axis != "backend":
        wanted = _wanted_of_class(axis, plugin, name)
        if wanted:
            raise broken_contract(axis, name, wanted)
    return plugin


def imported(point: EntryPoint, what: str) -> Any:
    """What an entry point names; PluginError, naming its distribution, if it cannot be imported."""
    rule, owner = f"{what} cannot be imported", distribution_of(point)
    try:
        return point.load()
    except PluginError:  # it names the plugin of its own that is broken
        raise
    except ImportError as error:
        remedy = f"Install what {owner} needs in this environment"
        raise PluginError(Problem(rule, str(error), remedy)) from error
    except (Exception, SystemExit) as error:  # a plugin's module may raise anything
        remedy = f"Ask the author of {owner}, or uninstall it"
        raise PluginError(Problem(rule, _told(error), remedy)) from error


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def made(axis: Axis, name: str, protocol: type[Any], *arguments: Any) -> Any:
    """The plugin called `name`, made from `arguments`, with all that its protocol demands.

    Raises PluginError as `load_plugin` does, when it cannot be made, and with the members that it
    lacks.
    """
    kind = load_plugin(axis, name)
    with _foreign_code(axis, name, "it cannot be made"):
        plugin = kind(*arguments)
    missing = [member for member in _members(protocol) if not hasattr(plugin, member)]
    if missing:
        raise broken_contract(axis, name, f"it has no {', no '.join(missing)}")
    if plugin.name != name:
        raise broken_contract(axis, name, f"its name is {plugin.name!r}")
    return plugin


def answer_of(axis: Axis, plugin: Any, member: str, *arguments: Any, **named: Any) -> Any:
    """What a method of a plugin answers.

    Raises PluginError, naming its distribution, where it fails with anything but our own errors and
    the system's, and where it answers None.
    """
    with _foreign_code(axis, plugin.name, f"{member}() fails"):
        answer = getattr(plugin, member)(*arguments, **named)
    if answer is None:
        raise broken_contract(axis, plugin.name, f"{member}() answers nothing")
    return answer


@contextmanager
def _foreign_code(axis: Axis, name: str, failure: str) -> Iterator[None]:
    """Make one message of whatever a plugin raises but our own errors and the system's."""
    try:
        yield
    except (AblatekitError, OSError):
        raise
    except Exception as error:  # a plugin's code may raise anything
        raise broken_contract(axis, name, f"{failure}: {_told(error)}") from error


def _members(protocol: type[Any]) -> tuple[str, ...]:
    """What a protocol asks for, attributes first."""
    members = (*protocol.__annotations__, *vars(protocol))
    return tuple(dict.fromkeys(name for name in members if not name.startswith("_")))


def load_backend(name: str) -> Backend:
    """Import and instantiate the backend called `name`.

    Raises PluginError when the name is unknown, registered twice, or does not fulfil the contract.
    """
    from ablatekit.backend import Backend

    backend: Backend = made("backend", name, Backend)
    wanted = _wanted_of_backend(backend)
    if wanted:
        raise broken_contract("backend", name, wanted)
    return backend


def _wanted_of_backend(backend: Backend) -> str:
    """What the values that a backend declares are not; empty for nothing."""
    from ablatekit.backend import Lack, lacks

    if type(backend.results_version) is not int or backend.results_version < 1:
        return f"its results_version is {backend.results_version!r}, and not a number from 1"
    unknown = sorted(set(map(str, lacks(backend))) - set(get_args(Lack)))
    if unknown:
        return f"it lacks {', '.join(unknown)}, which nobody knows"
    if not _is_model(backend.settings):
        return "its settings are no pydantic model"
    needed = [name for name, info in backend.settings.model_fields.items() if info.is_required()]
    return f"its settings have no default for {', '.join(needed)}" if needed else ""


def broken_contract(axis: Axis, name: str, wanted: str) -> PluginError:
    """The refusal of a plugin that lacks what its protocol demands."""
    from ablatekit.backend import API_VERSION

    contract = CONTRACTS[axis]
    points = [point for point in _points(axis) if point.name == name]
    owner = f"{points[0].value} of {distribution_of(points[0])}" if points else repr(name)
    return PluginError(
        Problem(
            f"{contract.noun} {name!r} does not fulfil the contract of {contract.protocol}"
            f" (API version {API_VERSION})",
            f"{owner}: {wanted}",
            f"Run the tests of ablatekit.testing.{axis}_suite on it",
        )
    )


def _wanted_of_class(axis: Axis, plugin: Any, name: str) -> str:
    """What the class of a plugin lacks; empty for nothing."""
    if not isinstance(plugin, type):
        return "it is no class"
    named = getattr(plugin, "name", None)
    if named != name:
        return f"its name is {named!r}"
    if not CONTRACTS[axis].has_settings:
        return ""
    is_model = _is_model(getattr(plugin, "settings", None))
    return "" if is_model else "its settings are no pydantic model"


def _is_model(settings: Any) -> bool:
    from pydantic import BaseModel

    return isinstance(settings, type) and issubclass(settings, BaseModel)


def _entry_point(axis: Axis, name: str) -> EntryPoint:
    return registered(CONTRACTS[axis].group, CONTRACTS[axis].noun, name)


def registered(group: str, noun: str, name: str) -> EntryPoint:
    """The entry point called `name` of a group; PluginError for none, or for several."""
    offered = installed_points(group)
    points = [point for point in offered if point.name == name]
    if not points:
        remedy = nearest(name, sorted({point.name for point in offered}))
        raise PluginError(Problem(f"unknown {noun}", repr(name), remedy))
    first, *others = points
    if any(_identity(other) != _identity(first) for other in others):
        owners = ", ".join(sorted(map(distribution_of, points)))
        rule = f"{noun} {name!r} is registered more than once"
        raise PluginError(Problem(rule, owners, "Uninstall all but one"))
    return first


def _identity(point: EntryPoint) -> tuple[str, str]:
    """Equal for what one distribution registers, however often it lies on the import path."""
    return point.value, distribution_of(point)


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


def distribution_of(point: EntryPoint) -> str:
    """The name of the distribution that registers it."""
    return point.dist.name if point.dist is not None else point.value
