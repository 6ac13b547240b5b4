"""The page of every key of a study file, made from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_INTRODUCTION = """# The study file, key by key

Made from the schema by `ablatekit schema --markdown`; `ablatekit schema` prints the same for
editors. Unknown keys are errors with the nearest match. What stands in angle brackets is a name of
your choice.
"""
_WORDS = {
    "boolean": "true or false",
    "integer": "integer",
    "number": "number",
    "string": "text",
    "null": "null",
    "array": "list",
    "object": "mapping",
}
_BOUNDS = {
    "minimum": ">=",
    "exclusiveMinimum": ">",
    "maximum": "<=",
    "exclusiveMaximum": "<",
}
_ONE_VALUE = {"boolean", "integer", "number", "string", "null"}


def study_reference(schema: Schema) -> str:
    """The page, in Markdown: a table of keys for the study and for every part below it."""
    lines = [_INTRODUCTION]
    for heading, part in _parts("", schema, schema["$defs"]):
        lines += [f"## {heading or 'The study'}", "", _first(part.get("description", "")), ""]
        lines += ["| key | values | default | meaning |", "|---|---|---|---|"]
        for name, key in part["properties"].items():
            default = "required" if name in part.get("required", ()) else _default(key)
            cells = (f"`{name}`", _values(key, schema["$defs"]), default, _meaning(key))
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def _parts(place: str, part: Schema, known: Schema) -> Iterator[tuple[str, Schema]]:
    """A mapping of the file and those below it, with where they stand, each before what it holds.

    Where a plugin decides what a mapping holds, there is one for each plugin.
    """
    yield place, part
    for name, key in part["properties"].items():
        here = f"{place}.{name}" if place else name
        for step, below in _mappings(key, known):
            yield from _parts(f"{here}{step}", below, known)


def _mappings(key: Schema, known: Schema) -> Iterator[tuple[str, Schema]]:
    """The mappings with known keys that a value may be, and the step that leads to them."""
    if "$ref" in key:
        referred = known[key["$ref"].rsplit("/", 1)[-1]]
        if "properties" in referred:
            yield "", referred
        return
    for choice in (*key.get("anyOf", ()), *key.get("oneOf", ())):
        for step, below in _mappings(choice, known):
            yield f"{step}{_told_apart(below, key)}", below
    entries = (*key.get("patternProperties", {}).values(), key.get("additionalProperties"))
    for entry in entries:
        if isinstance(entry, Mapping):
            yield from ((f".<name>{step}", below) for step, below in _mappings(entry, known))


def _told_apart(part: Schema, choice: Schema) -> str:
    """`(kind: custom)`: the value of the key that tells a plugin's mapping from another's."""
    name = choice.get("discriminator", {}).get("propertyName")
    only = part["properties"].get(name, {}).get("const") if name else None
    return f" ({name}: {only})" if only else ""


def _values(key: Schema, known: Schema) -> str:
    if "$ref" in key or list(_mappings(key, known)):
        return "see below"
    if "const" in key:
        return f"`{json.dumps(key['const'])}`"
    if "enum" in key:
        return " \\| ".join(f"`{value}`" for value in key["enum"])
    choices = (*key.get("anyOf", ()), *key.get("oneOf", ()))
    if choices:
        return _joined(choices, known)
    word = _WORDS.get(str(key.get("type")), "any")
    if word == "list" and key.get("items"):
        word = f"list of {_values(key['items'], known)}"
    bounds = [f"{sign} {key[name]}" for name, sign in _BOUNDS.items() if name in key]
    return ", ".join([word, *bounds])


def _joined(choices: tuple[Schema, ...], known: Schema) -> str:
    kinds = {str(choice.get("type")) for choice in choices}
    if kinds == _ONE_VALUE:
        return "one value"
    return " or ".join(dict.fromkeys(_values(choice, known) for choice in choices))


def _default(key: Schema) -> str:
    value = key.get("default", {})
    return "" if value == {} else f"`{json.dumps(value)}`"


def _meaning(key: Schema) -> str:
    return " ".join(key.get("description", "").split()).replace("|", "\\|")


def _first(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())
