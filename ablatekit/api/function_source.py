"""The source of a function, for workers that have nothing of the session that defines it.

A function of a module that can be imported is used by its file. One of a notebook, a script or a
prompt is written to a file of its own, with the imports, the helpers and the constants that it
uses; what else it uses of the session is refused by name.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import dis
import inspect
import linecache
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar

from ablatekit.canonical import write_atomically
from ablatekit.errors import Problem, UsageError
from ablatekit.references import hash_of_source, is_installed

F = TypeVar("F", bound=Callable[..., Any])
SESSION = "__main__"
REMEDY = (
    "Give it as a setting, make or import it inside the function, or define it as a function or"
    " as a constant: a name in capitals with a plain value"
)
LONGEST_CONSTANT = 100_000
"""Characters of a constant; what is longer is data, and every worker would read it as code."""
HEADER = '"""The function of a study, with what it uses, taken from where it was defined."""'
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_STORES = frozenset({"STORE_NAME"})
_LITERALS = (bool, int, float, complex, str, bytes, type(None))
_COLLECTIONS = (tuple, list, set, frozenset, dict)


def function_backend(function: F) -> F:
    """A function `f(settings, seed) -> metrics` that may be the backend of a study.

    It stays what it is and can be called as before. Raises UsageError for what workers cannot have:
    a lambda, a method, a function that uses variables of the function around it.
    """
    require_plain(function)
    return function


def require_plain(function: object) -> FunctionType:
    """The function, if it is one that was defined with `def` and uses nothing around it."""
    if not isinstance(function, FunctionType):
        remedy = "Define one: def train(settings, seed): ..."
        raise UsageError(Problem("a backend is a plain function", _kind(function), remedy))
    name = function.__name__
    if name == "<lambda>":
        remedy = "Give it a name: def train(settings, seed): ..."
        raise UsageError(Problem("a backend is a plain function", "a lambda", remedy))
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        remedy = "Define it with `def`, and call what is asynchronous with asyncio.run inside it"
        raise UsageError(Problem(f"{name}() is no plain function", "async def", remedy))
    around = ", ".join(inspect.unwrap(function).__code__.co_freevars)
    if around:
        rule = f"{name}() uses variables of the function around it, which its runs do not have"
        raise UsageError(Problem(rule, around, REMEDY))
    return function


@dataclass(frozen=True, slots=True)
class PlacedFunction:
    """Where workers find a function: `file` with its name, which `text` is written to if given."""

    name: str
    file: Path
    text: str | None

    @property
    def reference(self) -> str:
        """What a study calls it in the working directory, or beside the file that is written."""
        here = Path.cwd()
        below = self.file.is_relative_to(here)
        return f"{self.file.relative_to(here) if below else self.file}:{self.name}"

    def written_in(self, folder: Path) -> str:
        """The reference from a study in `folder`, its file written there where it has a text."""
        if self.text is None:
            return f"{os.path.relpath(self.file, folder.resolve())}:{self.name}"
        place = folder / self.file
        if not place.exists() or place.read_text(encoding="utf-8") != self.text:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(place, self.text.encode())
        return f"{self.file}:{self.name}"


def placed_function(function: object) -> PlacedFunction:
    """Where workers will find a function. Raises UsageError for what they cannot have."""
    plain = require_plain(function)
    name, file = plain.__name__, _file_of(plain)
    if file is not None:
        return PlacedFunction(name, file, None)
    return PlacedFunction(name, Path(f"{name}_backend.py"), _Taking(plain).text())


def _file_of(function: FunctionType) -> Path | None:
    """The file that an import of the function's module executes; None for one of a session."""
    module = sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    named = getattr(module, function.__name__, None)
    if function.__module__ == SESSION or file is None or not str(file).endswith(".py"):
        return None
    return Path(file).resolve() if named is function else None


