"""Backends by name through entry points: all names without loading, one backend when asked for."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Literal, TypeAlias

from ablatekit.backend import API_VERSION, ENTRY_POINT_GROUP, Backend
from ablatekit.errors import PluginError, Problem, nearest

Axis: TypeAlias = Literal["backend", "executor", "tracker", "reader", "design"]
"""What can be added from outside, each under the entry-point group `ablatekit.<axis>s`."""


def plugin_names(axis: Axis) -> tuple[str, ...]:
    """The names of everything that is installed for an axis, sorted; nothing is imported."""
    return tuple(sorted({point.name for point in entry_points(group=f"ablatekit.{axis}s")}))


def load_plugin(axis: Axis, name: str) -> type | object:
    """Import what is registered for an axis under `name`; raises PluginError if nothing is."""
    points = [point for point in entry_points(group=f"ablatekit.{axis}s") if point.name == name]
    if not points:
        remedy = nearest(name, plugin_names(axis))
        raise PluginError(Problem(f"unknown {axis}", repr(name), remedy))
    plugin: type | object = points[0].load()
    return plugin


def backend_names() -> tuple[str, ...]:
    """The names of all installed backends, sorted; nothing is imported."""
    return tuple(sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)}))


def load_backend(name: str) -> Backend:
    """Import and instantiate the backend called `name`.

    Raises PluginError when the name is unknown, registered twice, or does not fulfil the contract.
    """
    point = _entry_point(name)
    try:
        backend = point.load()()
    except ImportError as error:
        raise PluginError(
            Problem(
                f"backend {name!r} cannot be imported",
                str(error),
                f"Install what {_distribution(point)} needs in this environment",
            )
        ) from error
    if not isinstance(backend, Backend) or backend.name != name:
        raise PluginError(
            Problem(
                f"backend {name!r} does not fulfil the contract of ablatekit.backend"
                f" (API version {API_VERSION})",
                point.value,
                "Run ablatekit.testing.BackendSuite on it",
            )
        )
    return backend


def _entry_point(name: str) -> EntryPoint:
    points = {
        (point.value, _distribution(point)): point
        for point in entry_points(group=ENTRY_POINT_GROUP, name=name)
    }
    if not points:
        raise PluginError(Problem("unknown backend", repr(name), nearest(name, backend_names())))
    if len(points) > 1:
        owners = ", ".join(sorted(owner for _, owner in points))
        raise PluginError(
            Problem(
                f"backend {name!r} is registered more than once", owners, "Uninstall all but one"
            )
        )
    return next(iter(points.values()))


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
