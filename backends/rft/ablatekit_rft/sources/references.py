"""What a study names by `module:function` or `path/file.py:function`.

Paths are absolute, or relative to the study file, else to the working directory.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ablatekit.canonical import content_hash, file_hash
from ablatekit.errors import Location, Problem, UsageError, nearest

_LIBRARIES = (
    *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
    "<frozen",
)


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
    """Hash of a function by name and of the source of its package, or of its file."""
    file = Path(inspect.getfile(inspect.unwrap(function)))
    whole_package = (file.parent / "__init__.py").is_file()
    files = sorted(file.parent.rglob("*.py")) if whole_package else []
    sources = {str(source.relative_to(file.parent)): file_hash(source) for source in files}
    return content_hash({"name": name, "source": sources or file_hash(file)})


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    # The module is the user's: it may raise anything, or ask to exit while a study is planned.
    except (Exception, SystemExit) as error:
        raise _not_importable(name, error) from error


def _file_module(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(Problem("no such file", str(path)))
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
    users = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    return Location(users[-1].filename, users[-1].lineno) if users else None