@dataclass
class _Taking:
    """A function on its way to a file: what goes with it, and what cannot."""

    function: FunctionType
    imports: set[str] = field(default_factory=set)
    beside: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)
    left_behind: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The source of a module that defines the function."""
        self._define(self.function.__name__, self.function)
        if self.left_behind:
            rule = f"{self.function.__name__}() uses what only this session has"
            shown = ", ".join(f"{name} ({why})" for name, why in sorted(self.left_behind.items()))
            raise UsageError(Problem(rule, shown, REMEDY))
        modules = [f"# With {name}: {known}" for name, known in sorted(self.beside.items())]
        constants = [f"{name} = {value}" for name, value in sorted(self.constants.items())]
        head = [HEADER, *modules, "from __future__ import annotations"]
        parts = [*head, "\n".join(sorted(self.imports)), "\n".join(constants)]
        return "\n\n".join(part for part in (*parts, *self.definitions.values()) if part) + "\n"

    def _define(self, name: str, definition: Any) -> None:
        """Take a function or a class, after everything that it uses."""
        node, text = _definition(inspect.unwrap(definition))
        self.definitions[name] = ""
        for used in sorted(_global_names(text)):
            if used not in self.definitions:
                self._use(used, node)
        self.definitions[name] = self.definitions.pop(name) or text

    def _use(self, name: str, node: ast.AST) -> None:
        values = self.function.__globals__
        if name not in values:
            if not hasattr(builtins, name):
                self.left_behind[name] = "not defined"
            return
        value = values[name]
        if isinstance(value, ModuleType):
            self._import_module(name, value, node)
        elif _is_defined_here(value):
            self._define_helper(name, inspect.unwrap(value))
        elif (place := _importable(value)) is not None:
            module, attribute = place
            self._note_source(module)
            alias = "" if attribute == name else f" as {name}"
            self.imports.add(f"from {module} import {attribute}{alias}")
        elif name == name.upper() and _is_literal(value):
            self._take_constant(name, value)
        else:
            self.left_behind[name] = _kind(value)

    def _take_constant(self, name: str, value: Any) -> None:
        written = _literal(value)
        if len(written) > LONGEST_CONSTANT:
            self.left_behind[name] = f"{_kind(value)} of {len(written):,} characters"
        else:
            self.constants[name] = written

    def _define_helper(self, name: str, value: Any) -> None:
        if isinstance(value, FunctionType):
            require_plain(value)
        if value.__name__ != name:
            self.left_behind[name] = f"another name of {value.__name__}"
            return
        self._define(name, value)

    def _import_module(self, name: str, module: ModuleType, node: ast.AST) -> None:
        """Import a module as it is called, with those below it that are named in full."""
        full = module.__name__
        if full == SESSION:
            self.left_behind[name] = "the session itself"
            return
        self._note_source(full)
        plain = name == full
        self.imports.add(f"import {full}" if plain else f"import {full} as {name}")
        for below in _named_below(name, node):
            dotted = full + below.removeprefix(name)
            if plain and isinstance(sys.modules.get(dotted), ModuleType):
                self.imports.add(f"import {dotted}")

    def _note_source(self, module: str) -> None:
        """Let the text change with the source of a module that lies beside the session."""
        top = sys.modules.get(module.partition(".")[0])
        file = getattr(top, "__file__", None)
        if top is not None and file and file.endswith(".py") and not is_installed(file):
            self.beside[top.__name__] = hash_of_source(top.__name__, Path(file))


def _is_defined_here(value: Any) -> bool:
    """Whether a statement of the session makes it: a function, a decorated one, or a class."""
    made = inspect.unwrap(value) if callable(value) else value
    return isinstance(made, FunctionType | type) and made.__module__ == SESSION


def _definition(definition: Any) -> tuple[ast.AST, str]:
    """The statement that defines a function or a class, and its text without our decorator."""
    for file, line in _places(definition):
        lines = linecache.getlines(file)
        for node in _defining(lines, definition.__name__, line):
            return node, _without_decorator("".join(lines), node)
    remedy = "Write it to a .py file and import it from there"
    rule = f"the source of {definition.__name__} is not known"
    raise UsageError(Problem(rule, "defined at a prompt or made by a program", remedy))


def _places(definition: Any) -> Iterator[tuple[str, int | None]]:
    """Where a definition may stand, as file and line; of a class any cell, after its methods."""
    if isinstance(definition, FunctionType):
        yield definition.__code__.co_filename, definition.__code__.co_firstlineno
        return
    codes = list(_codes_of(definition))
    yield from ((code.co_filename, code.co_firstlineno) for code in codes)
    # Methods of enumerations, named tuples and data classes are made elsewhere.
    session = getattr(sys.modules[SESSION], "__file__", None)
    cells = [file for file in reversed(list(linecache.cache)) if not Path(file).exists()]
    yield from ((file, None) for file in [*([session] if session else []), *cells])


def _codes_of(definition: type) -> Iterator[CodeType]:
    for value in vars(definition).values():
        code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
        if isinstance(code, CodeType) and code.co_filename.strip("<>") != "string":
            yield code


def _defining(lines: list[str], name: str, line: int | None) -> Iterator[ast.AST]:
    """The definitions of that name that contain a line, or any line."""
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
            if line is None or first <= line <= (node.end_lineno or line):
                yield node


def _without_decorator(source: str, node: ast.AST) -> str:
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    lines = source.splitlines()
    body = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
    kept = [part for part in node.decorator_list if not _is_ours(part)]
    return "\n".join([*(f"@{ast.unparse(part)}" for part in kept), body])


def _is_ours(decorator: ast.expr) -> bool:
    name = function_backend.__name__
    if isinstance(decorator, ast.Attribute):
        return decorator.attr == name
    return isinstance(decorator, ast.Name) and decorator.id == name


def _global_names(text: str) -> set[str]:
    """The names that a definition looks up around it, when it is made or when it is called."""
    flags = __future__.annotations.compiler_flag  # annotations stay text
    module = compile(text, "<taken>", "exec", flags=flags, dont_inherit=True)
    return {name for code in _codes(module) for name in _looked_up(code)}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _codes(part)


def _looked_up(code: CodeType) -> set[str]:
    steps = list(dis.get_instructions(code))
    made = {step.argval for step in steps if step.opname in _STORES}
    implied = {"__name__", "__qualname__", "__module__", "__annotations__"}
    return {step.argval for step in steps if step.opname in _LOADS} - made - implied


def _named_below(name: str, node: ast.AST) -> Iterator[str]:
    """Every dotted name in a definition that begins with `name`, at all its lengths."""
    for part in ast.walk(node):
        text = ast.unparse(part) if isinstance(part, ast.Attribute) else ""
        if text.startswith(f"{name}.") and all(word.isidentifier() for word in text.split(".")):
            yield text


def _importable(value: Any) -> tuple[str, str] | None:
    """The module and the name under which an import finds this very object."""
    module = getattr(value, "__module__", None) or ""
    name = getattr(value, "__name__", "")
    if module == SESSION or not name:
        return None
    imported = getattr(sys.modules.get(module), name, None)
    return (module, name) if imported is value else None


def _is_literal(value: Any) -> bool:
    if type(value) in _COLLECTIONS:
        parts = [*value, *value.values()] if isinstance(value, dict) else list(value)
        return all(map(_is_literal, parts))
    return type(value) in _LITERALS and (not isinstance(value, float | complex) or value == value)


def _literal(value: Any) -> str:
    """The value as Python writes it, equal for equal values; infinities as calls."""
    if isinstance(value, set | frozenset):
        inside = ", ".join(sorted(map(_literal, value)))
        return f"{type(value).__name__}([{inside}])"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(k)}: {_literal(v)}' for k, v in value.items())}}}"
    if isinstance(value, tuple):
        return f"({''.join(f'{_literal(part)}, ' for part in value)})"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    infinite = isinstance(value, float) and value in (float("inf"), float("-inf"))
    return f'float("{value}")' if infinite else repr(value)


def _kind(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
