"""The names that `ablatekit` offers: few, lazy, and none the name of a module."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import ablatekit

NAMES = [name for name in ablatekit.__all__ if not name.startswith("_")]
HEAVY = ("numpy", "pandas", "pydantic", "rich", "matplotlib", "typer", "yaml")


def test_there_are_at_most_fifteen_and_each_is_documented() -> None:
    assert len(NAMES) <= 15
    assert all(getattr(ablatekit, name).__doc__ for name in NAMES)
    assert set(NAMES) <= set(dir(ablatekit))


def test_no_name_is_that_of_a_module() -> None:
    modules = {module.name for module in pkgutil.iter_modules(ablatekit.__path__)}
    assert "study" in modules
    assert modules.isdisjoint(NAMES)


def test_an_unknown_name_is_none() -> None:
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = ablatekit.analyse


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, ablatekit; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
