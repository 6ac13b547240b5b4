"""The page for authors of backends, made from docstrings and from the scaffold of a backend.

python -m ablatekit.scaffolds.reference > docs/backends.md
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator

from ablatekit import backend
from ablatekit.scaffolds.base import rendered, scaffold_of
from ablatekit.study.settings import described_names

_HEAD = """# Backends

Whatever trains is a backend: a class with the members below, registered under a name. This page is
made by `python -m ablatekit.scaffolds.reference` from what the code says of itself.

```bash
ablatekit backend new demo
pip install -e demo
ablatekit study run demo/study.yaml
```

The first command writes a distribution that installs, passes the tests that every backend passes
(`pytest demo`), and runs at once; put your own settings, metrics and training into it. A program
that is run as it is needs no backend of its own: see the backend `command`. What each test wants is
a table in [CONTRIBUTING](../CONTRIBUTING.md#what-the-tests-of-a-backend-want).

## The smallest backend

`demo/demo/backend.py`:

"""
_EXAMPLE, _STUDY = "demo/backend.py", "study.yaml"
_CLASSES = (
    backend.Backend,
    backend.Examining,
    backend.RunSpec,
    backend.RunContext,
    backend.Seeds,
    backend.RunResult,
    backend.MetricSpec,
    backend.Resources,
    backend.Rule,
)
_CONDITIONS: tuple[Callable[..., backend.Condition], ...] = (
    backend.one_of,
    backend.none_of,
    backend.below,
    backend.at_least,
    backend.above_setting,
    backend.above_product,
    backend.within_product,
)
_ENTRY = re.compile(r"(\w+): ")


def backends_page() -> str:
    """The page, in Markdown."""
    files = dict(rendered(scaffold_of("backend"), "demo"))
    parts = [_HEAD + _code(files[_EXAMPLE], "python"), "`demo/study.yaml`:\n"]
    parts += [_code(files[_STUDY], "yaml"), "## What `ablatekit.backend` has\n"]
    for described in _CLASSES:
        parts += _class(described)
    parts += ["### Conditions of a rule\n", "\n".join(map(_function, _CONDITIONS)) + "\n"]
    parts += ["### Lack\n", _text(_said_of("Lack"))]
    return "\n".join(parts)


def _code(text: str, language: str) -> str:
    return f"```{language}\n{text}```\n"


def _class(described: type) -> Iterator[str]:
    yield f"### {described.__name__}\n"
    yield _text(inspect.getdoc(described) or "")
    fields = list(_fields(described))
    if fields:
        yield "\n".join(["| field | type | default |", "|---|---|---|", *fields]) + "\n"
    methods = [value for name, value in vars(described).items() if _is_method(name, value)]
    if methods:
        yield "\n".join(map(_function, methods)) + "\n"


def _fields(described: type) -> Iterator[str]:
    """A row for each attribute that an instance has or a class declares."""
    known = getattr(described, "__dataclass_fields__", {})
    for name, annotation in inspect.get_annotations(described).items():
        default = _default(known[name]) if name in known else ""
        shown = str(annotation).replace("|", "\\|")
        yield f"| `{name}` | `{shown}` | {default} |"


def _default(field: dataclasses.Field[object]) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    return "required" if field.default_factory is dataclasses.MISSING else "empty"


def _is_method(name: str, value: object) -> bool:
    """Whether a member is for authors of backends: JSON is for files."""
    return inspect.isfunction(value) and not name.startswith("_") and name != "to_json"


def _function(described: Callable[..., object]) -> str:
    """A list entry: how it is called, and what it says of itself."""
    parameters = list(inspect.signature(described).parameters.values())
    shown = ", ".join(_parameter(part) for part in parameters if part.name != "self")
    returned = inspect.get_annotations(described).get("return", "None")
    told = " ".join((inspect.getdoc(described) or "").split())
    return f"- `{described.__name__}({shown}) -> {returned}`: {told}"


def _parameter(part: inspect.Parameter) -> str:
    star = "*" if part.kind is inspect.Parameter.VAR_POSITIONAL else ""
    return f"{star}{part.name}: {part.annotation}"


def _text(docstring: str) -> str:
    """A docstring in Markdown, with lines that begin with `word:` as a list."""
    lines: list[str] = []
    for line in docstring.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            lines.append(f"- `{entry[1]}`: {line[entry.end() :].strip()}")
        elif line and lines and lines[-1].startswith(("- ", "  ")):
            lines.append(f"  {line}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _said_of(name: str) -> str:
    """The docstring below a name of `ablatekit.backend`."""
    return dict(described_names(ast.parse(inspect.getsource(backend)).body))[name]


if __name__ == "__main__":
    sys.stdout.write(backends_page())
