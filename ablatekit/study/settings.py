"""A backend's settings model seen as dotted names, and the settings that a study gives."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ablatekit.errors import Location
from ablatekit.study.yaml_source import Loc, Node


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting of a backend.

    execution: it decides where a run executes, never its results. unstated: a run at its default
    is the run without the setting, and says nothing of it.
    """

    name: str
    info: FieldInfo
    execution: bool
    unstated: bool = False

    @property
    def extra(self) -> Mapping[str, Any]:
        """What the backend declares in `json_schema_extra`."""
        return _extra(self.info)

    @property
    def input(self) -> bool:
        """Whether it may name a file or folder, which is sought beside the study file first."""
        return self.extra.get("input") is True

    @property
    def holds_mapping(self) -> bool:
        """Whether the value itself is a mapping with keys of the user's choice."""
        return any(
            get_origin(part) is dict or part is dict for part in _parts(self.info.annotation)
        )


@dataclass(frozen=True, slots=True)
class Given:
    """A setting as the study gives it: its value, and where.

    `is_key`: the value is the key at `loc`, a context's level that has covariates.
    """

    value: Any
    loc: Loc
    is_key: bool = False

    @property
    def named_at(self) -> Loc:
        """The key that names the setting; in the short form the factor or context variable."""
        return self.loc[:2] if self.is_key or isinstance(self.loc[-1], int) else self.loc

    def where(self, source: Node) -> Location:
        """Position of the value."""
        return source.where_key(self.loc) if self.is_key else source.where_value(self.loc)


def setting_fields(model: type[BaseModel]) -> dict[str, SettingField]:
    """Every setting of a backend by dotted name, in the order of declaration."""
    return {field.name: field for field in _walk_fields(model, "", frozenset())}


def _walk_fields(
    model: type[BaseModel], prefix: str, above: frozenset[str]
) -> Iterator[SettingField]:
    """`above`: what the models around this one declare, which holds for all that is in them."""
    for name, info in model.model_fields.items():
        extra = _extra(info)
        declared = above | {word for word in ("execution", "unstated") if extra.get(word) is True}
        nested = models_in(info.annotation)
        for part in nested:
            yield from _walk_fields(part, f"{prefix}{name}.", declared)
        if not nested:
            yield SettingField(
                f"{prefix}{name}", info, "execution" in declared, "unstated" in declared
            )


def _extra(info: FieldInfo) -> Mapping[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation, or the members of a union, without `Annotated`."""
    if isinstance(annotation, type) or get_origin(annotation) in (dict, list, tuple):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _parts(part)


def models_in(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The pydantic models that a value of this annotation may be."""
    parts = (part for part in _parts(annotation) if isinstance(part, type))
    return tuple(part for part in parts if issubclass(part, BaseModel))


def fields_at(model: type[BaseModel], loc: Iterable[str | int]) -> dict[str, FieldInfo]:
    """The keys that the schema knows for the mapping at `loc`."""
    annotations: list[Any] = [model]
    for step in loc:
        annotations = [below for annotation in annotations for below in _below(annotation, step)]
    models = (below for annotation in annotations for below in models_in(annotation))
    return {name: info for below in models for name, info in below.model_fields.items()}


def _below(annotation: Any, step: str | int) -> list[Any]:
    annotations: list[Any] = []
    for part in _parts(annotation):
        if get_origin(part) in (dict, list):
            annotations.append(get_args(part)[-1])
        elif isinstance(part, type) and issubclass(part, BaseModel):
            fields = part.model_fields.items()
            annotations += [info.annotation for name, info in fields if name == step]
    return annotations


def flatten(settings: Mapping[str, Any], loc: Loc) -> dict[str, Given]:
    """Nested settings by dotted name; a mapping without keys is a value.

    Raises ValueError with the dotted name when a setting is given twice.
    """
    settings_by_name: dict[str, Given] = {}
    for name, given in _leaves(settings, "", loc):
        if name in settings_by_name:
            raise ValueError(name)
        settings_by_name[name] = given
    return settings_by_name


def _leaves(settings: Mapping[str, Any], prefix: str, loc: Loc) -> Iterator[tuple[str, Given]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.", (*loc, key))
        else:
            yield f"{prefix}{key}", Given(value, (*loc, key))


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as nested mappings: the inverse of `flatten`."""
    root: dict[str, Any] = {}
    for name, value in settings.items():
        *parents, last = name.split(".")
        place = root
        for parent in parents:
            below = place.get(parent)
            place[parent] = below if isinstance(below, dict) else {}
            place = place[parent]
        place[last] = value
    return root


def is_open(model: type[BaseModel]) -> bool:
    """Whether a study may give settings that the model does not declare, such as a program's own.

    A backend whose settings have `extra="allow"` checks such names itself, in `examine`.
    """
    return model.model_config.get("extra") == "allow"


def other_names(model: type[BaseModel]) -> Mapping[str, str]:
    """What others call a setting -> its name here: the model's `other_names`, if it has any."""
    names: Mapping[str, str] = getattr(model, "other_names", {})
    return names


def flatten_model(settings: BaseModel) -> dict[str, Any]:
    """Validated settings as JSON values by dotted name; undeclared ones of an open model behind."""
    dumped = settings.model_dump(mode="json")
    undeclared = {name: dumped[name] for name in settings.model_extra or ()}
    given = {name: leaf.value for name, leaf in _leaves(undeclared, "", ())}
    return dict(_model_leaves(settings, dumped, "")) | given


def _model_leaves(
    settings: BaseModel, dumped: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Any]]:
    for name in type(settings).model_fields:
        value = dumped[name]
        part = getattr(settings, name) if isinstance(value, dict) else None
        if isinstance(part, BaseModel):
            yield from _model_leaves(part, value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def documented(model: type[BaseModel]) -> type[BaseModel]:
    """The same model, every field described: by itself, or by the docstring below it in the source.

    pydantic's `use_attribute_docstrings` reads every source as its classes are defined, which a
    command that shows no description has to wait for.
    """
    for name, info in model.model_fields.items():
        if info.description is None:
            info.description = _docstrings(model).get(name)
        for part in models_in(info.annotation):
            documented(part)
    return model


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings of attributes, those of base classes first."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            texts |= _module_docstrings(base.__module__).get(base.__name__, {})
    return texts


@cache
def _module_docstrings(module: str) -> Mapping[str, Mapping[str, str]]:
    """The docstrings of attributes by class; none where a module has no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:
        return {}
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {node.name: dict(described_names(node.body)) for node in classes}


def described_names(body: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Names of annotated attributes with the text that stands below them."""
    for declared, below in pairwise(body):
        if not (isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name)):
            continue
        text = below.value if isinstance(below, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            yield declared.target.id, inspect.cleandoc(text.value)


def overlap(name: str, other: str) -> bool:
    """Whether two dotted names name the same setting, or one lies below the other."""
    return name == other or name.startswith(f"{other}.") or other.startswith(f"{name}.")


def is_known(name: str, fields: Mapping[str, SettingField]) -> bool:
    """Whether a dotted name is a setting, a group of settings, or a key of a mapping setting."""
    if name in fields:
        return True
    above = (field for field in fields.values() if name.startswith(f"{field.name}."))
    return any(known.startswith(f"{name}.") for known in fields) or any(
        field.holds_mapping for field in above
    )


def is_inside(name: str, fields: Mapping[str, SettingField]) -> bool:
    """Whether the first part of a dotted name is that of a declared group of settings."""
    first = name.partition(".")[0]
    return first != name and any(known.startswith(f"{first}.") for known in fields)
