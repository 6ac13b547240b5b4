"""How many threads numpy's and scipy's linear algebra takes.

OpenBLAS shares even matrices of ten rows between all cores, and its threads wait for each other in
a busy loop: where other work holds a core, an inverse of 0.1 ms takes 10 to 100 ms on each of them.
One thread computes what is small sooner, and its last bits do not depend on the machine.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

LARGE = 512
"""Rows of a matrix from which several threads finish sooner."""

_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")


@contextmanager
def one_thread(rows: int = 0) -> Iterator[None]:
    """While open, one thread computes, unless the largest matrix has LARGE rows or more.

    Only the OpenBLAS that the wheels of numpy and scipy bring is known; another library keeps its
    own number of threads.
    """
    libraries = _libraries("scipy.linalg" in sys.modules) if rows < LARGE else ()
    before = [get() for get, _ in libraries]
    for _, put in libraries:
        put(1)
    try:
        yield
    finally:
        for (_, put), threads in zip(libraries, before, strict=True):
            put(threads)


@cache
def _libraries(scipy: bool) -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    """How to read and set the number of threads of numpy's library, and of scipy's once loaded."""
    packages = ("numpy", "scipy") if scipy else ("numpy",)
    loaded = (_loaded(path) for package in packages for path in _bundled(package))
    return tuple(pair for library in loaded if library and (pair := _threads_of(library)))


def _bundled(package: str) -> Iterator[Path]:
    """The OpenBLAS files beside an installed package."""
    spec = find_spec(package)
    if spec and spec.origin:
        folder = Path(spec.origin).parent
        for libraries in (folder.with_name(f"{package}.libs"), folder / ".dylibs"):
            yield from sorted(libraries.glob("*openblas*"))


def _loaded(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path), mode=getattr(os, "RTLD_NOLOAD", 0))
    except OSError:
        return None


def _threads_of(library: ctypes.CDLL) -> tuple[Callable[[], int], Callable[[int], None]] | None:
    for name in _NAMES:
        get = getattr(library, name.format("get_num_threads"), None)
        put = getattr(library, name.format("set_num_threads"), None)
        if get and put:
            put.restype = None
            return get, put
    return None
