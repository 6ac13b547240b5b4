"""Which names a new distribution can have: importable, and nobody else's."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from ablatekit.errors import Problem, UsageError

LONGEST = 40
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


def check_name(kind: str, name: str, taken: Collection[str]) -> None:
    """Raise UsageError unless a new plugin can have this name.

    It becomes the name of a plugin, of a distribution and, with `_` for `-`, of what Python
    imports; `taken` are the names of installed plugins of this kind.
    """
    for refusal in (_form, _python, _installed):
        refused = refusal(name)
        if refused is not None:
            raise UsageError(Problem(refused[0], repr(name), refused[1]))
    if name in taken:
        rule = f"a {kind} of this name is installed"
        raise UsageError(Problem(rule, repr(name), "Choose another name"))


def _form(name: str) -> tuple[str, str] | None:
    if _NAME.fullmatch(name) and len(name) <= LONGEST:
        return None
    rule = (
        "the name of a distribution begins with a letter and has lower-case letters, digits, and"
        f" single - or _ between them, at most {LONGEST} in all"
    )
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST].strip("-")
    return rule, f"For instance {better}" if _NAME.fullmatch(better) else "For instance my_plugin"


def _python(name: str) -> tuple[str, str] | None:
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names:
        return "Python itself has this name", f"For instance my_{package}"
    return None


def _installed(name: str) -> tuple[str, str] | None:
    package = name.replace("-", "_")
    try:
        owner = distribution(name).name
    except PackageNotFoundError:
        spec = find_spec(package)
        # A folder of this name where Python was started is no module of anybody.
        if spec is None or spec.origin is None:
            return None
        return f"there is a module {package} in this environment", "Choose another name"
    return f"the distribution {owner} is installed in this environment", "Choose another name"
