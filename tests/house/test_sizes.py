"""Functions over 60 lines and modules over 400 are listed here, each with its reason."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FUNCTION_LINES = 60
MODULE_LINES = 400
MEDIAN_LINES = 10

LONG_FUNCTIONS: dict[str, str] = {}
LONG_MODULES: dict[str, str] = {}


def _sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).is_file()]


def _product_sources() -> list[Path]:
    return [path for path in _sources() if "tests" not in path.relative_to(ROOT).parts]


def _functions(path: Path) -> list[tuple[str, int]]:
    """Name and length in lines, docstring excluded, of every function of a module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            last = body[-1].end_lineno or node.lineno
            header = body[0].lineno - node.lineno if body is node.body else 1
            found.append((node.name, last - body[0].lineno + 1 + header))
    return found


def test_functions_over_the_limit_are_listed_with_a_reason() -> None:
    long = {
        f"{path.relative_to(ROOT).as_posix()}:{name}"
        for path in _product_sources()
        for name, lines in _functions(path)
        if lines > FUNCTION_LINES
    }
    assert long == set(LONG_FUNCTIONS)


def test_modules_over_the_limit_are_listed_with_a_reason() -> None:
    long = {
        path.relative_to(ROOT).as_posix()
        for path in _product_sources()
        if len(path.read_text(encoding="utf-8").splitlines()) > MODULE_LINES
    }
    assert long == set(LONG_MODULES)


def test_the_median_function_is_short() -> None:
    lengths = sorted(lines for path in _product_sources() for _, lines in _functions(path))
    assert lengths[len(lengths) // 2] <= MEDIAN_LINES
