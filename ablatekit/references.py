"""What a study names by `module:function` or `path/file.py:function`: its source and its value.

Paths are absolute, or relative to the study file, else to the working directory.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ablatekit.canonical import content_hash, file_hash
from ablatekit.errors import Location, Problem, UsageError, nearest

_LIBRARIES = (
    *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
    "<frozen",
)
_SOUGHT = "Paths are relative to the study file, then to the working directory"
_SITES = frozenset({"site-packages", "dist-packages"})


def is_reference(name: str) -> bool:
    """Whether a name is `module:function` or `path/file.py:function`."""
    return ":" in name


def referenced(name: str) -> Any:
    """What a reference names. Raises UsageError when it cannot be imported or is not there."""
    place, _, attribute = name.rpartition(":")
    module = _file_module(Path(place)) if place.endswith(".py") else _module(place)
    value = getattr(module, attribute, None)
    if value is None:
        known = nearest(
            attribute, (public for public in vars(module) if not public.startswith("_"))
        )
        raise UsageError(Problem(f"no function {attribute!r} in {place}", repr(name), known))
    return value


def source_hash(name: str, function: Callable[..., Any]) -> str:
    """`hash_of_source` of a function that has been imported."""
    return hash_of_source(name, Path(inspect.getfile(inspect.unwrap(function))))


def hash_of_source(name: str, file: Path) -> str:
    """Hash of a name and of the source of its package, or of its file and what lies beside it.

    Beside it lie the modules of its folder that it imports, and those that these import.
    """
    folder = file.parent
    sources = {str(source.relative_to(folder)): file_hash(source) for source in sources_of(file)}
    alone = len(sources) == 1 and not _is_in_package(file)
    return content_hash({"name": name, "source": file_hash(file) if alone else sources})


def sources_of(file: Path) -> list[Path]:
    """A Python file with what it imports from its folder, and what that imports, or its package."""
    if _is_in_package(file):
        return sorted(file.parent.rglob("*.py"))
    seen, waiting = {file}, [file]
    while waiting:
        names = _imported_modules(waiting.pop())
        near = {place for name in names for place in _sources_in(file.parent, name)}
        waiting += near - seen
        seen |= near
    return sorted(seen)


def _is_in_package(file: Path) -> bool:
    return (file.parent / "__init__.py").is_file()


def _sources_in(folder: Path, name: str) -> list[Path]:
    """The sources in a folder of a dotted module: its whole package, or its file."""
    package = folder / name.partition(".")[0]
    if (package / "__init__.py").is_file():
        return sorted(package.rglob("*.py"))
    module = folder.joinpath(*name.split(".")).with_suffix(".py")
    return [module] if module.is_file() else []


def imported_names(file: Path) -> Iterator[str]:
    """The first words of the absolute imports of a file, wherever they stand; none where it fails.

    Relative imports name a package, whose source is taken as a whole.
    """
    return (name.partition(".")[0] for name in _imported_modules(file))


def _imported_modules(file: Path) -> tuple[str, ...]:
    """Dotted names that may be modules which a file imports; none of one that is not Python."""
    status = file.stat()
    return _imports_of(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=1024)
def _imports_of(file: Path, _changed: int, _size: int) -> tuple[str, ...]:
    """A plan asks for each file once per cell and context."""
    try:
        return tuple(_imports_in(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):
        return ()


def _imports_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_installed(file: str) -> bool:
    """Whether a source belongs to Python or to an installed package, rather than to the user."""
    return file.startswith(_LIBRARIES) or not _SITES.isdisjoint(Path(file).parts)


def source_of(reference: str) -> tuple[Path, str]:
    """The file that a reference names, and the name in it; nothing of it is executed.

    Raises UsageError for a reference of another form and for a file or module that is not there.
    """
    place, colon, attribute = reference.rpartition(":")
    if not colon or not place or not attribute.isidentifier():
        remedy = "Write path/file.py:function or module:function"
        raise UsageError(Problem("a function is named by its file", repr(reference), remedy))
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise UsageError(Problem("no such file", place, _SOUGHT))
        return Path(place).resolve(), attribute
    try:
        spec = importlib.util.find_spec(place)
    # Packages around the module are imported, and they are the user's.
    except (Exception, SystemExit) as error:
        raise _not_importable(place, error) from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        remedy = "Install it where studies are planned and run, or name its file"
        raise UsageError(Problem(f"no module {place!r} with a source", repr(reference), remedy))
    return Path(spec.origin), attribute


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    # The module is the user's: it may raise anything, or ask to exit while a study is planned.
    except (Exception, SystemExit) as error:
        raise _not_importable(name, error) from error


def _file_module(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(Problem("no such file", str(path), _SOUGHT))
    stat = path.stat()
    return _loaded(path.resolve(), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _loaded(path: Path, _changed: int, _size: int) -> ModuleType:
    # Time and size are part of the key: a changed file is loaded again.
    spec = importlib.util.spec_from_file_location(f"_named_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    # As in `_module`: the file is the user's.
    except (Exception, SystemExit) as error:
        raise _not_importable(str(path), error) from error
    return module


def _not_importable(name: str, error: BaseException) -> UsageError:
    said = f"{type(error).__name__}: {error}"
    remedy = "Make it importable: an import defines functions, and neither runs nor exits"
    return UsageError(Problem(f"cannot import {name!r}", said, remedy, _place(error)))


def _place(error: BaseException) -> Location | None:
    """The line of the user's code that an import failed at, rather than one of a library."""
    if isinstance(error, SyntaxError) and error.filename:
        return Location(error.filename, error.lineno)
    frames = traceback.extract_tb(error.__traceback__)[1:]
    users = [frame for frame in frames if not is_installed(frame.filename)]
    return Location(users[-1].filename, users[-1].lineno) if users else None
