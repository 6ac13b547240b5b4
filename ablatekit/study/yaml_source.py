"""YAML 1.2 (core schema) to plain data in which every value and every key knows its position.

Read from PyYAML's event stream. YAML 1.1 surprises are gone (`1e-4` is a number, `no` and `1:30`
are strings, `010` is ten); what a study file never needs is refused with its position: duplicate
keys, tags, merge keys, several documents, recursive or exploding aliases, infinities.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from ablatekit.errors import Location, Problem, StudyError
from ablatekit.study.scalars import ScalarValue, resolve_scalar

Loc: TypeAlias = tuple[str | int, ...]
"""The way from the root to a value: mapping keys and list indices, as pydantic reports it."""

MAX_BYTES = 10_000_000
MAX_DEPTH = 64
MAX_ALIASED_NODES = 20_000
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value with its position; `size` counts the values it contains, aliases expanded."""

    where: Location
    content: ScalarValue | tuple[Node, ...] | Mapping[str, MappingEntry]
    size: int = 1

    def plain(self) -> Any:
        """The value as dicts, lists and scalars."""
        if isinstance(self.content, Mapping):
            return {key: entry.node.plain() for key, entry in self.content.items()}
        if isinstance(self.content, tuple):
            return [node.plain() for node in self.content]
        return self.content

    def entry(self, step: str | int) -> MappingEntry | None:
        """What lies one step below, if anything."""
        if isinstance(self.content, Mapping):
            return self.content.get(str(step))
        if isinstance(self.content, tuple) and isinstance(step, int):
            in_range = 0 <= step < len(self.content)
            return MappingEntry(self.content[step].where, self.content[step]) if in_range else None
        return None

    def path(self, loc: Loc) -> Loc:
        """`loc` without the steps that are not in the data (pydantic's union tags)."""
        node, kept = self, []
        for step in loc:
            entry = node.entry(step)
            if entry is not None:
                node = entry.node
                kept.append(step)
        return tuple(kept)

    def is_quoted_key(self, loc: Loc) -> bool:
        """Whether the key that the last step of `loc` names was written in quotes."""
        node, quoted = self, False
        for step in loc:
            entry = node.entry(step)
            if entry is None:
                break
            node, quoted = entry.node, entry.quoted
        return quoted

    def where_value(self, loc: Loc) -> Location:
        """Position of the value at `loc`, or of the nearest value around it."""
        node = self
        for step in loc:
            entry = node.entry(step)
            if entry is None:
                break
            node = entry.node
        return node.where

    def where_key(self, loc: Loc) -> Location:
        """Position of the key that the last step of `loc` names."""
        node, where = self, self.where
        for step in loc:
            entry = node.entry(step)
            if entry is None:
                break
            node, where = entry.node, entry.where
        return where


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """What a mapping holds under one key, with the position of the key.

    `quoted`: the key was written as text, also where it spells a number.
    """

    where: Location
    node: Node
    quoted: bool = False


def at_their_keys(node: Node, at: str = "") -> Node:
    """The same values, located by the way to them, as `factors.lr.levels[1]`: they have no file."""
    where = Location(at or "the study")
    if isinstance(node.content, Mapping):
        entries = {key: _at_key(key, entry, at) for key, entry in node.content.items()}
        return replace(node, where=where, content=entries)
    if isinstance(node.content, tuple):
        items = (at_their_keys(part, f"{at}[{place}]") for place, part in enumerate(node.content))
        return replace(node, where=where, content=tuple(items))
    return replace(node, where=where)


def _at_key(key: str, entry: MappingEntry, at: str) -> MappingEntry:
    node = at_their_keys(entry.node, f"{at}.{key}" if at else key)
    return replace(entry, where=node.where, node=node)


def read_source(path: Path) -> str:
    """The text of a study file.

    Raises StudyError for a missing file, a directory, an unreadable or huge file, or one that is
    not UTF-8.
    """
    where = Location(str(path))
    if path.is_dir():
        raise StudyError(
            Problem("a directory is not a study file", remedy="Name a file", where=where)
        )
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StudyError(Problem("too large for a study file", where=where))
        data = path.read_bytes()
    except FileNotFoundError:
        remedy = "`ablatekit study init` writes a starter study"
        raise StudyError(Problem("there is no such file", remedy=remedy, where=where)) from None
    except OSError as error:
        rule = f"cannot be read: {error.strerror or error}"
        raise StudyError(Problem(rule, where=where)) from None
    return _decode(data, str(path))


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        where = Location(file, before.count(b"\n") + 1, column)
        problem = Problem(
            "is not UTF-8 text", f"byte 0x{data[error.start]:02x}", "Save it as UTF-8 YAML", where
        )
        raise StudyError(problem) from None


