"""What a scaffold is, and how a distribution is made from one.

A scaffold is a folder of templates (`string.Template`, names ending in `.tmpl`) registered under
the entry-point group `ablatekit.scaffolds` by the kind of plugin that it makes. Templates know
`$name` (of the plugin and its distribution), `$package` (what Python imports), `$class_name` (the
beginning of names of classes) and `$suffix` (of files); in paths these are PACKAGE and SUFFIX.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

from ablatekit.errors import Location, PluginError, Problem, UsageError
from ablatekit.plugins import imported, installed_points, registered
from ablatekit.scaffolds.names import check_name

ENTRY_POINT_GROUP = "ablatekit.scaffolds"
TEMPLATE = ".tmpl"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """Templates of one kind of plugin.

    kind: as in `ablatekit KIND new`. folder: where the templates lie. taken: the names that a new
    plugin cannot have. trial: a command that shows the plugin at work; `{folder}` is the
    distribution, `{suffix}` that of its files.
    """

    kind: str
    folder: Path
    taken: Callable[[], Collection[str]]
    trial: str


def scaffold_of(kind: str) -> Scaffold:
    """The scaffold that is registered for a kind of plugin.

    Raises PluginError when there is none, or when it cannot be imported.
    """
    if not any(point.name == kind for point in installed_points(ENTRY_POINT_GROUP)):
        rule = f"no installed distribution makes a new {kind}"
        raise PluginError(Problem(rule, "", f"Install a backend that has {kind}s of its own"))
    point = registered(ENTRY_POINT_GROUP, f"scaffold of a {kind}", kind)
    scaffold = imported(point, f"scaffold of a {kind}")
    assert isinstance(scaffold, Scaffold), point.value
    return scaffold


def make_distribution(scaffold: Scaffold, name: str, output: Path) -> Path:
    """Write a distribution called `name` below `output`, all of it or nothing; its folder.

    Raises UsageError for a name that cannot be used, or a folder that is there already.
    """
    check_name(scaffold.kind, name, scaffold.taken())
    folder = output / name
    if os.path.lexists(folder):
        remedy = "Choose another name, or another folder with --output"
        raise UsageError(Problem("it exists already", "", remedy, Location(str(folder))))
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=f".{name}-") as temporary:
        made = Path(temporary) / name
        for path, text in rendered(scaffold, name):
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text, encoding="utf-8")
        shutil.move(made, folder)
    return folder


def rendered(scaffold: Scaffold, name: str) -> Iterator[tuple[str, str]]:
    """(path, text) of each file of a distribution called `name`, by path."""
    words = words_of(name)
    for path in sorted(scaffold.folder.rglob(f"*{TEMPLATE}")):
        place = path.relative_to(scaffold.folder).as_posix().removesuffix(TEMPLATE)
        for word in ("package", "suffix"):
            place = place.replace(word.upper(), words[word])
        yield place, Template(path.read_text(encoding="utf-8")).substitute(words)


def words_of(name: str) -> dict[str, str]:
    """What stands for the words of a template: demo-two is the package demo_two of DemoTwo."""
    parts = name.replace("_", "-").split("-")
    return {
        "name": name,
        "package": "_".join(parts),
        "class_name": "".join(part.capitalize() for part in parts),
        "suffix": "".join(parts),
    }
