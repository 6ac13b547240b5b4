"""The parts of a study that a plugin validates: a name, and beside it the plugin's own settings.

`design: {kind: NAME, ...}`, `dispatch: {executor: NAME, ...}` and `tracking: {tracker: NAME, ...}`
become one class each, made of the keys that every study has there and of the settings of the plugin
that is named. So one validation finds every mistake, and `study.dispatch` is at the same time an
instance of the executor's settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, Union, cast

from pydantic import ConfigDict, Field, create_model

from ablatekit.errors import PluginError, Problem
from ablatekit.plugins import CONTRACTS, Axis, load_plugin, plugin_names
from ablatekit.study.schema import DesignPart, DispatchPart, StudyPart, StudySchema, TrackingPart
from ablatekit.study.yaml_source import Node


class _Place(NamedTuple):
    """A part of the study file with the key that names its plugin; `default` where it is absent."""

    axis: Axis
    key: str
    default: str
    part: type[StudyPart]

    @property
    def absent(self) -> dict[str, str]:
        """What stands for the part in a study that does not have it."""
        required = self.part.model_fields[self.key].is_required()
        return {self.key: self.default} if required else {}


PLACES: Mapping[str, _Place] = MappingProxyType(
    {
        "design": _Place("design", "kind", "full", DesignPart),
        "dispatch": _Place("executor", "executor", "local", DispatchPart),
        "tracking": _Place("tracker", "tracker", "mlflow", TrackingPart),
    }
)


def study_model(source: Node) -> tuple[type[StudySchema], list[Problem]]:
    """The model of a study that names these plugins, and the plugins that cannot be had.

    The part of such a plugin is validated as far as it is known without one.
    """
    models: dict[str, type[StudyPart]] = {}
    problems: list[Problem] = []
    for name, place in PLACES.items():
        try:
            models[name] = _named_part(place, source, name)
        except PluginError as error:
            where = source.where_value((name, place.key))
            problems += [problem.at(where) for problem in error.problems]
            models[name] = _open_part(place.part)
    return _joined_study(**models), problems


def complete_model() -> type[StudySchema]:
    """The model of every study that the installed plugins allow, for editors."""
    return _joined_study(**{name: _any_part(place) for name, place in PLACES.items()})


def _named_part(place: _Place, source: Node, name: str) -> type[StudyPart]:
    entry = source.entry(name)
    named = entry.node.entry(place.key) if entry is not None else None
    plugin = place.default if named is None else named.node.content
    if not isinstance(plugin, str):
        return _open_part(place.part)
    return _joined_part(place, load_plugin(place.axis, plugin))


@cache
def _joined_part(place: _Place, plugin: Any) -> type[StudyPart]:
    """The keys of the part and the settings of the plugin, as one model."""
    settings: Any = plugin.settings
    _refuse_shared_keys(place, plugin.name, settings)
    info = place.part.model_fields[place.key]
    is_default = not info.is_required() and plugin.name == place.default
    default = plugin.name if is_default else ...
    fields: dict[str, Any] = {place.key: (_only(plugin.name), default)}
    return create_model(
        plugin.__name__,
        __base__=(settings, place.part),
        __module__=plugin.__module__,
        __doc__=f"{place.part.__doc__} {settings.__doc__}",
        **fields,
    )


def _refuse_shared_keys(place: _Place, plugin: str, settings: Any) -> None:
    shared = settings.model_fields.keys() & (set(dir(place.part)) | place.part.model_fields.keys())
    if shared:
        rule = f"{CONTRACTS[place.axis].noun} {plugin!r} has a setting that its part has already"
        raise PluginError(Problem(rule, ", ".join(sorted(shared)), "Its author must rename it"))


@cache
def _open_part(part: type[StudyPart]) -> type[StudyPart]:
    """The part without a plugin: keys that only the plugin would know are not looked at."""

    class Open(part):  # type: ignore[misc, valid-type]
        model_config = ConfigDict(extra="ignore")

    return Open


def _any_part(place: _Place) -> Any:
    """The part with any of the installed plugins, told apart by its name."""
    parts = list(_usable_parts(place))
    if len(parts) == 1:
        return parts[0]
    return Annotated[Union[tuple(parts)], Field(discriminator=place.key)]  # noqa: UP007


def _usable_parts(place: _Place) -> Iterator[type[StudyPart]]:
    """The part for every plugin that can be had; a broken one is named where a study names it."""
    for name in plugin_names(place.axis):
        with suppress(PluginError):
            yield _joined_part(place, load_plugin(place.axis, name))


def _only(name: str) -> Any:
    """The type that has this text as its one value."""
    return cast("Any", Literal)[name]


@cache
def _joined_study(**parts: Any) -> type[StudySchema]:
    """A study with these parts; one that a study does not have is validated from its default."""
    fields: dict[str, Any] = {
        name: (part, Field(default=PLACES[name].absent, validate_default=True))
        for name, part in parts.items()
    }
    return create_model("Study", __base__=StudySchema, __doc__=StudySchema.__doc__, **fields)