def parse_yaml(text: str, file: str) -> Node:
    """The one document in `text`, with positions in `file`.

    Raises StudyError naming every duplicate key, tag and merge key, or the one syntax error.
    """
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    composer = _Composer(iter(yaml.parse(text, Loader=loader)), file)
    try:
        node = composer.document()
    except yaml.YAMLError as error:
        raise StudyError(_syntax_problem(error, text, file)) from None
    if composer.problems:
        raise StudyError(*composer.problems)
    return node


def parse_override(option: str) -> tuple[str, Node]:
    """`key=value` of one `--set`: the dotted key and the value as YAML, located at the option."""
    label = f"--set {option}"
    key, equals, text = option.partition("=")
    if not equals or not key.strip():
        remedy = "Write --set key=value, for instance --set replicates=3"
        raise StudyError(Problem("is not key=value", remedy=remedy, where=Location(label)))
    return key.strip(), _relocate(parse_yaml(text or "null", label), Location(label))


def _relocate(node: Node, where: Location) -> Node:
    content = node.content
    if isinstance(content, Mapping):
        content = {
            key: replace(entry, where=where, node=_relocate(entry.node, where))
            for key, entry in content.items()
        }
    elif isinstance(content, tuple):
        content = tuple(_relocate(part, where) for part in content)
    return Node(where, content, node.size)


def override(root: Node, key: str, value: Node) -> Node:
    """`root` with the value at the dotted `key` replaced or added.

    Raises StudyError when the key leads through something that is neither mapping nor list.
    """
    if isinstance(root.content, tuple):
        return _override_item(root, root.content, key, value)
    if not isinstance(root.content, Mapping):
        if root.content is not None:
            rule = f"there is no {key!r} below a single value"
            raise StudyError(Problem(rule, repr(root.content), where=value.where))
        return override(Node(value.where, {}), key, value)
    head, rest = _first_key(root.content, key)
    below = root.content.get(head) or MappingEntry(value.where, Node(value.where, None))
    new = override(below.node, rest, value) if rest else value
    return Node(root.where, {**root.content, head: replace(below, node=new)}, root.size)


def _override_item(root: Node, items: tuple[Node, ...], key: str, value: Node) -> Node:
    head, _, rest = key.partition(".")
    if not head.isdecimal() or int(head) >= len(items):
        rule = f"a list of {len(items)} has no item {head!r}"
        raise StudyError(Problem(rule, remedy="Items count from 0", where=value.where))
    index = int(head)
    new = override(items[index], rest, value) if rest else value
    return Node(root.where, (*items[:index], new, *items[index + 1 :]), root.size)


def _first_key(content: Mapping[str, MappingEntry], key: str) -> tuple[str, str]:
    """Split off the longest existing key (keys may contain dots), else the first component."""
    parts = key.split(".")
    for count in range(len(parts), 1, -1):
        head = ".".join(parts[:count])
        if head in content:
            return head, ".".join(parts[count:])
    return parts[0], ".".join(parts[1:])


_INDENTED = "Indent with spaces: this is a tab"


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
        remedy = _INDENTED if mark and text[mark.index : mark.index + 1] == "\t" else ""
        return Problem(f"is not valid YAML: {_syntax_text(error)}", "", remedy, where)
    position = getattr(error, "position", None)
    if position is None:
        return Problem(
            "is not valid YAML: it contains characters that YAML forbids", "", "", Location(file)
        )
    before = text[:position]
    where = Location(file, before.count("\n") + 1, position - before.rfind("\n"))
    return Problem("is not valid YAML: a control character", where=where)


def _syntax_text(error: yaml.MarkedYAMLError) -> str:
    """What the parser misses, and what it was reading since which line."""
    if not error.problem or not error.context:
        return str(error.problem or error.context)
    since = f" that starts in line {error.context_mark.line + 1}" if error.context_mark else ""
    return f"{error.problem} {error.context}{since}"


def _is_plain(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and bool(event.implicit[0])


class _Composer:
    """Builds nodes from events; collects the problems that do not stop it."""

    def __init__(self, events: Iterator[yaml.Event], file: str) -> None:
        self.events = events
        self.file = file
        self.problems: list[Problem] = []
        self._anchors: dict[str, Node | None] = {}
        self._aliased = 0
        self._depth = 0

    def document(self) -> Node:
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise StudyError(self._empty())
        node = self._node(next(self.events))
        next(self.events)
        more = next(self.events)
        if not isinstance(more, yaml.StreamEndEvent):
            rule = "holds more than one YAML document"
            remedy = "Keep one study per file: remove the '---'"
            raise StudyError(Problem(rule, remedy=remedy, where=self._where(more)))
        return node

    def _empty(self) -> Problem:
        remedy = "`ablatekit study init` writes a starter study"
        return Problem("is empty", remedy=remedy, where=Location(self.file, 1, 1))

    def _where(self, event: yaml.Event) -> Location:
        mark = event.start_mark
        return Location(self.file, mark.line + 1, mark.column + 1) if mark else Location(self.file)

    def _node(self, event: yaml.Event) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        self._refuse_tag(event)
        node = self._value(event)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _value(self, event: yaml.Event) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Node(self._where(event), self._scalar(event))
        self._depth += 1
        if self._depth > MAX_DEPTH:
            rule = f"is nested deeper than {MAX_DEPTH} levels"
            raise StudyError(Problem(rule, where=self._where(event)))
        is_list = isinstance(event, yaml.SequenceStartEvent)
        node = self._list(event) if is_list else self._mapping(event)
        self._depth -= 1
        return node

    def _refuse_tag(self, event: yaml.Event) -> None:
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            remedy = "Remove the tag: quotes make a string, plain numbers are numbers"
            self.problems.append(
                Problem("tags are not allowed in a study file", tag, remedy, self._where(event))
            )

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarValue:
        text = str(event.value)
        if not _is_plain(event):
            return text
        try:
            return resolve_scalar(text)
        except ValueError:
            remedy = "Numbers in a study file are finite; null stands for no value"
            rule = "is not a finite number of reasonable length"
            self.problems.append(Problem(rule, text[:40], remedy, self._where(event)))
            return text

    def _list(self, start: yaml.Event) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event))
        return Node(self._where(start), tuple(items), 1 + sum(item.size for item in items))

    def _mapping(self, start: yaml.Event) -> Node:
        entries: dict[str, MappingEntry] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, where = self._key(event), self._where(event)
            entry = MappingEntry(where, self._node(next(self.events)), not _is_plain(event))
            if key in entries:
                remedy = f"It was first given in line {entries[key].where.line}; keep one"
                self.problems.append(Problem("duplicate key", repr(key), remedy, where))
            entries.setdefault(key, entry)
        size = 1 + sum(entry.node.size for entry in entries.values())
        return Node(self._where(start), entries, size)

    def _key(self, event: yaml.Event) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise StudyError(self._compound_key(event))
        self._refuse_tag(event)
        if event.value == "<<" and _is_plain(event):
            remedy = "YAML 1.2 has no merge keys: write the keys out, or alias a whole value"
            self.problems.append(
                Problem("merge keys are not allowed", "<<", remedy, self._where(event))
            )
        return str(event.value)

    def _compound_key(self, event: yaml.Event) -> Problem:
        received = json.dumps(self._node(event).plain(), ensure_ascii=False)
        shown = received if len(received) <= _SHOWN else f"{received[:_SHOWN]}..."
        remedy = "Quote it if it is meant as text: braces and brackets start a mapping or a list"
        return Problem("a key must be a single value", shown, remedy, self._where(event))

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = event.anchor
        where = self._where(event)
        if name not in self._anchors:
            remedy = "Quote the value if it is meant to start with '*'"
            raise StudyError(Problem("unknown alias", f"*{name}", remedy, where))
        node = self._anchors[name]
        if node is None:
            raise StudyError(Problem("an alias may not contain itself", f"*{name}", "", where))
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            rule = f"aliases expand to more than {MAX_ALIASED_NODES} values"
            raise StudyError(Problem(rule, f"*{name}", "Write the values out", where))
        return node
